// Locks of files, asked for in one process: of what, which part, with whom, and what a lock tells of itself. What other
// processes see of them is asked of one, and of the system's own list.

import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'

import test from 'ava'
import { FileLock, MmapFile } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { codeOf, fileWith, opened, thrownBy } from './helpers/files.ts'
import { eventually, free, held, listsLocks, LockProcess, locksOf, outcome, soFar } from './helpers/lockers.ts'
import { isLinux, isMac, isPosix } from './helpers/system.ts'
import { tmpFile } from './helpers/tmp.ts'

const onLinux = isLinux ? test : test.skip
const onPosix = isPosix ? test : test.skip

const LAST = Number.MAX_SAFE_INTEGER
const MODES = ['shared', 'exclusive'] as const
const KINDS = ['range', 'file'] as const

test('a file is named by a path, its bytes, a URL, a descriptor or a FileHandle, to each of the three calls', async (t) => {
  const path = fileWith(t, 'content', 'näme.bin')
  const descriptor = openSync(path, 'r+')
  t.teardown(() => closeSync(descriptor))
  const handle = await open(path, 'r+')
  const names: Readonly<Record<string, Parameters<typeof FileLock.acquire>[0]>> = {
    'a path': path,
    'a relative path': relative(process.cwd(), path),
    'the bytes of a path': Buffer.from(path),
    'a URL': pathToFileURL(path),
    'a descriptor': descriptor,
    'a FileHandle': handle,
  }
  for (const [name, file] of Object.entries(names)) {
    for (const acquire of [
      () => FileLock.tryAcquire(file),
      () => FileLock.acquireSync(file, { timeout: 0 }),
      () => FileLock.acquire(file, { timeout: 10_000 }),
    ]) {
      const lock = await acquire()
      t.true(lock instanceof FileLock, name)
      for (const [other, same] of Object.entries(names)) t.false(free(same), `${name} excludes ${other}`)
      lock?.release()
      t.true(free(path), name)
    }
  }
  await handle.close()
})

test('shared locks are held together, an exclusive one alone; of each kind, whichever comes first', (t) => {
  const path = fileWith(t, 'content')
  for (const kind of KINDS) {
    for (const first of MODES) {
      for (const second of MODES) {
        const lock = FileLock.tryAcquire(path, { kind, mode: first })
        t.is(
          free(path, { kind, mode: second }),
          first === 'shared' && second === 'shared',
          `${kind}: ${first}, ${second}`,
        )
        lock?.release()
      }
    }
    const readers = Array.from({ length: 5 }, () => held(t, FileLock.tryAcquire(path, { kind, mode: 'shared' })))
    for (const reader of readers) {
      t.false(free(path, { kind }))
      t.true(free(path, { kind, mode: 'shared' }))
      reader.release()
    }
    t.true(free(path, { kind }), 'the last one has gone')
  }
})

test('ranges exclude each other where they have a byte in common, and nowhere else', (t) => {
  const path = fileWith(t, 'content')
  const lock = held(t, FileLock.tryAcquire(path, { start: 10, end: 20 }))
  t.deepEqual([lock.start, lock.end], [10, 20])
  for (const [start, end, expected] of [
    [0, 10, true],
    [20, 21, true],
    [20, Infinity, true],
    [0, 11, false],
    [19, 20, false],
    [19, Infinity, false],
    [12, 13, false],
    [0, Infinity, false],
    [10, 20, false],
  ] as const) {
    t.is(free(path, { start, end }), expected, `${start} to ${end}`)
  }
})

