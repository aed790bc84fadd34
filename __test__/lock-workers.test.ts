// Locks of the workers of one process: they exclude each other as those of processes do, and end with their worker.

import { setTimeout as sleep } from 'node:timers/promises'

import test from 'ava'
import { FileLock } from 'memmap'
import type { LockOptions } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { fileWith } from './helpers/files.ts'
import { isMac } from './helpers/system.ts'
import { held, listsLocks, LockProcess, locksOf, LockWorker, soFar, spread } from './helpers/lockers.ts'

const KINDS = ['range', 'file'] as const

const free = (path: string, options?: LockOptions): boolean => {
  const lock = FileLock.tryAcquire(path, options)
  lock?.release()
  return lock !== null
}

test('locks of two workers, and of the main thread, exclude each other', async (t) => {
  const path = fileWith(t, 'content')
  const [one, two] = [new LockWorker(t), new LockWorker(t)]
  for (const kind of KINDS) {
    const id = await one.holds(path, { kind })
    t.false(await two.canHave(path, { kind }))
    t.false(await two.canHave(path, { kind, mode: 'shared' }))
    t.is(FileLock.tryAcquire(path, { kind, mode: 'shared' }), null)
    t.is(await two.ask('acquireSync', path, { kind, timeout: 20 }), 'ERR_LOCK_TIMEOUT')
    await one.ask('downgrade', id)
    t.true(await two.canHave(path, { kind, mode: 'shared' }))
    t.false(await two.canHave(path, { kind }))
    await one.releases(id)
    t.true(await two.canHave(path, { kind }))
    const mine = held(t, FileLock.tryAcquire(path, { kind }))
    t.false(await one.canHave(path, { kind }))
    mine.release()
    t.true(await one.canHave(path, { kind }))
  }
})

test('a worker that awaits, and one that stands still, get the lock that another releases, in their order', async (t) => {
  const path = fileWith(t, 'content')
  const workers = Array.from({ length: 3 }, () => new LockWorker(t))
  const [holder, awaiting, standing] = workers
  if (holder === undefined || awaiting === undefined || standing === undefined) return t.fail()
  for (const kind of KINDS) {
    const id = await holder.holds(path, { kind })
    const first = awaiting.begin('acquire', path, { kind })
    await first.begun
    // It has told before it asks: after an answer to something else it has asked.
    t.false(await awaiting.canHave(path, { kind }))
    const second = standing.begin('acquireSync', path, { kind })
    await second.begun
    await sleep(50)
    const mine = FileLock.acquire(path, { kind, timeout: 20_000 })
    t.is(await soFar(Promise.race([first.done, second.done, mine])), 'pending')
    await holder.releases(id)
    const firstId = await first.done
    t.is(typeof firstId, 'number')
    t.is(await soFar(Promise.race([second.done, mine]), 20), 'pending')
    await awaiting.releases(Number(firstId))
    const secondId = await second.done
    t.is(typeof secondId, 'number')
    t.is(await soFar(mine, 20), 'pending')
    await standing.releases(Number(secondId))
    held(t, await mine).release()
  }
})

const ENDS: Readonly<Record<string, (one: LockWorker) => unknown>> = {
  'process.exit': (one) => one.ask('exit', 3),
  terminate: (one) => one.worker.terminate(),
  'terminate, while it is busy': (one) => {
    void one.begin('stall', 60_000).begun.then(() => one.worker.terminate())
  },
  'an error that nobody catches': (one) => one.ask('fail'),
  'an end of its own accord': (one) => one.ask('leave'),
}

for (const [how, end] of Object.entries(ENDS)) {
  test(`a worker's locks end with it, and the next gets them: ${how}`, async (t) => {
    const path = fileWith(t, 'content')
    const other = new LockProcess(t)
    for (const next of ['acquire', 'tryAcquire'] as const) {
      const worker = new LockWorker(t)
      await worker.holds(path, { start: 0, end: 10 })
      t.is(typeof (await worker.ask('acquireSync', path, { start: 20, end: 30, mode: 'shared' })), 'number')
      if (!isMac) await worker.holds(path, { kind: 'file' })
      t.false(free(path))
      const here = next === 'acquire' ? FileLock.acquire(path, { start: 0, end: 1, timeout: 20_000 }) : undefined
      const there = next === 'acquire' ? other.ask('acquire', path, { start: 20, timeout: 20_000 }) : undefined
      if (here !== undefined) t.is(await soFar(here, 20), 'pending')
      void end(worker)
      await worker.ended
      ;(await here)?.release()
      if (there !== undefined) {
        const id = await there
        t.is(typeof id, 'number')
        await other.releases(Number(id))
      }
      t.true(free(path))
      t.true(await other.canHave(path))
      t.true(await other.canHave(path, { kind: 'file' }))
    }
    if (listsLocks) t.deepEqual(locksOf(path), [])
  })
}

test('the waits of a worker end with it, and those behind them move up', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  for (const sync of [false, true]) {
    const worker = new LockWorker(t)
    const id = await other.holds(path)
    const wait = worker.begin(sync ? 'acquireSync' : 'acquire', path)
    await wait.begun
    await sleep(50)
    const behind = FileLock.acquire(path, { timeout: 20_000 })
    await worker.worker.terminate()
    t.is(await wait.done, 'gone')
    t.is(await soFar(behind, 20), 'pending')
    await other.releases(id)
    const lock = held(t, await behind)
    t.false(await other.canHave(path))
    lock.release()
    t.true(await other.canHave(path), 'the one that has gone has it neither')
  }
})

test('a worker that stands still for a lock is terminated within 100 ms', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  const theirs = await other.holds(path, { start: 0, end: 1 })
  held(t, FileLock.tryAcquire(path, { start: 1, end: 2 }))
  const delays: number[] = []
  for (let round = 0; round < 10; round++) {
    const worker = new LockWorker(t)
    // For another process in the system's wait, for this one in the queue; without end, or for long.
    const wait = worker.begin('acquireSync', path, {
      start: round % 2,
      end: (round % 2) + 1,
      timeout: round % 4 < 2 ? undefined : 60_000,
    })
    await wait.begun
    await sleep(60)
    t.is(await soFar(wait.done, 0), 'pending')
    const begun = performance.now()
    await worker.worker.terminate()
    delays.push(performance.now() - begun)
  }
  t.log(`terminated after ${spread(delays)}`)
  t.true(Math.max(...delays) < 1000, spread(delays))
  await other.releases(theirs)
  t.true(free(path, { start: 0, end: 1 }), 'none of them has got it')
})

test('a worker that is the first to lock, and ends, leaves the others theirs', async (t) => {
  const child = await runChild('locks/worker-first.mjs', [fileWith(t, 'content')])
  t.deepEqual(ending(child), WELL)
})

test('workers that count under a lock in a file lose nothing', async (t) => {
  const child = await runChild('locks/counting.mjs', [fileWith(t, Buffer.alloc(16))])
  t.deepEqual(ending(child), WELL)
  t.log(child.stdout.trim())
})
