// What memory a mutex can be in, and what comes of memory that holds something else, that is overwritten, or whose page has vanished.

import test from 'ava'
import { MmapFile, Mutex, PrivateMemory, SharedMemory } from 'memmap'
import type { MutexGuard, Region } from 'memmap'

import { LENGTH, TYPED, VALUES, isInteger, isNumber, isOptions, optional } from './helpers/bad-values.ts'
import { codeOf, fileWith, opened } from './helpers/files.ts'
import { outcome, soFar } from './helpers/lockers.ts'
import { OwnerProcess } from './helpers/owners.ts'
import { freeName, kept } from './helpers/shared.ts'
import { isPosix } from './helpers/system.ts'

const STATE = 4

function memory(t: Parameters<typeof kept>[0]): SharedMemory {
  return kept(t, SharedMemory.anonymous(65_536))
}

const isPlace = (value: unknown): boolean => isInteger(0, LENGTH - 64)(value) && Number(value) % 8 === 0

/** Why there can be no mutex in a region, which is closed. */
function refusal(region: Region): unknown {
  const found = codeOf(() => new Mutex(region, 0))
  region.close()
  return found
}

test('memory that nobody else has, that cannot be written, or has no descriptor is refused', (t) => {
  const path = fileWith(t, Buffer.alloc(8192))
  t.is(refusal(PrivateMemory.allocate(4096)), 'ERR_INVALID_STATE')
  t.is(refusal(MmapFile.open(path, { access: 'copy' })), 'ERR_INVALID_STATE')
  t.is(refusal(MmapFile.open(path)), 'ERR_REGION_READONLY')
  t.is(refusal(MmapFile.open(path, { access: 'write', keepOpen: false })), 'ERR_INVALID_STATE')
  t.is(refusal(MmapFile.open(path, { access: 'write', offset: 4 })), 'ERR_OUT_OF_RANGE')
  t.is(refusal(MmapFile.open(path, { access: 'write', length: 63 })), 'ERR_OUT_OF_RANGE')
  const odd = opened(t, path, { access: 'write', offset: 4 })
  new Mutex(odd, 4).lockSync().release()
  const even = opened(t, path, { access: 'write' })
  const guard = new Mutex(odd, 4).lockSync()
  t.is(new Mutex(even, 8).tryLock(), null, 'positions are those in the file')
  guard.release()
  for (const offset of [1, 2, 4, 7, 8192 - 63, 8192]) {
    t.is(codeOf(() => new Mutex(even, offset)), 'ERR_OUT_OF_RANGE', String(offset)) // prettier-ignore
  }
  new Mutex(even, 8192 - 64).lockSync().release()
})

test('what holds something else, or a mutex of another version, is refused and left as it is', (t) => {
  const region = memory(t)
  for (const [at, value] of [
    [0, 1],
    [0, 0x0258_544d],
    [4, 1],
    [8, 1],
    [20, 1],
    [60, 1],
  ] as const) {
    // prettier-ignore
    region.fill(0).writeUInt32LE(value, at)
    const before = region.slice(0, 64)
    t.is(codeOf(() => new Mutex(region, 0)), 'ERR_SHARED_STATE_INVALID', `${value} at ${at}`) // prettier-ignore
    t.deepEqual(region.slice(0, 64), before)
  }
  region.fill(0)
  const mutex = new Mutex(region, 0)
  for (const word of [1 << 24, 1 << 27, 2 ** 31, 0xffff_ffff]) {
    mutex.lockSync().release()
    region.writeUInt32LE(word, STATE)
    for (const call of [() => mutex.tryLock(), () => mutex.lockSync({ timeout: 1000 })]) {
      t.is(codeOf(call), 'ERR_SHARED_STATE_INVALID')
    }
    t.is(region.readUInt32LE(STATE), word)
    region.writeUInt32LE(0, STATE)
  }
  const guard = mutex.lockSync()
  region.fill(0)
  t.is(codeOf(() => guard.release()), 'ERR_SHARED_STATE_INVALID', 'it is no longer ours to give back') // prettier-ignore
  guard.release()
})

