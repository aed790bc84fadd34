// Lines of a region, beside a plain split at each 0x0a.

import test from 'ava'
import type { ExecutionContext } from 'ava'
import * as fc from 'fast-check'
import type { Lines, MmapFile, Range, Scan } from 'memmap'

import { ending as endingOf, runChild, WELL } from './helpers/child.ts'
import { codeOf, regionWith } from './helpers/files.ts'
import { holdsLater, Random } from './helpers/random.ts'
import { call } from './helpers/scalars.ts'
import { tmpFile } from './helpers/tmp.ts'

/** lib/lines.ts takes in so many bytes and so many line ends at a time. */
const BLOCK = 64 * 1024
const ENDS = 4096

interface Line {
  readonly bytes: Buffer
  /** Just behind it and its end. */
  readonly position: number
}

function split(data: Buffer, { start, end }: Range = {}): Line[] {
  const range = data.subarray(start, end)
  const offset = range.byteOffset - data.byteOffset
  const lines: Line[] = []
  let from = 0
  while (from < range.length) {
    const newline = range.indexOf(0x0a, from)
    const to = newline === -1 ? range.length : newline
    const cut = newline !== -1 && to > from && range[to - 1] === 0x0d ? to - 1 : to
    const next = Math.min(to + 1, range.length)
    lines.push({ bytes: range.subarray(from, cut), position: offset + next })
    from = next
  }
  return lines
}

const ENCODINGS = ['utf8', 'utf-8', 'UTF8', 'latin1', 'binary', 'ascii', 'hex', 'base64', 'base64url'] as const

/** Compares bytes, and text in every encoding. Fails at the first line that differs. */
function compare(
  t: ExecutionContext,
  region: MmapFile,
  data: Buffer,
  range: Range = {},
  encodings: readonly BufferEncoding[] = ENCODINGS as readonly string[] as readonly BufferEncoding[],
): void {
  const expected = split(data, range)
  let number = 0
  const scan = region.lines(range)
  for (const line of scan) {
    const model = expected[number++]
    if (model === undefined || !line.equals(model.bytes) || scan.position !== model.position) {
      return t.fail(
        `line ${number} of ${expected.length} in ${JSON.stringify(range)}: ${line.toString('latin1').slice(0, 80)} at ${scan.position}`,
      )
    }
  }
  if (number !== expected.length) return t.fail(`${number} lines, expected ${expected.length}`)
  for (const encoding of encodings) {
    number = 0
    const text = region.lines({ ...range, encoding })
    for (const line of text) {
      const model = expected[number++]
      if (model === undefined || line !== model.bytes.toString(encoding) || text.position !== model.position) {
        return t.fail(
          `${encoding}, line ${number} of ${expected.length}: ${JSON.stringify(line.slice(0, 80))} at ${text.position}`,
        )
      }
    }
    if (number !== expected.length) return t.fail(`${encoding}: ${number} lines, expected ${expected.length}`)
  }
}

test('lines end with a newline, with or without a return before it, and the last one also without', (t) => {
  const cases: [string, string[]][] = [
    ['', []],
    ['\n', ['']],
    ['\r\n', ['']],
    ['\r', ['\r']],
    ['a', ['a']],
    ['a\n', ['a']],
    ['a\r\n', ['a']],
    ['a\r', ['a\r']],
    ['a\r\r\n', ['a\r']],
    ['\n\n\n', ['', '', '']],
    ['a\n\nb', ['a', '', 'b']],
    ['a\rb\nc\r\nd\n\re', ['a\rb', 'c', 'd', '\re']],
    ['\r\n\r\n', ['', '']],
    ['a\n\r', ['a', '\r']],
    ['é\r\n€\n\u{1f600}\r', ['é', '€', '\u{1f600}\r']],
  ]
  for (const [text, lines] of cases) {
    const region = regionWith(t, text)
    t.deepEqual([...region.lines({ encoding: 'utf8' })], lines, JSON.stringify(text))
    t.deepEqual(
      Array.from(region.lines(), (line) => line.toString()),
      lines,
      JSON.stringify(text),
    )
    compare(t, region, Buffer.from(text))
  }
})

test('random lines are what a plain split gives, in every encoding', (t) => {
  const random = new Random(t)
  for (let round = 0; round < 60; round++) {
    const alphabet = random.pick([
      'a\n',
      'ab\r\n',
      '\r\n',
      'abcdefgh\r\n',
      'é€\u{1f600}\r\n\n',
      '\u0080\u008a\n\u000a\u00ff\r',
    ])
    const data = random.bytes(random.integer(0, 400), Buffer.from(alphabet))
    compare(t, regionWith(t, data), data)
  }
  t.pass()
})

