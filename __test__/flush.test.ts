// Bringing bytes to the disk.

import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, truncateSync } from 'node:fs'

import test from 'ava'

import { codeOf, fileWith, HAS_READ_WINDOWS, opened } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { isPosix } from './helpers/system.ts'

// Windows cuts off no file that is mapped.
const onPosix = isPosix ? test : test.skip

/** What a process of its own finds in a file. */
function seenByAnother(path: string): Buffer {
  const program = 'process.stdout.write(require("node:fs").readFileSync(process.argv[1]))'
  return execFileSync(process.execPath, ['--eval', program, path], { env: { ...process.env, NODE_OPTIONS: undefined } })
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
    return undefined
  } catch (error) {
    return error instanceof Error ? Reflect.get(error, 'code') : error
  }
}

test('another process sees what was written, after flush, after flushSync, and before', async (t) => {
  const random = new Random(t)
  const path = fileWith(t, Buffer.alloc(20_000))
  const region = opened(t, path, { access: 'write', offset: 100 })
  for (const flush of [() => region.flush(), () => region.flushSync(), () => undefined]) {
    const data = random.bytes(region.byteLength)
    region.set(data)
    await flush()
    t.true(seenByAnother(path).subarray(100).equals(data))
  }
})

test('any range can be flushed: aligned or not, negative, empty, beyond the end', async (t) => {
  const random = new Random(t)
  const path = fileWith(t, Buffer.alloc(50_000))
  const region = opened(t, path, { access: 'write', offset: 4095 })
  for (let round = 0; round < 40; round++) {
    const range = { start: random.index(region.byteLength), end: random.index(region.byteLength) }
    region.fill(round, range)
    if (round % 2 === 0) region.flushSync(range)
    else await region.flush(range)
    t.true(readFileSync(path).subarray(4095).equals(region.slice()))
  }
})

test('flush gives a promise of nothing; flushSync nothing, with wait: false too', async (t) => {
  const region = opened(t, fileWith(t, 'content'), { access: 'write' })
  const promise = region.flush()
  t.true(promise instanceof Promise)
  t.is(await promise, undefined)
  t.is(await region.flush({}), undefined)
  t.is(await region.flush({ start: 3 }), undefined)
  const sync: unknown = Reflect.apply(region.flushSync, region, [])
  t.is(sync, undefined)
  region.flushSync({ wait: false })
  region.flushSync({ wait: true, start: 2, end: 2 })
})

test("for 'read' and 'copy' there is nothing to flush, and the file stays as it was", async (t) => {
  const path = fileWith(t, 'content')
  const before = statSync(path).mtimeMs
  for (const access of ['read', 'copy'] as const) {
    const region = opened(t, path, { access })
    if (access === 'copy') region.set('XXX')
    else if (HAS_READ_WINDOWS) region.subarray().fill('X')
    region.flushSync()
    region.flushSync({ wait: false })
    await region.flush()
    t.is(readFileSync(path, 'utf8'), 'content')
  }
  t.is(statSync(path).mtimeMs, before)
})

test('many flushes at once all end, while bytes go on being written', async (t) => {
  const path = fileWith(t, Buffer.alloc(100_000))
  const region = opened(t, path, { access: 'write' })
  const flushes: Promise<void>[] = []
  for (let round = 0; round < 50; round++) {
    region.fill(round, { start: round * 2000, end: round * 2000 + 2000 })
    flushes.push(region.flush({ start: round * 2000, end: round * 2000 + 2000 }))
  }
  await Promise.all(flushes)
  t.true(readFileSync(path).equals(region.slice()))
})

test('what is wrong with a flush is told by its promise, never thrown', async (t) => {
  const region = opened(t, fileWith(t, 'content'), { access: 'write' })
  const bad: [unknown, string][] = [
    [null, 'ERR_INVALID_ARG_TYPE'],
    [5, 'ERR_INVALID_ARG_TYPE'],
    [{ start: '1' }, 'ERR_INVALID_ARG_TYPE'],
    [{ end: 1.5 }, 'ERR_OUT_OF_RANGE'],
    [{ wait: true }, 'ERR_INVALID_ARG_VALUE'],
  ]
  for (const [range, code] of bad) {
    const promise: unknown = Reflect.apply(region.flush, region, [range])
    t.is(await rejection(promise as Promise<void>), code)
  }
  region.close()
  t.is(await rejection(region.flush()), 'ERR_REGION_CLOSED')
  t.is(await rejection(Reflect.apply(region.flush, region, [null])), 'ERR_INVALID_ARG_TYPE', 'arguments first')
  t.is(
    codeOf(() => region.flushSync()),
    'ERR_REGION_CLOSED',
  )
})

test('a flush whose region is closed meanwhile rejects, or was done before', async (t) => {
  for (let round = 0; round < 20; round++) {
    const region = opened(t, fileWith(t, Buffer.alloc(1 << 16)), { access: 'write' })
    region.fill(round)
    const flush = rejection(region.flush())
    region.close()
    t.is(await flush, 'ERR_REGION_CLOSED')
  }
})

onPosix('a flush of a range that the file has lost says so, and a refresh makes it whole', async (t) => {
  const path = fileWith(t, Buffer.alloc(40_000))
  const region = opened(t, path, { access: 'write' })
  truncateSync(path, 100)
  t.is(
    codeOf(() => region.readUInt8(30_000)),
    'ERR_REGION_FAULTED',
  )
  t.is(
    codeOf(() => region.flushSync()),
    'ERR_REGION_FAULTED',
  )
  t.is(await rejection(region.flush()), 'ERR_REGION_FAULTED')
  t.true(region.refresh())
  region.set('again')
  await region.flush()
  region.flushSync()
  t.is(readFileSync(path).subarray(0, 5).toString(), 'again')
})