test('whoever waits for a mutex that is overwritten is told', async (t) => {
  const region = memory(t)
  const name = freeName(t)
  const shared = kept(t, SharedMemory.create(name, 4096))
  const other = await OwnerProcess.inside(t, 'memory', name)
  const waiting = outcome(new Mutex(shared, 0).lock())
  t.is(await soFar(waiting), 'pending')
  shared.fill(0xff, { end: 64 })
  t.is(await waiting, 'ERR_SHARED_STATE_INVALID')
  await other.kill()
  t.false(region.closed)
})

test('values that no mutex was made for are refused, and nothing is taken', async (t) => {
  const region = kept(t, SharedMemory.anonymous(LENGTH))
  const mutex = new Mutex(region, 0)
  mutex.lockSync().release()
  const before = region.slice()
  const refused = async (said: string, fine: boolean, call: () => unknown): Promise<void> => {
    let code: unknown
    try {
      const guard = (await call()) as MutexGuard | Mutex
      if (guard instanceof Mutex) region.fill(0, { start: 64 })
      else guard.release()
    } catch (error) {
      code = Reflect.get(error as Error, 'code')
    }
    if (fine ? code !== undefined : !TYPED.has(String(code))) t.fail(`${said}: ${String(code)}`)
  }
  const milliseconds = optional((value) => isNumber(value) && Number(value) >= 0)
  const isSignal = optional((value) => value instanceof AbortSignal)
  for (const [label, make] of VALUES) {
    // One behind the mutex that is there, of which zeroed bytes are no part.
    const value = make()
    const at = isPlace(value) && Number(value) < 64 ? undefined : value
    await refused(`new Mutex(region, ${label})`, isPlace(at), () => new Mutex(region, at as number))
    await refused(`new Mutex(${label}, 0)`, false, () => new Mutex(make() as Region, 0))
    const sync = { timeout: milliseconds }
    await refused(`lockSync(${label})`, isOptions(sync)(value), () => mutex.lockSync(make() as object))
    await refused(`lockSync({ timeout: ${label} })`, milliseconds(value), () =>
      mutex.lockSync({ timeout: make() as number }),
    )
    await refused(`lock(${label})`, isOptions({ ...sync, signal: isSignal })(value), () => mutex.lock(make() as object))
    await refused(`lock({ timeout: ${label} })`, milliseconds(value), () => mutex.lock({ timeout: make() as number }))
    await refused(`lock({ signal: ${label} })`, isSignal(value), () => mutex.lock({ signal: make() as AbortSignal }))
  }
  t.deepEqual(region.slice(), before)
})

test('a fault in the region: nothing is taken, nothing hangs, and releasing does not throw', async (t) => {
  if (!isPosix) return t.pass('Windows cuts off no file that is mapped')
  const path = fileWith(t, Buffer.alloc(3 * 65_536))
  const region = opened(t, path, { access: 'write' })
  const [near, far] = [new Mutex(region, 0), new Mutex(region, 2 * 65_536)]
  const [inside, lost] = [near.lockSync(), far.lockSync()]
  const other = await OwnerProcess.there(t, 'file', path, 0)
  const { truncateSync } = await import('node:fs')
  truncateSync(path, 65_536)
  t.is(codeOf(() => region.readUInt8(2 * 65_536)), 'ERR_REGION_FAULTED') // prettier-ignore
  inside.release()
  lost.release()
  for (const mutex of [near, far]) {
    t.is(codeOf(() => mutex.tryLock()), 'ERR_REGION_FAULTED') // prettier-ignore
    t.is(await outcome(mutex.lock()), 'ERR_REGION_FAULTED')
  }
  t.is(await other.says('try'), 'false', 'the refused ones have not kept it')
  await other.says('release')
  region.refresh()
  near.lockSync().release()
  t.is(codeOf(() => far.tryLock()), 'ERR_OUT_OF_RANGE') // prettier-ignore
})
