// The ring as one process sees it: what goes in comes out, full and empty, waiting, and the end.

import { setTimeout as sleep } from 'node:timers/promises'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { Ring, SharedMemory } from 'memmap'
import type { Bytes } from 'memmap'

import { codeOf } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { kept } from './helpers/shared.ts'

const CAPACITY = 4096
const CELL = 64

function memoryFor(t: ExecutionContext, capacity = CAPACITY): SharedMemory {
  return kept(t, SharedMemory.anonymous(Ring.byteLengthFor(capacity)))
}

function ringOf(t: ExecutionContext, capacity = CAPACITY): Ring {
  return new Ring(memoryFor(t, capacity), 0, capacity)
}

const codeOfPromise = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => (error as { code?: unknown }).code,
  )

/** A record that tells its length and its place. */
function recordOf(length: number, at: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 7 + at * 13 + length) & 0xff))
}

/** Cells that a record takes. */
const cellsOf = (length: number): number => Math.max(1, Math.ceil(length / CELL))

test('records of every length around cells and the end come out as they went in', (t) => {
  const ring = ringOf(t)
  for (const at of [0, 1, 63]) {
    for (const length of [0, 1, 7, 63, 64, 65, 127, 128, 129, 1000, 2048, 4031, 4032, 4033, 4095, 4096]) {
      const record = recordOf(length, at)
      t.true(ring.tryPush(record))
      t.deepEqual(ring.tryPop(), record, `${length} at ${at}`)
      t.is(ring.tryPop(), null)
    }
    t.true(ring.tryPush(''))
    t.is(ring.tryPop()?.length, 0)
  }
})

test('long records go through, in one piece and around the end', (t) => {
  const capacity = 2 ** 20
  const ring = ringOf(t, capacity)
  for (let at = 0; at < 20; at++) {
    const record = recordOf(capacity - at * 50_001, at)
    ring.pushSync(record)
    t.true(ring.popSync()?.equals(record))
  }
})

test('whatever holds bytes is a record, and a string is UTF-8', (t) => {
  const ring = ringOf(t)
  const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
  const shared = new SharedArrayBuffer(8)
  new Uint8Array(shared).set(bytes)
  const kinds: Bytes[] = [bytes, bytes.buffer, shared, new DataView(bytes.buffer), new Float64Array(bytes.buffer)]
  for (const kind of kinds) {
    t.true(ring.tryPush(kind))
    t.deepEqual(ring.tryPop(), Buffer.from(bytes))
  }
  for (const text of ['', 'text', 'ä€𝄞', '\ud800', 'x'.repeat(1365), '€'.repeat(1365), 'ä'.repeat(2048)]) {
    t.true(ring.tryPush(text))
    t.deepEqual(ring.tryPop(), Buffer.from(text))
  }
})

test('what is popped is a copy, and what is pushed is copied', async (t) => {
  const ring = ringOf(t)
  const bytes = Buffer.alloc(4096, 1)
  await ring.push(bytes)
  const waiting = ring.push(bytes)
  bytes.fill(2)
  const first = ring.tryPop()
  await waiting
  t.deepEqual(ring.tryPop(), Buffer.alloc(4096, 1))
  t.deepEqual(first, Buffer.alloc(4096, 1))
})

test('a record is popped into memory to use again, where it fits', async (t) => {
  const ring = ringOf(t, 65_536)
  const into = Buffer.alloc(10_000)
  for (const length of [0, 10, 4096, 4097, 10_000, 10_001]) {
    const record = recordOf(length, 3)
    for (const pop of [
      () => ring.tryPop({ into }),
      () => ring.popSync({ into, timeout: 1000 }),
      () => ring.pop({ into, timeout: 1000 }),
    ]) {
      into.fill(0)
      t.true(ring.tryPush(record))
      const found = await pop()
      t.deepEqual(found, record)
      t.is(found?.buffer === into.buffer, length <= into.length)
      if (length > into.length) t.deepEqual(into, Buffer.alloc(10_000))
    }
  }
})

test('a record may lie in the ring’s own memory', (t) => {
  const memory = memoryFor(t)
  const ring = new Ring(memory, 0, CAPACITY)
  const cells = memory.subarray(memory.byteLength - CAPACITY)
  cells.fill(7)
  t.true(ring.tryPush(cells.subarray(100, 300)))
  t.is(ring.tryPop()?.length, 200)
  t.true(ring.tryPush(cells))
  t.is(ring.tryPop()?.length, CAPACITY)
})

