// Copies, windows and mutators of a region, beside the same on a Buffer.

import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'

import test from 'ava'
import * as fc from 'fast-check'
import { MmapFile } from 'memmap'

import { codeOf, fileWith, HAS_READ_WINDOWS, opened, regionWith, WINDOWED } from './helpers/files.ts'
import { holds, Random } from './helpers/random.ts'

/** An end of a range, as the interesting ones are. */
const end = (length: number) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: -length - 3, max: length + 3 }) },
    fc.constantFrom(undefined, 0, length, -length, 2 ** 53 - 1, -(2 ** 53) + 1),
  )

const content = fc.uint8Array({ minLength: 0, maxLength: 200 })

/** Where in the file a region begins: also in the middle of a page. */
const OFFSETS = [0, 1, 17, 4096, 5000]

test('slice and subarray give the bytes that Buffer#subarray gives, for any two ends', (t) => {
  for (const offset of OFFSETS) {
    const random = new Random(t)
    const data = random.bytes(6000)
    const region = regionWith(t, data, { access: WINDOWED, offset })
    const model = data.subarray(offset)
    holds(
      t,
      fc.property(end(model.length), end(model.length), (from, to) => {
        const expected = model.subarray(from, to)
        return region.slice(from, to).equals(expected) && region.subarray(from, to).equals(expected)
      }),
    )
  }
  t.pass()
})

test('a slice outlives the region, and changing it changes nothing', (t) => {
  const region = regionWith(t, 'abcdef', { access: 'write' })
  const slice = region.slice(1, 4)
  slice.fill('x')
  t.is(region.toString(), 'abcdef')
  region.close()
  t.is(slice.toString(), 'xxx')
})

test('a subarray is the region itself: each shows what is stored in the other, and it ends with the region', (t) => {
  const path = fileWith(t, 'abcdef')
  const region = opened(t, path, { access: 'write' })
  const window = region.subarray(1, 4)
  const same = region.subarray(2)
  t.is(window.buffer, same.buffer, 'one ArrayBuffer for all windows')
  window[1] = 0x58
  t.is(region.toString(), 'abXdef')
  t.is(same.toString(), 'Xdef')
  t.is(readFileSync(path, 'latin1'), 'abXdef')
  region.set('Y', 2)
  t.is(window.toString(), 'bYd')
  region.close()
  t.deepEqual([window.length, same.length, window.buffer.byteLength], [0, 0, 0])
})

const withReadWindows = HAS_READ_WINDOWS ? test : test.skip

withReadWindows(
  "what is stored in a window of a 'read' region stays in it, and the file as it was (not on macOS)",
  (t) => {
    const path = fileWith(t, 'abcdef')
    const region = opened(t, path)
    const window = region.subarray()
    window[0] = 0x58
    t.is(region.toString(), 'Xbcdef')
    t.is(readFileSync(path, 'latin1'), 'abcdef')
    t.is(opened(t, path).toString(), 'abcdef')
  },
)

test('an empty subarray, view and slice of an empty region are empty', (t) => {
  const region = regionWith(t, '', { access: 'write' })
  t.is(region.byteLength, 0)
  t.is(region.subarray().length, 0)
  t.is(region.slice().length, 0)
  t.is(region.view(Float64Array).length, 0)
  t.is(region.view(DataView).byteLength, 0)
  t.is(region.toString(), '')
  t.is(region.at(0), undefined)
  t.is(region.at(-1), undefined)
  t.deepEqual([...region], [])
  t.deepEqual([...region.windows(10)], [])
  t.is(region.set(''), 0)
  t.is(region.fill(1), region)
  t.is(region.move(0, 0, 0), region)
  t.true(region.equals(''))
  t.true(region.equals(new Uint8Array(0)))
  t.false(region.equals('a'))
  region.flushSync()
  t.is(
    codeOf(() => region.set('a')),
    'ERR_OUT_OF_RANGE',
  )
})

const INTEGERS = [Uint8Array, Int8Array, Uint8ClampedArray, Uint16Array, Int16Array, Uint32Array, Int32Array] as const
const TYPES = [...INTEGERS, Float32Array, Float64Array] as const