test('lines that are no UTF-8 are decoded as Buffer decodes them', (t) => {
  const random = new Random(t)
  const data = Buffer.from(
    'ok\n\xff\xfe\nab\xc3\ncd\xe2\x82\n\xf0\x9f\x98\n\x80\x80\x80\r\n\xed\xa0\x80\n\xc0\x80\xc3\xa9\xc3',
    'latin1',
  )
  compare(t, regionWith(t, data), data)
  for (let round = 0; round < 30; round++) {
    const bytes = random.bytes(
      random.integer(1, 2000),
      Buffer.from('\n\rab\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff\x80', 'latin1'),
    )
    compare(t, regionWith(t, bytes), bytes)
  }
  const all = random.bytes(5000)
  compare(t, regionWith(t, all), all)
  t.pass()
})

test('ranges cut lines where they begin and end', (t) => {
  const random = new Random(t)
  const data = Buffer.from('one\r\ntwo\n\nthr\u00e9e\r\nfour\rfour\nlast'.repeat(3))
  const region = regionWith(t, data, { access: 'copy' })
  for (let round = 0; round < 400; round++) {
    compare(t, region, data, { start: random.index(data.length), end: random.index(data.length) }, [
      'utf8',
      'latin1',
      'hex',
    ])
  }
  t.pass()
})

test('a range that ends between a return and its newline leaves the return in the line', (t) => {
  const region = regionWith(t, 'ab\r\ncd\r\n')
  t.deepEqual([...region.lines({ end: 3, encoding: 'utf8' })], ['ab\r'])
  t.deepEqual([...region.lines({ start: 3, end: 6, encoding: 'utf8' })], ['', 'cd'])
})

test('the position is just behind each line and its end, from the start of the region', (t) => {
  const region = regionWith(t, 'skip\nab\r\n\ncd', { offset: 2 })
  const scan = region.lines({ start: 3, encoding: 'utf8' })
  const seen: [string, number][] = []
  t.is(scan.position, 3)
  for (const line of scan) seen.push([line, scan.position])
  t.deepEqual(seen, [
    ['ab', 7],
    ['', 8],
    ['cd', 10],
  ])
  t.is(scan.position, 10)
  t.deepEqual(scan.next(), { done: true, value: undefined })
})

test('blocks with more line ends than are taken in at a time', (t) => {
  for (const lines of [ENDS - 1, ENDS, ENDS + 1, 2 * ENDS, 3 * ENDS + 5]) {
    for (const [line, rest] of [
      ['\n', ''],
      ['\r\n', 'x'],
      ['é\n', ''],
      ['ab\r\n', '\r'],
    ] as const) {
      const data = Buffer.from(line.repeat(lines) + rest)
      compare(t, regionWith(t, data), data, {}, ['utf8', 'latin1', 'ascii'])
    }
  }
  t.pass()
})

test('lines around and beyond the size of a block', (t) => {
  const lengths = [BLOCK - 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7]
  for (const length of lengths) {
    for (const ending of ['', '\n', '\r\n', '\r']) {
      for (const [before, after] of [
        ['', ''],
        ['a\n', 'b\nc'],
        ['é\r\n', '\n'],
      ] as const) {
        const data = Buffer.from(`${before}${'x'.repeat(length)}${ending}${after}`)
        compare(t, regionWith(t, data), data, {}, ['utf8', 'latin1', 'base64'])
      }
    }
  }
  t.pass()
})

test('long lines of characters that take several bytes, cut by the ends of blocks', (t) => {
  const random = new Random(t)
  for (const character of ['é', '€', '\u{1f600}', 'aé€\u{1f600}']) {
    const data = Buffer.concat([
      random.bytes(random.integer(0, 5), 'x'),
      Buffer.from(`${character.repeat(100_000)}\r\n${character}\n${character.repeat(70_000)}`),
    ])
    compare(t, regionWith(t, data), data, {}, ['utf8', 'latin1'])
  }
  t.pass()
})

test('many random lines over several blocks', (t) => {
  const random = new Random(t)
  const parts: string[] = []
  for (let number = 0; number < 12_000; number++) {
    const length = random.integer(0, 40) === 0 ? random.integer(0, 5000) : random.integer(0, 60)
    parts.push(random.pick(['a', 'é', 'x\ry', '\u{1f600}']).repeat(length), random.pick(['\n', '\n', '\r\n']))
  }
  const data = Buffer.from(parts.join(''))
  t.log(`${data.length} bytes`)
  const region = regionWith(t, data)
  compare(t, region, data, {}, ['utf8', 'latin1'])
  compare(t, region, data, { start: random.integer(0, data.length), end: -random.integer(1, 1000) }, ['utf8'])
  t.pass()
})

