// Mutexes and semaphores in shared memory: taken while they are free, by two processes at once, and handed over.

import { Mutex, Semaphore, SharedMemory } from 'memmap'

import { startNode } from './lib/child.ts'
import { beside, group, within } from './lib/group.ts'
import { timed } from './lib/measure.ts'
import type { Contender, Run } from './lib/measure.ts'
import type { Name } from './lib/result.ts'

const PAIRS = 1_000_000
const FEW_PAIRS = 50_000
const SECTIONS = 200_000
const HAND_OVERS = 300
/** Long enough for a wait to have begun. */
const BEGUN_MS = 2
/** Of the words: what both count, and where they meet. */
const [COUNTER, MEETING] = [256, 512]

const name = `mm-bench-mutex-${process.pid}`
const raw = `/dev/shm/${name}-raw`
const memory = SharedMemory.create(name, 8192)
const words = memory.view(Int32Array)
const mutex = new Mutex(memory, 0)
const semaphore = new Semaphore(memory, 4096, 2)
const partner = await startNode('mutex-partner.ts', [name])

function often(times: number, pair: () => void): Contender {
  const work = (): number => {
    for (let done = 0; done < times; done++) pair()
    return times
  }
  return () => timed(times, work)
}

/** The least that JavaScript can do: two compare-and-swaps, and nothing that tells of a dead owner. */
function bare(): void {
  if (Atomics.compareExchange(words, 768, 0, 1) !== 0) throw new Error('somebody else has it')
  Atomics.compareExchange(words, 768, 1, 0)
}

/** So many sections here while the partner does as many; nanoseconds for one of them all. */
async function contended(): Promise<Run> {
  const other = partner.ask('sections', SECTIONS)
  while (Atomics.load(words, MEETING) % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  const from = process.hrtime.bigint()
  Atomics.add(words, MEETING, 1)
  for (let done = 0; done < SECTIONS; done++) {
    const guard = mutex.lockSync()
    words[COUNTER] = (words[COUNTER] ?? 0) + 1
    guard.release()
  }
  await other
  return { nanoseconds: Number(process.hrtime.bigint() - from) / (2 * SECTIONS), result: String(2 * SECTIONS) }
}

/** From the moment the partner lets go to the moment the mutex is here, in nanoseconds. */
async function handOver(wait: () => bigint | Promise<bigint>): Promise<number> {
  await partner.ask('hold')
  const answer = partner.ask('release', BEGUN_MS)
  const came = await wait()
  return Number(came - BigInt((await answer).result))
}

async function awaited(): Promise<bigint> {
  const guard = await mutex.lock()
  const now = process.hrtime.bigint()
  guard.release()
  return now
}

function stoodFor(): bigint {
  const guard = mutex.lockSync()
  const now = process.hrtime.bigint()
  guard.release()
  return now
}

await group('mutex (Node: two compare-and-swaps)', async ({ row, sample }) => {
  const free = {
    node: often(PAIRS, bare),
    limit: ['mutex-pairs', raw, PAIRS],
    bound: 'two locked instructions',
  } as const
  await row({
    what: 'lockSync + release, nobody else there',
    ours: often(PAIRS, () => mutex.lockSync().release()),
    ...free,
    target: within(150, 'limit'),
  })
  await row({
    what: 'tryLock + release, nobody else there',
    ours: often(PAIRS, () => mutex.tryLock()?.release()),
    ...free,
    target: within(150, 'limit'),
  })
  await row({
    what: 'a section, two processes at once (limit: threads)',
    ours: contended,
    limit: ['mutex-contended', raw, SECTIONS],
    target: beside('limit'),
    bound: 'a cache line between two cores, and sleep',
  })
  await row({
    what: 'tryAcquire + release of a semaphore',
    ours: often(FEW_PAIRS, () => {
      if (!semaphore.tryAcquire()) throw new Error('somebody else has them')
      semaphore.release()
    }),
    target: beside(),
    bound: 'two calls, and adding up the table',
  })
  for (const [what, wait] of [
    ['lockSync', stoodFor],
    ['await lock', awaited],
  ] as const) {
    const ours: number[] = []
    for (let round = 0; round < HAND_OVERS; round++) ours.push(await handOver(wait))
    const times = new Map<Name, number[]>([['ours', ours]])
    sample({ what: `hand-over from another process, ${what}`, times, target: beside(), bound: 'waking up' })
    sample({ what: '  and 99 of 100 within', times, part: 0.99, target: beside(), bound: '' })
  }
})
partner.end()
memory.close()
SharedMemory.unlink(name)
