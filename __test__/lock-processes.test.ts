// Locks between processes: what becomes of them when a process stalls, is killed or has children; and locks of other
// programs, which know nothing of ours: Python's lockf, flock(1), Java's FileChannel.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { FileLock } from 'memmap'

import { fileWith, opened } from './helpers/files.ts'
import {
  free,
  held,
  listsLocks,
  LockProcess,
  lockProgram,
  locksOf,
  outcome,
  PYTHON,
  soFar,
  spread,
  Talker,
} from './helpers/lockers.ts'
import { isLinux, isMac, isPosix } from './helpers/system.ts'

const has = (command: string, ...args: string[]): boolean => spawnSync(command, args).status === 0

const hasFlock = isPosix && has('flock', '--version')
const onPosix = isPosix ? test : test.skip
const onPosixAlone = isPosix ? test.serial : test.serial.skip
const withPython = isPosix && PYTHON !== undefined ? test : test.skip
const withFlock = hasFlock ? test : test.skip
const withJava = isPosix && has('java', '-version') && has('javac', '-version') ? test : test.skip

const STALL = 15_000

test('a lock outlives an event loop that stands still for 15 s', async (t) => {
  const path = fileWith(t, 'content')
  const [other, third] = [new LockProcess(t), new LockProcess(t)]
  const region = opened(t, path, { access: 'write' })
  const id = await other.holds(path)
  if (!isMac) await other.holds(path, { kind: 'file' })
  const stalled = other.begin('stall', STALL)
  await stalled.begun
  const begun = performance.now()
  const waiting = FileLock.acquire(path)
  let looks = 0
  while ((await soFar(stalled.done, 100)) === 'pending') {
    for (const lock of [FileLock.tryAcquire(path, { mode: 'shared' }), region.tryLock({ kind: 'file' })]) {
      if (lock !== null) return t.fail(`lost after ${performance.now() - begun} ms`)
    }
    if (looks % 10 === 0 && (await third.canHave(path, { mode: 'shared' }))) {
      return t.fail(`lost after ${performance.now() - begun} ms`)
    }
    looks += 1
  }
  const took = performance.now() - begun
  t.log(`${looks} looks in ${Math.round(took)} ms`)
  t.true(took > STALL - 1000 && looks > 10)
  t.is(await soFar(waiting, 0), 'pending', 'and it is still held')
  await other.releases(id)
  held(t, await waiting)
})

/** Takes a lock as Python does, says so, and waits to be killed. */
const HOLDER = `
import fcntl, sys
file = open(sys.argv[1], 'r+b')
fcntl.lockf(file, fcntl.LOCK_EX)
print('locked', flush=True)
sys.stdin.read()
`

onPosixAlone('the holder is killed, 200 times, and each time the next waiter has the lock at once', async (t) => {
  const path = fileWith(t, 'content')
  const delays: Record<'ours' | 'theirs', number[]> = { ours: [], theirs: [] }
  const rounds = PYTHON === undefined ? { ours: 200, theirs: 0 } : { ours: 25, theirs: 175 }
  for (let round = 0; round < rounds.ours; round++) {
    const holder = new LockProcess(t)
    await holder.holds(path)
    delays.ours.push(await killed(t, path, () => holder.kill()))
  }
  for (let round = 0; round < rounds.theirs; round++) {
    const holder = new Talker(t, PYTHON ?? '', ['-S', '-E', '-c', HOLDER, path])
    t.is(await holder.hears(), 'locked')
    delays.theirs.push(await killed(t, path, () => holder.kill()))
  }
  for (const [whose, ms] of Object.entries(delays)) if (ms.length > 0) t.log(`${whose}: ${spread(ms)}`)
  t.is(delays.ours.length + delays.theirs.length, 200)
  t.true(free(path))
})

/** Milliseconds from the holder's death until somebody who waits has its lock. */
async function killed(t: ExecutionContext, path: string, kill: () => Promise<void>): Promise<number> {
  const waiting = FileLock.acquire(path, { timeout: 20_000 })
  t.is(await soFar(waiting, 2), 'pending')
  const begun = performance.now()
  const dead = kill()
  const lock = await waiting
  const delay = performance.now() - begun
  lock.release()
  await dead
  return delay
}

test('of several processes that wait when the holder is killed, each gets it in turn', async (t) => {
  const path = fileWith(t, 'content')
  const holder = new LockProcess(t)
  const others = Array.from({ length: 3 }, () => new LockProcess(t))
  await holder.holds(path)
  const waits = others.map((other) => other.begin('acquire', path, {}))
  for (const wait of waits) await wait.begun
  t.is(await soFar(Promise.race(waits.map(({ done }) => done)), 100), 'pending')
  await holder.kill()
  const left = new Map(waits.map(({ done }, at) => [at, done]))
  while (left.size > 0) {
    const [at, id] = await Promise.race([...left].map(async ([who, done]) => [who, await done] as const))
    left.delete(at)
    t.is(typeof id, 'number')
    t.false(free(path))
    // Killed in its turn, or done with it.
    if (at === 0) await others[at]?.kill()
    else await others[at]?.releases(Number(id))
  }
  t.true(free(path))
})

