// Waiting for locks: how long, in which order, and what a wait leaves when it is given up. Who holds what one waits for is
// this process, another one, or a worker, since each is waited for in its own way.

import { pbkdf2 } from 'node:crypto'
import { getEventListeners, setMaxListeners } from 'node:events'
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { FileLock } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { codeOf, fileWith, opened, thrownBy } from './helpers/files.ts'
import {
  eventually,
  held,
  listsLocks,
  LockProcess,
  locksOf,
  LockWorker,
  outcome,
  soFar,
  threads,
} from './helpers/lockers.ts'
import { tmpFile } from './helpers/tmp.ts'

const whereListed = listsLocks ? test : test.skip
const whereListedAlone = listsLocks ? test.serial : test.serial.skip
const KINDS = ['range', 'file'] as const

/** A wait that was just given up may be granted in that very moment, and gives the lock back when it hears of it. */
const free = (path: string): boolean => {
  const lock = FileLock.tryAcquire(path)
  lock?.release()
  return lock !== null
}

/** To abort many waits by. Node warns of more than ten listeners. */
function manyListeners(): AbortController {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  return controller
}

/** A file that somebody has locked: in turn by this process and by another. */
async function takenFiles(t: ExecutionContext): Promise<{ who: string; path: string; release: () => Promise<void> }[]> {
  const [mine, theirs] = [fileWith(t, 'mine'), fileWith(t, 'theirs')]
  const lock = held(t, FileLock.tryAcquire(mine))
  const other = new LockProcess(t)
  const id = await other.holds(theirs)
  return [
    { who: 'this process', path: mine, release: async () => lock.release() },
    { who: 'another process', path: theirs, release: () => other.releases(id) },
  ]
}

test('a wait ends after its timeout with ERR_LOCK_TIMEOUT: 0 asks once, fractions count', async (t) => {
  for (const { who, path, release } of await takenFiles(t)) {
    const region = opened(t, path, { access: 'write' })
    for (const timeout of [0, -0, 0.3, 1, 50.5]) {
      for (const acquire of [
        () => FileLock.acquire(path, { timeout }),
        async () => FileLock.acquireSync(path, { timeout }),
        () => region.lock({ timeout }),
        async () => region.lockSync({ timeout }),
      ]) {
        const begun = performance.now()
        const error: unknown = await acquire().then(
          () => undefined,
          (reason: unknown) => reason,
        )
        const took = performance.now() - begun
        if (!(error instanceof Error)) return t.fail(`locked, though ${who} has it`)
        t.is(Reflect.get(error, 'code'), 'ERR_LOCK_TIMEOUT')
        t.true(error.message.includes(path) && error.message.includes(`${timeout} ms`), error.message)
        // A timer may come a fraction of a millisecond early.
        t.true(took >= timeout - 2 && took < timeout + 5000, `${who}, ${timeout} ms: ${took} ms`)
      }
    }
    await release()
    t.true(await eventually(() => free(path)))
    for (const timeout of [0, 1, Infinity]) FileLock.acquireSync(path, { timeout }).release()
    for (const timeout of [0, 1, Infinity]) (await FileLock.acquire(path, { timeout })).release()
  }
})

test('a wait without bound, or with one beyond all timers, ends when the lock is free', async (t) => {
  for (const { path, release } of await takenFiles(t)) {
    const waits = [undefined, Infinity, 2 ** 31, 2 ** 53, Number.MAX_VALUE].map((timeout) =>
      FileLock.acquire(path, { mode: 'shared', timeout }),
    )
    t.is(await soFar(Promise.race(waits)), 'pending')
    await release()
    for (const wait of waits) held(t, await wait).release()
  }
})

test('an aborted signal ends the wait with its reason, whatever that is', async (t) => {
  for (const { path, release } of await takenFiles(t)) {
    for (const reason of [new Error('enough'), 'a string', null, 0, undefined]) {
      const controller = new AbortController()
      const wait = FileLock.acquire(path, { signal: controller.signal }).then(
        () => t.fail('locked'),
        (given: unknown) => t.is(given, controller.signal.reason),
      )
      t.is(await soFar(wait, 5), 'pending')
      controller.abort(reason)
      await wait
      t.is(getEventListeners(controller.signal, 'abort').length, 0)
    }
    const error: unknown = await FileLock.acquire(path, { signal: AbortSignal.timeout(20) }).catch(
      (why: unknown) => why,
    )
    t.is(error instanceof DOMException ? error.name : error, 'TimeoutError')
    // Whichever comes first.
    const controller = new AbortController()
    t.is(await outcome(FileLock.acquire(path, { timeout: 10, signal: controller.signal })), 'ERR_LOCK_TIMEOUT')
    controller.abort()
    await release()
    t.true(free(path), 'none of them has got it, or will')
  }
})