test('lines that were handed out outlive the region, and do not follow it', (t) => {
  const region = regionWith(t, 'one\ntwo\n', { access: 'write' })
  const lines = [...region.lines()]
  const texts = [...region.lines({ encoding: 'utf8' })]
  region.fill('x')
  region.close()
  t.deepEqual(lines.map(String), ['one', 'two'])
  t.deepEqual(texts, ['one', 'two'])
})

test('a scan of lines goes on after a break, and stops with an error when the region is closed', (t) => {
  for (const options of [{}, { encoding: 'utf8' }, { encoding: 'hex' }] as const) {
    const region = regionWith(t, '11\n22\n33\n')
    const scan = call(region, 'lines', options) as ReturnType<typeof region.lines>
    for (const line of scan) {
      t.true(['11', '3131'].includes(String(line)))
      break
    }
    t.is(scan.position, 3)
    t.true(['22', '3232'].includes(String(scan.next().value)))
    region.close()
    t.is(
      codeOf(() => scan.next()),
      'ERR_REGION_CLOSED',
    )
  }
})

test('UTF-16 is refused under each of its names: its line ends are two bytes', (t) => {
  const region = regionWith(t, 'a\n')
  for (const encoding of ['utf16le', 'utf-16le', 'UTF16LE', 'ucs2', 'ucs-2', 'UCS2']) {
    t.is(
      codeOf(() => call(region, 'lines', { encoding })),
      'ERR_INVALID_ARG_VALUE',
      encoding,
    )
  }
  t.is(
    codeOf(() => call(region, 'lines', { encoding: 'utf9' })),
    'ERR_UNKNOWN_ENCODING',
  )
})

/** How lines are asked for. */
interface Asked extends Lines {
  readonly encoding?: BufferEncoding
}

/** As `split`: in that order, and with or without the last one where it has no end. Positions are just before the line backwards. */
function linesOf(data: Buffer, { partial = true, reverse = false, ...range }: Lines): Line[] {
  const lines = split(data, range)
  const end = data.subarray(range.start, range.end).at(-1)
  if (!partial && lines.length > 0 && end !== 0x0a) lines.pop()
  if (!reverse) return lines
  lines.reverse()
  return lines.map(({ bytes }) => ({ bytes, position: bytes.byteOffset - data.byteOffset }))
}

/** What differs, if anything. */
function difference(
  given: readonly (readonly [Buffer | string, number])[],
  lines: readonly Line[],
  encoding?: BufferEncoding,
): string | undefined {
  for (const [number, { bytes, position }] of lines.entries()) {
    const [line, at] = given[number] ?? []
    const equal = typeof line === 'string' ? line === bytes.toString(encoding) : line?.equals(bytes)
    if (equal !== true || at !== position) {
      return `line ${number} of ${lines.length}: ${line?.length} long at ${at}, expected ${bytes.length} at ${position}`
    }
  }
  return given.length === lines.length ? undefined : `${given.length} lines, expected ${lines.length}`
}

/** Here and in the background. */
async function check(t: ExecutionContext, region: MmapFile, data: Buffer, asked: Asked): Promise<void> {
  const expected = linesOf(data, asked)
  const make = () => call(region, 'lines', asked) as Scan<Buffer | string>
  const start = make()
  const { position } = start
  const [here, behind]: [Buffer | string, number][][] = [[], []]
  for (const line of start) here?.push([line, start.position])
  const scan = make()
  for await (const line of scan) behind?.push([line, scan.position])
  const name = JSON.stringify(asked)
  t.is(difference(here ?? [], expected, asked.encoding), undefined, name)
  t.is(difference(behind ?? [], expected, asked.encoding), undefined, `${name}, in the background`)
  // Once it is over it stays where its last line left it.
  const range = data.subarray(asked.start, asked.end)
  const first = range.byteOffset - data.byteOffset
  t.is(position, asked.reverse === true ? first + range.length : first, name)
  t.is(start.position, expected.at(-1)?.position ?? position, name)
  t.is(scan.position, start.position, name)
}

