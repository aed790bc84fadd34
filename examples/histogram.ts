// How often each byte occurs in a file of any size, counted by workers that share the work and the table of results.
//
//   node --import=@oxc-node/core/register examples/histogram.ts FILE [WORKERS]
//
// Every worker maps the file itself (`share` and `attach`; nothing is copied to it), takes the next piece that nobody has
// taken, and counts into a row of its own: so that no two workers ever write to the same line of a cache. Only the number of the
// next piece is everybody's, which `Atomics` makes exact.

import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

import { MmapFile, SharedMemory } from 'memmap'
import type { RegionHandle } from 'memmap'

const BYTES = 256
const ROW = BYTES * Float64Array.BYTES_PER_ELEMENT // a double counts exactly to 2^53
const HEAD = 64 // where the number of the next piece is
const PIECE = 2 ** 20

interface Job {
  readonly file: RegionHandle
  readonly table: RegionHandle
  /** The worker's row. */
  readonly row: number
}

const rowOf = (table: SharedMemory, row: number): Float64Array => table.view(Float64Array, HEAD + row * ROW, BYTES)

function count(job: Job): void {
  const file = MmapFile.attach(job.file)
  const table = SharedMemory.attach(job.table)
  const next = table.view(Uint32Array, 0, 1)
  const counts = rowOf(table, job.row)
  for (;;) {
    const start = Atomics.add(next, 0, 1) * PIECE
    if (start >= file.byteLength) break
    // A copy, not a window: if somebody cuts the file off meanwhile this throws, where a window would show zeros.
    const piece = file.slice(start, start + PIECE)
    for (const byte of piece) counts[byte] = (counts[byte] ?? 0) + 1
  }
  file.close()
  table.close()
}

async function histogram(path: string, workers: number): Promise<Float64Array> {
  const file = MmapFile.open(path)
  const table = SharedMemory.anonymous(HEAD + workers * ROW)
  try {
    const running = Array.from({ length: workers }, (_, row) => {
      const job: Job = { file: file.share(), table: table.share(), row }
      return once(new Worker(new URL(import.meta.url), { workerData: job }), 'message')
    })
    // What a worker throws rejects here.
    await Promise.all(running)
    const sums = new Float64Array(BYTES)
    for (let row = 0; row < workers; row++)
      for (const [byte, found] of rowOf(table, row).entries()) sums[byte] = (sums[byte] ?? 0) + found
    return sums
  } finally {
    table.close()
    file.close()
  }
}

function show(counts: Float64Array): void {
  const most = counts.reduce((one, other) => Math.max(one, other), 0)
  for (const [byte, found] of counts.entries()) {
    if (found === 0) continue
    const letter = byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ' '
    const bar = '#'.repeat(Math.ceil((40 * found) / most))
    console.log(`${byte.toString(16).padStart(2, '0')} ${letter} ${String(found).padStart(12)} ${bar}`)
  }
}

async function main([path, given = '4']: readonly string[]): Promise<number> {
  const workers = Number(given)
  if (path === undefined || !Number.isInteger(workers) || workers < 1 || workers > 64) {
    console.error('usage: histogram.ts FILE [WORKERS, 1 to 64]')
    return 2
  }
  try {
    show(await histogram(path, workers))
    return 0
  } catch (error) {
    console.error(`histogram: ${error instanceof Error ? error.message : error}`)
    return 1
  }
}

if (isMainThread) {
  process.exitCode = await main(process.argv.slice(2))
} else {
  count(workerData as Job)
  parentPort?.postMessage('done')
}