onPosix('a child that is started while the lock is held does not keep it when the parent is killed', async (t) => {
  const path = fileWith(t, 'content')
  const parent = new Talker(t, process.execPath, [lockProgram('with-child.mjs'), path])
  const { children } = JSON.parse(await parent.hears()) as { children: number[] }
  t.teardown(() => {
    for (const pid of children) process.kill(pid, 'SIGKILL')
  })
  t.false(free(path))
  t.false(free(path, { kind: 'file' }))
  const options = isMac ? [{}] : [{}, { kind: 'file' } as const]
  const waits = options.map((option) => FileLock.acquire(path, { ...option, timeout: 20_000 }))
  t.is(await soFar(Promise.race(waits)), 'pending')
  parent.child.kill('SIGKILL')
  await parent.ended
  for (const wait of waits) held(t, await wait)
  for (const pid of children) t.true(process.kill(pid, 0), 'the child lives')
  if (!isLinux) return
  for (const pid of children) {
    const files = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
    t.false(files.includes(path), files.join())
  }
})

/** A Python that has the file open, and runs a line and answers with one: what it said, or which error there was. */
const LOCKF = `
import errno, fcntl, sys
from fcntl import LOCK_EX, LOCK_SH, LOCK_UN, LOCK_NB
file = open(sys.argv[1], 'r+b')
def lockf(how, length=0, start=0):
    try:
        fcntl.lockf(file, how, length, start)
        return 'done'
    except OSError as error:
        return 'refused' if error.errno in (errno.EAGAIN, errno.EACCES) else str(error)
for line in sys.stdin:
    print(eval(line), flush=True)
`

const python = (t: ExecutionContext, path: string) => new Talker(t, PYTHON ?? '', ['-S', '-E', '-c', LOCKF, path])

withPython("Python's fcntl.lockf is kept out of what we lock, byte for byte (skipped without python3)", async (t) => {
  const path = fileWith(t, Buffer.alloc(100))
  const other = python(t, path)
  const region = opened(t, path, { access: 'write', offset: 50 })
  const tries = (how: string, length: number, start: number) =>
    other.says(`lockf(LOCK_${how}|LOCK_NB, ${length}, ${start}), lockf(LOCK_UN, ${length}, ${start})`)
  for (const acquire of [
    () => FileLock.acquire(path, { start: 60, end: 70, timeout: 10_000 }),
    () => region.lock({ start: 10, end: 20, timeout: 10_000 }),
  ]) {
    const lock = held(t, await acquire())
    t.is(await tries('EX', 10, 50), "('done', 'done')", 'before it')
    t.is(await tries('EX', 0, 70), "('done', 'done')", 'behind it, to the end')
    for (const [length, start] of [
      [1, 60],
      [1, 69],
      [11, 50],
      [0, 0],
      [0, 69],
    ] as const) {
      t.is(await tries('EX', length, start), "('refused', 'done')", `${length} from ${start}`)
      t.is(await tries('SH', length, start), "('refused', 'done')", `${length} from ${start}`)
    }
    lock.downgrade()
    t.is(await tries('EX', 1, 60), "('refused', 'done')")
    t.is(await tries('SH', 1, 60), "('done', 'done')")
    lock.release()
    t.is(await tries('EX', 0, 0), "('done', 'done')")
  }
  const far = held(t, FileLock.tryAcquire(path, { start: 2 ** 40 }))
  t.is(await tries('EX', 2 ** 40, 0), "('done', 'done')")
  t.is(await tries('EX', 2 ** 40 + 1, 0), "('refused', 'done')")
  far.release()
  // Python stands still until we let go.
  const lock = held(t, FileLock.tryAcquire(path, { start: 3, end: 5 }))
  const waiting = other.says('lockf(LOCK_EX, 2, 3)')
  t.is(await soFar(waiting), 'pending')
  lock.release()
  t.is(await waiting, 'done')
})

withPython("we are kept out of what Python's fcntl.lockf locks, byte for byte (skipped without python3)", async (t) => {
  const path = fileWith(t, Buffer.alloc(100))
  const other = python(t, path)
  const region = opened(t, path, { access: 'write', offset: 50 })
  t.is(await other.says('lockf(LOCK_EX, 10, 60)'), 'done')
  t.is(FileLock.tryAcquire(path), null)
  t.is(FileLock.tryAcquire(path, { mode: 'shared', start: 69, end: 70 }), null)
  t.is(region.tryLock({ start: 10, end: 11 }), null)
  t.is(await outcome(FileLock.acquire(path, { start: 69, timeout: 20 })), 'ERR_LOCK_TIMEOUT')
  t.true(free(path, { end: 60 }))
  t.true(free(path, { start: 70 }))
  held(t, region.tryLock({ start: 0, end: 10 })).release()
  t.is(await other.says('lockf(LOCK_SH, 10, 60)'), 'done')
  t.false(free(path, { start: 60, end: 61 }))
  t.true(free(path, { start: 60, end: 61, mode: 'shared' }))
  const waits = [FileLock.acquire(path), region.lock({ start: 10, end: 20 })]
  t.is(await soFar(Promise.race(waits)), 'pending')
  t.is(await other.says('lockf(LOCK_UN, 10, 60)'), 'done')
  for (const wait of waits) held(t, await wait).release()
  t.is(await other.says('lockf(LOCK_EX, 1, 2**40)'), 'done')
  t.false(free(path, { start: 2 ** 40 }))
  t.true(free(path, { end: 2 ** 40 }))
  const last = FileLock.acquire(path)
  t.is(await soFar(last), 'pending')
  await other.kill()
  held(t, await last)
})

