// Reading and writing here and there: every access meets another page, so all wait for memory most of the time.

import { closeSync, openSync, readSync, writeSync } from 'node:fs'

import { MmapFile } from 'memmap'

import { GIB, indexes as makeIndexes, INDEXES, indexesFile, scratchFile, textFile } from './lib/files.ts'
import { atMost, group, within } from './lib/group.ts'
import { timed } from './lib/measure.ts'
import type { Contender } from './lib/measure.ts'
import { PART } from './lib/loops.ts'
import type * as Loops from './lib/loops.ts'

const WRITES = 1_000_000
const RECORD = 64
const RECORDS = GIB / RECORD
const MIB = 2 ** 20

const path = textFile()
const indexes = makeIndexes()
const word = Buffer.alloc(8)
const record = Buffer.alloc(RECORD, '.')

const ours = (await import(`./lib/loops.ts?${'ours'}`)) as typeof Loops
const nodes = (await import(`./lib/loops.ts?${'node'}`)) as typeof Loops

/** A sum as all write it, to be compared exactly. */
function exact(sum: number | bigint): string {
  if (typeof sum === 'bigint') return String(sum)
  word.writeDoubleLE(sum)
  return String(word.readBigUInt64LE())
}

function readThroughFs(descriptor: number, from: number, sum: number): number {
  for (let i = from; i < from + PART; i++) {
    readSync(descriptor, word, 0, 8, (indexes[i] as number) * 8)
    sum += word.readDoubleLE()
  }
  return sum
}

function write(target: MmapFile): number {
  for (let i = 0; i < WRITES; i++) target.set(record, ((indexes[i] as number) % RECORDS) * RECORD)
  return WRITES
}

function writeThroughFs(descriptor: number): number {
  for (let i = 0; i < WRITES; i++) writeSync(descriptor, record, 0, RECORD, ((indexes[i] as number) % RECORDS) * RECORD)
  return WRITES
}

/** A contender that does the reads once, a part at a call. */
function read<Sum extends number | bigint>(nothing: Sum, part: (from: number, sum: Sum) => Sum): Contender {
  return () =>
    timed(INDEXES, () => {
      let sum = nothing
      for (let from = 0; from < INDEXES; from += PART) sum = part(from, sum)
      return exact(sum)
    })
}

await group('random access, 1 GiB', async ({ row }) => {
  const file = MmapFile.open(path)
  const descriptor = openSync(path, 'r')
  const heap = Buffer.allocUnsafeSlow(GIB)
  for (let at = 0; at < GIB; at += MIB) readSync(descriptor, heap, at, MIB, at)
  const limit = ['reads', path, indexesFile()] as const

  const arrays = [file.view(Float64Array), new Float64Array(heap.buffer)] as const
  await row({
    what: "8 bytes, Float64Array (Node: the heap's)",
    ours: read<number>(0, (from, sum) => ours.doubles(arrays[0], indexes, from, sum)),
    node: read<number>(0, (from, sum) => nodes.doubles(arrays[1], indexes, from, sum)),
    limit,
    target: atMost(1.1, 'node'),
    bound: 'memory latency',
  })
  const bigints = [file.view(BigInt64Array), new BigInt64Array(heap.buffer)] as const
  await row({
    what: "8 bytes, BigInt64Array (Node: the heap's)",
    ours: read<bigint>(0n, (from, sum) => ours.bigints(bigints[0], indexes, from, sum)),
    node: read<bigint>(0n, (from, sum) => nodes.bigints(bigints[1], indexes, from, sum)),
    target: atMost(1.1, 'node'),
    bound: 'memory latency',
  })
  const views = [file.view(DataView), new DataView(heap.buffer)] as const
  await row({
    what: "8 bytes, DataView (Node: the heap's)",
    ours: read<number>(0, (from, sum) => ours.throughDataView(views[0], indexes, from, sum)),
    node: read<number>(0, (from, sum) => nodes.throughDataView(views[1], indexes, from, sum)),
    limit,
    target: atMost(1.1, 'node'),
    bound: 'memory latency',
  })
  await row({
    what: 'readDoubleLE (Node: fs.readSync)',
    ours: read<number>(0, (from, sum) => ours.readDoubleLE(file, indexes, from, sum)),
    node: read<number>(0, (from, sum) => readThroughFs(descriptor, from, sum)),
    python: ['reads', path, indexesFile(), INDEXES],
    limit,
    target: within(60, 'limit'),
    bound: 'memory latency',
  })
  await row({
    what: "readUInt32LE (Node: Buffer's)",
    ours: read<number>(0, (from, sum) => ours.readUInt32LE(file, indexes, from, sum)),
    node: read<number>(0, (from, sum) => nodes.readUInt32LE(heap, indexes, from, sum)),
    target: within(60, 'node'),
    bound: 'memory latency',
  })
  await row({
    what: "readBigUInt64LE (Node: Buffer's)",
    ours: read<bigint>(0n, (from, sum) => ours.readBigUInt64LE(file, indexes, from, sum)),
    node: read<bigint>(0n, (from, sum) => nodes.readBigUInt64LE(heap, indexes, from, sum)),
    target: within(60, 'node'),
    bound: 'memory latency, V8 making BigInts',
  })
  file.close()
  closeSync(descriptor)

  const scratch = scratchFile()
  const target = MmapFile.open(scratch.path, { access: 'write' })
  const output = openSync(scratch.path, 'r+')
  await row({
    what: `set of ${RECORD} bytes (Node: fs.writeSync)`,
    ours: () => timed(WRITES, () => write(target)),
    node: () => timed(WRITES, () => writeThroughFs(output)),
    python: ['writes', scratch.path, indexesFile(), WRITES],
    limit: ['writes', scratch.path, indexesFile(), WRITES],
    target: within(240, 'limit'),
    bound: 'memory latency, V8 copying',
  })
  target.close()
  closeSync(output)
  scratch.remove()
})
