// What somebody who comes from other file locks looks for: a test for each row of the guide's table, named after it. What
// takes other programs to show at length is in lock-processes.test.ts; here each row is held to what its line says.

import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'

import { FileLock } from 'memmap'

import { codeOf, fileWith, opened } from './helpers/files.ts'
import { TestedTable } from './helpers/guide.ts'
import { free, held, LockProcess, lockProgram, outcome, PYTHON, soFar, Talker } from './helpers/lockers.ts'
import { isMac, isPosix } from './helpers/system.ts'
import { tmpFile, tmpFolder } from './helpers/tmp.ts'

const locks = new TestedTable('coming-from-locks.md', 'Row by row')

const has = (command: string): boolean => spawnSync(command, ['--version']).status === 0
const hasFlock = isPosix && has('flock')
const hasJava = isPosix && has('java') && has('javac')
const hasLockf = isPosix && PYTHON !== undefined

locks.row(
  'LK_LOCK, LK_RLCK',
  'it waits, then there is an ERR_LOCK_TIMEOUT; what is freed meanwhile is had',
  async (t) => {
    const path = fileWith(t, 'content')
    const region = opened(t, path, { access: 'write' })
    const other = new LockProcess(t)
    const id = await other.holds(path, { start: 0, end: 4 })
    const begun = performance.now()
    t.is(await outcome(region.lock({ start: 0, end: 4, timeout: 100 })), 'ERR_LOCK_TIMEOUT')
    // Timers are of whole milliseconds.
    t.true(performance.now() - begun >= 99)
    const waiting = region.lock({ start: 0, end: 4, timeout: 10_000 })
    t.is(await soFar(waiting), 'pending')
    await other.releases(id)
    held(t, await waiting)
  },
)

locks.row('LK_NBLCK, LK_NBRLCK', 'null at once', async (t) => {
  const path = fileWith(t, 'content')
  const region = opened(t, path, { access: 'write' })
  const other = new LockProcess(t)
  const id = await other.holds(path, { start: 0, end: 4 })
  t.is(region.tryLock({ start: 3, end: 5 }), null)
  await other.releases(id)
  held(t, region.tryLock({ start: 3, end: 5 }))
})

locks.row('LK_UNLCK', 'just its own range, once, and at the end of the block', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  const [first, second] = [0, 10].map((start) => held(t, FileLock.tryAcquire(path, { start, end: start + 10 })))
  first?.release()
  first?.release()
  t.true(await other.canHave(path, { start: 0, end: 10 }))
  t.false(await other.canHave(path, { start: 10, end: 11 }))
  second?.release()
  {
    using lock = await FileLock.acquire(path)
    t.false(lock.released)
    t.false(await other.canHave(path))
  }
  t.true(await other.canHave(path))
})

locks.row('converting a lock', 'readers get in, writers do not, and nobody in between', async (t) => {
  const path = fileWith(t, 'content')
  const [reader, writer] = [new LockProcess(t), new LockProcess(t)]
  const lock = held(t, FileLock.tryAcquire(path))
  const writing = writer.begin('acquire', path, {})
  await writing.begun
  t.is(await soFar(writing.done), 'pending')
  t.false(await reader.canHave(path, { mode: 'shared' }))
  lock.downgrade()
  t.is(lock.mode, 'shared')
  t.true(await reader.canHave(path, { mode: 'shared' }))
  t.is(await soFar(writing.done), 'pending')
  lock.release()
  t.is(typeof (await writing.done), 'number')
})

/** Locks as it is told by `lockf`'s own arguments, and says whether it could. */
const LOCKF = `
import errno, fcntl, sys
file = open(sys.argv[1], 'r+b')
for line in sys.stdin:
    try:
        fcntl.lockf(file, *eval(line, vars(fcntl)))
        print('locked', flush=True)
    except OSError as error:
        print('refused' if error.errno in (errno.EAGAIN, errno.EACCES) else error, flush=True)
`