test('backwards: every line once, from the last to the first, the position just before it', async (t) => {
  const cases: [string, string[]][] = [
    ['', []],
    ['\n', ['']],
    ['a', ['a']],
    ['a\n', ['a']],
    ['a\r\nb', ['b', 'a']],
    ['\n\n\n', ['', '', '']],
    ['\na\n\r\nb\r', ['b\r', '', 'a', '']],
  ]
  for (const [text, lines] of cases) {
    const region = regionWith(t, text)
    t.deepEqual([...region.lines({ encoding: 'utf8', reverse: true })], lines, JSON.stringify(text))
    for (const partial of [true, false]) {
      for (const reverse of [true, false]) await check(t, region, Buffer.from(text), { partial, reverse })
    }
  }
  const scan = regionWith(t, 'one\ntwo\nthree').lines({ reverse: true, encoding: 'utf8' })
  t.is(scan.position, 13)
  t.deepEqual([scan.next().value, scan.position], ['three', 8])
  t.deepEqual([scan.next().value, scan.position], ['two', 4])
  t.deepEqual([scan.next().value, scan.position], ['one', 0])
  t.deepEqual([scan.next().done, scan.position], [true, 0])
})

test('without partial a last line that has no end yet is left out, and the position stays before it', (t) => {
  const region = regionWith(t, 'one\ntwo\nthr')
  const scan = region.lines({ partial: false, encoding: 'utf8' })
  t.deepEqual([...scan], ['one', 'two'])
  t.is(scan.position, 8)
  t.deepEqual([...region.lines({ partial: false, reverse: true, encoding: 'utf8' })], ['two', 'one'])
  t.deepEqual([...region.lines({ partial: false, end: 3 })], [])
  t.deepEqual([...region.lines({ partial: false, end: 4, encoding: 'utf8' })], ['one'])
})

/** Around the sizes of blocks: the first ones here, the later ones, those of the background; and how many ends one has. */
const SIZES = [4 * 1024, 16 * 1024, BLOCK, 2 * BLOCK] as const
const AROUND = SIZES.flatMap((size) => [size - 2, size - 1, size, size + 1])

test('any lines, both ways, in any encoding, here and in the background, are what the model says', async (t) => {
  const line = fc.record({
    length: fc.oneof(
      { weight: 12, arbitrary: fc.nat(6) },
      { weight: 3, arbitrary: fc.nat(5000) },
      fc.constantFrom(...AROUND),
    ),
    letter: fc.constantFrom('a', 'é', '\r', '\u{1f600}', '\0'),
    end: fc.constantFrom('\n', '\n', '\r\n', '\r\r\n'),
  })
  const edge = fc.option(fc.integer({ min: -70_000, max: 70_000 }), { nil: undefined })
  await holdsLater(
    t,
    fc.asyncProperty(
      fc.array(line, { maxLength: 30 }),
      fc.boolean(),
      fc.record({
        start: edge,
        end: edge,
        partial: fc.boolean(),
        reverse: fc.boolean(),
        encoding: fc.constantFrom(undefined, 'utf8', 'latin1', 'hex', 'base64'),
      }),
      async (lines, ended, { encoding, ...asked }) => {
        const text = lines
          .map(({ length, letter, end }) => letter.repeat(length / Buffer.byteLength(letter)) + end)
          .join('')
        const data = Buffer.from(ended ? text : text.slice(0, -1))
        const region = regionWith(t, data)
        await check(t, region, data, encoding === undefined ? asked : { ...asked, encoding })
        region.close()
      },
    ),
    150,
  )
})

test('more line ends than a block takes in, and ends that the borders of blocks cut in two, both ways', async (t) => {
  for (const lines of [ENDS - 1, ENDS, ENDS + 1, 2 * ENDS + 1]) {
    for (const [line, rest] of [
      ['\n', ''],
      ['\r\n', 'x'],
    ] as const) {
      const data = Buffer.from(line.repeat(lines) + rest)
      await check(t, regionWith(t, data), data, { reverse: true })
      await check(t, regionWith(t, data), data, { reverse: true, partial: false, encoding: 'utf8' })
    }
  }
  for (const size of SIZES) {
    for (const before of [-2, -1, 0, 1]) {
      const long = 'x'.repeat(size + before)
      const data = Buffer.from(`a\r\n${long}\r\n${long}\r\n\r\nb`)
      for (const reverse of [true, false]) await check(t, regionWith(t, data), data, { reverse, start: 3 })
    }
  }
})

for (const how of ['forwards', 'backwards', 'in the background', 'backwards in the background']) {
  test.serial(`a line of a gigabyte ${how}`, async (t) => {
    const began = performance.now()
    const child = await runChild('search/long-line.mjs', [tmpFile(t), how])
    t.deepEqual(endingOf(child), WELL)
    t.log(`${((performance.now() - began) / 1000).toFixed(1)} s`)
  })
}
