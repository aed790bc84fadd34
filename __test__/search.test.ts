// Finding and counting, beside the plainest search there is.

import { execFileSync } from 'node:child_process'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import type { MmapFile, Range } from 'memmap'

import { codeOf, fileWith, opened, regionWith, WINDOWED } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { hasPython } from './helpers/system.ts'

type Needle = Parameters<MmapFile['indexOf']>[0]

/** Both ends inside the length. An end before the start is left there: nothing fits between, not even nothing. */
function clamped(length: number, { start = 0, end = length }: Range): [start: number, end: number] {
  const clamp = (at: number) => (at < 0 ? Math.max(0, at + length) : Math.min(at, length))
  return [clamp(start), clamp(end)]
}

/** Every match that lies wholly in the range, overlapping ones among them. */
function allMatches(data: Buffer, needle: Buffer, range: Range): number[] {
  const [start, end] = clamped(data.length, range)
  const found: number[] = []
  for (let at = start; at + needle.length <= end; at++) {
    if (data.compare(needle, 0, needle.length, at, at + needle.length) === 0) found.push(at)
  }
  return found
}

function withoutOverlaps(matches: readonly number[], length: number): number[] {
  let behind = 0
  return matches.filter((at) => {
    if (at < behind) return false
    behind = at + Math.max(1, length)
    return true
  })
}

function compare(
  t: ExecutionContext,
  region: MmapFile,
  data: Buffer,
  needle: Needle,
  bytes: Buffer,
  range: Range,
): void {
  const all = allMatches(data, bytes, range)
  const apart = withoutOverlaps(all, bytes.length)
  const scan = region.indexesOf(needle, range)
  const [start] = clamped(data.length, range)
  const positions: number[] = []
  const before = scan.position
  const found: number[] = []
  for (const index of scan) {
    found.push(index)
    positions.push(scan.position)
  }
  const ours = {
    indexOf: region.indexOf(needle, range),
    lastIndexOf: region.lastIndexOf(needle, range),
    includes: region.includes(needle, range),
    count: region.count(needle, range),
    found: found.join(),
    positions: positions.join(),
    before,
    after: scan.next().done,
  }
  const theirs = {
    indexOf: all[0] ?? -1,
    lastIndexOf: all.at(-1) ?? -1,
    includes: all.length > 0,
    count: apart.length,
    found: apart.join(),
    positions: apart.map((at) => at + bytes.length).join(),
    before: start,
    after: true,
  }
  for (const [name, value] of Object.entries(ours)) {
    const expected: unknown = Reflect.get(theirs, name)
    if (value !== expected) {
      t.log({ needle: bytes.toString('hex'), range, length: data.length })
      t.fail(`${name}: ${String(value)}, expected ${String(expected)}`)
    }
  }
}

for (const alphabet of ['a', 'ab', 'abc', '\0\u0001', undefined]) {
  test(`every form finds what a plain search finds: needles of 0 to 40 bytes over ${alphabet === undefined ? 'all bytes' : JSON.stringify(alphabet)}`, (t) => {
    const random = new Random(t)
    for (let round = 0; round < 6; round++) {
      const offset = random.pick([0, 1, 33])
      const data = random.bytes(random.pick([3, 64, 400]), alphabet)
      const model = data.subarray(Math.min(offset, data.length))
      const region = regionWith(t, data, { offset: Math.min(offset, data.length) })
      for (let search = 0; search < 80; search++) {
        const length = random.pick([0, 1, 1, 2, 3, random.integer(4, 40)])
        const from = random.integer(0, model.length)
        // Mostly one that is there.
        const needle =
          random.integer(0, 3) === 0 ? random.bytes(length, alphabet) : Buffer.from(model.subarray(from, from + length))
        compare(t, region, model, needle, needle, {
          start: random.index(model.length),
          end: random.index(model.length),
        })
      }
      compare(t, region, model, '', Buffer.alloc(0), {})
    }
    t.pass()
  })
}

test('a match that straddles an end of the range is none', (t) => {
  const data = Buffer.from('....needle....needle....')
  const region = regionWith(t, data)
  for (let start = 0; start <= data.length; start++) {
    for (let end = start; end <= data.length; end++) {
      compare(t, region, data, 'needle', Buffer.from('needle'), { start, end })
    }
  }
  t.pass()
})