locks.rowWhere(
  hasLockf,
  'lockf(fd, cmd, len, start, whence)',
  'each excludes the other, byte for byte (skipped without python3)',
  async (t) => {
    const path = fileWith(t, Buffer.alloc(100))
    const fd = openSync(path, 'r+')
    t.teardown(() => closeSync(fd))
    const python = new Talker(t, PYTHON ?? '', ['-S', '-E', '-c', LOCKF, path])
    const lock = held(t, await FileLock.acquire(fd, { start: 10, end: 20 }))
    t.is(await python.says('LOCK_EX | LOCK_NB, 10, 0'), 'locked')
    t.is(await python.says('LOCK_EX | LOCK_NB, 10, 20'), 'locked')
    t.is(await python.says('LOCK_EX | LOCK_NB, 1, 19'), 'refused')
    // From the end of 100 bytes back.
    t.is(await python.says('LOCK_SH | LOCK_NB, 1, -81, 2'), 'refused')
    lock.release()
    t.is(await python.says('LOCK_EX | LOCK_NB, 0, -81, 2'), 'locked')
    t.false(free(fd, { start: 19, end: 20 }))
    t.true(free(fd, { start: 11, end: 19 }))
    t.false(free(fd, { start: 2 ** 40 }), 'length 0 is to the end and beyond')
  },
)

locks.rowWhere(hasFlock, 'flock(fd, op)', 'each excludes the other (skipped without flock)', async (t) => {
  const path = fileWith(t, 'content')
  const tries = () => spawnSync('flock', ['--nonblock', path, 'true']).status
  const lock = held(t, FileLock.tryAcquire(path, { kind: 'file' }))
  t.is(tries(), 1)
  lock.release()
  const range = held(t, FileLock.tryAcquire(path))
  if (process.platform === 'linux') t.is(tries(), 0, 'the two kinds do not see each other')
  range.release()
  const other = new Talker(t, 'flock', [path, 'sh', '-c', 'echo locked; cat'])
  t.is(await other.hears(), 'locked')
  t.false(free(path, { kind: 'file', mode: 'shared' }))
})

locks.rowWhere(
  hasJava,
  'FileChannel.lock(position, size, shared), tryLock',
  'many readers or one writer, with Java’s own; read-only is never exclusive (skipped without a JDK)',
  async (t) => {
    const path = fileWith(t, Buffer.alloc(100))
    const java = new Talker(t, 'java', ['-XX:TieredStopAtLevel=1', lockProgram('FileChannelLock.java'), path])
    t.is(await java.hears(), 'ready')
    t.is(await java.says('try 10 10 true'), 'locked')
    const lock = held(t, FileLock.tryAcquire(path, { mode: 'shared', start: 10, end: 20 }))
    t.false(free(path, { start: 19, end: 30 }))
    t.is(await java.says('release'), 'released')
    t.is(await java.says('try 19 1 false'), 'refused')
    lock.release()
    t.is(await java.says('try 19 1 false'), 'locked')
    t.false(free(path, { mode: 'shared' }))
    const fd = openSync(path, 'r')
    t.teardown(() => closeSync(fd))
    for (const exclusive of [
      () => FileLock.tryAcquire(fd),
      () => FileLock.acquireSync(fd, { timeout: 0 }),
      () => opened(t, path).tryLock(),
    ]) {
      t.is(codeOf(exclusive), 'EBADF')
    }
  },
)

locks.row(
  'OverlappingFileLockException',
  'only where nobody could ever let go; otherwise they wait in turn',
  async (t) => {
    const path = fileWith(t, 'content')
    const lock = held(t, FileLock.tryAcquire(path, { start: 0, end: 10 }))
    t.is(
      codeOf(() => FileLock.acquireSync(path, { start: 5, end: 15 })),
      'ERR_LOCK_OVERLAP',
    )
    t.is(FileLock.tryAcquire(path, { start: 5, end: 15 }), null)
    const waiting = FileLock.acquire(path, { start: 5, end: 15 })
    t.is(await soFar(waiting), 'pending')
    lock.release()
    held(t, await waiting)
  },
)

locks.row('isValid, release, close', 'it outlives its region, and the closing of the file elsewhere', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  const region = opened(t, path, { access: 'write' })
  const lock = held(t, region.tryLock())
  region.close()
  readFileSync(path)
  closeSync(openSync(path, 'r+'))
  const handle = await open(path, 'r+')
  await handle.close()
  opened(t, path).close()
  if (isPosix) writeFileSync(path, 'changed')
  t.false(lock.released)
  t.false(await other.canHave(path, { mode: 'shared' }))
  lock.release()
  t.true(lock.released)
  t.true(await other.canHave(path))
})

