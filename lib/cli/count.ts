// memmap count WORD FILE…

import type { MmapFile } from '../mmap-file.ts'
import type { Command, Values } from './command.ts'
import { mostOf, placesOf, SEARCH_OPTIONS, sortedOut, throughFiles, wordsSought } from './searching.ts'
import type { Reports, Sought } from './searching.ts'
import type { Terminal } from './terminal.ts'

const HELP = `usage: memmap count [OPTION]… WORD FILE…
       memmap count [OPTION]… -e WORD [-e WORD]… FILE…

Counts how often WORD stands in each FILE, as bytes; matches do not overlap. A row for each file, with its name before
the count where there are several; with several words a row for each of them, FILE:WORD:COUNT. All words are looked for
at once, and where two begin at the same byte the first of the list counts.

  -e, --word WORD      a word to count; may be given several times
  -i, --ignore-case    upper and lower case are the same
  -m, --max-count N    leave a file after N matches
      --json           a row is {"file": string, "word": string, "count": number}
  -h, --help           this
  -V, --version        which memmap this is

Exit code: 0 found, 1 nothing found, 2 trouble (with other files it goes on), 130 ended by Ctrl-C.
`

export const count: Command = {
  summary: 'counts a word in files',
  help: HELP,
  options: { ...SEARCH_OPTIONS, word: { type: 'string', short: 'e', multiple: true } },
  run,
}

async function run(terminal: Terminal, values: Values, positionals: readonly string[]): Promise<number> {
  const { what: words, files } = sortedOut('count', values['word'], positionals)
  const sought = wordsSought(words, values)
  const most = mostOf(values)
  return throughFiles(terminal, files, async (file, path, reports) => {
    const counts = await countsOf(file, sought, words.length, most, reports)
    for (const [index, number] of counts.entries()) {
      const word = words[index] ?? ''
      if (values['json'] === true) await terminal.row(JSON.stringify({ file: path, word, count: number }))
      else await terminal.row(`${files.length > 1 ? `${path}:` : ''}${words.length > 1 ? `${word}:` : ''}${number}`)
    }
    return counts.some((number) => number > 0)
  })
}

async function countsOf(
  file: MmapFile,
  sought: Sought,
  words: number,
  most: number,
  reports: Reports,
): Promise<number[]> {
  if (most === Number.POSITIVE_INFINITY) {
    // One by itself is found faster than in a list of one.
    const [only = ''] = 'words' in sought ? sought.words : []
    if (words === 1) return [await file.countAsync('words' in sought ? only : sought.expression, reports)]
    if ('words' in sought) return file.countAsync(sought.words, reports)
  }
  const counts = Array.from({ length: words }, () => 0)
  let left = most
  for await (const { needle } of placesOf(file, sought, 0, reports)) {
    counts[needle] = (counts[needle] ?? 0) + 1
    if (--left === 0) break
  }
  return counts
}