test('bytes that are all the same are found at each end, counted apart, to the last', (t) => {
  for (const length of [1, 2, 7, 64, 1000, 4096, 4097]) {
    const data = Buffer.alloc(length, 0x61)
    const region = regionWith(t, data)
    for (const size of [1, 2, 3, 39, length, length + 1]) {
      const needle = Buffer.alloc(size, 0x61)
      t.is(region.indexOf(needle), size <= length ? 0 : -1)
      t.is(region.lastIndexOf(needle), size <= length ? length - size : -1)
      t.is(region.count(needle), Math.floor(length / size))
      t.deepEqual(
        [...region.indexesOf(needle)],
        Array.from({ length: Math.floor(length / size) }, (_, at) => at * size),
      )
    }
    t.is(region.indexOf(Buffer.from('aab')), -1)
    t.is(region.lastIndexOf(Buffer.from('baa')), -1)
  }
})

test('a scan of more matches than one block has gives them all', (t) => {
  for (const [length, size] of [
    [4096, 1],
    [4095, 1],
    [4097, 1],
    [20_000, 1],
    [8192, 2],
    [8195, 2],
    [12_288, 3],
  ] as const) {
    const region = regionWith(t, Buffer.alloc(length, 0x61))
    const found = [...region.indexesOf('a'.repeat(size))]
    t.deepEqual(
      found,
      Array.from({ length: Math.floor(length / size) }, (_, at) => at * size),
    )
  }
  const region = regionWith(t, Buffer.alloc(5000))
  t.is([...region.indexesOf('')].length, 5001)
  t.is([...region.indexesOf('', { start: 904 })].length, 4097)
  t.is([...region.indexesOf('', { start: 905 })].length, 4096)
  t.is(region.count('', { start: 905 }), 4096)
})

test('an empty needle is found at the start of the range, the last one at its end, and between any two bytes', (t) => {
  const region = regionWith(t, 'abcdef')
  for (const needle of ['', Buffer.alloc(0), new ArrayBuffer(0), new Float64Array(0)]) {
    t.is(region.indexOf(needle), 0)
    t.is(region.lastIndexOf(needle), 6)
    t.is(region.indexOf(needle, { start: 2, end: 4 }), 2)
    t.is(region.lastIndexOf(needle, { start: 2, end: 4 }), 4)
    t.is(region.indexOf(needle, { start: -2 }), 4)
    t.is(region.indexOf(needle, { start: 100 }), 6)
    t.is(region.count(needle), 7)
    t.is(region.count(needle, { start: 2, end: 4 }), 3)
    t.deepEqual([...region.indexesOf(needle, { start: 2, end: 4 })], [2, 3, 4])
    t.true(region.includes(needle, { start: 6 }))
    // Where the end lies before the start there is no place for it.
    t.is(region.indexOf(needle, { start: 4, end: 2 }), -1)
    t.is(region.lastIndexOf(needle, { start: -1, end: 2 }), -1)
    t.is(region.count(needle, { start: 4, end: 3 }), 0)
    t.deepEqual([...region.indexesOf(needle, { start: 4, end: -6 })], [])
  }
})

test('text is looked for as UTF-8', (t) => {
  const text = 'naïve façade — \u{1f600} €uro \u{1f601} — naïve'
  const region = regionWith(t, text)
  const data = Buffer.from(text)
  for (const needle of ['ï', 'ç', '—', '\u{1f600}', '\u{1f601}', '€', 'naïve', ' — ', 'ñ', '\u{1f602}']) {
    compare(t, region, data, needle, Buffer.from(needle), {})
    compare(t, region, data, needle, Buffer.from(needle), { start: 9, end: -3 })
  }
  t.is(region.indexOf('\u{1f600}'), data.indexOf('\u{1f600}'))
  // A half of a surrogate pair is what Buffer.from makes of it.
  t.is(region.indexOf('\ud83d'), -1)
  t.is(regionWith(t, '\ufffd').indexOf('\ud83d'), 0)
})

test('a number is looked for as a byte, 0 and 255 among them', (t) => {
  const data = Buffer.from([1, 0, 255, 128, 0, 255])
  const region = regionWith(t, data)
  for (const byte of [0, 1, 2, 127, 128, 255]) compare(t, region, data, byte, Buffer.from([byte]), {})
  t.pass()
})

