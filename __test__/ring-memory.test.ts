// What memory a ring can be in, who may use it, and what comes of memory that holds something else.

import { writeFileSync } from 'node:fs'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { MmapFile, PrivateMemory, Ring, SharedMemory } from 'memmap'

import { OPTIONS, VALUES } from './helpers/ring-values.ts'
import { codeOf, thrownBy } from './helpers/files.ts'
import { freeName, kept } from './helpers/shared.ts'
import { tmpFile } from './helpers/tmp.ts'

const CAPACITY = 4096

function memoryFor(t: ExecutionContext, capacity = CAPACITY): SharedMemory {
  return kept(t, SharedMemory.anonymous(Ring.byteLengthFor(capacity)))
}

const codeOfPromise = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => (error as { code?: unknown }).code,
  )

test('a ring in a file is there again when the file is opened again, and wherever it is mapped', async (t) => {
  const path = tmpFile(t)
  const length = Ring.byteLengthFor(CAPACITY)
  const one = MmapFile.open(path, { access: 'write', create: true, length: 100 + length + 28 })
  // 128 is a multiple of 64 in the file; in the other region it lies elsewhere.
  await new Ring(one, 128, CAPACITY).push('kept').catch(() => t.fail())
  one.close()
  const other = kept(t, MmapFile.open(path, { access: 'write', offset: 100 }))
  const ring = new Ring(other, 28, CAPACITY)
  t.is(String(ring.tryPop()), 'kept')
  t.is(
    codeOf(() => new Ring(other, 0, CAPACITY)),
    'ERR_OUT_OF_RANGE',
  )
})

test('a region that is mapped anew under a ring takes it along', async (t) => {
  const length = Ring.byteLengthFor(CAPACITY)
  const path = tmpFile(t)
  const file = kept(t, MmapFile.open(path, { access: 'write', create: true, length }))
  const ring = new Ring(file, 0, CAPACITY)
  t.true(ring.tryPush('before'))
  const popped = [ring.pop(), ring.pop()]
  file.resize(length + 8192)
  t.true(ring.tryPush('after'))
  t.deepEqual((await Promise.all(popped)).map(String), ['before', 'after'])
  file.resize(length - 64)
  t.is(
    codeOf(() => ring.tryPush('x')),
    'ERR_OUT_OF_RANGE',
  )
  file.protect('read')
  t.is(
    codeOf(() => ring.tryPop()),
    'ERR_REGION_READONLY',
  )
})

test('memory that nobody else has, and what cannot be written, is refused', (t) => {
  const length = Ring.byteLengthFor(CAPACITY)
  const path = tmpFile(t)
  writeFileSync(path, Buffer.alloc(length))
  const reading = kept(t, MmapFile.open(path))
  t.is(
    codeOf(() => new Ring(reading, 0, CAPACITY)),
    'ERR_REGION_READONLY',
  )
  const copy = kept(t, MmapFile.open(path, { access: 'copy' }))
  t.is(
    codeOf(() => new Ring(copy, 0, CAPACITY)),
    'ERR_INVALID_STATE',
  )
  const own = kept(t, PrivateMemory.allocate(length))
  t.is(
    codeOf(() => new Ring(own, 0, CAPACITY)),
    'ERR_INVALID_STATE',
  )
  t.deepEqual(reading.slice(), Buffer.alloc(length), 'and is as it was')
  t.deepEqual(own.slice(), Buffer.alloc(length))
})

test('what is no ring, another ring or another version is refused, and stays as it is', (t) => {
  const length = Ring.byteLengthFor(8192)
  const fresh = (): SharedMemory => kept(t, SharedMemory.anonymous(length))
  const refused = (memory: SharedMemory, message: RegExp): void => {
    const before = memory.slice()
    const error = thrownBy(() => new Ring(memory, 0, CAPACITY))
    t.is(error?.code, 'ERR_SHARED_STATE_INVALID')
    t.regex(error?.message ?? '', message)
    t.true(memory.equals(before))
  }
  const other = fresh()
  t.true(new Ring(other, 0, 8192).tryPush('x'))
  refused(other, /capacity of 2\^13 bytes, and not of 4096/)
  const newer = fresh()
  t.true(new Ring(newer, 0, CAPACITY).tryPush('x'))
  newer.writeUInt8(2, 6)
  refused(newer, /version 2, and this is version 1/)
  const garbage = fresh()
  garbage.set('something else')
  refused(garbage, /no ring/)
  for (const at of [8, 16, 64, 128, 192]) {
    const half = fresh()
    half.writeUInt8(1, at)
    refused(half, /no ring/)
  }
})

