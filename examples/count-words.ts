// Counts words in a file of any size, which is never read into memory: how often some of them occur, all in one pass and on
// all cores, or, with none named, which occur most.
//
//   node --import=@oxc-node/core/register examples/count-words.ts FILE [WORD…]

import { MmapFile } from 'memmap'

const MOST = 10

/** How often each occurs, also inside of longer words. The event loop is free meanwhile. */
async function countGiven(file: MmapFile, words: readonly string[]): Promise<[string, number][]> {
  const counts = await file.countAsync(words)
  return words.map((word, at) => [word, counts[at] ?? 0])
}

/** The most frequent words, in whatever alphabet: with the flag `u` an expression sees the file's text, not its bytes. */
async function countAll(file: MmapFile): Promise<[string, number][]> {
  const counts = new Map<string, number>()
  for await (const [word] of file.matchAll(/\p{L}+/gu)) {
    const text = String(word).toLowerCase()
    counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  return [...counts].sort(([, one], [, other]) => other - one).slice(0, MOST)
}

const [path, ...words] = process.argv.slice(2)
if (path === undefined || words.includes('')) {
  console.error('usage: count-words.ts FILE [WORD…]')
  process.exitCode = 2
} else {
  try {
    const file = MmapFile.open(path)
    try {
      const counts = words.length > 0 ? await countGiven(file, words) : await countAll(file)
      for (const [word, count] of counts) console.log(`${count}\t${word}`)
    } finally {
      file.close()
    }
  } catch (error) {
    console.error(`count-words: ${error instanceof Error ? error.message : error}`)
    process.exitCode = 1
  }
}
