// Locks of files: taken and given back, waited for while another process has them, and given up.

import { closeSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

import { FileLock, MmapFile } from 'memmap'
import type { RegionLockOptions, Waiting } from 'memmap'

import { startLimit, startNode } from './lib/child.ts'
import { lockedFile } from './lib/files.ts'
import { atMost, beside, group, within } from './lib/group.ts'
import type { Group, Row } from './lib/group.ts'
import { timed, timedAsync } from './lib/measure.ts'
import type { Contender } from './lib/measure.ts'
import { peer } from './lib/peers.ts'
import type { Peers } from './lib/peers.ts'
import type { Name } from './lib/result.ts'

const PAIRS = 20_000
/** Where a pair takes long. */
const FEW_PAIRS = 500
const HAND_OVERS = 600
/** Long enough for a wait to have begun. */
const BEGUN_MS = 2
const STATS = 2000
const STAT_WAITERS = 64
const CANCELLED = 10_000
/** So many wait in the kernel at a time, each for a range of its own and on a thread of its own. */
const RANGES = 100
/** What has not come by then, will not. */
const STUCK_MS = 10_000

const path = lockedFile()
const file = MmapFile.open(path, { access: 'write' })
const descriptor = openSync(path, 'r+')
const partner = await startNode('lock-partner.ts')

/** Takes a lock and gives it back, or whatever else, so often at a call. */
function often(times: number, pair: () => void): Contender {
  const work = (): number => {
    for (let done = 0; done < times; done++) pair()
    return times
  }
  return () => timed(times, work)
}

function oftenAwaited(times: number, pair: () => Promise<void>): Contender {
  const work = async (): Promise<number> => {
    for (let done = 0; done < times; done++) await pair()
    return times
  }
  return () => timedAsync(times, work)
}

function releaseTaken(lock: FileLock | null): void {
  if (lock === null) throw new Error(`somebody else has a lock of ${path}`)
  lock.release()
}

const tryRegion = (): void => releaseTaken(file.tryLock())
const awaitRegion = async (): Promise<void> => (await file.lock()).release()

async function pairs({ row }: Group): Promise<void> {
  await row({
    what: 'tryLock + release of a region',
    ours: often(PAIRS, tryRegion),
    python: ['lock-pairs', path, PAIRS],
    limit: ['lock-pairs', path, PAIRS],
    // And so within 2 µs where the two calls take 1.3.
    target: atMost(1.5, 'limit'),
    bound: 'two system calls',
  })
  const opening = {
    limit: ['lock-opens', path, PAIRS],
    target: beside('limit'),
    bound: 'opens the file each time',
  } as const
  await row({
    what: 'FileLock.tryAcquire + release, by path',
    ours: often(PAIRS, () => releaseTaken(FileLock.tryAcquire(path))),
    ...opening,
  })
  await row({
    what: 'FileLock.tryAcquire + release, by descriptor',
    ours: often(PAIRS, () => releaseTaken(FileLock.tryAcquire(descriptor))),
    ...opening,
  })
  await row({
    what: 'await lock + release, nobody else there',
    ours: oftenAwaited(PAIRS, awaitRegion),
    limit: ['lock-pairs', path, PAIRS],
    target: within(10_000, 'limit'),
    bound: 'two system calls',
  })
}

/** A row beside another package, if it is there. */
async function besidePeer<Package extends keyof Peers>(
  { row, skip }: Group,
  name: Package,
  how: string,
  make: (module: Peers[Package]) => Pick<Row, 'ours' | 'bound'> & { npm: Contender },
): Promise<void> {
  const what = `as npm's ${name}: ${how}`
  const module = peer(name)
  if (typeof module === 'string') skip(what, module)
  else await row({ what, target: beside('npm'), ...make(module) })
}

async function peers(table: Group): Promise<void> {
  await besidePeer(table, 'fs-ext', 'flockSync', ({ flockSync }) => ({
    ours: often(PAIRS, tryRegion),
    npm: often(PAIRS, () => {
      flockSync(descriptor, 'exnb')
      flockSync(descriptor, 'un')
    }),
    // Its fcntlSync fails with EFAULT (2.1.1).
    bound: 'whole files only',
  }))
  await besidePeer(table, 'fs-native-extensions', 'tryLock', (module) => ({
    ours: often(PAIRS, tryRegion),
    npm: often(PAIRS, () => {
      if (!module.tryLock(descriptor)) throw new Error(`somebody else has a lock of ${path}`)
      module.unlock(descriptor)
    }),
    bound: "waits on libuv's pool",
  }))
  await besidePeer(table, 'proper-lockfile', 'lockSync', ({ lockSync }) => ({
    ours: often(FEW_PAIRS, tryRegion),
    npm: often(FEW_PAIRS, () => lockSync(path)()),
    bound: 'makes a directory; guesses by its age',
  }))
  await besidePeer(table, 'os-lock', 'await lock', ({ lock, unlock }) => ({
    ours: oftenAwaited(FEW_PAIRS, awaitRegion),
    npm: oftenAwaited(FEW_PAIRS, async () => {
      await lock(descriptor, { exclusive: true, immediate: true })
      await unlock(descriptor)
    }),
    bound: "all on libuv's pool; lost by any close",
  }))
}

/** From the moment the partner lets go to the moment the lock is here, in nanoseconds. */
async function handOver(wait: () => Promise<bigint>): Promise<number> {
  await partner.ask('hold', path)
  const coming = wait()
  const { result } = await partner.ask('release', BEGUN_MS)
  return Number((await coming) - BigInt(result))
}

async function handOvers({ sample }: Group): Promise<void> {
  const limit = await startLimit()
  const native = peer('fs-native-extensions')
  const waits = new Map<Name, () => Promise<bigint>>()
  waits.set('ours', async () => {
    const lock = await file.lock()
    const now = process.hrtime.bigint()
    lock.release()
    return now
  })
  if (typeof native !== 'string') {
    waits.set('npm', async () => {
      await native.waitForLock(descriptor)
      const now = process.hrtime.bigint()
      native.unlock(descriptor)
      return now
    })
  }
  // Elsewhere Node has another clock.
  if (process.platform === 'linux') waits.set('limit', async () => BigInt((await limit.ask('lock-wait', path)).result))
  const times = new Map<Name, number[]>()
  for (const [name, wait] of waits) {
    await handOver(wait)
    times.set(name, [])
  }
  for (let round = 0; round < HAND_OVERS; round++) {
    for (const [name, wait] of waits) times.get(name)?.push(await handOver(wait))
  }
  limit.end()
  const bound = 'waking a thread, and then the event loop'
  const what = `hand-over from another process, ${HAND_OVERS} times`
  sample({ what, times, target: within(200_000, times.has('limit') ? 'limit' : undefined), bound })
  sample({ what: '  and 99 of 100 within', times, part: 0.99, target: beside(), bound: '' })
  if (times.has('npm')) sample({ what: '  npm: fs-native-extensions', times, target: beside('npm'), bound: '' })
}

interface Waits {
  readonly controllers: readonly AbortController[]
  /** How each ended: the name or the code of its error, or 'granted'. */
  readonly ends: Promise<readonly string[]>
}

/** Begins to wait for what the partner has. */
function beginWaits(count: number, optionsOf: (number: number) => RegionLockOptions & Waiting): Waits {
  const controllers: AbortController[] = []
  const ends: Promise<string>[] = []
  for (let number = 0; number < count; number++) {
    const controller = new AbortController()
    controllers.push(controller)
    ends.push(endOf(file.lock({ ...optionsOf(number), signal: controller.signal })))
  }
  return { controllers, ends: Promise.all(ends) }
}

async function endOf(wait: Promise<FileLock>): Promise<string> {
  try {
    const lock = await wait
    lock.release()
    return 'granted'
  } catch (error) {
    const { code, name } = error as NodeJS.ErrnoException
    return typeof code === 'string' ? code : name
  }
}

const byteOf = (number: number): RegionLockOptions => ({ start: number, end: number + 1 })

async function besideWaiters({ row }: Group): Promise<void> {
  const stats = oftenAwaited(STATS, async () => void (await stat(path)))
  await partner.ask('hold', path)
  await row({
    what: `promises.stat beside ${STAT_WAITERS} waits (Node: alone)`,
    ours: async () => {
      const { controllers, ends } = beginWaits(STAT_WAITERS, byteOf)
      await sleep(BEGUN_MS)
      const run = await stats()
      for (const controller of controllers) controller.abort()
      await ends
      return run
    },
    node: stats,
    target: atMost(2, 'node'),
    bound: "libuv's pool, where none of them waits",
  })
  await partner.ask('release', BEGUN_MS)
}

/** How many locks of the file the kernel knows, and waits for them; undefined where it does not tell. */
function kernelLocks(): number | undefined {
  let lines: string
  try {
    lines = readFileSync('/proc/locks', 'utf8')
  } catch {
    return undefined
  }
  // Major, minor and inode; what stat says of the device is not the same on every file system.
  const here = `:${statSync(path).ino} `
  return lines.split('\n').filter((line) => line.includes(here)).length
}

/** Threads of ours that wait for locks; undefined where the system does not tell. */
function waitingThreads(): number | undefined {
  let threads: string[]
  try {
    threads = readdirSync('/proc/self/task')
  } catch {
    return undefined
  }
  return threads.filter((thread) => {
    try {
      return readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').startsWith('memmap-lock')
    } catch {
      // It has just ended.
      return false
    }
  }).length
}

/** What is more than should be, once it had time to go. */
async function leftOver(count: () => number | undefined, expected: number): Promise<number> {
  const from = performance.now()
  let more = (count() ?? expected) - expected
  while (more !== 0 && performance.now() - from < STUCK_MS) {
    await sleep(BEGUN_MS)
    more = (count() ?? expected) - expected
  }
  return Math.abs(more)
}

/** Runs waits that all end like that; how many did not. */
async function notEnded({ ends }: Waits, count: number, like: string): Promise<number> {
  const timer = new AbortController()
  const ended = await Promise.race([ends, sleep(STUCK_MS, undefined, { signal: timer.signal }).catch(() => undefined)])
  timer.abort()
  return count - (ended ?? []).filter((end) => end === like).length
}

interface Cancelling {
  readonly what: string
  /** So many at a time. */
  readonly batch: number
  readonly options: (number: number) => RegionLockOptions & Waiting
  /** How they end: by their signals, or by themselves. */
  readonly like: 'AbortError' | 'ERR_LOCK_TIMEOUT'
  readonly bound: string
}

const CANCELLINGS: readonly Cancelling[] = [
  {
    what: 'given up by signal, one range, all at once',
    batch: CANCELLED,
    options: () => ({}),
    like: 'AbortError',
    bound: 'the first waits in the kernel',
  },
  {
    what: `given up by signal, ${RANGES} ranges at a time`,
    batch: RANGES,
    options: byteOf,
    like: 'AbortError',
    bound: 'all wait in the kernel, on threads',
  },
  {
    what: 'given up after 1 ms, one range, all at once',
    batch: CANCELLED,
    options: () => ({ timeout: 1 }),
    like: 'ERR_LOCK_TIMEOUT',
    bound: "Node's timers",
  },
]

async function cancelledWaits({ sample, fact }: Group): Promise<void> {
  for (const { what, batch, options, like, bound } of CANCELLINGS) {
    await partner.ask('hold', path)
    let [nanoseconds, wrong] = [0, 0]
    for (let done = 0; done < CANCELLED; done += batch) {
      const from = process.hrtime.bigint()
      const waits = beginWaits(batch, options)
      nanoseconds += Number(process.hrtime.bigint() - from)
      if (like === 'AbortError') await sleep(BEGUN_MS)
      const cancelled = process.hrtime.bigint()
      if (like === 'AbortError') for (const controller of waits.controllers) controller.abort()
      wrong += await notEnded(waits, batch, like)
      nanoseconds += Number(process.hrtime.bigint() - cancelled)
    }
    sample({ what, times: new Map([['ours', [nanoseconds / CANCELLED]]]), target: beside(), bound })
    // The partner's is there.
    const leaked = await leftOver(kernelLocks, 1)
    const threads = await leftOver(waitingThreads, 0)
    await partner.ask('release', BEGUN_MS)
    // Nobody who gave up has got it now.
    const after = await leftOver(kernelLocks, 0)
    const lock = file.tryLock()
    lock?.release()
    const found = { stuck: wrong, leaked: leaked + after, threads, 'not free': lock === null ? 1 : 0 }
    const total = Object.values(found).reduce((sum, count) => sum + count, 0)
    const unknown = kernelLocks() === undefined ? '; the kernel does not tell its locks here' : ''
    fact({
      what: `  of ${CANCELLED}: stuck or leaked`,
      ours: total,
      target: '0',
      holds: total === 0,
      bound: Object.entries(found).map(([name, count]) => `${name} ${count}`).join(', ') + unknown, // prettier-ignore
    })
  }
}

await group(
  'locks (npm: the package named)',
  async (table) => {
    await pairs(table)
    await peers(table)
    await handOvers(table)
    await besideWaiters(table)
    await cancelledWaits(table)
  },
  ['ours', 'node', 'npm', 'python', 'limit'],
)
partner.end()
closeSync(descriptor)
file.close()
