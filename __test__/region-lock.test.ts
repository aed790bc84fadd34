// Locks that a region is asked for, of the file it maps: where they are, how long they live, and whom they exclude.

import { closeSync, openSync } from 'node:fs'

import test from 'ava'
import { MmapFile } from 'memmap'

import { codeOf, fileWith, opened, regionWith, thrownBy } from './helpers/files.ts'
import { free, held, listsLocks, LockProcess, locksOf, outcome, soFar } from './helpers/lockers.ts'
import { isPosix } from './helpers/system.ts'

const onPosix = isPosix ? test : test.skip
const whereListed = listsLocks ? test : test.skip

const LAST = Number.MAX_SAFE_INTEGER
const KINDS = ['range', 'file'] as const

test("positions of a region's lock are the region's, and those of the lock one gets the file's", async (t) => {
  const path = fileWith(t, Buffer.alloc(10_000))
  const region = opened(t, path, { access: 'write', offset: 5001, length: 100 })
  for (const lock of [
    held(t, region.tryLock({ start: 10, end: 20 })),
    held(t, region.lockSync({ start: 30, end: 40 })),
    held(t, await region.lock({ start: 50, end: 60 })),
  ]) {
    t.true([5011, 5031, 5051].includes(lock.start))
    t.is(lock.end - lock.start, 10)
    t.false(free(path, { start: lock.start, end: lock.start + 1 }))
    t.false(free(path, { start: lock.end - 1, end: lock.end }))
    t.true(free(path, { start: lock.end, end: lock.end + 1 }))
    t.true(free(path, { start: lock.start - 1, end: lock.start }))
    lock.release()
  }
  const rest = held(t, region.tryLock())
  t.deepEqual([rest.start, rest.end], [5001, Infinity])
  t.true(free(path, { end: 5001 }))
  rest.release()
  const beyond = held(t, region.tryLock({ start: 2 ** 40, end: 2 ** 40 + 1 }))
  t.is(beyond.start, 2 ** 40 + 5001)
  beyond.release()
  const whole = held(t, region.tryLock({ kind: 'file' }))
  t.deepEqual([whole.start, whole.end], [0, Infinity], "kind 'file' is of the file, wherever the region begins")
  t.is(held(t, region.tryLock({ end: LAST - 5001 })).end, LAST)
  for (const options of [{ end: LAST - 5000 }, { start: LAST - 5000 }, { start: LAST - 5000, end: LAST }]) {
    t.is(
      codeOf(() => region.tryLock(options)),
      'ERR_OUT_OF_RANGE',
      'beyond what the file could have',
    )
  }
})

test('a lock outlives the region it was asked of, closed or not held any more', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  for (const keep of [path, openSync(path, 'r+')]) {
    const region = MmapFile.open(keep, { access: 'write' })
    if (typeof keep === 'number') closeSync(keep)
    const lock = held(t, await region.lock())
    region.close()
    t.false(free(path))
    t.false(await other.canHave(path, { mode: 'shared' }))
    lock.downgrade()
    t.true(await other.canHave(path, { mode: 'shared' }))
    t.false(await other.canHave(path))
    lock.release()
    t.true(await other.canHave(path))
  }
})

test('a wait for a lock of a region goes on when the region is closed', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  const id = await other.holds(path)
  const region = MmapFile.open(path, { access: 'write' })
  const waiting = region.lock()
  const cancelled = AbortSignal.timeout(20)
  const given = region.lock({ signal: cancelled }).catch((reason: unknown) => reason)
  region.close()
  t.is(await soFar(waiting), 'pending')
  t.is(await given, cancelled.reason)
  await other.releases(id)
  held(t, await waiting)
  t.false(await other.canHave(path))
})

test('a region that kept no descriptor has nothing to lock: ERR_INVALID_STATE; a closed one: ERR_REGION_CLOSED', async (t) => {
  const path = fileWith(t, 'content')
  const without = opened(t, path, { access: 'write', keepOpen: false })
  const closed = MmapFile.open(path, { access: 'write' })
  closed.close()
  for (const [region, code] of [
    [without, 'ERR_INVALID_STATE'],
    [closed, 'ERR_REGION_CLOSED'],
  ] as const) {
    for (const kind of KINDS) {
      t.is(
        codeOf(() => region.tryLock({ kind })),
        code,
      )
      t.is(
        codeOf(() => region.lockSync({ kind })),
        code,
      )
      t.is(await outcome(region.lock({ kind })), code)
    }
  }
  t.true(free(path) && free(path, { kind: 'file' }))
})

onPosix('a region that may only read its file is not locked exclusively: EBADF; shared it is', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  for (const access of ['read', 'copy'] as const) {
    const region = opened(t, path, { access })
    const error = thrownBy(() => region.tryLock())
    t.is(error?.code, 'EBADF')
    t.is(error?.path, path)
    t.is(
      codeOf(() => region.lockSync()),
      'EBADF',
    )
    t.is(await outcome(region.lock()), 'EBADF')
    t.true(free(path), 'nothing is locked')
    const lock = held(t, region.tryLock({ mode: 'shared' }))
    t.false(await other.canHave(path))
    t.true(await other.canHave(path, { mode: 'shared' }))
    lock.release()
    t.true(await other.canHave(path))
  }
})