test('a signal that is aborted already opens nothing and makes nothing', async (t) => {
  const path = tmpFile(t, 'new.lock')
  const reason = new Error('before it began')
  const options = { create: true, signal: AbortSignal.abort(reason) }
  t.is(await FileLock.acquire(path, options).catch((given: unknown) => given), reason)
  t.false(existsSync(path))
  t.is(await FileLock.acquire(99_999, { signal: options.signal }).catch((given: unknown) => given), reason)
  const region = opened(t, fileWith(t, 'content'), { access: 'write' })
  t.is(await region.lock({ signal: options.signal }).catch((given: unknown) => given), reason)
  held(t, region.tryLock())
})

test('a signal that is aborted once the lock is there changes nothing, and is not held on to', async (t) => {
  const path = fileWith(t, 'content')
  const controller = new AbortController()
  const { signal } = controller
  const lock = held(t, await FileLock.acquire(path, { signal, timeout: 1000 }))
  const waiting = FileLock.acquire(path, { signal, mode: 'shared', timeout: 10_000 })
  lock.downgrade()
  const second = held(t, await waiting)
  t.is(getEventListeners(signal, 'abort').length, 0)
  controller.abort()
  await sleep(10)
  t.false(second.released)
  lock.release()
  t.false(free(path))
})

test('aborted in the very turn in which the lock comes, nobody has it: it is free for the next', async (t) => {
  const path = fileWith(t, 'content')
  let [got, given] = [0, 0]
  for (let round = 0; round < 200; round++) {
    const lock = held(t, FileLock.tryAcquire(path))
    const controller = new AbortController()
    const wait = FileLock.acquire(path, { signal: controller.signal })
    if (round % 2 === 0) {
      lock.release()
      controller.abort()
    } else {
      setImmediate(() => controller.abort())
      lock.release()
    }
    await wait.then(
      (late) => {
        got += 1
        late.release()
      },
      () => (given += 1),
    )
    t.true(free(path), `round ${round}`)
  }
  t.log(`${got} got it, ${given} gave it up`)
  t.true(given > 0)
})

test('hundreds of waiters of one range get it in the order in which they came', async (t) => {
  for (const { who, path, release } of await takenFiles(t)) {
    const order: number[] = []
    const waits = Array.from({ length: 400 }, async (_, place) => {
      const lock = await FileLock.acquire(path, place % 3 === 0 ? { start: 5, end: 10 } : {})
      order.push(place)
      if (place % 10 === 0) await sleep(0)
      lock.release()
    })
    t.is(await soFar(Promise.race(waits), 20), 'pending')
    await release()
    await Promise.all(waits)
    t.deepEqual(order, [...order.keys()], who)
  }
})

test('of hundreds of waiters, those that are given up leave the order of the others as it is', async (t) => {
  for (const { who, path, release } of await takenFiles(t)) {
    const order: number[] = []
    const waits = Array.from({ length: 300 }, async (_, place) => {
      const controller = new AbortController()
      if (place % 3 === 1) setTimeout(() => controller.abort('enough'), 5)
      const timeout = place % 3 === 2 ? 5 : Infinity
      const lock = await FileLock.acquire(path, { signal: controller.signal, timeout }).catch(() => undefined)
      if (lock === undefined) return
      order.push(place)
      lock.release()
    })
    await sleep(50)
    await release()
    await Promise.all(waits)
    t.deepEqual(
      order,
      Array.from({ length: 100 }, (_, at) => 3 * at),
      who,
    )
    t.true(free(path))
  }
})