withFlock("flock(1) is kept out of a file that kind 'file' has locked (skipped without flock)", async (t) => {
  const path = fileWith(t, 'content')
  const tries = (...args: string[]) => spawnSync('flock', ['--nonblock', ...args, path, 'true']).status
  const region = opened(t, path)
  for (const acquire of [
    () => FileLock.acquire(path, { kind: 'file', timeout: 10_000 }),
    () => region.lock({ kind: 'file', timeout: 10_000 }),
  ]) {
    const lock = held(t, await acquire())
    t.is(tries(), 1)
    t.is(tries('--shared'), 1)
    lock.downgrade()
    t.is(tries(), 1)
    t.is(tries('--shared'), 0)
    lock.release()
    t.is(tries(), 0)
  }
  const lock = held(t, FileLock.tryAcquire(path, { kind: 'file' }))
  const waiting = new Talker(t, 'flock', [path, 'echo', 'locked'])
  const said = waiting.hears()
  t.is(await soFar(said), 'pending')
  lock.release()
  t.is(await said, 'locked')
  // It lets go when it ends, a moment after what it ran.
  await waiting.ended
  // It has to do with whole files only.
  held(t, FileLock.tryAcquire(path))
  t.is(tries(), 0)
})

withFlock("kind 'file' is kept out of a file that flock(1) has locked (skipped without flock)", async (t) => {
  const path = fileWith(t, 'content')
  for (const shared of [false, true]) {
    const other = new Talker(t, 'flock', [...(shared ? ['--shared'] : []), path, 'sh', '-c', 'echo locked; cat'])
    t.is(await other.hears(), 'locked')
    t.false(free(path, { kind: 'file' }))
    t.is(free(path, { kind: 'file', mode: 'shared' }), shared)
    t.true(free(path))
    t.is(await outcome(FileLock.acquire(path, { kind: 'file', timeout: 20 })), 'ERR_LOCK_TIMEOUT')
    const waiting = FileLock.acquire(path, { kind: 'file' })
    t.is(await soFar(waiting), 'pending')
    const ended = once(other.child, 'exit')
    other.child.stdin?.end()
    held(t, await waiting).release()
    await ended
  }
})

withJava("Java's FileChannel.lock and ours exclude each other, both ways (skipped without a JDK)", async (t) => {
  const path = fileWith(t, Buffer.alloc(100))
  const other = new Talker(t, 'java', ['-XX:TieredStopAtLevel=1', lockProgram('FileChannelLock.java'), path])
  t.is(await other.hears(), 'ready')
  // Theirs first.
  t.is(await other.says('try 10 10 false'), 'locked')
  if (listsLocks) t.deepEqual(locksOf(path), ['POSIX WRITE 10 20'])
  t.false(free(path, { start: 19, end: 20, mode: 'shared' }))
  t.false(free(path))
  t.true(free(path, { end: 10 }))
  t.true(free(path, { start: 20 }))
  const waiting = FileLock.acquire(path)
  t.is(await soFar(waiting), 'pending')
  t.is(await other.says('release'), 'released')
  const lock = held(t, await waiting)
  // Then ours.
  t.is(await other.says('try 10 10 true'), 'refused')
  lock.downgrade()
  t.is(await other.says('try 10 10 false'), 'refused')
  t.is(await other.says('try 10 10 true'), 'locked')
  t.is(await other.says('release'), 'released')
  lock.release()
  const part = held(t, FileLock.tryAcquire(path, { start: 2 ** 40, end: 2 ** 40 + 1 }))
  t.is(await other.says(`try 0 ${2 ** 40} false`), 'locked')
  t.is(await other.says('release'), 'released')
  t.is(await other.says(`try ${2 ** 40} 1 true`), 'refused')
  const theirs = other.says(`lock ${2 ** 40} 1 false`)
  t.is(await soFar(theirs), 'pending')
  part.release()
  t.is(await theirs, 'locked')
  t.false(free(path, { start: 2 ** 40 }))
  // Shared on both sides.
  t.is(await other.says('release'), 'released')
  t.is(await other.says('try 0 100 true'), 'locked')
  t.true(free(path, { mode: 'shared' }))
  t.false(free(path))
  await other.kill()
  t.true(free(path))
})