test('a range lies wherever one likes: beyond the end of the file, at 2 ** 40, to 2 ** 53 - 1, to Infinity', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  for (const [start, end] of [
    [7, 8],
    [1000, 2000],
    [2 ** 31 - 1, 2 ** 31 + 1],
    [2 ** 32 - 1, 2 ** 32 + 1],
    [2 ** 40, 2 ** 40 + 1],
    [LAST - 1, LAST],
    [0, LAST],
  ] as const) {
    const lock = held(t, FileLock.tryAcquire(path, { start, end }))
    t.deepEqual([lock.start, lock.end], [start, end])
    t.false(await other.canHave(path, { start, end: start + 1 }))
    t.false(await other.canHave(path, { start: end - 1, end }))
    if (start > 0) t.true(await other.canHave(path, { start: start - 1, end: start }), `before ${start}`)
    if (end < LAST) t.true(await other.canHave(path, { start: end, end: end + 1 }), `behind ${end}`)
    if (listsLocks) t.deepEqual(locksOf(path), [`OFDLCK WRITE ${start} ${end}`])
    lock.release()
  }
  for (const start of [0, 7, 2 ** 40, LAST]) {
    const lock = held(t, FileLock.tryAcquire(path, { start, end: Infinity }))
    t.deepEqual([lock.start, lock.end], [start, Infinity])
    if (listsLocks) t.deepEqual(locksOf(path), [`OFDLCK WRITE ${start} Infinity`])
    t.false(await other.canHave(path, { start: LAST - 1 }))
    if (start > 0) t.true(await other.canHave(path, { end: Math.min(start, LAST - 1) }))
    lock.release()
  }
  t.is(statSync(path).size, 7, 'and the file is as long as it was')
})

test('of an option that is undefined the default holds: all of the file, exclusive, as a range', (t) => {
  const path = fileWith(t, 'content')
  const none = { mode: undefined, start: undefined, end: undefined, kind: undefined, create: undefined }
  for (const options of [undefined, {}, none]) {
    const lock = held(t, FileLock.tryAcquire(path, options))
    t.deepEqual([lock.mode, lock.start, lock.end], ['exclusive', 0, Infinity])
    if (listsLocks) t.deepEqual(locksOf(path), ['OFDLCK WRITE 0 Infinity'])
    lock.release()
  }
})

test('an empty range is refused as out of range, and nothing is locked', async (t) => {
  const path = fileWith(t, 'content')
  const region = opened(t, path, { access: 'write', offset: 3 })
  for (const [start, end] of [
    [0, 0],
    [7, 7],
    [8, 7],
    [2 ** 40, 0],
    [LAST, LAST],
    [undefined, 0],
  ] as const) {
    for (const work of [
      () => FileLock.tryAcquire(path, { start, end }),
      () => FileLock.acquireSync(path, { start, end }),
      () => region.tryLock({ start, end }),
      () => region.lockSync({ start, end }),
    ]) {
      const error = thrownBy(work)
      t.is(error?.code, 'ERR_OUT_OF_RANGE')
      t.true(error instanceof RangeError)
    }
    t.is(await outcome(FileLock.acquire(path, { start, end })), 'ERR_OUT_OF_RANGE')
    t.is(await outcome(region.lock({ start, end })), 'ERR_OUT_OF_RANGE')
  }
  t.true(free(path))
})

test("kind 'file' locks the file as such: whoever locks ranges does not see it, nor the other way round", async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  const lock = held(t, FileLock.tryAcquire(path, { kind: 'file' }))
  t.deepEqual([lock.start, lock.end, lock.mode], [0, Infinity, 'exclusive'])
  t.false(free(path, { kind: 'file', mode: 'shared' }))
  t.false(await other.canHave(path, { kind: 'file', mode: 'shared' }))
  if (isLinux) {
    t.true(free(path))
    t.true(await other.canHave(path))
  }
  if (listsLocks) t.deepEqual(locksOf(path), ['FLOCK WRITE 0 Infinity'])
  lock.release()
  t.true(await other.canHave(path, { kind: 'file' }))
})

test("kind 'file' takes a file that may be read only, and shared and exclusive alike", (t) => {
  const path = fileWith(t, 'content')
  const descriptor = openSync(path, 'r')
  t.teardown(() => closeSync(descriptor))
  const region = opened(t, path, { access: 'read' })
  for (const mode of MODES) {
    const lock = held(t, FileLock.tryAcquire(descriptor, { kind: 'file', mode }))
    t.false(free(path, { kind: 'file' }))
    lock.release()
    held(t, region.tryLock({ kind: 'file', mode })).release()
    t.true(free(path, { kind: 'file' }))
  }
})