test('against a queue in JavaScript: 20,000 random steps each in four rings', async (t) => {
  const random = new Random(t)
  for (const capacity of [4096, 8192, 65_536, 2 ** 20]) {
    const ring = ringOf(t, capacity)
    const model: Buffer[] = []
    let used = 0
    for (let step = 0; step < 20_000; step++) {
      if (random.next() < 0.52) {
        const most = random.pick([0, 10, 64, 200, 1000, random.integer(0, capacity / 8)])
        const record = Buffer.alloc(random.integer(0, most), step)
        const fits = used + cellsOf(record.length) <= capacity / CELL
        if (ring.tryPush(record) !== fits) return t.fail(`step ${step}: ${fits}`)
        if (!fits) continue
        model.push(record)
        used += cellsOf(record.length)
      } else {
        const expected = model.shift()
        const found = step % 3 === 0 && expected !== undefined ? await ring.pop() : ring.tryPop()
        if (expected === undefined ? found !== null : !found?.equals(expected)) return t.fail(`step ${step}`)
        used -= expected === undefined ? 0 : cellsOf(expected.length)
      }
    }
    t.is(ring.dropped, 0)
  }
})

test('two objects for one place are one ring, and two places are two', (t) => {
  const length = Ring.byteLengthFor(CAPACITY)
  const memory = kept(t, SharedMemory.anonymous(2 * length))
  const [one, same, other] = [
    new Ring(memory, 0, CAPACITY),
    new Ring(memory, 0, CAPACITY),
    new Ring(memory, length, CAPACITY),
  ]
  t.true(one.tryPush('one'))
  t.true(other.tryPush('other'))
  t.is(String(same.tryPop()), 'one')
  t.is(same.tryPop(), null)
  t.is(String(other.tryPop()), 'other')
})

test('it waits for records and for room, in the order of the calls', async (t) => {
  const ring = ringOf(t)
  const pops = [ring.pop(), ring.pop(), ring.pop()]
  t.is(ring.tryPop(), null)
  for (const text of ['a', 'b', 'c']) await ring.push(text)
  t.deepEqual((await Promise.all(pops)).map(String), ['a', 'b', 'c'])

  t.true(ring.tryPush(Buffer.alloc(4000)))
  const pushes = [ring.push(Buffer.alloc(200, 1)), ring.push('short')]
  t.false(ring.tryPush('shorter'), 'it would overtake')
  t.is((await ring.pop())?.length, 4000)
  await Promise.all(pushes)
  t.is((await ring.pop())?.length, 200)
  t.is(String(await ring.pop()), 'short')
})

test('a wait ends by its time and by its signal, and leaves no trace', async (t) => {
  const ring = ringOf(t)
  const reason = new Error('enough')
  t.is(await codeOfPromise(ring.pop({ timeout: 20 })), 'ERR_RING_TIMEOUT')
  t.is(await codeOfPromise(ring.pop({ timeout: 0 })), 'ERR_RING_TIMEOUT')
  t.is(
    codeOf(() => ring.popSync({ timeout: 20 })),
    'ERR_RING_TIMEOUT',
  )
  t.is(await t.throwsAsync(ring.pop({ signal: AbortSignal.abort(reason) })), reason)
  const controller = new AbortController()
  const popped = ring.pop({ signal: controller.signal })
  setTimeout(() => controller.abort(reason), 20)
  t.is(await t.throwsAsync(popped), reason)
  t.true(ring.tryPush(Buffer.alloc(4096)))
  t.is(await codeOfPromise(ring.push('x', { timeout: 20 })), 'ERR_RING_TIMEOUT')
  t.is(
    codeOf(() => ring.pushSync('x', { timeout: 20 })),
    'ERR_RING_TIMEOUT',
  )
  t.is(await t.throwsAsync(ring.push('x', { signal: AbortSignal.abort(reason) })), reason)
  // Of three that wait the first gives up, which lets the others go on.
  const first = ring.push(Buffer.alloc(4096), { timeout: 50 })
  const rest = [ring.push('second'), ring.push('third')]
  t.is(ring.tryPop()?.length, 4096)
  await first
  t.is(ring.tryPop()?.length, 4096)
  await Promise.all(rest)
  t.deepEqual([String(ring.tryPop()), String(ring.tryPop()), ring.tryPop()], ['second', 'third', null])
})