test('waiters of other ranges, and of other files, do not wait for each other', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  const id = await other.holds(path, { start: 0, end: 10 })
  const mine = held(t, FileLock.tryAcquire(path, { start: 10, end: 20 }))
  const first = FileLock.acquire(path, { start: 0, end: 5 })
  const second = FileLock.acquire(path, { start: 15, end: 20 })
  held(t, await FileLock.acquire(path, { start: 20, end: 30 }))
  held(t, await FileLock.acquire(fileWith(t, 'another')))
  mine.release()
  held(t, await second)
  t.is(await soFar(first, 10), 'pending')
  await other.releases(id)
  held(t, await first)
})

test('shared waiters get in together, and those behind an exclusive one wait for it', async (t) => {
  for (const { who, path, release } of await takenFiles(t)) {
    const readers = Array.from({ length: 20 }, () => FileLock.acquire(path, { mode: 'shared' }))
    const writer = FileLock.acquire(path)
    const late = Array.from({ length: 20 }, () => FileLock.acquire(path, { mode: 'shared' }))
    await release()
    const reading = await Promise.all(readers)
    t.is(await soFar(Promise.race([writer, ...late])), 'pending', who)
    for (const lock of reading.slice(1)) lock.release()
    t.is(await soFar(Promise.race([writer, ...late]), 10), 'pending', 'one still reads')
    reading[0]?.release()
    const writing = await writer
    t.is(await soFar(Promise.race(late), 10), 'pending')
    writing.release()
    for (const lock of await Promise.all(late)) lock.release()
    t.true(free(path))
  }
})

test('a writer gets in though readers keep coming, before anybody lets go of all', async (t) => {
  const path = fileWith(t, 'content')
  let [reads, written] = [0, 0]
  const stopped = new AbortController()
  // Two at least always read: each waits for the next before it lets go.
  const reader = async () => {
    let lock = await FileLock.acquire(path, { mode: 'shared' })
    while (!stopped.signal.aborted) {
      const next = FileLock.acquire(path, { mode: 'shared' })
      await sleep(1)
      lock.release()
      lock = await next
      reads += 1
    }
    lock.release()
  }
  const readers = Array.from({ length: 5 }, reader)
  await sleep(20)
  const most: number[] = []
  for (; written < 20; written++) {
    const before = reads
    const lock = await FileLock.acquire(path, { timeout: 20_000 })
    most.push(reads - before)
    lock.release()
    await sleep(2)
  }
  stopped.abort()
  await Promise.all(readers)
  t.log(`${reads} reads, ${written} writes; reads between asking and writing: at most ${Math.max(...most)}`)
  t.true(Math.max(...most) <= 20, 'those that had come before it')
})

test('tryAcquire is null at once, with others waiting or not, and takes what is free', async (t) => {
  for (const { path, release } of await takenFiles(t)) {
    const begun = performance.now()
    for (let i = 0; i < 100; i++) t.is(FileLock.tryAcquire(path, { mode: 'shared' }), null)
    t.true(performance.now() - begun < 2000)
    const waiting = FileLock.acquire(path)
    t.is(FileLock.tryAcquire(path), null)
    await release()
    const lock = await waiting
    t.is(FileLock.tryAcquire(path), null)
    lock.release()
    held(t, FileLock.tryAcquire(path))
  }
})

test('64 waits leave fs and crypto the threads they need', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  const id = await other.holds(path)
  const controller = manyListeners()
  const work = async () => {
    const begun = performance.now()
    await Promise.all(
      Array.from({ length: 16 }, async (_, i) => {
        await stat(path)
        await promisify(pbkdf2)(`${i}`, 'salt', 1000, 32, 'sha256')
      }),
    )
    return performance.now() - begun
  }
  const alone = await work()
  const waits = Array.from({ length: 64 }, (_, start) =>
    outcome(FileLock.acquire(path, { start, end: start + 1, signal: controller.signal })),
  )
  await sleep(50)
  const beside = await work()
  t.log(`alone ${alone.toFixed(1)} ms, beside 64 waits ${beside.toFixed(1)} ms`)
  t.true(beside < 5000)
  t.is(await soFar(Promise.race(waits), 0), 'pending')
  controller.abort('enough')
  t.deepEqual(new Set(await Promise.all(waits)), new Set(['enough']))
  await other.releases(id)
  t.true(await eventually(() => free(path)))
})

