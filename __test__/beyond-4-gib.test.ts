// Everything at positions that need more than 32 bits, on sparse files. On Node 20 a buffer cannot be longer than 4 GiB.

import { closeSync, openSync, readSync, statSync, truncateSync, writeSync } from 'node:fs'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import type { Scan } from 'memmap'

import { codeOf, opened, thrownBy, WINDOWED } from './helpers/files.ts'
import { call, limits, READERS, same, WRITERS } from './helpers/scalars.ts'
import { isPosix } from './helpers/system.ts'
import { tmpFile } from './helpers/tmp.ts'

const GIB = 2 ** 30
const SIZE = 6 * GIB
const PLACES = [4 * GIB - 9, 4 * GIB - 1, 4 * GIB + 10, 5 * GIB, SIZE - 6] as const
const NEEDLE = 'needle'
/** Where a segment of lib/memory.ts begins or ends on Node 20, and where 32-bit numbers end. */
const SEAMS = [2 * GIB, 4 * GIB, 6 * GIB - 16] as const

/** 6 GiB of nothing but a few needles. The one at 4 GiB - 1 straddles 4 GiB. */
function sparse(t: ExecutionContext, places: readonly number[] = PLACES): string {
  const path = tmpFile(t)
  const fd = openSync(path, 'w')
  for (const at of places) writeSync(fd, NEEDLE, at)
  closeSync(fd)
  truncateSync(path, SIZE)
  return path
}

function bytesAt(path: string, position: number, length: number): Buffer {
  const fd = openSync(path, 'r')
  const bytes = Buffer.alloc(length)
  readSync(fd, bytes, 0, length, position)
  closeSync(fd)
  return bytes
}

test.serial('every form of search finds what lies beyond 4 GiB', (t) => {
  const region = opened(t, sparse(t))
  t.is(region.byteLength, SIZE)
  const near = { start: 4 * GIB - 64 }
  t.deepEqual([...region.indexesOf(NEEDLE, near)], [...PLACES])
  t.is(region.indexOf(NEEDLE, near), PLACES[0])
  t.is(region.lastIndexOf(NEEDLE, near), PLACES[4])
  t.is(region.count(NEEDLE, near), 5)
  t.true(region.includes(NEEDLE, { start: 5 * GIB + 1 }))
  t.false(region.includes(NEEDLE, { start: 5 * GIB + 1, end: -1 }))
  for (const at of PLACES) {
    const from = (start: number) => PLACES.find((place) => place >= start && place + 6 <= at + 64) ?? -1
    t.is(region.indexOf(NEEDLE, { start: at, end: at + 64 }), at)
    t.is(region.indexOf(NEEDLE, { start: at - 64, end: at + 6 }), from(at - 64))
    t.is(region.indexOf(NEEDLE, { start: at, end: at + 5 }), -1)
    t.is(region.lastIndexOf(NEEDLE, { start: at, end: at + 6 }), at)
    t.is(region.indexOf(NEEDLE, { start: at + 1, end: at + 64 }), from(at + 1))
    t.is(region.indexOf(0x6e, { start: at, end: at + 1 }), at)
    t.is(region.lastIndexOf('', { end: at }), at)
  }
  // From the far end, negative.
  t.is(region.indexOf(NEEDLE, { start: -GIB }), 5 * GIB)
  t.is(region.lastIndexOf(NEEDLE, { start: -2 * GIB, end: -GIB + 6 }), 5 * GIB)
})

test.serial('one search from the start to beyond 4 GiB', (t) => {
  const region = opened(t, sparse(t, [4 * GIB + 10]))
  t.is(region.indexOf(NEEDLE), 4 * GIB + 10)
})

/** At 4 GiB - 1, at 4 GiB, one behind it, at 5 GiB, and in the last bytes: one at a time, since some overlap. */
const CORNERS = [4 * GIB - 1, 4 * GIB, 4 * GIB + 1, 5 * GIB, SIZE - 6]

const here = (scan: Scan<string>): [string, number][] => Array.from(scan, (line) => [line, scan.position])