test('a long record that gives up lets shorter ones go in', async (t) => {
  const ring = ringOf(t)
  t.true(ring.tryPush(Buffer.alloc(2048)))
  const long = codeOfPromise(ring.push(Buffer.alloc(4096), { timeout: 50 }))
  const short = ring.push('short')
  t.is(await long, 'ERR_RING_TIMEOUT')
  await short
  t.is(ring.tryPop()?.length, 2048)
  t.is(String(ring.tryPop()), 'short')
})

test('after the end nothing is pushed, and what is in is popped before the null', async (t) => {
  const ring = ringOf(t)
  await ring.push('first')
  await ring.push('last')
  t.false(ring.ended)
  ring.end()
  ring.end()
  t.true(ring.ended)
  t.is(
    codeOf(() => ring.tryPush('x')),
    'ERR_RING_ENDED',
  )
  t.is(
    codeOf(() => ring.pushSync('x')),
    'ERR_RING_ENDED',
  )
  t.is(await codeOfPromise(ring.push('x')), 'ERR_RING_ENDED')
  t.is(String(await ring.pop()), 'first')
  t.is(String(ring.popSync()), 'last')
  t.is(await ring.pop(), null)
  t.is(ring.popSync(), null)
  t.is(ring.tryPop(), null)
})

test('the end is told to all who wait', async (t) => {
  const empty = ringOf(t)
  const pops = [empty.pop(), empty.pop()]
  const full = ringOf(t)
  t.true(full.tryPush(Buffer.alloc(4096)))
  const pushes = [codeOfPromise(full.push('x')), codeOfPromise(full.push('y'))]
  await sleep(20)
  empty.end()
  full.end()
  t.deepEqual(await Promise.all(pops), [null, null])
  t.deepEqual(await Promise.all(pushes), ['ERR_RING_ENDED', 'ERR_RING_ENDED'])
})

test('iteration gives all records until the end, and a break loses none', async (t) => {
  const ring = ringOf(t)
  const pushing = (async () => {
    for (let at = 0; at < 1000; at++) await ring.push(String(at))
    ring.end()
  })()
  const found: string[] = []
  for await (const record of ring) {
    found.push(String(record))
    if (found.length === 300) break
  }
  for await (const record of ring) found.push(String(record))
  await pushing
  t.deepEqual(
    found,
    Array.from({ length: 1000 }, (_, at) => String(at)),
  )
})

test('the event loop has its turns while records come without an end', async (t) => {
  const ring = ringOf(t)
  const ticks = Array.from({ length: 3 }, () => 0)
  const timer = setInterval(() => ticks.pop(), 1)
  const deadline = performance.now() + 30_000
  while (ticks.length > 0 && performance.now() < deadline) {
    await ring.push('x')
    await ring.pop()
  }
  clearInterval(timer)
  t.deepEqual(ticks, [])
})

test('a region that is closed under a wait ends it, and its rings', async (t) => {
  const memory = memoryFor(t)
  const ring = new Ring(memory, 0, CAPACITY)
  const waits = [codeOfPromise(ring.pop()), codeOfPromise(ring.pop())]
  await sleep(20)
  memory.close()
  t.deepEqual(await Promise.all(waits), ['ERR_REGION_CLOSED', 'ERR_REGION_CLOSED'])
  for (const call of [
    () => ring.tryPush('x'),
    () => ring.tryPop(),
    () => ring.popSync(),
    () => ring.end(),
    () => ring.ended,
    () => ring.dropped,
    () => new Ring(memory, 0, CAPACITY),
  ]) {
    t.is(codeOf(call), 'ERR_REGION_CLOSED')
  }
})

test('bytes that a getter of the options takes away are none any more', async (t) => {
  const ring = ringOf(t)
  const bytes = Uint8Array.of(1, 2, 3)
  const options = {
    get timeout(): number {
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
      return 100
    },
  }
  t.is(await codeOfPromise(ring.push(bytes, options)), undefined)
  t.is((await ring.pop())?.length, 0)
})