test('a ring that is overwritten is refused from then on', async (t) => {
  const memory = memoryFor(t)
  const ring = new Ring(memory, 0, CAPACITY)
  await ring.push('x')
  memory.writeBigUInt64LE(2n ** 40n, 64)
  t.is(
    codeOf(() => ring.tryPush('x')),
    'ERR_SHARED_STATE_INVALID',
  )
  memory.fill(0xff, { start: 0, end: 4096 })
  t.is(
    codeOf(() => ring.tryPush('x')),
    'ERR_SHARED_STATE_INVALID',
  )
  t.is(
    codeOf(() => ring.tryPop()),
    'ERR_SHARED_STATE_INVALID',
  )
  t.is(await codeOfPromise(ring.pop()), 'ERR_SHARED_STATE_INVALID')
  t.is(
    codeOf(() => ring.ended),
    'ERR_SHARED_STATE_INVALID',
  )
})

test('256 use a ring at a time, the next one is refused, and who leaves makes room', (t) => {
  const name = freeName(t)
  const length = Ring.byteLengthFor(CAPACITY)
  const first = kept(t, SharedMemory.create(name, length))
  const regions = Array.from({ length: 256 }, () => kept(t, SharedMemory.open(name)))
  const rings = regions.map((region) => new Ring(region, 0, CAPACITY))
  for (const ring of rings) t.true(ring.tryPush('') && ring.tryPop()?.length === 0)
  const late = new Ring(first, 0, CAPACITY)
  t.is(
    codeOf(() => late.tryPush('x')),
    'ERR_INVALID_STATE',
  )
  regions[17]?.close()
  t.true(late.tryPush('x'))
  t.is(String(rings[0]?.tryPop()), 'x')
})

test('the length of a ring is that of its records and what goes with them', (t) => {
  t.is(Ring.byteLengthFor(4096), 4480 + 512 + 4096)
  t.is(Ring.byteLengthFor(2 ** 30), 4480 + 2 ** 27 + 2 ** 30)
  for (const value of [...VALUES, 0, 64, 4095, 4097, 2 ** 31, 6144]) {
    const code = codeOf(() => Ring.byteLengthFor(value as number))
    t.true(code === 'ERR_OUT_OF_RANGE' || code === 'ERR_INVALID_ARG_TYPE', `${String(value)}: ${code}`)
    t.is(
      codeOf(() => new Ring(memoryFor(t), 0, value as number)),
      code,
    )
  }
})

test('arguments are checked before anything is done', async (t) => {
  const memory = memoryFor(t)
  const ring = new Ring(memory, 0, CAPACITY)
  const before = memory.slice()
  const typed = new Set<unknown>(['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_VALUE', 'ERR_OUT_OF_RANGE'])
  for (const value of VALUES) {
    const shown = typeof value === 'symbol' ? 'symbol' : String(value)
    t.true(typed.has(codeOf(() => new Ring(value as SharedMemory, 0, CAPACITY))), shown)
    t.true(typed.has(codeOf(() => new Ring(memory, value as number, CAPACITY))), shown)
    t.true(typed.has(codeOf(() => ring.tryPush(value as string))), shown)
    t.true(typed.has(codeOf(() => ring.pushSync(value as string))), shown)
    t.true(typed.has(await codeOfPromise(ring.push(value as string))), shown)
  }
  for (const options of OPTIONS) {
    t.true(typed.has(await codeOfPromise(ring.pop(options as object))))
    t.true(typed.has(await codeOfPromise(ring.push('x', options as object))))
    t.true(typed.has(codeOf(() => ring.popSync(options as object))))
    t.true(typed.has(codeOf(() => ring.tryPop(options as object))))
    t.true(typed.has(codeOf(() => ring.pushSync('x', options as object))))
  }
  t.is(
    codeOf(() => new Ring(memory, 64, CAPACITY)),
    'ERR_OUT_OF_RANGE',
  )
  t.is(
    codeOf(() => ring.tryPush(Buffer.alloc(4097))),
    'ERR_OUT_OF_RANGE',
  )
  t.is(await codeOfPromise(ring.push('x'.repeat(4097))), 'ERR_OUT_OF_RANGE')
  t.deepEqual(memory.slice(), before)
  // Liveness comes after the arguments.
  memory.close()
  t.is(
    codeOf(() => ring.tryPush(Buffer.alloc(4097))),
    'ERR_OUT_OF_RANGE',
  )
  t.is(
    codeOf(() => ring.popSync({ timeout: -1 })),
    'ERR_OUT_OF_RANGE',
  )
})
