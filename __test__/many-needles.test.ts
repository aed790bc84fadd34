// Many needles at once, beside the plainest search for them.

import test from 'ava'
import type { ExecutionContext } from 'ava'
import type { MmapFile, Needle, Range } from 'memmap'

import { codeOf, regionWith, thrownBy } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { trials } from './helpers/trials.ts'

interface One {
  readonly index: number
  readonly end: number
  readonly needle: number
}

function bytesOf(needle: Needle): Buffer {
  if (typeof needle === 'number') return Buffer.of(needle)
  if (typeof needle === 'string') return Buffer.from(needle)
  return ArrayBuffer.isView(needle)
    ? Buffer.from(needle.buffer, needle.byteOffset, needle.byteLength)
    : Buffer.from(needle)
}

/** At each position the first needle of the list that begins there; behind it the search goes on. */
function naive(data: Buffer, needles: readonly Needle[], { start = 0, end = data.length }: Range): One[] {
  const clamp = (at: number) => (at < 0 ? Math.max(0, at + data.length) : Math.min(at, data.length))
  const stop = clamp(end)
  const all = needles.map(bytesOf)
  const found: One[] = []
  for (let at = clamp(start); at < stop;) {
    const here = at
    const needle = all.findIndex(
      (bytes) =>
        here + bytes.length <= stop &&
        data[here] === bytes[0] &&
        data.compare(bytes, 0, bytes.length, here, here + bytes.length) === 0,
    )
    if (needle === -1) at++
    else {
      at += all[needle]?.length ?? 0
      found.push({ index: here, end: at, needle })
    }
  }
  return found
}

/** All forms, here and in the background; how many matches there are. */
async function compare(
  t: ExecutionContext,
  region: MmapFile,
  data: Buffer,
  needles: readonly Needle[],
  range: Range,
): Promise<number> {
  const expected = naive(data, needles, range)
  const counts = needles.map(() => 0)
  for (const { needle } of expected) counts[needle] = (counts[needle] ?? 0) + 1
  const places = expected.map(({ index, needle }) => `${needle}@${index}`).join()
  const whole = expected.map(({ index, end, needle }) => `${needle}@${index}-${end}`).join()
  const said = JSON.stringify({ needles: needles.map((needle) => bytesOf(needle).toString('latin1')), range })

  t.deepEqual(region.count(needles, range), counts, said)
  t.deepEqual(await region.countAsync(needles, range), counts, said)

  const scan = region.indexesOf(needles, range)
  const found: string[] = []
  const ends: number[] = []
  for (const { index, needle } of scan) {
    found.push(`${needle}@${index}`)
    ends.push(scan.position)
  }
  t.is(found.join(), places, said)
  t.is(ends.join(), expected.map(({ end }) => end).join(), said)
  const later: string[] = []
  for await (const { index, needle } of region.indexesOf(needles, range)) later.push(`${needle}@${index}`)
  t.is(later.join(), places, said)

  const matches = [...region.matchAll(needles, range)]
  t.is(matches.map(({ index, end, needle }) => `${needle}@${index}-${end}`).join(), whole, said)
  for (const match of matches) {
    if (match[0]?.equals(data.subarray(match.index, match.end)) !== true) t.fail(`the bytes at ${match.index}: ${said}`)
    if (match.length !== 1 || match.groups !== undefined) t.fail('a needle has no groups')
  }
  const behind: string[] = []
  for await (const { index, end, needle } of region.matchAll(needles, range)) behind.push(`${needle}@${index}-${end}`)
  t.is(behind.join(), whole, said)
  return expected.length
}

/** One needle as any of the things that hold bytes. */
function asAnything(random: Random, bytes: Buffer): Needle {
  const copy = Uint8Array.from(bytes)
  const forms: (() => Needle)[] = [
    () => bytes,
    () => copy,
    () => copy.buffer,
    () => new DataView(copy.buffer),
    ...(bytes.every((byte) => byte < 0x80) ? [() => bytes.toString('latin1')] : []),
    ...(bytes.length === 1 ? [() => bytes[0] ?? 0] : []),
  ]
  return random.pick(forms)()
}

