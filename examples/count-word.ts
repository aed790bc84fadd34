// Counts and finds a word in a file, mapped and, for comparison, streamed.
//
//   npm start                      the running Node itself, and the word "function"
//   npm start -- FILE WORD

import { createReadStream } from 'node:fs'
import { performance } from 'node:perf_hooks'

import { MmapFile } from 'memmap'

const SHOWN = 5
const AROUND = 30

interface Counted {
  readonly matches: number
  readonly lines: number
  readonly ms: number
}

function mapped(file: MmapFile, word: string): Counted {
  const from = performance.now()
  const matches = file.count(word)
  const lines = file.count('\n')
  return { matches, lines, ms: performance.now() - from }
}

async function streamed(path: string, word: Buffer): Promise<Counted> {
  const from = performance.now()
  let matches = 0
  let lines = 0
  let carried: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, at + 1)) lines += 1
    // A match may straddle two chunks: keep what could be its beginning.
    const bytes = carried.length === 0 ? chunk : Buffer.concat([carried, chunk])
    let behind = 0
    for (let at = bytes.indexOf(word); at !== -1; at = bytes.indexOf(word, behind)) {
      matches += 1
      behind = at + word.length
    }
    carried = bytes.subarray(Math.max(behind, bytes.length - word.length + 1))
  }
  return { matches, lines, ms: performance.now() - from }
}

/** What stands around a match, on one line. */
function excerpt(file: MmapFile, index: number, length: number): string {
  const start = Math.max(0, index - AROUND)
  return file.toString('latin1', start, index + length + AROUND).replaceAll(/[^\x20-\x7e]/g, '·')
}

function report(name: string, { matches, lines, ms }: Counted, bytes: number): void {
  const speed = bytes / 1e9 / (ms / 1000)
  const columns = [name.padEnd(24), String(matches).padStart(12), String(lines).padStart(12)]
  console.log(...columns, `${ms.toFixed(1)} ms`.padStart(12), `${speed.toFixed(2)} GB/s`.padStart(12))
}

async function main(): Promise<void> {
  const [path = process.execPath, word = 'function'] = process.argv.slice(2)
  if (word === '') throw new Error('the word is empty')
  const file = MmapFile.open(path)
  console.log(`${path}, ${file.byteLength} bytes, "${word}"`)
  let shown = 0
  for (const index of file.indexesOf(word)) {
    console.log(`${String(index).padStart(12)}  ${excerpt(file, index, Buffer.byteLength(word))}`)
    if (++shown === SHOWN) break
  }
  console.log()
  console.log(' '.repeat(24), 'matches'.padStart(12), 'lines'.padStart(12), 'time'.padStart(12), 'speed'.padStart(12))
  // Once unmeasured, so that both read from memory what the disk had to give.
  mapped(file, word)
  report('memmap', mapped(file, word), file.byteLength)
  report('fs.createReadStream', await streamed(path, Buffer.from(word)), file.byteLength)
  file.close()
}

try {
  await main()
} catch (error) {
  console.error(`count-word: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
}