test('create makes a file that is not there, empty, and leaves one that is as it is', async (t) => {
  const path = tmpFile(t, 'new.lock')
  t.is(
    codeOf(() => FileLock.tryAcquire(path)),
    'ENOENT',
  )
  t.is(
    codeOf(() => FileLock.tryAcquire(path, { create: false })),
    'ENOENT',
  )
  t.false(existsSync(path))
  for (const kind of KINDS) {
    for (const mode of MODES) {
      const lock = await FileLock.acquire(path, { create: true, kind, mode })
      t.is(statSync(path).size, 0)
      lock.release()
      t.true(existsSync(path), 'releasing it removes nothing')
      rmSync(path)
      FileLock.acquireSync(path, { create: true, kind, mode }).release()
      rmSync(path)
    }
  }
  writeFileSync(path, 'content')
  held(t, FileLock.tryAcquire(path, { create: true }))
  t.is(readFileSync(path, 'utf8'), 'content')
  t.is(
    codeOf(() => FileLock.tryAcquire(join(path, 'deeper'), { create: true })),
    isPosix ? 'ENOTDIR' : 'ENOENT',
  )
  t.is(
    codeOf(() => FileLock.tryAcquire(join(dirname(path), 'nowhere', 'deeper'), { create: true })),
    'ENOENT',
  )
})

test('a lock that cannot be had makes no file either: of an empty range, or with options that are not known', (t) => {
  const path = tmpFile(t, 'new.lock')
  for (const options of [{ end: 0 }, { mode: 'x' }, { kind: 'file', start: 0 }, { nope: 1 }, { timeout: -1 }]) {
    t.truthy(thrownBy(() => Reflect.apply(FileLock.acquireSync, FileLock, [path, { create: true, ...options }])))
    t.false(existsSync(path), inspect(options))
  }
})

test('downgrade makes it a shared one in place; then other shared ones get in, and exclusive ones do not', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  for (const kind of KINDS) {
    const range = kind === 'range' ? { start: 5, end: 10 } : {}
    const lock = held(t, FileLock.tryAcquire(path, { kind, ...range }))
    t.is(lock.mode, 'exclusive')
    t.false(await other.canHave(path, { kind, mode: 'shared' }))
    for (let again = 0; again < 2; again++) {
      lock.downgrade()
      t.is(lock.mode, 'shared')
      t.false(free(path, { kind }))
      t.true(free(path, { kind, mode: 'shared' }))
      t.false(await other.canHave(path, { kind }))
      t.true(await other.canHave(path, { kind, mode: 'shared' }))
      if (listsLocks) {
        t.deepEqual(locksOf(path), [kind === 'range' ? 'OFDLCK READ 5 10' : 'FLOCK READ 0 Infinity'])
      }
    }
    lock.release()
    t.true(await other.canHave(path, { kind }))
    const error = thrownBy(() => lock.downgrade())
    t.is(error?.code, 'ERR_INVALID_STATE')
  }
})

test('nobody who waits for it exclusively gets in while it is downgraded, here or in another process', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  for (const kind of KINDS) {
    for (let round = 0; round < 25; round++) {
      const lock = held(t, FileLock.tryAcquire(path, { kind }))
      const theirs = other.begin('acquire', path, { kind })
      await theirs.begun
      const ours = FileLock.acquire(path, { kind })
      lock.downgrade()
      t.is(await soFar(Promise.race([theirs.done, ours]), 5), 'pending')
      lock.release()
      // Both want it alone: whoever is second gets it from the first.
      const first = await Promise.race([ours.then((got) => got.release()), theirs.done])
      if (typeof first === 'number') await other.releases(first)
      const id = await theirs.done
      if (typeof id !== 'number') t.fail(String(id))
      else if (id !== first) await other.releases(id)
      ;(await ours).release()
    }
    t.true(free(path, { kind }))
  }
})