for (const alphabet of ['a', 'ab', 'abc', undefined]) {
  test(`1 to 20 needles over ${alphabet ?? 'all bytes'} are found as a plain search finds them`, async (t) => {
    const random = new Random(t)
    let found = 0
    const rounds = trials(60, 1000)
    for (let round = 0; round < rounds; round++) {
      const data = random.bytes(random.pick([0, 3, 64, 400]), alphabet)
      const region = regionWith(t, data)
      const needles = Array.from({ length: random.integer(1, 20) }, () => {
        const length = random.pick([1, 1, 2, 3, random.integer(4, 20)])
        const from = random.integer(0, data.length)
        const piece = Buffer.from(data.subarray(from, from + length))
        // Mostly one that is there.
        const needle = piece.length === 0 || random.integer(0, 3) === 0 ? random.bytes(length, alphabet) : piece
        return asAnything(random, needle)
      })
      const range = { start: random.index(data.length), end: random.index(data.length) }
      found += await compare(t, region, data, needles, {})
      found += await compare(t, region, data, needles, range)
      region.close()
    }
    t.log(`${rounds} regions, ${found} matches`)
    t.true(found > rounds)
  })
}

test('a thousand needles at once', async (t) => {
  const random = new Random(t)
  const words = Array.from({ length: 1000 }, () => random.bytes(random.integer(1, 6), 'abcdefghij'))
  const data = Buffer.concat(Array.from({ length: 3000 }, () => random.pick([...words, Buffer.from('\n')])))
  const region = regionWith(t, data)
  for (const size of [1, 2, 10, 100, 999, 1000]) {
    t.true((await compare(t, region, data, words.slice(0, size), {})) > 0)
    await compare(t, region, data, words.slice(-size), { start: 100, end: -100 })
  }
})

test('of two needles that begin at one place the first of the list is found, be it the shorter', async (t) => {
  const data = Buffer.from('abcabcab')
  const region = regionWith(t, data)
  const lists = [
    ['ab', 'abc'],
    ['abc', 'ab'],
    ['c', 'bc', 'abc'],
    ['bc', 'c', 'b'],
    ['abcabc', 'abc', 'ab'],
    ['cab', 'ab'],
    ['bcab', 'abca', 'b'],
  ]
  for (const needles of lists) await compare(t, region, data, needles, {})
  t.deepEqual(region.count(['ab', 'abc']), [3, 0])
  t.deepEqual(region.count(['abc', 'ab']), [2, 1])
  t.deepEqual(
    [...region.indexesOf(['abc', 'ab'])],
    [
      { needle: 0, index: 0 },
      { needle: 0, index: 3 },
      { needle: 1, index: 6 },
    ],
  )
})

test('of needles that are the same the first is found', async (t) => {
  const data = Buffer.from('xyxyx')
  const region = regionWith(t, data)
  t.deepEqual(region.count(['x', 'x']), [3, 0])
  t.deepEqual(region.count(['y', 'x', 'y', 0x78, Buffer.from('x')]), [2, 3, 0, 0, 0])
  await compare(t, region, data, ['xy', 'xy', 'x', 'x'], {})
})

test('a list of one is still a list', async (t) => {
  const region = regionWith(t, 'xyx')
  t.deepEqual(region.count(['x']), [2])
  t.deepEqual(await region.countAsync(['x']), [2])
  t.deepEqual(
    [...region.indexesOf(['x'])],
    [
      { needle: 0, index: 0 },
      { needle: 0, index: 2 },
    ],
  )
  t.deepEqual(
    [...region.matchAll(['yx'])].map(({ index, needle }) => [index, needle]),
    [[1, 0]],
  )
})

test('bytes, numbers and strings may be mixed, and a string is its UTF-8', async (t) => {
  const data = Buffer.concat([Buffer.from('né\0'), Buffer.of(0xff, 0xe9), Buffer.from('€é')])
  const region = regionWith(t, data)
  const needles = ['é', 0xe9, Buffer.of(0xff), 0, '€', new Uint8Array([0x6e]), new Uint16Array([0x0201])]
  t.deepEqual(region.count(needles), [2, 1, 1, 1, 1, 1, 0])
  await compare(t, region, data, needles, {})
})

