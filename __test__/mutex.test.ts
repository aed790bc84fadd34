// A mutex as one isolate sees it: taking it and giving it back, waiting and giving up, and regions that go away under it.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'

import test from 'ava'
import { FileLock, MmapFile, Mutex, SharedMemory } from 'memmap'
import type { MutexGuard } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { codeOf, fileWith, opened } from './helpers/files.ts'
import { outcome, PYTHON, soFar, Talker } from './helpers/lockers.ts'
import { mutexProgram, OwnerProcess } from './helpers/owners.ts'
import { freeName, kept } from './helpers/shared.ts'
import { isLinux, isPosix } from './helpers/system.ts'
import { tmpFile } from './helpers/tmp.ts'

const onPosix = isPosix ? test : test.skip
// Alone: it counts descriptors.
const onLinuxAlone = isLinux ? test.serial : test.serial.skip
const withStrace = isLinux && spawnSync('strace', ['--version']).status === 0 ? test : test.skip
// On macOS owners have their locks in a file of their own.
const withPython = isLinux && PYTHON !== undefined ? test : test.skip

const STATE = 4
const HANDED = 1 << 26

function memory(t: Parameters<typeof kept>[0]): SharedMemory {
  return kept(t, SharedMemory.anonymous(65_536))
}

const descriptors = (): number => readdirSync('/proc/self/fd').length
const heard = (worker: Worker): Promise<unknown> => new Promise((resolve) => worker.once('message', resolve))
const ended = (worker: Worker): Promise<unknown> => new Promise((resolve) => worker.once('exit', resolve))

function taken(guard: MutexGuard | null): MutexGuard {
  if (guard === null) throw new Error('somebody else has the mutex')
  return guard
}

test('zeroed bytes are a free mutex; it is taken, given back, and taken again', (t) => {
  const region = memory(t)
  const mutex = new Mutex(region, 64)
  for (const take of [() => mutex.tryLock(), () => mutex.lockSync(), () => mutex.lockSync({ timeout: 0 })]) {
    for (let round = 0; round < 100; round++) {
      const guard = taken(take())
      t.false(guard.abandoned)
      t.is(mutex.tryLock(), null)
      t.not(region.readUInt32LE(64 + STATE), 0)
      guard.release()
      t.is(region.readUInt32LE(64 + STATE), 0)
      guard.release()
      guard[Symbol.dispose]()
    }
  }
  t.is(Mutex.byteLength, 64)
  t.true(region.slice(0, 64).every((byte) => byte === 0))
  t.true(region.slice(128).every((byte) => byte === 0))
})

test('releasing a guard again does not release the next one', (t) => {
  const mutex = new Mutex(memory(t), 0)
  const first = mutex.lockSync()
  first.release()
  const second = mutex.lockSync()
  first.release()
  t.is(mutex.tryLock(), null)
  second.release()
})