async function collected<T>(scan: Scan<T>): Promise<[item: T, position: number][]> {
  const items: [T, number][] = []
  for await (const item of scan) items.push([item, scan.position])
  return items
}

for (const at of CORNERS) {
  test.serial(`every form in the background, expressions and many needles find what lies at ${at}`, async (t) => {
    const region = opened(t, sparse(t, [at]), { access: WINDOWED })
    const whole = at === 4 * GIB
    // One of them all from the start; the others from just before it, and over the border of 4 GiB where that is near.
    const range = whole ? { end: at + 70_000 } : { start: at - 70_000, end: at + 70_000 }
    t.is(await region.countAsync(NEEDLE, range), 1)
    t.is(await region.indexOfAsync(NEEDLE, range), at)
    for (const threads of [1, 3]) {
      const near = { start: at - 5 * 2 ** 20, end: at + 6 * 2 ** 20, threads }
      t.is(await region.countAsync(NEEDLE, near), 1)
      t.is(await region.countAsync(/n[e]{2}dle/, near), 1)
      t.deepEqual(await region.countAsync(['pin', NEEDLE, 'dle'], near), [0, 1, 0])
      t.is(await region.indexOfAsync(NEEDLE, near), at)
      t.is(await region.indexOfAsync(NEEDLE, { ...near, start: at + 1 }), -1)
      t.is(await region.countAsync(NEEDLE, { ...near, end: at + 5 }), 0)
    }
    const near = { start: at - 70_000, end: at + 70_000 }
    // Its last byte, which is the last of all where nothing follows.
    t.is(await region.indexOfAsync('e', { start: at + 5 }), at + 5)
    t.is(region.match(/e/, { start: at + 5 })?.end, at + 6)
    t.is(region.count(/n[e]{2}dle/, near), 1)
    t.deepEqual(region.count(['pin', NEEDLE], near), [0, 1])
    const match = region.match(/(e+)(?<rest>d)/, near)
    t.deepEqual([match?.index, match?.end, match?.indices[1]], [at + 1, at + 4, [at + 1, at + 3]])
    t.is(match?.groups?.['rest']?.toString(), 'd')
    t.is(match?.[0]?.toString(), 'eed')
    const found = [{ index: at, needle: 1 }]
    t.deepEqual([...region.indexesOf(['pin', NEEDLE], near)], found)
    t.deepEqual(await collected(region.indexesOf(['pin', NEEDLE], near)), [[found[0], at + 6]])
    t.deepEqual(await collected(region.indexesOf(NEEDLE, near)), [[at, at + 6]])
    for (const pattern of [/needle/, ['pin', NEEDLE]]) {
      const [first, ...rest] = region.matchAll(pattern, near)
      const behind = await collected(region.matchAll(pattern, near))
      for (const [one, place] of [[first, at + 6], ...behind] as const) {
        t.deepEqual([one?.index, one?.end, one?.[0]?.toString(), place], [at, at + 6, NEEDLE, at + 6])
      }
      t.is(rest.length, 0)
      t.is(behind.length, 1)
    }
    const windows = region.windows(6, { start: at, end: at + 6 })
    for await (const window of windows) t.is(window.toString(), NEEDLE)
    t.is(windows.position, at + 6)
  })
}