test('those who wait for a shared one get in when an exclusive one is downgraded', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  for (const kind of KINDS) {
    const lock = held(t, FileLock.tryAcquire(path, { kind }))
    const ours = FileLock.acquire(path, { kind, mode: 'shared' })
    const theirs = other.begin('acquire', path, { kind, mode: 'shared' })
    await theirs.begun
    t.is(await soFar(Promise.race([ours, theirs.done])), 'pending')
    lock.downgrade()
    const got = await ours
    t.is(got.mode, 'shared')
    const id = await theirs.done
    t.is(typeof id, 'number')
    got.release()
    await other.releases(Number(id))
    lock.release()
  }
})

test('release is done once, and using does it at the end of the block', async (t) => {
  const path = fileWith(t, 'content')
  const other = `${path}.other`
  const lock = FileLock.acquireSync(path)
  t.false(lock.released)
  lock.release()
  t.true(lock.released)
  const next = held(t, FileLock.tryAcquire(path))
  for (let again = 0; again < 3; again++) {
    lock.release()
    lock[Symbol.dispose]()
  }
  t.false(free(path), 'releasing the first again takes nothing from the second')
  next.release()
  const scoped = async () => {
    using one = await FileLock.acquire(path)
    using two = FileLock.tryAcquire(other, { kind: 'file', create: true })
    t.deepEqual([one.released, two?.released, free(path), free(other, { kind: 'file' })], [false, false, false, false])
    return one
  }
  t.true((await scoped()).released)
  t.true(free(path) && free(other, { kind: 'file' }))
})

test('a released lock still tells what it was, and is not replaced', (t) => {
  const path = fileWith(t, 'content')
  const lock = held(t, FileLock.tryAcquire(path, { mode: 'shared', start: 3, end: 5 }))
  lock.release()
  rmSync(path)
  t.deepEqual([lock.mode, lock.start, lock.end, lock.released, lock.replaced], ['shared', 3, 5, true, false])
})

test('inspect shows the mode, the range and whether it is released', (t) => {
  const path = fileWith(t, 'content')
  const lock = held(t, FileLock.tryAcquire(path, { start: 3 }))
  t.is(inspect(lock), "FileLock { mode: 'exclusive', start: 3, end: Infinity, released: false }")
  lock.downgrade()
  lock.release()
  t.is(inspect(lock), "FileLock { mode: 'shared', start: 3, end: Infinity, released: true }")
  t.is(`${inspect([lock], { depth: 0 })}`.includes('FileLock'), true)
})

test('replaced tells of a file that was renamed over or removed; a side file is never replaced', (t) => {
  const path = fileWith(t, 'old')
  const byDescriptor = openSync(path, 'r+')
  t.teardown(() => closeSync(byDescriptor))
  const region = opened(t, path, { access: 'write' })
  const locks = [
    held(t, FileLock.tryAcquire(path, { start: 0, end: 1 })),
    held(t, FileLock.tryAcquire(Buffer.from(path), { start: 1, end: 2 })),
    held(t, FileLock.tryAcquire(relative(process.cwd(), path), isMac ? { start: 5, end: 6 } : { kind: 'file' })),
    held(t, region.tryLock({ start: 2, end: 3 })),
  ]
  const ofDescriptor = held(t, FileLock.tryAcquire(byDescriptor, { start: 3, end: 4 }))
  const side = held(t, FileLock.tryAcquire(`${path}.lock`, { create: true }))
  t.deepEqual(
    locks.map((lock) => lock.replaced),
    [false, false, false, false],
  )
  writeFileSync(`${path}.new`, 'new')
  // Windows renames over no file that is open.
  if (!isPosix) renameSync(path, `${path}.old`)
  renameSync(`${path}.new`, path)
  t.deepEqual(
    locks.map((lock) => lock.replaced),
    [true, true, true, true],
  )
  t.false(ofDescriptor.replaced, 'a descriptor is what it is')
  t.false(side.replaced)
  t.true(free(path), 'the path now names a file that nobody has locked')
  t.false(free(`${path}.lock`))
  rmSync(path)
  t.true(locks[0]?.replaced)
  t.false(locks[0]?.released, 'it is held, of a file without that name')
})