test('flows of one isolate queue: first come, first served, one at a time', async (t) => {
  const mutex = new Mutex(memory(t), 0)
  const order: number[] = []
  let inside = 0
  await Promise.all(
    Array.from({ length: 50 }, async (_, number) => {
      const guard = await mutex.lock()
      t.is((inside += 1), 1)
      order.push(number)
      if (number % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
      else if (number % 3 === 1) await Promise.resolve()
      inside -= 1
      guard.release()
      t.false(guard.abandoned)
    }),
  )
  t.deepEqual(
    order,
    Array.from({ length: 50 }, (_, number) => number),
  )
})

test('what one flow has, another one waits for, tryLock does not get, and lockSync refuses to wait for', async (t) => {
  const mutex = new Mutex(memory(t), 0)
  const guard = await mutex.lock()
  const waiting = mutex.lock()
  t.is(await soFar(waiting), 'pending')
  t.is(mutex.tryLock(), null)
  t.is(codeOf(() => mutex.lockSync()), 'ERR_LOCK_OVERLAP') // prettier-ignore
  t.is(codeOf(() => mutex.lockSync({ timeout: 10 })), 'ERR_LOCK_OVERLAP') // prettier-ignore
  guard.release()
  const next = await waiting
  t.false(next.abandoned)
  next.release()
})

test('an isolate is one owner of a mutex, by whichever object and region', async (t) => {
  const name = freeName(t)
  const [one, other] = [kept(t, SharedMemory.create(name, 8192)), kept(t, SharedMemory.open(name))]
  const mutexes = [new Mutex(one, 0), new Mutex(one, 0), new Mutex(other, 0)]
  for (const mutex of mutexes) {
    const guard = taken(mutex.tryLock())
    for (const again of mutexes) {
      t.is(again.tryLock(), null)
      t.is(codeOf(() => again.lockSync()), 'ERR_LOCK_OVERLAP') // prettier-ignore
    }
    const waits = mutexes.map((again) => again.lock())
    guard.release()
    for (const wait of waits) (await wait).release()
  }
  // Two mutexes are two.
  const [first, second] = [new Mutex(one, 128), new Mutex(other, 192)]
  const guards = [taken(first.tryLock()), taken(second.tryLock())]
  for (const guard of guards) guard.release()
})

test('a wait is given up: by its time, by its signal, and by the end of the region', async (t) => {
  const region = memory(t)
  const mutex = new Mutex(region, 0)
  const guard = mutex.lockSync()
  t.is(await outcome(mutex.lock({ timeout: 0 })), 'ERR_LOCK_TIMEOUT')
  t.is(await outcome(mutex.lock({ timeout: 30 })), 'ERR_LOCK_TIMEOUT')
  t.is(await outcome(mutex.lock({ signal: AbortSignal.abort('before') })), 'before')
  const controllers = [1, 2, 3].map(() => new AbortController())
  const waits = controllers.map(({ signal }) => outcome(mutex.lock({ signal })))
  const last = mutex.lock()
  controllers[1]?.abort('the second')
  controllers[0]?.abort('the first')
  t.deepEqual(await Promise.all(waits.slice(0, 2)), ['the first', 'the second'])
  guard.release()
  const third = await waits[2]
  t.is(await soFar(last, 5), 'pending')
  ;(third as MutexGuard).release()
  ;(await last).release()
  // Nobody gets it whose wait is over.
  const again = mutex.lockSync()
  const ends = [mutex.lock(), mutex.lock({ timeout: 10_000 }), mutex.lock()].map(outcome)
  t.is(await soFar(Promise.race(ends), 5), 'pending')
  region.close()
  t.deepEqual(
    await Promise.all(ends),
    Array.from({ length: 3 }, () => 'ERR_REGION_CLOSED'),
  )
  again.release()
})

test('each method of a mutex of a closed region throws', async (t) => {
  const region = memory(t)
  const mutex = new Mutex(region, 0)
  mutex.lockSync().release()
  region.close()
  t.is(codeOf(() => mutex.tryLock()), 'ERR_REGION_CLOSED') // prettier-ignore
  t.is(codeOf(() => mutex.lockSync()), 'ERR_REGION_CLOSED') // prettier-ignore
  t.is(await outcome(mutex.lock()), 'ERR_REGION_CLOSED')
  t.is(codeOf(() => new Mutex(region, 0)), 'ERR_REGION_CLOSED') // prettier-ignore
  // Arguments come first.
  t.is(codeOf(() => mutex.lockSync({ timeout: -1 })), 'ERR_OUT_OF_RANGE') // prettier-ignore
})

test('a guard outlives its region: it keeps the mutex, and gives it back', async (t) => {
  const name = freeName(t)
  const region = SharedMemory.create(name, 8192)
  const other = await OwnerProcess.there(t, 'memory', name, 64)
  const guard = new Mutex(region, 64).lockSync()
  region.close()
  t.is(await other.says('try'), 'taken')
  t.is(await other.says('within 100'), 'ERR_LOCK_TIMEOUT')
  // Opened again, it is still ours.
  const again = SharedMemory.open(name)
  t.is(codeOf(() => new Mutex(again, 64).lockSync()), 'ERR_LOCK_OVERLAP') // prettier-ignore
  again.close()
  const waiting = other.says('lock')
  t.is(await soFar(waiting), 'pending')
  guard.release()
  t.is(await waiting, 'false', 'it was given back, and not abandoned')
  await other.says('release')
  const third = kept(t, SharedMemory.open(name))
  new Mutex(third, 64).lockSync().release()
})

test('a region that is mapped anew, or protected, while the mutex is held', async (t) => {
  const path = fileWith(t, Buffer.alloc(4096))
  const region = opened(t, path, { access: 'write' })
  const other = await OwnerProcess.there(t, 'file', path, 0)
  const mutex = new Mutex(region, 0)
  const changes = [
    () => region.resize(region.byteLength + 100_000),
    () => region.refresh(),
    () => region.protect('read'),
    () => region.protect('write'),
    () => region.protect('none'),
  ]
  for (const change of changes) {
    if (region.access === 'write') region.protect('write')
    const guard = mutex.lockSync()
    change()
    t.is(await other.says('try'), 'taken')
    guard.release()
    t.is(await other.says('try'), 'false')
    t.is(await other.says('release'), 'released')
  }
  t.is(codeOf(() => mutex.tryLock()), 'ERR_REGION_READONLY') // prettier-ignore
  t.is(await outcome(mutex.lock()), 'ERR_REGION_READONLY')
  region.protect('write')
  mutex.lockSync().release()
})

test('what was handed on is left to those who wait, and taken when nobody does', async (t) => {
  const region = memory(t)
  const mutex = new Mutex(region, 0)
  mutex.lockSync().release()
  const hand = (): number => region.writeUInt32LE(HANDED, STATE)
  hand()
  t.is(mutex.tryLock(), null, 'not before those who wait')
  mutex.lockSync().release()
  hand()
  ;(await mutex.lock()).release()
  t.is(region.readUInt32LE(STATE), 0)
  hand()
  t.is(mutex.tryLock(), null)
  // Whoever it was handed to has died.
  await new Promise((resolve) => setTimeout(resolve, 60))
  taken(mutex.tryLock()).release()
  t.is(region.readUInt32LE(STATE), 0)
})

test("a lock of the whole file and a mutex in it are in nobody's way", async (t) => {
  const path = fileWith(t, Buffer.alloc(4096))
  const region = opened(t, path, { access: 'write' })
  const lock = FileLock.tryAcquire(path)
  t.truthy(lock)
  const other = await OwnerProcess.inside(t, 'file', path)
  const mutex = new Mutex(region, 0)
  t.is(mutex.tryLock(), null)
  t.is(await other.says('release'), 'released')
  mutex.lockSync().release()
  lock?.release()
  t.is(await other.says('lock'), 'false')
  const again = region.tryLock()
  t.truthy(again, 'beside a mutex that is held')
  again?.release()
  // A lock that is given back is not the sign of life of somebody else.
  t.is(mutex.tryLock(), null)
  await other.kill()
  t.true(mutex.lockSync().abandoned)
})

/** As many programs do it: of all of the file. */
const LOCKF = `
import fcntl, sys
file = open(sys.argv[1], 'r+b')
for line in sys.stdin:
    mode = {'lock': fcntl.LOCK_EX, 'try': fcntl.LOCK_EX | fcntl.LOCK_NB, 'unlock': fcntl.LOCK_UN}[line.strip()]
    try:
        fcntl.lockf(file, mode)
        print('done', flush=True)
    except OSError:
        print('refused', flush=True)
`

withPython(
  "Python's lockf of the whole file waits for the owners, they for it, and it makes no dead one look alive",
  async (t) => {
    const path = fileWith(t, Buffer.alloc(4096))
    const python = new Talker(t, PYTHON ?? '', ['-S', '-E', '-c', LOCKF, path])
    const [owner, next] = [await OwnerProcess.inside(t, 'file', path), await OwnerProcess.there(t, 'file', path)]
    t.is(await python.says('try'), 'refused')
    const waiting = python.says('lock')
    t.is(await soFar(waiting), 'pending')
    // While it waits, as ever: the dead are dead, and the living alive.
    t.is(await next.says('try'), 'taken')
    await owner.kill()
    t.is(await next.says('lock'), 'true')
    t.is(await soFar(waiting), 'pending')
    await next.kill()
    t.is(await waiting, 'done')
    // Now it has all of the file: the dead one's byte, too. Nobody can come in, and nobody waits for ever.
    const third = await OwnerProcess.there(t, 'file', path)
    t.is(await third.says('try'), 'taken')
    t.is(await third.says('within 60'), 'ERR_LOCK_TIMEOUT')
    const locking = third.says('lock')
    t.is(await soFar(locking), 'pending')
    t.is(await python.says('unlock'), 'done')
    t.is(await locking, 'true')
  },
)

withStrace('free, it is taken and given back without a call of the system (Linux with strace)', async (t) => {
  const path = tmpFile(t)
  const under = ['strace', '--output', path]
  t.deepEqual(ending(await runChild('mutex/uncontended.mjs', [], { under })), WELL)
  const calls = readFileSync(path, 'utf8').split('\n')
  const [begin, end] = ['begin', 'end'].map((mark) => calls.findIndex((call) => call.includes(`/uncontended/${mark}`)))
  if (begin === undefined || end === undefined || begin < 0 || end < begin) return t.fail('no marks')
  const between = calls.slice(begin + 1, end)
  t.log(`${between.length} calls of V8's own in 10,000 pairs`)
  t.true(between.length < 500, between.slice(0, 20).join('\n'))
})

test('a guard is enough to keep the memory it gives back', async (t) => {
  const name = freeName(t)
  kept(t, SharedMemory.create(name, 4096))
  const child = await runChild('mutex/guard-alone.mjs', [name], { nodeArgs: ['--expose-gc'] })
  t.deepEqual(ending(child), WELL)
})

test('a guard that is lost is given up when it is collected, and the next owner is told', async (t) => {
  const child = await runChild('mutex/forgotten.mjs', [], { nodeArgs: ['--expose-gc', '--no-warnings'] })
  t.deepEqual(ending(child), WELL)
})

test("a worker that ends inside counts as dead, one that is terminated while it waits is in nobody's way", async (t) => {
  const region = memory(t)
  const mutex = new Mutex(region, 0)
  const start = (how: string): Worker => {
    const worker = new Worker(mutexProgram('worker'), { workerData: { handle: region.share(), how }, execArgv: [] })
    t.teardown(async () => void (await worker.terminate()))
    return worker
  }
  for (const how of ['end', 'throw', 'stay']) {
    const worker = start(how)
    worker.on('error', () => {})
    const gone = ended(worker)
    t.false(await heard(worker))
    const waiting = mutex.lock()
    if (how === 'stay') {
      t.is(await soFar(waiting), 'pending')
      await worker.terminate()
    }
    await gone
    const guard = await waiting
    t.true(guard.abandoned, how)
    guard.release()
    const next = mutex.lockSync()
    t.false(next.abandoned, 'one is told')
    next.release()
  }
  const guard = mutex.lockSync()
  for (const how of ['wait', 'await']) {
    const worker = start(how)
    await heard(worker)
    t.is(await soFar(heard(worker)), 'pending')
    const begun = performance.now()
    await worker.terminate()
    t.log(`a worker in ${how} ended after ${Math.round(performance.now() - begun)} ms`)
  }
  guard.release()
  const last = mutex.lockSync()
  t.false(last.abandoned)
  last.release()
})

onLinuxAlone('regions with mutexes that come and go leave nothing behind', (t) => {
  const path = fileWith(t, Buffer.alloc(4096))
  const round = (): void => {
    const file = MmapFile.open(path, { access: 'write' })
    new Mutex(file, 64).lockSync().release()
    new Mutex(file, 128).lockSync().release()
    const guard = new Mutex(file, 192).lockSync()
    file.close()
    guard.release()
    const anonymous = SharedMemory.anonymous(4096)
    new Mutex(anonymous, 0).lockSync().release()
    anonymous.close()
  }
  round()
  const before = descriptors()
  for (let times = 0; times < 500; times++) round()
  t.is(descriptors(), before)
})

onPosix('memory that came by a descriptor has owners as any other', async (t) => {
  const region = memory(t)
  const same = kept(t, SharedMemory.fromFd(region.fd ?? -1))
  const guard = new Mutex(region, 0).lockSync()
  t.is(codeOf(() => new Mutex(same, 0).lockSync()), 'ERR_LOCK_OVERLAP') // prettier-ignore
  guard.release()
})

test('it is shown as what it is', (t) => {
  const mutex = new Mutex(memory(t), 128)
  t.is(inspect(mutex), 'Mutex { offset: 128, held: false }')
  const guard = mutex.lockSync()
  t.is(inspect(guard), 'MutexGuard { abandoned: false, released: false }')
  guard.release()
  t.is(inspect(guard), 'MutexGuard { abandoned: false, released: true }')
})
