/**
 * The lists that the addon gives as one string: each row is the number of its words, and the words, each of which ends with a
 * NUL.
 */
export function rowsOf(text: string): string[][] {
  const words = text.split('\0')
  const rows: string[][] = []
  // What is behind the last NUL is no word.
  for (let at = 0; at < words.length - 1;) {
    const end = at + 1 + Number(words[at])
    rows.push(words.slice(at + 1, end))
    at = end
  }
  return rows
}