test('an empty list, empty needles and things that are no needles are refused by name', async (t) => {
  const region = regionWith(t, 'xyx')
  const cases: [needles: unknown[], code: string, message: RegExp][] = [
    [[], 'ERR_INVALID_ARG_VALUE', /must hold a needle at least/],
    [[''], 'ERR_INVALID_ARG_VALUE', /\[0\]' must hold a byte at least/],
    [['x', Buffer.alloc(0)], 'ERR_INVALID_ARG_VALUE', /\[1\]' must hold a byte at least/],
    [['x', 'y', new ArrayBuffer(0), ''], 'ERR_INVALID_ARG_VALUE', /\[2\]' must hold a byte at least/],
    [['x', 256], 'ERR_OUT_OF_RANGE', /\[1\]"/],
    [[-1], 'ERR_OUT_OF_RANGE', /\[0\]"/],
    [[1.5], 'ERR_OUT_OF_RANGE', /\[0\]"/],
    [['x', /y/], 'ERR_INVALID_ARG_TYPE', /\[1\]"/],
    [['x', null], 'ERR_INVALID_ARG_TYPE', /\[1\]"/],
    [['x', ['y']], 'ERR_INVALID_ARG_TYPE', /\[1\]"/],
    // A hole is `undefined`.
    [Array(2), 'ERR_INVALID_ARG_TYPE', /\[0\]"/],
  ]
  for (const [needles, code, message] of cases) {
    for (const name of ['count', 'indexesOf', 'matchAll']) {
      const error = thrownBy(() => Reflect.apply(Reflect.get(region, name) as () => unknown, region, [needles]))
      t.is(error?.code, code, name)
      t.regex(error?.message ?? '', message, name)
    }
    const error: unknown = await t.throwsAsync(
      Reflect.apply(region.countAsync, region, [needles]) as unknown as Promise<unknown>,
      undefined,
      'countAsync',
    )
    t.is(error instanceof Error && Reflect.get(error, 'code'), code)
  }
})

test('a needle that its owner changes after the call is looked for as it was', async (t) => {
  const region = regionWith(t, 'ab'.repeat(5000))
  const needle = Buffer.from('a')
  const list = [needle, 'b']
  const scan = region.indexesOf(list)
  const counting = region.countAsync(list)
  t.deepEqual(scan.next().value, { needle: 0, index: 0 })
  needle.fill('x')
  list.length = 0
  t.is([...scan].length, 9999)
  t.deepEqual(await counting, [5000, 5000])
})

test('matches are more than a batch has, and all are given', async (t) => {
  const data = Buffer.from('ab'.repeat(5000))
  const region = regionWith(t, data)
  t.is(await compare(t, region, data, ['a', 'b'], {}), 10_000)
  t.is(await compare(t, region, data, ['ab', 'a'], {}), 5000)
})

test('needles across the borders of slices and threads are counted once', async (t) => {
  const SLICE = 4 << 20
  const data = Buffer.alloc(3 * SLICE + 100, '.')
  for (let border = SLICE; border <= 3 * SLICE; border += SLICE) data.write('needless', border - 4)
  const region = regionWith(t, data)
  const needles = ['need', 'less', 'needless', 'dl', 'edle', 's']
  for (const order of [needles, needles.toReversed(), ['needless', 's'], ['edle', 'dles', 's']]) {
    const expected = naive(data, order, {})
    t.true(expected.length >= 3)
    const counts = order.map((_, needle) => expected.filter((one) => one.needle === needle).length)
    t.deepEqual(region.count(order), counts)
    for (const threads of [1, 2, 4]) t.deepEqual(await region.countAsync(order, { threads }), counts)
    t.is([...region.indexesOf(order)].map(({ index }) => index).join(), expected.map(({ index }) => index).join())
  }
})

test('after the region is closed there is nothing to find', (t) => {
  const region = regionWith(t, 'xyx')
  region.close()
  for (const name of ['count', 'indexesOf', 'matchAll']) {
    t.is(
      codeOf(() => Reflect.apply(Reflect.get(region, name) as () => unknown, region, [['x', 'y']])),
      'ERR_REGION_CLOSED',
    )
  }
})
