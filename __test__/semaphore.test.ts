// A semaphore as one isolate sees it: permits taken and given back, waits, and memory that holds none.

import { inspect } from 'node:util'

import test from 'ava'
import { Mutex, PrivateMemory, Semaphore, SharedMemory } from 'memmap'
import type { Region } from 'memmap'

import { isInteger, isNumber, isOptions, optional, TYPED, VALUES } from './helpers/bad-values.ts'
import { codeOf } from './helpers/files.ts'
import { outcome, soFar } from './helpers/lockers.ts'
import { freeName, kept } from './helpers/shared.ts'

/** Where the table begins: an owner and a count for each. */
const TABLE = 64

function memory(t: Parameters<typeof kept>[0]): SharedMemory {
  return kept(t, SharedMemory.anonymous(65_536))
}

/** The counts of the table, by their owners. */
function counts(region: Region, offset = 0): number[] {
  const found: number[] = []
  for (let at = offset + TABLE; at < offset + Semaphore.byteLength; at += 8) {
    if (region.readUInt32LE(at + 4) > 0) found.push(region.readUInt32LE(at + 4))
  }
  return found
}

test('zeroed bytes are a semaphore of which nothing is taken', (t) => {
  const region = memory(t)
  const semaphore = new Semaphore(region, 128, 3)
  t.deepEqual([1, 2, 3, 4].map(() => semaphore.tryAcquire()), [true, true, true, false]) // prettier-ignore
  t.deepEqual(counts(region, 128), [3])
  semaphore.release()
  t.true(semaphore.tryAcquire())
  semaphore.release(3)
  t.deepEqual(counts(region, 128), [])
  t.is(codeOf(() => semaphore.release()), 'ERR_OUT_OF_RANGE') // prettier-ignore
  semaphore.acquireSync()
  t.is(codeOf(() => semaphore.release(2)), 'ERR_OUT_OF_RANGE') // prettier-ignore
  t.deepEqual(counts(region, 128), [1], 'nothing has changed')
  semaphore.acquireSync({ timeout: 0 })
  semaphore.release(2)
  t.is(semaphore.recover(), 0)
  t.is(Semaphore.byteLength, 2048)
  t.true(region.slice(0, 128).every((byte) => byte === 0))
  t.true(region.slice(128 + 2048).every((byte) => byte === 0))
})

test('each keeps to the number of permits it says itself', (t) => {
  const region = memory(t)
  const [few, many] = [new Semaphore(region, 0, 1), new Semaphore(region, 0, 3)]
  t.true(many.tryAcquire() && many.tryAcquire())
  t.false(few.tryAcquire())
  t.true(many.tryAcquire())
  t.false(many.tryAcquire())
  few.release(3)
  t.true(few.tryAcquire())
})

test('flows of one isolate queue: first come, first served', async (t) => {
  const semaphore = new Semaphore(memory(t), 0, 2)
  const order: number[] = []
  let [inside, most] = [0, 0]
  await Promise.all(
    Array.from({ length: 30 }, async (_, number) => {
      await semaphore.acquire()
      order.push(number)
      most = Math.max(most, (inside += 1))
      await new Promise((resolve) => setTimeout(resolve, 1))
      inside -= 1
      semaphore.release()
    }),
  )
  t.is(most, 2)
  t.deepEqual(
    order,
    Array.from({ length: 30 }, (_, number) => number),
  )
})

test('a wait is given up: by its time, by its signal, and by the end of the region', async (t) => {
  const region = memory(t)
  const semaphore = new Semaphore(region, 0, 1)
  semaphore.acquireSync()
  t.is(await outcome(semaphore.acquire({ timeout: 0 })), 'ERR_LOCK_TIMEOUT')
  t.is(await outcome(semaphore.acquire({ timeout: 20 })), 'ERR_LOCK_TIMEOUT')
  t.is(codeOf(() => semaphore.acquireSync({ timeout: 20 })), 'ERR_LOCK_TIMEOUT') // prettier-ignore
  t.is(codeOf(() => semaphore.acquireSync({ timeout: 0 })), 'ERR_LOCK_TIMEOUT') // prettier-ignore
  t.is(await outcome(semaphore.acquire({ signal: AbortSignal.abort('before') })), 'before')
  const controller = new AbortController()
  const [given, waiting] = [semaphore.acquire({ signal: controller.signal }), semaphore.acquire()].map(outcome)
  t.is(await soFar(Promise.race([given, waiting])), 'pending')
  controller.abort('enough')
  t.is(await given, 'enough')
  semaphore.release()
  t.is(await waiting, undefined)
  const ends = [semaphore.acquire(), semaphore.acquire()].map(outcome)
  t.is(await soFar(Promise.race(ends), 10), 'pending')
  region.close()
  t.deepEqual(await Promise.all(ends), ['ERR_REGION_CLOSED', 'ERR_REGION_CLOSED'])
  for (const call of [
    () => semaphore.tryAcquire(),
    () => semaphore.release(),
    () => semaphore.recover(),
    () => semaphore.acquireSync(),
  ]) {
    // prettier-ignore
    t.is(codeOf(call), 'ERR_REGION_CLOSED')
  }
  t.is(await outcome(semaphore.acquire()), 'ERR_REGION_CLOSED')
})

