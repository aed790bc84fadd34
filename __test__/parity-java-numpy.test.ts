// What somebody who comes from Java, numpy or .NET looks for: a test a row of the guide's table, named after it.

import { readFileSync, truncateSync } from 'node:fs'

import test from 'ava'
import { limits, MmapFile } from 'memmap'

import { codeOf, fileWith, opened } from './helpers/files.ts'
import { pattern } from './helpers/kinds.ts'
import { isLinux, isPosix } from './helpers/system.ts'

const PAGE = limits().pageSize

test('MappedByteBuffer.load/isLoaded/force: prefetch, residency, flush', async (t) => {
  const path = fileWith(t, pattern(10 * PAGE))
  const region = opened(t, path, { access: 'write' })
  await region.prefetch()
  const { known, pages, resident } = region.residency()
  t.is(pages, 10)
  if (known) t.is(resident, 10, 'all of it is loaded')
  region.set('forced', PAGE)
  await region.flush({ start: PAGE, end: PAGE + 6 })
  t.is(readFileSync(path).toString('latin1', PAGE, PAGE + 6), 'forced')
})

test('typed get/put, both byte orders, unaligned: Buffer reads and writes at any offset', (t) => {
  const path = fileWith(t, Buffer.alloc(64))
  const region = opened(t, path, { access: 'write' })
  for (let offset = 0; offset < 9; offset++) {
    region.writeInt32BE(-123_456, offset)
    t.is(region.readInt32BE(offset), -123_456)
    t.is(readFileSync(path).readInt32BE(offset), -123_456)
    region.writeInt32LE(-123_456, offset)
    t.is(region.readInt32LE(offset), -123_456)
    region.writeDoubleBE(Math.E, offset)
    t.is(readFileSync(path).readDoubleBE(offset), Math.E)
    region.writeBigInt64LE(-(2n ** 62n), offset)
    t.is(readFileSync(path).readBigInt64LE(offset), -(2n ** 62n))
  }
})

const onPosix = isPosix ? test : test.skip

onPosix('InternalError on a truncated file: ERR_REGION_FAULTED, and the process lives', (t) => {
  const path = fileWith(t, pattern(4 * PAGE))
  const region = opened(t, path)
  truncateSync(path, PAGE)
  t.is(
    codeOf(() => region.readUInt8(2 * PAGE)),
    'ERR_REGION_FAULTED',
  )
  t.is(
    codeOf(() => region.slice()),
    'ERR_REGION_FAULTED',
  )
  t.true(region.refresh())
  t.true(region.equals(pattern(PAGE)))
})

test('Arena.close: close and using; no use after free', (t) => {
  const path = fileWith(t, pattern(100))
  let window: Buffer | undefined
  let region: MmapFile | undefined
  const scoped = () => {
    using inner = MmapFile.open(path, { access: 'write' })
    region = inner
    window = inner.subarray()
    t.is(window.length, 100)
  }
  scoped()
  t.is(window?.length, 0)
  t.true(region?.closed)
  t.is(
    codeOf(() => region?.readUInt8(0)),
    'ERR_REGION_CLOSED',
  )
  region?.close()
})

test('numpy.memmap(path, dtype, offset, shape): view(Float64Array, offset, count), live on the file', (t) => {
  const path = fileWith(t, Buffer.alloc(8 + 12 * 8))
  const region = opened(t, path, { access: 'write' })
  const rows = Array.from({ length: 3 }, (_, row) => region.view(Float64Array, 8 + row * 4 * 8, 4))
  for (const [at, row] of rows.entries()) row.fill(at + 0.5)
  const file = readFileSync(path)
  t.deepEqual(
    Array.from({ length: 12 }, (_, at) => file.readDoubleLE(8 + at * 8)),
    [0.5, 0.5, 0.5, 0.5, 1.5, 1.5, 1.5, 1.5, 2.5, 2.5, 2.5, 2.5],
  )
  const other = opened(t, path)
  if (isLinux) {
    const seen = other.view(Float64Array, 8, 12)
    rows[2]?.set([99], 3)
    t.is(seen[11], 99)
  }
  t.is(
    codeOf(() => region.view(Float64Array, 8, 13)),
    'ERR_OUT_OF_RANGE',
  )
  t.is(
    codeOf(() => region.view(Float64Array, 4, 1)),
    'ERR_OUT_OF_RANGE',
  )
})

test('.NET CreateViewStream: cursor, windows and lines', (t) => {
  const region = opened(t, fileWith(t, 'one\ntwo\nthree'), { access: 'write' })
  const cursor = region.cursor(4)
  t.is(cursor.read(3).toString(), 'two')
  t.is(cursor.position, 7)
  cursor.seek(0)
  cursor.write('ONE')
  t.deepEqual([...region.lines({ encoding: 'utf8' })], ['ONE', 'two', 'three'])
  t.deepEqual(
    [...region.windows(5)].map((window) => window.toString()),
    ['ONE\nt', 'wo\nth', 'ree'],
  )
})