test('a process lives while it waits, of its own accord, and ends when it has the lock', async (t) => {
  const path = fileWith(t, 'content')
  const lock = held(t, FileLock.tryAcquire(path))
  const begun = performance.now()
  const child = await runChild('locks/ends.mjs', ['waits', path], {
    // Nothing but the wait keeps it.
    whenReady: () => setTimeout(() => lock.release(), 500),
  })
  t.deepEqual(ending(child), WELL)
  t.is(child.stdout, 'waits\ngot it\n')
  t.true(performance.now() - begun >= 490)
})

test('a process that waits for a lock of its own lives on, as a server does', async (t) => {
  const child = await runChild('locks/ends.mjs', ['waits-for-itself', fileWith(t, 'content')], {
    whenReady: (one) => setTimeout(() => one.kill('SIGKILL'), 500),
  })
  t.is(child.signal, 'SIGKILL')
  t.is(child.stdout, 'waits\n')
})

test('a process with locks and no waits ends by itself, and so does one whose waits have all ended', async (t) => {
  const path = fileWith(t, 'content')
  held(t, FileLock.tryAcquire(path))
  for (const what of ['holds', 'gave-up']) {
    const child = await runChild('locks/ends.mjs', [what, path], { timeout: 30_000 })
    t.deepEqual(ending(child), WELL, what)
  }
})

test('process.exit ends at once with waits pending, for this process and for others, on threads and in queues', async (t) => {
  const path = fileWith(t, 'content')
  held(t, FileLock.tryAcquire(path))
  for (const what of ['exits', 'exits-in-worker']) {
    const child = await runChild('locks/ends.mjs', [what, path])
    const took = Date.now() - Number(child.stdout)
    t.deepEqual(ending(child), { ...WELL, code: 7 }, what)
    t.log(`${what}: ${took} ms`)
    t.true(took < 20_000, `${what}: ${took} ms`)
  }
})

test('standing still for a lock that one has oneself is ERR_LOCK_OVERLAP; with a timeout, ERR_LOCK_TIMEOUT', async (t) => {
  const path = fileWith(t, 'content')
  const region = opened(t, path, { access: 'write' })
  for (const kind of KINDS) {
    for (const take of [
      () => FileLock.acquireSync(path, { kind }),
      () => FileLock.acquire(path, { kind }),
      () => region.tryLock({ kind }),
    ]) {
      const lock = held(t, await take())
      for (const again of [
        (timeout?: number) => FileLock.acquireSync(path, { kind, timeout }),
        (timeout?: number) => FileLock.acquireSync(path, { kind, mode: 'shared', timeout }),
        (timeout?: number) => region.lockSync({ kind, timeout }),
      ]) {
        const error = thrownBy(() => again())
        t.is(error?.code, 'ERR_LOCK_OVERLAP')
        t.is(
          codeOf(() => again(Infinity)),
          'ERR_LOCK_OVERLAP',
        )
        t.is(
          codeOf(() => again(20)),
          'ERR_LOCK_TIMEOUT',
        )
      }
      lock.downgrade()
      t.is(
        codeOf(() => region.lockSync({ kind })),
        'ERR_LOCK_OVERLAP',
      )
      region.lockSync({ kind, mode: 'shared' }).release()
      lock.release()
      FileLock.acquireSync(path, { kind }).release()
    }
  }
})

test('an awaited lock that one has oneself is waited for: some callback can still release it', async (t) => {
  const path = fileWith(t, 'content')
  const lock = held(t, FileLock.acquireSync(path))
  const waiting = FileLock.acquire(path)
  t.is(await soFar(waiting), 'pending')
  setTimeout(() => lock.release(), 5)
  held(t, await waiting)
})

/** Two workers that each have one part and stand still for the other's: how the two waits end. */
async function cycle(t: ExecutionContext, timeouts: readonly (number | undefined)[]) {
  const path = fileWith(t, 'content')
  const [one, two] = [new LockWorker(t), new LockWorker(t)]
  const ids = [await one.holds(path, { start: 0, end: 1 }), await two.holds(path, { start: 1, end: 2 })]
  const waits = [
    one.ask('acquireSync', path, { start: 1, end: 2, timeout: timeouts[0] }),
    two.ask('acquireSync', path, { start: 0, end: 1, timeout: timeouts[1] }),
  ]
  const first = await Promise.race(waits.map(async (wait, at) => [at, await wait] as const))
  return { workers: [one, two] as const, ids, waits, first }
}