test('views of wider elements, parts of buffers and shared memory are looked for as their bytes', (t) => {
  const data = Buffer.from('0123456789abcdef0123')
  const region = regionWith(t, data, { access: WINDOWED })
  const words = Uint16Array.of(0x3332, 0x3534)
  const shared = new SharedArrayBuffer(3)
  Buffer.from(shared).write('def')
  const needles: [Needle, string][] = [
    [words, '2345'],
    [words.subarray(1), '45'],
    [words.buffer, '2345'],
    [new DataView(words.buffer, 1, 2), '34'],
    [new DataView(words.buffer, 4), ''],
    [shared, 'def'],
    [new Uint8Array(shared, 1), 'ef'],
    [new DataView(shared, 2), 'f'],
    [Float64Array.of(Buffer.from('89abcdef').readDoubleLE()), '89abcdef'],
    [BigUint64Array.of(Buffer.from('cdef0123').readBigUInt64LE()), 'cdef0123'],
    [region.subarray(4, 9), '45678'],
  ]
  for (const [needle, text] of needles) compare(t, region, data, needle, Buffer.from(text), {})
  t.pass()
})

test('a scan keeps its needle as it was when it began, over all its blocks', (t) => {
  const region = regionWith(t, 'ab'.repeat(10_000))
  const needle = Buffer.from('ab')
  const scan = region.indexesOf(needle)
  t.is(scan.next().value, 0)
  needle.fill('x')
  t.deepEqual(
    [...scan],
    Array.from({ length: 9999 }, (_, number) => 2 * number + 2),
  )
})

test('a scan of positions goes on after a break, and stops with an error when the region is closed', (t) => {
  const region = regionWith(t, 'a.a.a.a.')
  const scan = region.indexesOf('a')
  t.is(scan.position, 0)
  for (const index of scan) {
    t.is(index, 0)
    break
  }
  t.is(scan.position, 1)
  for (const index of scan) {
    t.is(index, 2)
    break
  }
  t.is(scan[Symbol.iterator](), scan)
  region.close()
  t.is(
    codeOf(() => scan.next()),
    'ERR_REGION_CLOSED',
  )
  t.is(
    codeOf(() => scan.next()),
    'ERR_REGION_CLOSED',
  )
})

test('needles of many lengths are found across the pages of a larger file', (t) => {
  const random = new Random(t)
  const data = random.bytes(300_000, 'abcdefgh')
  const region = regionWith(t, data, { offset: 1 })
  const model = data.subarray(1)
  for (let round = 0; round < 200; round++) {
    const from = random.pick([
      random.integer(0, model.length - 100),
      4096 * random.integer(1, 70) - random.integer(0, 40),
    ])
    const needle = Buffer.from(model.subarray(from, from + random.integer(9, 40)))
    t.is(region.indexOf(needle), model.indexOf(needle))
    t.is(region.lastIndexOf(needle), model.lastIndexOf(needle))
    t.is(region.indexOf(needle, { start: from + 1 }), model.indexOf(needle, from + 1))
  }
})

const withPython = hasPython ? test : test.skip

withPython("find and rfind agree with Python's mmap for any window (skipped without python3)", (t) => {
  const random = new Random(t)
  const data = random.bytes(60, 'ab')
  const path = fileWith(t, data)
  const region = opened(t, path)
  const end = () => random.pick([random.integer(-70, 70), random.integer(-3, 3), random.integer(55, 65)])
  const queries = Array.from({ length: 1500 }, () => {
    return { needle: random.bytes(random.pick([0, 0, 1, 2, 3, 5, 61]), 'ab').toString(), start: end(), end: end() }
  })
  const program = [
    'import json, mmap, sys',
    'queries = json.load(sys.stdin)',
    'with open(sys.argv[1], "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:',
    '  print(json.dumps([[m.find(q["needle"].encode(), q["start"], q["end"]), m.rfind(q["needle"].encode(), q["start"], q["end"])] for q in queries]))',
  ].join('\n')
  const answers = JSON.parse(
    execFileSync('python3', ['-c', program, path], { input: JSON.stringify(queries), encoding: 'utf8' }),
  ) as [number, number][]
  for (const [number, { needle, start, end: stop }] of queries.entries()) {
    const ours = [region.indexOf(needle, { start, end: stop }), region.lastIndexOf(needle, { start, end: stop })]
    t.deepEqual(ours, answers[number], `'${needle}' in ${start}, ${stop}`)
  }
})