test.serial('lines beyond 4 GiB, forwards and backwards, here and in the background', async (t) => {
  const path = sparse(t, [])
  const fd = openSync(path, 'r+')
  writeSync(fd, '\none\n\r\ntwo\n', 4 * GIB - 3)
  writeSync(fd, '\nfive', 5 * GIB)
  writeSync(fd, '\nlast', SIZE - 5)
  closeSync(fd)
  const region = opened(t, path)
  const near = { start: 4 * GIB - 2, end: 4 * GIB + 8, encoding: 'utf8' } as const
  const forwards: [string, number][] = [
    ['one', 4 * GIB + 2],
    ['', 4 * GIB + 4],
    ['two', 4 * GIB + 8],
  ]
  const backwards: [string, number][] = [
    ['two', 4 * GIB + 4],
    ['', 4 * GIB + 2],
    ['one', 4 * GIB - 2],
  ]
  t.deepEqual(here(region.lines(near)), forwards)
  t.deepEqual(await collected(region.lines(near)), forwards)
  t.deepEqual(here(region.lines({ ...near, reverse: true })), backwards)
  t.deepEqual(await collected(region.lines({ ...near, reverse: true })), backwards)
  t.deepEqual(here(region.lines({ ...near, end: 4 * GIB + 7, partial: false })), forwards.slice(0, 2))
  const last = region.lines({ reverse: true })
  t.is(last.next().value?.toString(), 'last')
  t.is(last.position, SIZE - 4)
  t.deepEqual(
    await last[Symbol.asyncIterator]()
      .next()
      .then(({ value }) => [value?.length, last.position]),
    [SIZE - 5 - (5 * GIB + 1), 5 * GIB + 1],
  )
})

test.serial('slices, windows and text from beyond 4 GiB', (t) => {
  const path = sparse(t)
  const region = opened(t, path, { access: WINDOWED })
  for (const at of PLACES) {
    t.is(region.toString('latin1', at, at + 6), NEEDLE)
    t.is(region.slice(at - SIZE, at - SIZE + 5).toString(), 'needl')
    t.is(region.subarray(at, at + 6).toString(), NEEDLE)
    t.is(
      region
        .subarray(at + 1)
        .subarray(0, 5)
        .toString(),
      'eedle',
    )
    t.is(region.at(at), 0x6e)
    t.is(region.at(at - SIZE), 0x6e)
  }
  t.is(region.at(SIZE), undefined)
  t.is(region.at(-SIZE), 0)
  t.is(region.slice(SIZE).length, 0)
  t.is(region.slice(SIZE - 6, 2 ** 53 - 1).toString(), NEEDLE)
  t.is(region.slice(2 ** 53 - 1).length, 0)
  const scan = region.windows(12, { start: 4 * GIB - 12, end: 4 * GIB + 36, overlap: 5 })
  const windows: Buffer[] = []
  const positions: number[] = []
  for (const window of scan) {
    windows.push(Buffer.from(window))
    positions.push(scan.position - 4 * GIB)
  }
  t.deepEqual(positions, [0, 7, 14, 21, 28, 35, 36])
  t.true(windows[0]?.equals(region.slice(4 * GIB - 12, 4 * GIB)))
  t.true(windows.at(-1)?.equals(region.slice(4 * GIB + 30, 4 * GIB + 36)))
})

test.serial('windows longer than 2 GiB lie where they should, up to what this Node can', (t) => {
  const region = opened(t, sparse(t), { access: WINDOWED })
  const long = region.subarray(2 * GIB - 5000, 4 * GIB + 16)
  t.is(long.length, 2 * GIB + 5016)
  t.is(long.toString('latin1', 2 * GIB + 5000 - 9, 2 * GIB + 5000 - 3), NEEDLE)
  const longest = region.windows(4 * GIB - 4096, { start: 2 * GIB + 1 })
  const window = longest.next().value
  t.is(window?.length, 4 * GIB - 4096)
  t.is(window?.[5 * GIB - 2 * GIB - 1], 0x6e)
  t.is(longest.next().value?.length, 4095)
  t.true(longest.next().done)
  const whole = thrownBy(() => region.subarray())
  // Node 20 says so; later ones have longer buffers.
  if (whole !== undefined) t.is(whole.code, 'ERR_OUT_OF_RANGE')
  else t.is(region.subarray()[5 * GIB], 0x6e)
})

test.serial('every window that crosses a multiple of 2 GiB shows the bytes that lie there', (t) => {
  const path = sparse(t, [2 * GIB - 3, 4 * GIB - 3])
  const region = opened(t, path, { access: WINDOWED })
  for (const seam of [2 * GIB, 4 * GIB]) {
    for (const before of [3, 4, 4096, 100_000, 2 ** 31 - 10]) {
      const window = region.subarray(seam - before, seam + 3)
      t.is(window.length, before + 3)
      t.is(window.toString('latin1', before - 3), NEEDLE, `${before} before ${seam}`)
    }
  }
})