onPosix('replaced looks where the path leads: a symbolic link that is turned elsewhere replaces the file', (t) => {
  const path = fileWith(t, 'one')
  const link = join(dirname(path), 'link')
  symlinkSync(path, link)
  const lock = held(t, FileLock.tryAcquire(link))
  t.false(lock.replaced)
  t.false(free(path), 'the link names the same file')
  writeFileSync(`${path}.two`, 'two')
  rmSync(link)
  symlinkSync(`${path}.two`, link)
  t.true(lock.replaced)
})

test('a path that was relative is the same one when the folder has changed', async (t) => {
  const child = await runChild('locks/other-folder.mjs', [dirname(fileWith(t, 'content'))])
  t.deepEqual(ending(child), WELL)
})

test('what else happens to the file in this process changes nothing: opening, reading, writing, closing, mapping it', async (t) => {
  const path = fileWith(t, Buffer.alloc(100))
  const other = new LockProcess(t)
  const region = opened(t, path, { access: 'write' })
  const locks = [
    held(t, FileLock.tryAcquire(path, { start: 0, end: 10 })),
    held(t, region.tryLock({ start: 10, end: 20, mode: 'shared' })),
    held(t, FileLock.tryAcquire(path, isMac ? { start: 20, end: 30 } : { kind: 'file' })),
  ]
  const list = listsLocks ? locksOf(path) : []
  const held3 = async (what: string) => {
    t.false(await other.canHave(path, { start: 0, end: 10, mode: 'shared' }), what)
    t.false(await other.canHave(path, { start: 10, end: 20 }), what)
    t.false(await other.canHave(path, { kind: 'file', mode: 'shared' }), what)
    if (listsLocks) t.deepEqual(locksOf(path), list, what)
  }
  await held3('before')
  const steps: Readonly<Record<string, () => unknown>> = {
    readFileSync: () => readFileSync(path),
    writeFileSync: () => writeFileSync(path, Buffer.alloc(100, 1), { flag: 'r+' }),
    'openSync and closeSync': () => {
      for (const flags of ['r', 'r+', 'a'] as const) closeSync(openSync(path, flags))
    },
    'a FileHandle': async () => (await open(path, 'r+')).close(),
    'another map': () => {
      for (const access of ['read', 'write', 'copy'] as const) MmapFile.open(path, { access }).close()
    },
    'the map itself': () => {
      region.resize(200)
      region.refresh()
      region.set('xyz')
    },
    'other locks': () => {
      FileLock.tryAcquire(path, { start: 30, end: 40 })?.release()
      FileLock.tryAcquire(path, { start: 10, end: 40, mode: 'shared' })?.release()
      t.is(FileLock.tryAcquire(path), null)
      opened(t, path).tryLock({ mode: 'shared', start: 15, end: 30 })?.release()
    },
    'closing the region': () => region.close(),
  }
  for (const [what, step] of Object.entries(steps)) {
    await step()
    await held3(what)
  }
  for (const lock of locks) lock.release()
  t.true(await other.canHave(path))
  t.true(await other.canHave(path, { kind: 'file' }))
})

onLinux('a lock that is given back leaves no descriptor, of a path, of a descriptor or of a region', async (t) => {
  const child = await runChild('locks/descriptors-left.mjs', [fileWith(t, 'content')])
  t.deepEqual(ending(child), WELL)
})

test('a lock that nobody holds any more is released when it is collected, with one warning for all', async (t) => {
  const path = fileWith(t, 'content')
  const child = await runChild('locks/forgotten.mjs', [path], { nodeArgs: ['--expose-gc'] })
  t.deepEqual({ ...ending(child), stderr: '' }, WELL, child.stderr)
  t.is(child.stderr.match(/MEMMAP_LOCK_NOT_RELEASED/g)?.length, 1, child.stderr)
  t.true(child.stderr.includes(`A lock of '${path}' was garbage-collected`), child.stderr)
  t.true(await eventually(() => free(path)))
})

test('a lock is made by its calls only', (t) => {
  for (const args of [[], [Symbol('memmap.lock'), 1, {}]]) {
    const error = thrownBy(() => Reflect.construct(FileLock, args))
    t.is(error?.code, 'ERR_ILLEGAL_CONSTRUCTOR')
    t.regex(error?.message ?? '', /FileLock\.acquire/)
  }
})
