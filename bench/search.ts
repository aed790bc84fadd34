// Finding, counting and matching in a gigabyte of text.

import { closeSync, openSync, readSync } from 'node:fs'
import { availableParallelism } from 'node:os'

import { MmapFile } from 'memmap'

import { startNode } from './lib/child.ts'
import { command, ours, ripgrep } from './lib/commands.ts'
import { LAST_BYTE, LAST_WORD, textFile, WORD } from './lib/files.ts'
import { atMost, beside, faster, group } from './lib/group.ts'
import { timed, timedAsync } from './lib/measure.ts'
import type { Run } from './lib/measure.ts'

const CHUNK = 2 ** 20

const path = textFile()
const chunk = Buffer.alloc(CHUNK)

/** The file in pieces that repeat so many bytes of the one before; `visit` ends it by returning true. */
function pieces(descriptor: number, overlap: number, visit: (piece: Buffer, position: number) => boolean): void {
  for (let position = 0; ; position += CHUNK - overlap) {
    const length = readSync(descriptor, chunk, 0, CHUNK, position)
    if (length <= overlap || visit(chunk.subarray(0, length), position)) return
  }
}

function find(descriptor: number, needle: Buffer): number {
  let found = -1
  pieces(descriptor, needle.length - 1, (piece, position) => {
    const index = piece.indexOf(needle)
    if (index !== -1) found = position + index
    return index !== -1
  })
  return found
}

function count(descriptor: number, needle: Buffer): number {
  let found = 0
  pieces(descriptor, needle.length - 1, (piece) => {
    for (let at = piece.indexOf(needle); at !== -1; at = piece.indexOf(needle, at + needle.length)) found += 1
    return false
  })
  return found
}

/** Lengths of all matches. */
function matched(file: MmapFile, pattern: RegExp): string {
  let [matches, bytes] = [0, 0]
  for (const { index, end } of file.matchAll(pattern)) {
    matches += 1
    bytes += end - index
  }
  return `${matches} ${bytes}`
}

/** The longest time, in milliseconds, that a timer of one millisecond had to wait while `work` ran. */
async function longestDelay(work: () => Promise<unknown>): Promise<number> {
  let last = performance.now()
  let longest = 0
  const timer = setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
  }, 1)
  await work()
  longest = Math.max(longest, performance.now() - last)
  clearInterval(timer)
  return longest
}

/** The same syntax with all. */
const PATTERNS = {
  'one line of 2,400': 'ERROR DELETE /carts/[0-9]+',
  'every line': '[0-9]+ms',
}
/** The longest delay is of so many searches. */
const SEARCHES = 20
const LONGEST_DELAY = 15

const finds = { 'one byte': LAST_BYTE, [`${LAST_WORD.length} bytes`]: LAST_WORD }
const counts = { newlines: '\n', 'a word': WORD }

await group('search, 1 GiB', async ({ row }) => {
  const file = MmapFile.open(path)
  const descriptor = openSync(path, 'r')
  for (const [what, needle] of Object.entries(finds)) {
    const bytes = Buffer.from(needle)
    await row({
      what: `indexOf, ${what}, near the end`,
      ours: () => timed(1, () => file.indexOf(bytes)),
      node: () => timed(1, () => find(descriptor, bytes)),
      python: ['find', path, needle],
      limit: ['find', path, needle],
      target: atMost(1.1, 'limit'),
      bound: 'memory bandwidth',
    })
  }
  for (const [what, needle] of Object.entries(counts)) {
    const bytes = Buffer.from(needle)
    const spelled = needle === '\n' ? '\\n' : needle
    await row({
      what: `count, ${what}`,
      ours: () => timed(1, () => file.count(bytes)),
      node: () => timed(1, () => count(descriptor, bytes)),
      python: ['count', path, spelled],
      limit: ['count', path, spelled],
      target: atMost(1.1, 'limit'),
      bound: needle === '\n' ? 'memory bandwidth' : 'memory bandwidth, matches',
    })
  }
  for (const [what, pattern] of Object.entries(PATTERNS)) {
    const expression = new RegExp(pattern)
    await row({
      what: `matchAll, ${what} (Python: re)`,
      ours: () => timed(1, () => matched(file, expression)),
      python: ['matches', path, pattern],
      limit: ['matches', path, pattern],
      target: atMost(1.3, 'limit'),
      bound: what === 'every line' ? 'cores: finding, V8 making matches' : 'memory bandwidth',
    })
  }
  file.close()
  closeSync(descriptor)
})

await group(
  'searches in the background, 1 GiB',
  async ({ row, fact, skip }) => {
    const file = MmapFile.open(path)
    // What takes longer to find than to fetch shows the cores; the needles show the memory, and the limit is what two threads of
    // plain Rust get from it.
    for (const [what, needle] of Object.entries({ ...counts, 'an expression': /\d+ms/ })) {
      const name = `countAsync, ${what}, 2 threads`
      const onThreads = (threads: number): Promise<Run> => timedAsync(1, () => file.countAsync(needle, { threads }))
      if (availableParallelism() < 2) skip(name, 'there is one core')
      else {
        await row({
          what: name,
          ours: () => onThreads(2),
          one: () => onThreads(1),
          ...(typeof needle === 'string'
            ? { limit: ['count-halves', path, needle === '\n' ? '\\n' : needle] as const, bound: 'memory bandwidth' }
            : { bound: 'cores' }),
          target: faster(1.6, 'one'),
        })
      }
    }
    let longest = 0
    for (let search = 0; search < SEARCHES; search++) {
      longest = Math.max(longest, await longestDelay(() => file.countAsync(WORD)))
    }
    fact({
      what: `longest delay of a timer, ${SEARCHES} × countAsync, ms`,
      ours: Math.round(longest * 10) / 10,
      target: `≤ ${LONGEST_DELAY} ms`,
      holds: longest <= LONGEST_DELAY,
      bound: 'who else runs on the cores',
    })
    file.close()
  },
  ['ours', 'one', 'limit'],
)

await group(
  'counting beside other programs, 1 GiB (Node: readline)',
  async ({ row }) => {
    const file = MmapFile.open(path)
    const readline = await startNode('readline.ts')
    // In no line does the word stand twice, so lines with it are as many as matches.
    const words = {
      node: (): Run | Promise<Run> => readline.ask('count'),
      commands: {
        grep: command('grep', '-a', '-F', '-c', WORD, path),
        rg: command(ripgrep, '-a', '-F', '-c', WORD, path),
      },
      target: beside('grep'),
    }
    const lines = { commands: { wc: command('wc', '-l', path) }, target: beside('wc') }
    const bound = 'memory bandwidth, cores'
    const started = 'as above, starting Node'
    const expression = PATTERNS['one line of 2,400']
    await row({ what: 'countAsync, a word', ours: () => timedAsync(1, () => file.countAsync(WORD)), ...words, bound })
    await row({ what: '`memmap count`, a word', ours: ours('count', WORD, path), ...words, bound: started })
    await row({ what: 'countAsync, newlines', ours: () => timedAsync(1, () => file.countAsync('\n')), ...lines, bound })
    await row({ what: '`memmap count`, newlines', ours: ours('count', '\n', path), ...lines, bound: started })
    await row({
      what: 'countAsync, a regular expression',
      ours: () => timedAsync(1, () => file.countAsync(new RegExp(expression))),
      commands: {
        grep: command('grep', '-a', '-E', '-c', expression, path),
        rg: command(ripgrep, '-a', '-c', expression, path),
      },
      target: beside('grep'),
      bound,
    })
    file.close()
    readline.end()
  },
  ['ours', 'node', 'grep', 'rg', 'wc'],
)