test('a view shows the elements that lie there, for each type, aligned or not', (t) => {
  const random = new Random(t)
  const data = random.bytes(5000)
  const path = fileWith(t, data)
  for (const offset of [0, 1, 8, 4096]) {
    const region = opened(t, path, { offset, access: 'write' })
    for (const type of TYPES) {
      const size = type.BYTES_PER_ELEMENT
      for (let round = 0; round < 30; round++) {
        const at = random.integer(0, region.byteLength)
        const most = Math.floor((region.byteLength - at) / size)
        const count = round % 3 === 0 ? undefined : random.integer(0, most + 1)
        const said = `${type.name} of ${String(count)} at ${offset} + ${at}`
        const make = () => region.view<InstanceType<typeof type>>(type, at, count)
        if ((count ?? most) > most || ((count ?? most) > 0 && (offset + at) % size !== 0)) {
          t.is(codeOf(make), 'ERR_OUT_OF_RANGE', said)
          continue
        }
        const view = make()
        t.is(view.length, count ?? most, said)
        t.true(view instanceof type)
        const bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength)
        t.true(bytes.equals(data.subarray(offset + at, offset + at + view.byteLength)), said)
      }
    }
    region.close()
  }
})

test('a DataView lies at any offset, and a view is live on the file', (t) => {
  const path = fileWith(t, Buffer.alloc(100))
  const region = opened(t, path, { access: 'write', offset: 3 })
  const view = region.view(DataView, 5, 20)
  t.is(view.byteLength, 20)
  view.setFloat64(1, Math.E, true)
  t.is(readFileSync(path).readDoubleLE(9), Math.E)
  t.is(region.readDoubleLE(6), Math.E)
  const words = region.view(BigUint64Array, 5, 1)
  words[0] = 77n
  t.is(region.readBigUInt64LE(5), 77n)
  class Pixels extends Uint8ClampedArray {}
  const pixels = region.view(Pixels, 90)
  t.true(pixels instanceof Pixels)
  t.is(pixels.length, 7)
  region.close()
  t.is(pixels.length, 0)
})

