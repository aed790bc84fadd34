// The list of what is mapped.

import { closeSync, openSync } from 'node:fs'
import { Worker } from 'node:worker_threads'

import test from 'ava'
import { MmapFile, mappings } from 'memmap'
import type { MappingInfo } from 'memmap'

import { fileWith, thrownBy, WINDOWED } from './helpers/files.ts'

/** Mappings of one file. */
const of = (path: string): MappingInfo[] => mappings().filter((mapping) => mapping.path === path)

async function eventually(done: () => boolean): Promise<boolean> {
  for (let round = 0; round < 200; round++) {
    if (done()) return true
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return false
}

test.serial('a region is listed with its class, file, length and time, until it is closed', (t) => {
  const path = fileWith(t, 'content')
  const before = Date.now()
  t.deepEqual(of(path), [])
  const region = MmapFile.open(path, { offset: 2 })
  const [entry, ...others] = of(path)
  t.deepEqual(others, [])
  t.is(entry?.kind, 'MmapFile')
  t.is(entry?.byteLength, 5)
  t.is(entry?.closed, false)
  t.true(entry?.since instanceof Date)
  const since = entry?.since.getTime() ?? 0
  t.true(since >= before - 1 && since <= Date.now() + 1, `${since}`)
  region.close()
  t.deepEqual(of(path), [])
})

test.serial('each region is listed, oldest first, with what each shows', (t) => {
  const path = fileWith(t, '0123456789')
  const regions = [1, 2, 3].map((length) => MmapFile.open(path, { length }))
  t.deepEqual(
    of(path).map(({ byteLength }) => byteLength),
    [1, 2, 3],
  )
  regions[1]?.close()
  t.deepEqual(
    of(path).map(({ byteLength }) => byteLength),
    [1, 3],
  )
  for (const region of regions) region.close()
})

test.serial('a region that was opened by descriptor is listed without a path, an empty one with no bytes', (t) => {
  const fd = openSync(fileWith(t, 'content'), 'r')
  using byDescriptor = MmapFile.open(fd)
  closeSync(fd)
  t.is(mappings().at(-1)?.path, undefined)
  t.is(mappings().at(-1)?.byteLength, byDescriptor.byteLength)
  const path = fileWith(t, '')
  using empty = MmapFile.open(path)
  t.is(empty.byteLength, 0)
  t.deepEqual(
    of(path).map(({ byteLength, closed }) => [byteLength, closed]),
    [[0, false]],
  )
})

test.serial(
  'a region that is closed while a window onto it lives is listed as closed until that is collected',
  async (t) => {
    const path = fileWith(t, Buffer.alloc(8192))
    const region = MmapFile.open(path, { access: WINDOWED })
    let window: Buffer | undefined = region.subarray()
    region.close()
    t.is(window.length, 0)
    t.deepEqual(
      of(path).map(({ closed }) => closed),
      [true],
    )
    window = undefined
    t.true(await eventually(() => of(path).length === 0))
  },
)

test.serial('a region that was forgotten goes when it is collected, not while a window onto it lives', async (t) => {
  const path = fileWith(t, 'content')
  const windowOf = () => MmapFile.open(path, { access: WINDOWED }).subarray()
  let window: Buffer | undefined = windowOf()
  t.is(of(path).length, 1)
  for (let round = 0; round < 5; round++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  t.is(window.toString(), 'content')
  t.is(of(path).length, 1)
  window = undefined
  t.true(await eventually(() => of(path).length === 0))
})

test.serial('a refresh that changed something leaves one entry, of the new length', (t) => {
  const path = fileWith(t, 'content')
  using region = MmapFile.open(path, { access: 'write' })
  using longer = MmapFile.open(path, { access: 'write', length: 20 })
  t.is(longer.byteLength, 20)
  t.true(region.refresh())
  t.deepEqual(
    of(path).map(({ byteLength, closed }) => [byteLength, closed]),
    [
      [20, false],
      [20, false],
    ],
  )
})

test.serial('what a worker has mapped is listed too, and gone when it ends', async (t) => {
  const path = fileWith(t, 'content')
  const fixture = new URL('fixtures/api/map-and-wait.mjs', import.meta.url)
  const worker = new Worker(fixture, { workerData: path, execArgv: [] })
  t.is(await new Promise((resolve) => worker.once('message', resolve)), 7)
  t.is(of(path).length, 1)
  const ended = new Promise((resolve) => worker.once('exit', resolve))
  worker.postMessage('end')
  await ended
  t.true(await eventually(() => of(path).length === 0))
})

test.serial('a list is a copy', (t) => {
  const path = fileWith(t, 'content')
  using region = MmapFile.open(path)
  const list = mappings()
  list.length = 0
  t.is(of(path).length, 1)
  t.is(region.byteLength, 7)
  t.is(
    thrownBy(() => mappings()),
    undefined,
  )
})

test.serial('the oldest is first, also of those that were mapped within one millisecond', (t) => {
  const path = fileWith(t, 'x'.repeat(100))
  const lengths = Array.from({ length: 50 }, (_, i) => i + 1)
  const regions = lengths.map((length) => MmapFile.open(path, { length }))
  t.deepEqual(
    of(path).map(({ byteLength }) => byteLength),
    lengths,
  )
  regions.forEach((region) => region.close())
})
