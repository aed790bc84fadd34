// What the fault guard costs whoever never meets a fault: the same with it, and with `guard: false`.

import { MmapFile } from 'memmap'

import { indexes as makeIndexes, smallFile, textFile } from './lib/files.ts'
import { atMost, beside, group } from './lib/group.ts'
import { timed } from './lib/measure.ts'
import type { Contender } from './lib/measure.ts'
import { PART } from './lib/loops.ts'
import type * as Loops from './lib/loops.ts'

// Little at a turn, and many turns: two per cent are to be told from none.
const OPENS = 500
const READS = 200_000
const SLICES = 500
const FEW = 1.02
const KNOWN = 0.01

const indexes = makeIndexes()
const loops = {
  ours: (await import(`./lib/loops.ts?${'ours'}`)) as typeof Loops,
  unguarded: (await import(`./lib/loops.ts?${'unguarded'}`)) as typeof Loops,
}

function opened(path: string, guard: boolean): Contender {
  return () =>
    timed(OPENS, () => {
      let sum = 0
      for (let i = 0; i < OPENS; i++) {
        const file = MmapFile.open(path, { guard })
        sum += file.readUInt8(0)
        file.close()
      }
      return sum
    })
}

type Read = (loops: typeof Loops, file: MmapFile, from: number, sum: number) => number

/** Reads here and there, a part at a call. */
function reads(who: keyof typeof loops, file: MmapFile, read: Read): Contender {
  return () =>
    timed(READS, () => {
      let sum = 0
      for (let from = 0; from < READS; from += PART) sum = read(loops[who], file, from, sum)
      return sum
    })
}

function slices(file: MmapFile, length: number): Contender {
  return () =>
    timed(SLICES, () => {
      let sum = 0
      for (let i = 0; i < SLICES; i++)
        sum += file.slice((indexes[i] as number) * 4, (indexes[i] as number) * 4 + length).length
      return sum
    })
}

await group(
  'the guard, on and off',
  async ({ row }) => {
    for (const [size, path] of Object.entries({ '4 KiB': smallFile(), '1 GiB': textFile() })) {
      await row({
        what: `open + touch + close, ${size}`,
        ours: opened(path, true),
        unguarded: opened(path, false),
        target: atMost(FEW, 'unguarded'),
        known: KNOWN,
        bound: 'system calls',
      })
    }
    const file = MmapFile.open(textFile())
    const unguarded = MmapFile.open(textFile(), { guard: false })
    const scalars: Record<string, Read> = {
      readDoubleLE: (own, region, from, sum) => own.readDoubleLE(region, indexes, from, sum),
      readUInt32LE: (own, region, from, sum) => own.readUInt32LE(region, indexes, from, sum),
    }
    for (const [name, read] of Object.entries(scalars)) {
      await row({
        what: `${name}, random in 1 GiB`,
        ours: reads('ours', file, read),
        unguarded: reads('unguarded', unguarded, read),
        target: atMost(FEW, 'unguarded'),
        known: KNOWN,
        bound: 'memory latency',
      })
    }
    // From 4 KiB on the file's length is asked for afterwards: a system call, which has its price.
    for (const [size, length] of Object.entries({ '64 bytes': 64, '4 KiB': 4096, '1 MiB': 2 ** 20 })) {
      await row({
        what: `slice of ${size}, here and there`,
        ours: slices(file, length),
        unguarded: slices(unguarded, length),
        target: beside('unguarded'),
        known: KNOWN,
        bound: 'copying',
      })
    }
    for (const region of [file, unguarded]) region.close()
  },
  ['ours', 'unguarded'],
)
