// Opening, touching and closing a file, again and again.

import { closeSync, openSync, readSync } from 'node:fs'

import { MmapFile } from 'memmap'

import { markSweeps } from './lib/collections.ts'
import { smallFile, textFile } from './lib/files.ts'
import { atMost, group } from './lib/group.ts'
import { timed } from './lib/measure.ts'

const TIMES = 2000
const TIMES_WATCHED = 20_000

function mapped(path: string, times: number): number {
  let sum = 0
  for (let i = 0; i < times; i++) {
    const file = MmapFile.open(path)
    sum += file.readUInt8(0)
    file.close()
  }
  return sum
}

const byte = Buffer.alloc(1)

function read(path: string, times: number): number {
  let sum = 0
  for (let i = 0; i < times; i++) {
    const file = openSync(path, 'r')
    readSync(file, byte, 0, 1, 0)
    sum += byte[0] ?? 0
    closeSync(file)
  }
  return sum
}

const files = { '4 KiB': smallFile(), '1 GiB': textFile() }

await group('open', async ({ row, fact }) => {
  for (const [size, path] of Object.entries(files)) {
    await row({
      what: `open + touch + close, ${size}`,
      ours: () => timed(TIMES, () => mapped(path, TIMES)),
      node: () => timed(TIMES, () => read(path, TIMES)),
      python: ['open', path, TIMES],
      limit: ['open', path, TIMES],
      target: atMost(1.5, 'limit'),
      bound: 'system calls',
    })
  }
  for (const [size, path] of Object.entries(files)) {
    const found = await markSweeps(() => mapped(path, TIMES_WATCHED))
    fact({
      what: `mark-sweeps in ${TIMES_WATCHED} of them, ${size}`,
      ours: found,
      target: '0',
      holds: found === 0,
      bound: '',
    })
  }
})