for (const offset of [0, 4093]) {
  test.serial(`every reader and writer works around each seam, map from offset ${offset}`, (t) => {
    const path = sparse(t, [])
    const region = opened(t, path, { access: 'write', offset })
    for (const seam of SEAMS) {
      const base = seam - offset - 16
      const model = Buffer.alloc(32)
      for (const scalar of WRITERS) {
        for (let at = 0; at <= 24; at++) {
          if (base + at + 8 > region.byteLength) continue
          const size = scalar.size ?? 1 + (at % 6)
          const [min, max] = limits(scalar, size)
          const value = at % 2 === 0 ? min : max
          const rest = scalar.size === undefined ? [size] : []
          const returned = call(region, scalar.name, value, base + at, ...rest)
          call(model, scalar.name, value, at, ...rest)
          if (returned !== base + at + size) t.fail(`${scalar.name} at ${base + at} gives ${String(returned)}`)
          const reader = scalar.name.replace('write', 'read')
          if (!same(call(region, reader, base + at, ...rest), call(model, reader, at, ...rest)))
            t.fail(`${reader} at ${base + at}`)
        }
      }
      const end = Math.min(32, region.byteLength - base)
      t.true(region.slice(base, base + end).equals(model.subarray(0, end)))
      t.true(bytesAt(path, seam - 16, end).equals(model.subarray(0, end)))
    }
    for (const { name, size } of READERS) {
      const rest = size === undefined ? [4] : []
      const last = region.byteLength - (size ?? 4)
      call(region, name, last, ...rest)
      t.is(
        codeOf(() => call(region, name, last + 1, ...rest)),
        'ERR_OUT_OF_RANGE',
        name,
      )
    }
  })
}

test.serial('views of elements, set, fill, move and a cursor beyond 4 GiB reach the file', (t) => {
  const path = sparse(t)
  const region = opened(t, path, { access: 'write' })
  const at = 4 * GIB - 16
  const doubles = region.view(Float64Array, at, 4)
  doubles.set([1.5, -2.5, Math.PI, 1e300])
  t.deepEqual(
    [0, 8, 16, 24].map((step) => region.readDoubleLE(at + step)),
    [...doubles],
  )
  t.is(bytesAt(path, at + 16, 8).readDoubleLE(), Math.PI)
  t.is(
    codeOf(() => region.view(Float64Array, at + 4, 1)),
    'ERR_OUT_OF_RANGE',
  )
  t.is(region.view(DataView, SIZE - 6, 6).getUint8(0), 0x6e)
  t.is(region.set('SET', 4 * GIB - 1), 3)
  region.fill('-+', { start: 5 * GIB - 2, end: 5 * GIB + 3 })
  region.move(4 * GIB + 100, 5 * GIB - 2, 8)
  region.move(0, SIZE - 6, 6)
  t.is(bytesAt(path, 4 * GIB - 1, 3).toString(), 'SET')
  t.is(bytesAt(path, 5 * GIB - 2, 8).toString(), '-+-+-dle')
  t.is(bytesAt(path, 4 * GIB + 100, 8).toString(), '-+-+-dle')
  t.is(bytesAt(path, 0, 6).toString(), NEEDLE)
  t.is(
    codeOf(() => region.set('xxxx', SIZE - 3)),
    'ERR_OUT_OF_RANGE',
  )
  const cursor = region.cursor(4 * GIB - 1)
  t.is(cursor.read(3).toString(), 'SET')
  t.is(cursor.seek(-6, 'end'), SIZE - 6)
  t.is(cursor.read().toString(), NEEDLE)
  t.is(cursor.position, SIZE)
  t.is(cursor.seek(-GIB - 2, 'current'), 5 * GIB - 2)
  t.is(cursor.readUInt16BE(), 0x2d2b)
  cursor.writeUInt32BE(0x41424344)
  t.is(bytesAt(path, 5 * GIB, 4).toString(), 'ABCD')
  t.is(
    codeOf(() => cursor.seek(1, 'end')),
    'ERR_OUT_OF_RANGE',
  )
  region.flushSync({ start: 4 * GIB - 1, end: 5 * GIB + 10 })
  t.is(statSync(path).size, SIZE)
})