test('permits stay taken when the region is closed, and can be given back by the next one', (t) => {
  const name = freeName(t)
  const region = SharedMemory.create(name, 4096)
  const outside = kept(t, SharedMemory.open(name))
  new Semaphore(region, 0, 2).acquireSync()
  region.close()
  t.deepEqual(counts(outside), [1])
  const again = new Semaphore(outside, 0, 2)
  t.is(again.recover(), 0, 'who has it lives')
  again.release()
  t.deepEqual(counts(outside), [])
})

test('memory that holds something else is refused and left as it is', (t) => {
  const region = memory(t)
  for (const at of [0, 4, 8, 16, 20, TABLE + 4, 2048 - 4]) {
    region.fill(0).writeUInt32LE(5, at)
    const before = region.slice(0, 2048)
    t.is(codeOf(() => new Semaphore(region, 0, 1)), 'ERR_SHARED_STATE_INVALID', String(at)) // prettier-ignore
    t.deepEqual(region.slice(0, 2048), before)
  }
  region.fill(0)
  new Mutex(region, 0).lockSync().release()
  t.is(codeOf(() => new Semaphore(region, 0, 1)), 'ERR_SHARED_STATE_INVALID') // prettier-ignore
  const semaphore = new Semaphore(region, 64, 1)
  t.is(codeOf(() => new Mutex(region, 64)), 'ERR_SHARED_STATE_INVALID') // prettier-ignore
  t.is(codeOf(() => new Semaphore(PrivateMemory.allocate(4096), 0, 1)), 'ERR_INVALID_STATE') // prettier-ignore
  // A permit of nobody's.
  semaphore.acquireSync()
  region.writeUInt32LE(7, 2048 + 60)
  for (const call of [() => semaphore.tryAcquire(), () => semaphore.release(), () => semaphore.recover()]) {
    t.is(codeOf(call), 'ERR_SHARED_STATE_INVALID')
  }
})

test('values that no semaphore was made for are refused, and nothing is taken', async (t) => {
  const region = kept(t, SharedMemory.anonymous(4096))
  const semaphore = new Semaphore(region, 0, 1)
  semaphore.acquireSync()
  semaphore.release()
  const before = region.slice()
  const refused = async (said: string, fine: boolean, call: () => unknown): Promise<void> => {
    let code: unknown
    try {
      await call()
      if (said.includes('cquire')) semaphore.release()
      else if (said.startsWith('release')) semaphore.acquireSync()
    } catch (error) {
      code = Reflect.get(error as Error, 'code')
    }
    if (fine ? code !== undefined : !TYPED.has(String(code))) t.fail(`${said}: ${String(code)}`)
  }
  const timeout = optional((value) => isNumber(value) && Number(value) >= 0)
  const signal = optional((value) => value instanceof AbortSignal)
  for (const [label, make] of VALUES) {
    const value = make()
    const permits = isInteger(1, 2 ** 31 - 1)
    await refused(`new Semaphore(${label}, 0, 1)`, false, () => new Semaphore(make() as Region, 0, 1))
    await refused(
      `new Semaphore(region, 0, ${label})`,
      permits(value),
      () => new Semaphore(region, 0, make() as number),
    )
    const fits = isInteger(0, 0)(value)
    if (fits || !isInteger(8, 2048)(value)) {
      await refused(`new Semaphore(region, ${label}, 1)`, fits, () => new Semaphore(region, make() as number, 1))
    }
    semaphore.acquireSync()
    const one = (value === undefined || permits(value)) && Number(value ?? 1) === 1
    await refused(`release(${label})`, one, () => semaphore.release(make() as number))
    semaphore.release()
    await refused(`acquireSync(${label})`, isOptions({ timeout })(value), () => semaphore.acquireSync(make() as object))
    await refused(`acquire(${label})`, isOptions({ timeout, signal })(value), () => semaphore.acquire(make() as object))
    await refused(`acquire({ timeout: ${label} })`, timeout(value), () =>
      semaphore.acquire({ timeout: make() as number }),
    )
    await refused(`acquire({ signal: ${label} })`, signal(value), () =>
      semaphore.acquire({ signal: make() as AbortSignal }),
    )
  }
  t.deepEqual(region.slice(TABLE + 8), before.subarray(TABLE + 8))
  t.deepEqual(counts(region), [])
})

test('it is shown as what it is', (t) => {
  t.is(inspect(new Semaphore(memory(t), 128, 3)), 'Semaphore { offset: 128, permits: 3 }')
})