locks.rowWhere(
  hasLockf,
  'isValid, release, close',
  "Python's own goes with any close of the file (skipped without python3)",
  async (t) => {
    const path = fileWith(t, 'content')
    const python = new Talker(t, PYTHON ?? '', ['-S', '-E', '-c', LOCKF, path])
    t.is(await python.says('LOCK_EX, 10'), 'locked')
    t.false(free(path))
    t.is(await python.says(`[LOCK_SH | LOCK_NB, 1, 2**40, open(${JSON.stringify(path)}).close() or 0]`), 'locked')
    t.true(free(path, { end: 10 }))
  },
)

locks.row('FileStream.Lock(position, length), Unlock', 'at once or not at all, also behind the end', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  const id = await other.holds(path, { start: 4, end: 104 })
  t.is(FileLock.tryAcquire(path, { start: 103, end: 104 }), null)
  t.true(free(path, { start: 104, end: 105 }))
  await other.releases(id)
  held(t, FileLock.tryAcquire(path, { start: 103, end: 104 }))
})

locks.row(
  'ranges beyond the end of the file',
  'at 2^40, to 2^53 - 1, to Infinity; the file does not grow',
  async (t) => {
    const path = fileWith(t, 'content')
    const other = new LockProcess(t)
    for (const [start, end] of [
      [2 ** 40, 2 ** 40 + 1],
      [2 ** 53 - 2, 2 ** 53 - 1],
      [100, Infinity],
    ] as const) {
      const lock = held(t, FileLock.tryAcquire(path, { start, end }))
      t.deepEqual([lock.start, lock.end], [start, end])
      t.false(await other.canHave(path, { start, end: start + 1 }))
      t.true(await other.canHave(path, { start: 0, end: start }))
      lock.release()
    }
    t.is(statSync(path).size, 7)
  },
)

locks.row('the holder is killed', 'and who waits has it', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  await other.holds(path)
  if (!isMac) await other.holds(path, { kind: 'file' })
  const waiting = [FileLock.acquire(path), ...(isMac ? [] : [FileLock.acquire(path, { kind: 'file' })])]
  t.is(await soFar(Promise.race(waiting)), 'pending')
  await other.kill()
  for (const lock of waiting) held(t, await lock)
})

locks.row("the holder's event loop stalls", 'it still has it', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  const id = await other.holds(path)
  const stalled = other.begin('stall', 3000)
  await stalled.begun
  let looks = 0
  while ((await soFar(stalled.done, 50)) === 'pending') {
    looks += 1
    if (free(path, { mode: 'shared' })) return t.fail('lost')
  }
  t.true(looks > 5)
  await other.releases(id)
  t.true(free(path))
})

locks.row(
  'lockfile.lock(file, { retries, stale })',
  'the lock file is made and stays; a folder has none',
  async (t) => {
    const path = tmpFile(t, 'file.lock')
    const lock = held(t, await FileLock.acquire(path, { create: true, timeout: 10_000 }))
    t.is(await outcome(FileLock.acquire(path, { create: true, timeout: 20 })), 'ERR_LOCK_TIMEOUT')
    lock.release()
    t.true(existsSync(path))
    held(t, await FileLock.acquire(path, { create: true, timeout: 10_000 }))
    t.is(await outcome(FileLock.acquire(tmpFolder(t))), 'EISDIR')
  },
)

locks.row(
  'lockfile.check(file)',
  'null tells that somebody has it, anything else that one has it oneself',
  async (t) => {
    const path = fileWith(t, 'content')
    const other = new LockProcess(t)
    const id = await other.holds(path)
    t.is(FileLock.tryAcquire(path), null)
    await other.releases(id)
    held(t, FileLock.tryAcquire(path))
    t.false(await other.canHave(path))
  },
)

locks.row('onCompromised', 'replaced tells of a path that names another file', (t) => {
  const path = fileWith(t, 'content')
  const lock = held(t, FileLock.tryAcquire(path))
  t.false(lock.replaced)
  if (!isPosix) return
  const next = `${path}.next`
  writeFileSync(next, 'next')
  renameSync(next, path)
  t.true(lock.replaced)
  t.true(free(path), 'whoever locks the path now gets another lock')
})

locks.end()