test.serial('lines beyond 4 GiB', (t) => {
  const path = sparse(t, [])
  const fd = openSync(path, 'r+')
  writeSync(fd, '\none\r\ntwo\nthr\u00e9e', 4 * GIB - 3)
  writeSync(fd, '\nlast', SIZE - 5)
  closeSync(fd)
  const region = opened(t, path)
  const scan = region.lines({ start: 4 * GIB - 2, encoding: 'utf8' })
  t.is(scan.next().value, 'one')
  t.is(scan.position, 4 * GIB + 3)
  t.is(scan.next().value, 'two')
  t.is(
    region
      .cursor(4 * GIB + 3)
      .readLine()
      .toString(),
    'two\n',
  )
  const end = region.lines({ start: -5, encoding: 'utf8' })
  t.deepEqual([...end], ['', 'last'])
  t.is(end.position, SIZE)
})

test.serial('a map may begin and end anywhere beyond 4 GiB', (t) => {
  const path = sparse(t)
  for (const at of PLACES) {
    const region = opened(t, path, { access: WINDOWED, offset: at - 3, length: 9 })
    t.is(region.offset, at - 3)
    t.is(region.toString('latin1', 3), NEEDLE)
    t.is(region.indexOf('need'), 3)
    t.is(region.readUInt8(3), 0x6e)
    t.is(region.view(Uint8Array, 3, 1)[0], 0x6e)
    t.is(region.fileSize, SIZE)
  }
  t.is(opened(t, path, { offset: 5 * GIB }).byteLength, GIB)
  t.is(
    codeOf(() => opened(t, path, { offset: SIZE + 1 })),
    'ERR_OUT_OF_RANGE',
  )
  t.is(
    codeOf(() => opened(t, path, { length: SIZE + 1 })),
    'ERR_OUT_OF_RANGE',
  )
  t.is(opened(t, path, { offset: SIZE }).byteLength, 0)
})

test.serial('a file is extended beyond 4 GiB and refreshed there', (t) => {
  const path = tmpFile(t)
  const region = opened(t, path, { access: 'write', create: true, length: 4 * GIB + 10, sparse: true })
  t.is(statSync(path).size, 4 * GIB + 10)
  const open = opened(t, path)
  region.writeUInt16BE(0x6869, 4 * GIB + 8)
  t.is(open.toString('latin1', -2), 'hi')
  truncateSync(path, 5 * GIB)
  t.true(open.refresh())
  t.is(open.byteLength, 5 * GIB)
  t.is(open.lastIndexOf('hi', { start: 4 * GIB }), 4 * GIB + 8)
  // Windows keeps a file as long as its maps.
  if (!isPosix) return
  truncateSync(path, 4 * GIB + 9)
  t.true(open.refresh())
  t.is(open.byteLength, 4 * GIB + 9)
  t.is(open.at(-1), 0x68)
})

test.serial('equals tells files that differ in one byte beyond 4 GiB apart', (t) => {
  const path = sparse(t, [SIZE - 6])
  const all = opened(t, path, { offset: 4 * GIB })
  const copy = opened(t, path, { offset: 4 * GIB, access: 'copy' })
  t.true(all.equals(copy))
  copy.writeUInt8(1, 2 * GIB - 1)
  t.false(all.equals(copy))
  t.false(opened(t, path).equals(all))
})

test.serial('text that could never be a string is refused at once, by its own code', (t) => {
  const region = opened(t, sparse(t, []))
  for (const encoding of ['utf8', 'latin1', 'hex', 'utf16le'] as const) {
    t.is(
      codeOf(() => region.toString(encoding)),
      'ERR_STRING_TOO_LONG',
    )
    t.is(
      codeOf(() => region.toString(encoding, 1, 2 * GIB)),
      'ERR_STRING_TOO_LONG',
    )
  }
})