test('of two workers that stand still for each other without a timeout, one gets EDEADLK and the other the lock', async (t) => {
  for (let round = 0; round < 5; round++) {
    const { workers, ids, waits, first } = await cycle(t, [])
    const [loser, how] = first
    t.is(how, 'EDEADLK')
    t.is(await soFar(waits[1 - loser] ?? Promise.resolve()), 'pending', 'the other goes on waiting')
    await workers[loser]?.releases(ids[loser] ?? 0)
    t.is(typeof (await waits[1 - loser]), 'number', 'and gets it')
    await Promise.all(workers.map(({ worker }) => worker.terminate()))
  }
})

test('no EDEADLK where one of the two has a timeout: it gets ERR_LOCK_TIMEOUT, and the other the lock', async (t) => {
  const { workers, ids, waits, first } = await cycle(t, [undefined, 500])
  t.deepEqual(first, [1, 'ERR_LOCK_TIMEOUT'])
  await workers[1].releases(ids[1] ?? 0)
  t.is(typeof (await waits[0]), 'number')
})

test('no EDEADLK where one of the two only awaits: it can still let go', async (t) => {
  const path = fileWith(t, 'content')
  const worker = new LockWorker(t)
  const mine = held(t, FileLock.tryAcquire(path, { start: 0, end: 1 }))
  await worker.holds(path, { start: 1, end: 2 })
  const awaited = outcome(FileLock.acquire(path, { start: 1, end: 2, timeout: 20_000 }))
  const theirs = worker.ask('acquireSync', path, { start: 0, end: 1 })
  t.is(await soFar(Promise.race([awaited, theirs]), 300), 'pending')
  mine.release()
  const id = await theirs
  t.is(typeof id, 'number')
  await worker.releases(Number(id))
  await worker.releases(1)
  held(t, (await awaited) as FileLock)
})

whereListedAlone('500 waits that are given up leave the system nothing: no lock, no waiter, no thread', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  const id = await other.holds(path)
  // Whatever the runtime starts on first use is there, and so is the thread that calls others back.
  await stat(path)
  const before = threads()
  let most = 0
  for (let batch = 0; batch < 2; batch++) {
    const controller = manyListeners()
    const waits = Array.from({ length: 250 }, (_, at) =>
      outcome(
        FileLock.acquire(path, {
          start: at >> 1,
          end: (at >> 1) + 1,
          mode: at % 5 === 0 ? 'shared' : 'exclusive',
          ...(at % 4 === 0 ? { timeout: at % 50 } : { signal: controller.signal }),
        }),
      ),
    )
    most = Math.max(most, threads())
    // Some are given up before their thread has reached the system, some long after.
    if (batch === 1) await sleep(100)
    controller.abort('enough')
    for (const end of await Promise.all(waits)) t.true(end === 'enough' || end === 'ERR_LOCK_TIMEOUT', String(end))
  }
  const mine = ['OFDLCK WRITE 0 Infinity']
  t.true(await eventually(() => locksOf(path).length === 1))
  t.deepEqual(locksOf(path), mine)
  t.true(await eventually(() => threads() <= before + 1), `${threads()} threads, were ${before}`)
  t.log(`threads: ${before} before, ${most} at most, ${threads()} after`)
  await other.releases(id)
  t.deepEqual(locksOf(path), [])
  held(t, FileLock.tryAcquire(path))
})

whereListed('a cancelled wait that has just been granted is given back, again and again', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  let [got, given] = [0, 0]
  for (let round = 0; round < 100; round++) {
    const id = await other.holds(path)
    const controller = new AbortController()
    const wait = FileLock.acquire(path, { signal: controller.signal })
    const releasing = other.releases(id)
    setTimeout(() => controller.abort('enough'), round % 3)
    await wait.then(
      (lock) => {
        got += 1
        lock.release()
      },
      () => (given += 1),
    )
    await releasing
    if (!(await eventually(() => locksOf(path).length === 0))) return t.fail(locksOf(path).join())
  }
  t.log(`${got} got it, ${given} gave it up`)
  t.true(free(path))
})