test('of two overlapping shared locks of one region the one that stays keeps its bytes, for other processes too', async (t) => {
  const path = fileWith(t, Buffer.alloc(100))
  const other = new LockProcess(t)
  const writes = (start: number, end: number) => other.canHave(path, { start, end })
  for (const region of [opened(t, path, { access: 'write' }), opened(t, path)]) {
    for (const keepFirst of [true, false]) {
      const first = held(t, region.tryLock({ mode: 'shared', start: 0, end: 10 }))
      const second = held(t, region.tryLock({ mode: 'shared', start: 5, end: 15 }))
      const [stays, goes] = keepFirst ? [first, second] : [second, first]
      goes.release()
      t.false(await writes(5, 10), 'what both had')
      t.deepEqual([await writes(0, 5), await writes(10, 15)], keepFirst ? [false, true] : [true, false])
      t.deepEqual([free(path, { start: 5, end: 10 }), free(path, { mode: 'shared' })], [false, true])
      if (listsLocks) t.deepEqual(locksOf(path), [`OFDLCK READ ${stays.start} ${stays.end}`])
      stays.release()
      t.true(await writes(0, 15))
    }
    // One inside another, and the same twice.
    for (const [start, end] of [
      [4, 6],
      [0, 10],
    ] as const) {
      const outer = held(t, region.tryLock({ mode: 'shared', start: 0, end: 10 }))
      const inner = held(t, region.tryLock({ mode: 'shared', start, end }))
      outer.release()
      t.false(await writes(start, end))
      if (listsLocks) t.deepEqual(locksOf(path), [`OFDLCK READ ${start} ${end}`])
      inner.release()
      t.true(await writes(0, 10))
    }
    const whole = [
      held(t, region.tryLock({ kind: 'file', mode: 'shared' })),
      held(t, region.tryLock({ kind: 'file', mode: 'shared' })),
    ]
    whole[0]?.release()
    t.false(await other.canHave(path, { kind: 'file' }))
    t.false(free(path, { kind: 'file' }))
    t.true(await other.canHave(path, { kind: 'file', mode: 'shared' }))
    whole[1]?.release()
    t.true(await other.canHave(path, { kind: 'file' }))
  }
})

test('an attached region has locks of its own, which exclude those of the region it was attached to', async (t) => {
  const path = fileWith(t, Buffer.alloc(100))
  const other = new LockProcess(t)
  const descriptor = openSync(path, 'r+')
  t.teardown(() => closeSync(descriptor))
  for (const file of [path, descriptor]) {
    const region = opened(t, file, { access: 'write', offset: 10 })
    const attached = MmapFile.attach(region.share())
    t.teardown(() => attached.close())
    const lock = held(t, attached.tryLock({ start: 0, end: 10 }))
    t.deepEqual([lock.start, lock.end], [10, 20])
    t.is(region.tryLock({ mode: 'shared' }), null)
    lock.release()
    const first = held(t, region.tryLock({ mode: 'shared', start: 0, end: 10 }))
    const second = held(t, attached.tryLock({ mode: 'shared', start: 5, end: 15 }))
    first.release()
    t.false(await other.canHave(path, { start: 15, end: 16 }))
    region.close()
    t.false(await other.canHave(path, { start: 15, end: 16 }))
    second.release()
    t.true(await other.canHave(path))
  }
})

test('two locks of one region exclude each other, as two of two do', async (t) => {
  const region = regionWith(t, Buffer.alloc(100), { access: 'write' })
  for (const kind of KINDS) {
    const lock = held(t, region.tryLock({ kind }))
    t.is(region.tryLock({ kind }), null)
    t.is(region.tryLock({ kind, mode: 'shared' }), null)
    const waiting = region.lock({ kind, mode: 'shared' })
    t.is(await soFar(waiting, 20), 'pending')
    lock.release()
    const got = held(t, await waiting)
    t.is(region.tryLock({ kind }), null)
    got.release()
    held(t, region.tryLock({ kind })).release()
  }
})

whereListed('adjacent exclusive locks of one region are released one by one', (t) => {
  const path = fileWith(t, Buffer.alloc(100))
  const region = opened(t, path, { access: 'write' })
  const locks = [0, 10, 20].map((start) => held(t, region.tryLock({ start, end: start + 10 })))
  // To the system they are one.
  t.deepEqual(locksOf(path), ['OFDLCK WRITE 0 30'])
  locks[1]?.release()
  t.deepEqual(locksOf(path), ['OFDLCK WRITE 0 10', 'OFDLCK WRITE 20 30'])
  locks[0]?.downgrade()
  t.deepEqual(locksOf(path), ['OFDLCK READ 0 10', 'OFDLCK WRITE 20 30'])
  for (const lock of locks) lock.release()
  t.deepEqual(locksOf(path), [])
})