test('windows give the whole range in order, overlapping as asked, the last one shorter', (t) => {
  const random = new Random(t)
  const data = random.bytes(700)
  const region = regionWith(t, data, { access: WINDOWED, offset: 100 })
  const model = data.subarray(100)
  holds(
    t,
    fc.property(
      fc.integer({ min: 1, max: 800 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      end(600),
      end(600),
      (size, share, from, to) => {
        const overlap = Math.floor(share * (size - 1))
        const range = model.subarray(from, to)
        const start = range.length === 0 ? undefined : range.byteOffset - model.byteOffset
        const scan = region.windows(size, { start: from, end: to, overlap })
        let at = 0
        let number = 0
        for (const window of scan) {
          const first = number === 0 ? 0 : at - overlap
          const expected = range.subarray(first, first + size)
          if (!window.equals(expected) || window.length === 0) return false
          if (scan.position !== (start ?? 0) + first + expected.length) return false
          at = first + expected.length
          number += 1
        }
        return at === range.length && scan.next().done === true
      },
    ),
    400,
  )
  t.pass()
})

test('windows go on after a break, and stop with an error when the region is closed', (t) => {
  const region = regionWith(t, 'abcdefghij', { access: WINDOWED })
  const scan = region.windows(3)
  for (const window of scan) {
    t.is(window.toString(), 'abc')
    break
  }
  t.is(scan.position, 3)
  t.is(scan.next().value?.toString(), 'def')
  region.close()
  t.is(
    codeOf(() => scan.next()),
    'ERR_REGION_CLOSED',
  )
})

test('at gives each byte, from the end where negative, and undefined where there is none', (t) => {
  const region = regionWith(t, 'abc', { offset: 1 })
  t.deepEqual(
    [0, 1, 2, -1, -2, -3, 2 ** 53 - 1, -(2 ** 53) + 1].map((index) => region.at(index)),
    [0x62, 0x63, undefined, 0x63, 0x62, undefined, undefined, undefined],
  )
})

test('iterating gives every byte', (t) => {
  const random = new Random(t)
  const data = random.bytes(300)
  const region = regionWith(t, data, { offset: 7 })
  t.deepEqual([...region], [...data.subarray(7)])
  t.deepEqual(
    Array.from(region, (byte) => byte ^ 0xff),
    Array.from(data.subarray(7), (byte) => byte ^ 0xff),
  )
  const bytes = region[Symbol.iterator]()
  t.is(bytes.next().value, data[7])
  region.close()
  t.is(
    codeOf(() => bytes.next()),
    'ERR_REGION_CLOSED',
  )
  t.is(
    codeOf(() => [...region]),
    'ERR_REGION_CLOSED',
  )
})

test('set stores all of the bytes, or none where they do not fit, from every kind of source', (t) => {
  holds(
    t,
    fc.property(content, content, fc.nat(220), fc.integer({ min: 0, max: 5 }), (data, source, at, kind) => {
      using region = MmapFile.open(fileWith(t, data), { access: 'write' })
      const model = Buffer.from(data)
      const given = sourceOf(source, kind)
      if (at + source.length > data.length) {
        if (codeOf(() => region.set(given, at)) !== 'ERR_OUT_OF_RANGE') return false
      } else {
        if (region.set(given, at) !== source.length) return false
        model.set(source, at)
      }
      return region.equals(model)
    }),
    150,
  )
  t.pass()
})

function sourceOf(bytes: Uint8Array, kind: number): NodeJS.ArrayBufferView | ArrayBufferLike {
  const copy = Uint8Array.from(bytes)
  if (kind === 0) return copy
  if (kind === 1) return Buffer.from(bytes)
  if (kind === 2) return copy.buffer
  if (kind === 3) {
    const shared = new SharedArrayBuffer(bytes.length)
    new Uint8Array(shared).set(bytes)
    return shared
  }
  // In the middle of something longer.
  const around = new Uint8Array(bytes.length + 8)
  around.set(bytes, 4)
  return kind === 4 ? new DataView(around.buffer, 4, bytes.length) : around.subarray(4, 4 + bytes.length)
}

test('set takes elements wider than a byte as their bytes, a SharedArrayBuffer view, and a string as UTF-8', (t) => {
  const region = regionWith(t, Buffer.alloc(16), { access: 'write' })
  t.is(region.set(Uint16Array.of(0x4241, 0x4443), 1), 4)
  t.is(region.toString('latin1', 0, 6), '\0ABCD\0')
  const shared = new Uint16Array(new SharedArrayBuffer(8), 2, 2)
  shared.set([0x6161, 0x6262])
  t.is(region.set(shared, 0), 4)
  t.is(region.toString('latin1', 0, 6), 'aabbD\0')
  t.is(region.set('\u{1f600}é\ud800', 2), 9)
  t.is(region.slice(2, 11).toString('hex'), 'f09f9880c3a9efbfbd')
})

test('set of a part of the region itself moves it, overlapping or not', (t) => {
  const random = new Random(t)
  const data = random.bytes(300)
  for (const access of ['write', 'copy'] as const) {
    const region = regionWith(t, data, { access, offset: 3 })
    const model = Buffer.from(data.subarray(3))
    for (let round = 0; round < 300; round++) {
      const from = random.integer(0, model.length)
      const length = random.integer(0, model.length - from)
      const to = random.integer(0, model.length - length)
      region.set(region.subarray(from, from + length), to)
      model.copyWithin(to, from, from + length)
      if (!region.equals(model)) t.fail(`${from} + ${length} to ${to}`)
    }
  }
  t.pass()
})

test('fill repeats a byte or bytes over a range, the last time cut where it ends', (t) => {
  holds(
    t,
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      fc.oneof(
        fc.nat(255),
        fc.string({ minLength: 1, maxLength: 5, unit: 'grapheme' }),
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
      ),
      end(300),
      end(300),
      (data, value, from, to) => {
        using region = MmapFile.open(fileWith(t, data), { access: 'write' })
        const model = Buffer.from(data)
        const part = model.subarray(from, to)
        const pattern = typeof value === 'number' ? Uint8Array.of(value) : Buffer.from(value)
        for (let at = 0; at < part.length; at++) part[at] = pattern[at % pattern.length] ?? 0
        return region.fill(value, { start: from, end: to }) === region && region.equals(model)
      },
    ),
    300,
  )
  t.pass()
})

test('fill takes a pattern that lies in the region itself as it was before', (t) => {
  const random = new Random(t)
  const data = random.bytes(200)
  const region = regionWith(t, data, { access: 'copy', offset: 1 })
  for (let round = 0; round < 400; round++) {
    const model = Buffer.from(data.subarray(1))
    region.set(model)
    const from = random.integer(0, model.length - 1)
    const pattern = Buffer.from(model.subarray(from, from + random.integer(1, 50)))
    const [start, stop] = [random.integer(0, 199), random.integer(0, 199)]
    const part = model.subarray(start, stop)
    for (let at = 0; at < part.length; at++) part[at] = pattern[at % pattern.length] ?? 0
    region.fill(region.subarray(from, from + pattern.length), { start, end: stop })
    if (!region.equals(model)) t.fail(`pattern ${from} + ${pattern.length} over ${start} to ${stop}`)
  }
  t.pass()
})

test('fill refuses an empty pattern, also where there is nothing to fill', (t) => {
  const region = regionWith(t, 'abc', { access: 'write' })
  for (const value of ['', new Uint8Array(0), new ArrayBuffer(0)]) {
    t.is(
      codeOf(() => region.fill(value)),
      'ERR_INVALID_ARG_VALUE',
    )
    t.is(
      codeOf(() => region.fill(value, { start: 3 })),
      'ERR_INVALID_ARG_VALUE',
    )
  }
  t.is(region.toString(), 'abc')
})

test('move is copyWithin for parts that lie in the region, however they overlap, and refuses the others', (t) => {
  const random = new Random(t)
  const data = random.bytes(150)
  const region = regionWith(t, data, { access: 'write', offset: 2 })
  const length = region.byteLength
  const part = fc.integer({ min: -2, max: length + 2 })
  holds(
    t,
    fc.property(part, part, fc.oneof(part, fc.constantFrom(2 ** 53 - 1, 2 ** 32, 0)), (to, from, size) => {
      const model = region.slice()
      const fits = to >= 0 && from >= 0 && size >= 0 && to + size <= length && from + size <= length
      if (fits) {
        model.copyWithin(to, from, from + size)
        return region.move(to, from, size) === region && region.equals(model)
      }
      return codeOf(() => region.move(to, from, size)) === 'ERR_OUT_OF_RANGE' && region.equals(model)
    }),
    500,
  )
  t.pass()
})

test('equals compares with bytes of every kind, text and other regions', (t) => {
  const random = new Random(t)
  const data = random.bytes(5000)
  const path = fileWith(t, data)
  const region = opened(t, path, { access: WINDOWED })
  t.true(region.equals(data))
  t.true(region.equals(new DataView(data.buffer, data.byteOffset, data.length)))
  t.true(region.equals(region))
  t.true(region.equals(region.subarray()))
  t.true(region.equals(opened(t, path, { access: 'copy' })))
  t.false(region.equals(opened(t, path, { offset: 1 })))
  t.false(region.equals(data.subarray(1)))
  t.false(region.equals(data.subarray(0, -1)))
  t.false(region.equals(Buffer.concat([data, data])))
  for (const at of [0, 2500, 4999]) {
    const other = Buffer.from(data)
    other[at] = (other[at] ?? 0) ^ 1
    t.false(region.equals(other), `one bit at ${at}`)
    t.false(region.equals(regionWith(t, other)))
  }
  t.true(regionWith(t, 'äöü').equals('äöü'))
  const closed = opened(t, path, { access: WINDOWED })
  closed.close()
  t.is(
    codeOf(() => closed.equals(region)),
    'ERR_REGION_CLOSED',
  )
  t.is(
    codeOf(() => region.equals(closed)),
    'ERR_REGION_CLOSED',
  )
})

test('toString gives the text that Buffer gives, in every encoding, for any two ends', (t) => {
  const random = new Random(t)
  const texts = [random.bytes(60), Buffer.from('aé€\u{1f600}\ufeffz'.repeat(5)), Buffer.from('\ufeffwith a mark')]
  const encodings = [
    'utf8',
    'UTF-8',
    'hex',
    'latin1',
    'binary',
    'ascii',
    'base64',
    'base64url',
    'utf16le',
    'ucs2',
  ] as const
  for (const data of texts) {
    const region = regionWith(t, data)
    for (const encoding of [...encodings, undefined]) {
      for (let round = 0; round < 20; round++) {
        const [from, to] = [random.index(data.length), random.index(data.length)]
        t.is(
          region.toString(encoding as BufferEncoding, from, to),
          data.subarray(from, to).toString(encoding as BufferEncoding),
        )
      }
    }
    t.is(`${region}`, data.toString())
  }
})

test('inspect shows what the region is, open and closed', (t) => {
  const path = fileWith(t, 'abcdef')
  const region = opened(t, path, { access: 'write', offset: 2 })
  t.is(
    inspect(region, { breakLength: Infinity }),
    `MmapFile { path: ${inspect(path)}, offset: 2, access: 'write', byteLength: 4 }`,
  )
  t.is(inspect({ region }, { breakLength: Infinity }), `{ region: ${inspect(region, { breakLength: Infinity })} }`)
  region.close()
  t.is(inspect(region), 'MmapFile { closed: true }')
  t.notThrows(() => inspect(MmapFile.prototype))
})

test('a region that is closed gives no bytes: every method says so', (t) => {
  const region = regionWith(t, 'abc', { access: 'write' })
  const cursor = region.cursor()
  region.close()
  region.close()
  region[Symbol.dispose]()
  t.true(region.closed)
  t.is(region.byteLength, 0)
  t.is(region.access, 'write')
  t.is(region.offset, 0)
  t.is(typeof region.path, 'string')
  const calls: Readonly<Record<string, () => unknown>> = {
    subarray: () => region.subarray(),
    'subarray of nothing': () => region.subarray(5, 5),
    view: () => region.view(Uint8Array),
    windows: () => region.windows(1),
    at: () => region.at(0),
    'at nowhere': () => region.at(100),
    slice: () => region.slice(),
    set: () => region.set('a'),
    'set of nothing': () => region.set(''),
    fill: () => region.fill(1),
    move: () => region.move(0, 0, 0),
    equals: () => region.equals('abc'),
    toString: () => region.toString(),
    cursor: () => region.cursor(),
    indexOf: () => region.indexOf('a'),
    lastIndexOf: () => region.lastIndexOf('a'),
    includes: () => region.includes(''),
    count: () => region.count('a'),
    indexesOf: () => region.indexesOf('a'),
    lines: () => region.lines(),
    flushSync: () => region.flushSync(),
    refresh: () => region.refresh(),
    fileSize: () => region.fileSize,
    replaced: () => region.replaced,
    iterator: () => [...region],
    'cursor.read': () => cursor.read(),
    'cursor.readLine': () => cursor.readLine(),
    'cursor.readByte': () => cursor.readByte(),
    'cursor.seek': () => cursor.seek(0),
    'cursor.position': () => (cursor.position = 0),
    'cursor.write': () => cursor.write('a'),
  }
  for (const [name, work] of Object.entries(calls)) t.is(codeOf(work), 'ERR_REGION_CLOSED', name)
  t.is(cursor.remaining, 0)
})

test('using closes the region', (t) => {
  let seen: MmapFile | undefined
  {
    using region = MmapFile.open(fileWith(t, 'abc'))
    seen = region
    t.false(region.closed)
  }
  t.true(seen.closed)
})
