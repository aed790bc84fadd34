// Regular expressions over bytes, beside JavaScript's own over strings.

import { inspect } from 'node:util'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import * as fc from 'fast-check'
import { Match, PrivateMemory } from 'memmap'
import type { Range, Region } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { expressions, texts } from './helpers/expressions.ts'
import type { Kind } from './helpers/expressions.ts'
import { codeOf, regionWith, thrownBy } from './helpers/files.ts'
import { holds, Random } from './helpers/random.ts'
import { trials } from './helpers/trials.ts'

const MIB = 2 ** 20

/** Where a match and its groups are. */
type Places = (readonly [number, number] | undefined)[]

const placesOf = (match: Match): Places => Array.from({ length: match.length }, (_, group) => match.indices[group])

function found(region: Region, pattern: RegExp, range?: Range): Places[] {
  return [...region.matchAll(pattern, range)].map(placesOf)
}

/** What JavaScript finds in a string, in bytes of its encoding. */
function expected(pattern: RegExp, text: string, encoding: 'latin1' | 'utf8', start = 0): Places[] {
  const flags = new Set([...pattern.flags, 'g', 'd'])
  const matches = text.matchAll(new RegExp(pattern.source, [...flags].join('')))
  // V8 also finds nothing between the two halves of a character, which is not what the language says.
  const isWhole = ({ index, 0: all }: RegExpMatchArray): boolean =>
    !(pattern.unicode && all === '' && /^[\udc00-\udfff]/.test(text.slice(index)))
  const byte = (at: number): number => start + Buffer.byteLength(text.slice(0, at), encoding)
  return [...matches]
    .filter(isWhole)
    .map(({ indices }) =>
      Array.from(indices ?? [], (place): Places[number] => place && [byte(place[0]), byte(place[1])]),
    )
}

/** All forms find in a text what JavaScript does. */
function same(t: ExecutionContext, pattern: RegExp, text: string, encoding: 'latin1' | 'utf8' = 'utf8'): void {
  const region = regionWith(t, Buffer.from(text, encoding))
  const theirs = expected(pattern, text, encoding)
  const said = `${String(pattern)} in ${JSON.stringify(text)}`
  t.deepEqual(found(region, pattern), theirs, said)
  t.is(region.count(pattern), theirs.length, said)
  const first = region.match(pattern)
  t.deepEqual(first === null ? undefined : placesOf(first), theirs[0], said)
  region.close()
}

test('a match knows its bytes, its groups and where they are', (t) => {
  const text = 'one key=välue, two'
  const region = regionWith(t, text)
  const match = region.match(/(?<name>\w+)=(?<value>[^,]+)(x)?(, )/)
  if (match === null) return t.fail()
  t.true(match instanceof Match)
  t.is(match.index, 4)
  t.is(match.end, 16)
  t.is(match.length, 5)
  t.is(match.needle, 0)
  t.is(match[0]?.toString(), 'key=välue, ')
  t.is(match[1]?.toString(), 'key')
  t.is(match[2]?.toString(), 'välue')
  t.is(match[3], undefined)
  t.is(match[5], undefined)
  t.true(Buffer.isBuffer(match[0]))
  const [all, name, value, none, rest] = match
  t.deepEqual([all, name, value, none, rest].map(String), ['key=välue, ', 'key', 'välue', 'undefined', ', '])
  t.deepEqual(Object.keys(match.groups ?? {}), ['name', 'value'])
  t.is(match.groups?.['name']?.toString(), 'key')
  t.is(match.groups?.['value']?.toString(), 'välue')
  t.is(match.groups?.['toString'], undefined)
  t.deepEqual([...match.indices], [[4, 16], [4, 7], [8, 14], undefined, [14, 16]])
  t.deepEqual({ ...match.indices.groups }, { name: [4, 7], value: [8, 14] })
  t.regex(inspect(match), /^Match \{.*index: 4.*end: 16/s)
  region.close()
  t.is(match.groups?.['value']?.toString(), 'välue')
})

test('without names there are no groups by name; with them one that had no part is undefined', (t) => {
  const region = regionWith(t, 'ab')
  t.is(region.match(/(a)/)?.groups, undefined)
  t.is(region.match(/(a)/)?.indices.groups, undefined)
  const match = region.match(/(?<one>a)|(?<two>b)/)
  t.deepEqual(Object.keys(match?.groups ?? {}), ['one', 'two'])
  t.is(match?.groups?.['two'], undefined)
  t.is(match?.indices.groups?.['two'], undefined)
  t.deepEqual(match?.indices.groups?.['one'], [0, 1])
  const odd = region.match(/(?<constructor>a)(?<__proto__>b)(?<h\u{65}>)(?<ärger>)/)
  t.deepEqual(Object.keys(odd?.groups ?? {}), ['constructor', '__proto__', 'he', 'ärger'])
  t.is(odd?.groups?.['constructor']?.toString(), 'a')
  t.is(odd?.groups?.['__proto__']?.toString(), 'b')
})

test('no match is null, 0 and an empty scan; nothing but a RegExp is taken', (t) => {
  const region = regionWith(t, 'abc')
  t.is(region.match(/x/), null)
  t.is(region.count(/x/), 0)
  t.deepEqual([...region.matchAll(/x/)], [])
  for (const value of ['a', 1, {}, null, undefined, { source: 'a', flags: '' }, Buffer.from('a')]) {
    for (const name of ['match', 'matchAll']) {
      t.is(
        codeOf(() => Reflect.apply(Reflect.get(region, name) as () => unknown, region, [value])),
        'ERR_INVALID_ARG_TYPE',
        name,
      )
    }
  }
})

test('flags mean what they mean in JavaScript; g and d are nothing to us', (t) => {
  const text = 'aA\nbB\rß\n😀x\naa'
  for (const source of ['a', '^.', '.$', '^a', 'a$', '.', '[a-z]', '.+', '\\w', '\\W', '^', '$', 'a.b', '(?:)']) {
    for (const flags of ['', 'i', 'm', 's', 'u', 'g', 'y', 'd', 'im', 'ms', 'gy', 'imsu', 'dgimsuy']) {
      const pattern = new RegExp(source, flags)
      if (flags.includes('u')) same(t, pattern, text)
      same(t, pattern, text.replaceAll(/[^\0-\x7f]/gu, '?'))
    }
  }
  const region = regionWith(t, 'aAa')
  t.is(region.count(/a/), 2)
  t.is(region.count(/a/i), 3)
})

test('a sticky match is at the start of the range, then match behind match', (t) => {
  const region = regionWith(t, 'aababa')
  t.is(region.count(/a/y), 2)
  t.is(region.count(/b/y), 0)
  t.is(region.match(/b/y), null)
  t.is(region.match(/b/y, { start: 2 })?.index, 2)
  t.deepEqual(
    [...region.matchAll(/ab|a/y)].map(({ index }) => index),
    [0, 1, 3, 5],
  )
  for (const [source, text] of [
    ['a|', 'aab'],
    ['', 'ab'],
    ['a*', 'aaba'],
    ['^a', 'aa'],
    ['b*?', 'bb'],
  ] as const) {
    same(t, new RegExp(source, 'y'), text)
    same(t, new RegExp(source, 'yu'), `${text}é${text}`)
  }
})

test('lastIndex is neither read nor written', (t) => {
  const region = regionWith(t, 'aaaa')
  for (const flags of ['', 'g', 'y', 'gy']) {
    const pattern = new RegExp('a', flags)
    pattern.lastIndex = 3
    t.is(region.match(pattern)?.index, 0)
    t.is(region.count(pattern), 4)
    t.is([...region.matchAll(pattern)].length, 4)
    t.is(pattern.lastIndex, 3)
  }
  t.notThrows(() => region.count(Object.freeze(/a/g)))
})

test('a RegExp that was given another source by compile() is another', (t) => {
  const region = regionWith(t, 'aAbb')
  const pattern = /a/
  t.is(region.count(pattern), 1)
  Reflect.apply(Reflect.get(pattern, 'compile') as () => unknown, pattern, ['b'])
  t.is(region.count(pattern), 2)
  Reflect.apply(Reflect.get(pattern, 'compile') as () => unknown, pattern, ['a', 'i'])
  t.is(region.count(pattern), 2)
  Reflect.apply(Reflect.get(pattern, 'compile') as () => unknown, pattern, ['(a)(?<n>A)'])
  t.is(region.match(pattern)?.groups?.['n']?.toString(), 'A')
})

test('a range is a text of its own: anchors and \\b see its ends, and matches lie wholly in it', (t) => {
  const text = 'xaa\nbab\n aab'
  const region = regionWith(t, text)
  for (const pattern of [/^/, /$/, /^/m, /$/m, /\b/, /\B/, /a+/, /[^]+/, /\baa/, /a*$/, /(?:)/, /\w+/y]) {
    for (let start = 0; start <= text.length; start++) {
      for (let end = start; end <= text.length; end++) {
        const theirs = expected(pattern, text.slice(start, end), 'latin1', start)
        if (!isSame(found(region, pattern, { start, end }), theirs)) t.fail(`${String(pattern)} ${start} ${end}`)
        if (region.count(pattern, { start, end }) !== theirs.length) t.fail(`${String(pattern)} ${start} ${end}`)
      }
    }
  }
  t.is(region.match(/^b/, { start: -8 })?.index, 4)
  t.is(region.match(/a$/, { end: -1 })?.index, 10)
  t.deepEqual(found(region, /$/, { start: 5, end: 2 }), [[[5, 5]]])
})

function isSame(ours: readonly Places[], theirs: readonly Places[]): boolean {
  return JSON.stringify(ours) === JSON.stringify(theirs)
}

test('anchors at the ends of lines', (t) => {
  for (const text of ['', '\n', 'a', 'a\n', 'a\nb', '\n\n', 'a\rb', '\n\r', 'a\n\rb\n']) {
    for (const source of ['^', '$', '^$', '^a', 'a$', '^.*$', '\\w$', '^\\w?', '$^', '\\n^', '$\\n']) {
      for (const flags of ['', 'm', 'ms']) same(t, new RegExp(source, flags), text)
    }
  }
  // Between the two bytes of a line end no line begins or ends, while JavaScript has an empty line there.
  const region = regionWith(t, 'a\r\n\r\nb\r\n')
  t.deepEqual(found(region, /^/m).flat(), [
    [0, 0],
    [3, 3],
    [5, 5],
    [8, 8],
  ])
  t.deepEqual(found(region, /$/m).flat(), [
    [1, 1],
    [3, 3],
    [6, 6],
    [8, 8],
  ])
  t.deepEqual(found(region, /^.*$/m).flat(), [
    [0, 1],
    [3, 3],
    [5, 6],
    [8, 8],
  ])
  t.deepEqual(found(region, /^$/).flat(), [])
})

test('empty matches are where JavaScript has them', (t) => {
  for (const text of ['', 'a', 'b', 'ab', 'aab', 'baa', 'é', 'aéb', '😀', 'a😀é']) {
    for (const source of [
      '',
      'a*',
      'a*?',
      'a?',
      'b|',
      '|b',
      '\\b',
      '\\B',
      '(?:)',
      '()',
      '(a)?',
      '$',
      '^',
      'a|$',
      '[^]?',
    ]) {
      same(t, new RegExp(source, 'u'), text)
      if (/^[\0-\x7f]*$/.test(text)) same(t, new RegExp(source), text)
    }
  }
  const region = regionWith(t, 'é')
  // Without the flag u the text is bytes, and there is room between any two.
  t.is(region.count(/(?:)/), 3)
  t.is(region.count(/(?:)/u), 2)
})

test('bytes: . and classes are single ones, \\xHH is just that one, a letter is its UTF-8', (t) => {
  const region = regionWith(t, Buffer.concat([Buffer.of(0xff, 0x00, 0xe9), Buffer.from('é€\n')]))
  const places = (pattern: RegExp) => found(region, pattern).flat()
  t.is(region.count(/./), 8)
  t.is(region.count(/[^]/), 9)
  t.deepEqual(places(/\xe9/), [[2, 3]])
  t.deepEqual(places(/[\xe9]/), [[2, 3]])
  t.deepEqual(places(/[\x80-\xff]+/), [
    [0, 1],
    [2, 8],
  ])
  t.deepEqual(places(/[^\x80-\xff]+/), [
    [1, 2],
    [8, 9],
  ])
  t.deepEqual(places(new RegExp(String.raw`\377\0`)), [[0, 2]])
  t.deepEqual(places(new RegExp(String.raw`[\377]`)), [[0, 1]])
  t.deepEqual(places(/é/), [[3, 5]])
  t.deepEqual(places(/\u00e9/), [[3, 5]])
  t.deepEqual(places(/[é€]/), [
    [3, 5],
    [5, 8],
  ])
  t.deepEqual(places(/é+/), [[3, 5]])
  t.deepEqual(places(/[à-ÿ]€/), [[3, 8]])
  t.deepEqual(places(/É/i), [[3, 5]])
  t.deepEqual(places(/\xc3\xa9/), [[3, 5]])
  // With u they are characters, and what is no UTF-8 is none.
  t.deepEqual(places(/\xe9/u), [[3, 5]])
  t.deepEqual(places(/./u), [
    [1, 2],
    [3, 5],
    [5, 8],
  ])
  t.deepEqual(places(/[^a]/u), [
    [1, 2],
    [3, 5],
    [5, 8],
    [8, 9],
  ])
  t.deepEqual(places(/[\x80-\u{10ffff}]+/u), [[3, 8]])
})

test('with the flag u letters are what JavaScript takes them for', (t) => {
  const text = 'aAéÉßẞſsSkK\u212aΩω\u2126😀\u{1f680}\u2028\u00a0\ufeffǅǆ'
  for (const source of [
    's',
    'S',
    'ſ',
    'k',
    '\\u212a',
    'ß',
    'é',
    'ω',
    '[s]',
    '[^s]',
    '[a-z]+',
    '\\w',
    '\\W',
    '\\s',
    '\\S',
    '.',
  ]) {
    for (const flags of ['u', 'iu', 'su']) same(t, new RegExp(source, flags), text)
  }
  for (const source of [
    '\\p{L}',
    '\\P{L}',
    '\\p{Lu}',
    '\\p{Ll}+',
    '\\p{Script=Greek}',
    '[\\p{Lu}\\d]',
    '[^\\p{L}]',
    '\\p{Lt}',
  ]) {
    same(t, new RegExp(source, 'u'), text)
  }
  same(t, /\p{Lu}/iu, text)
  same(t, /[😀-🚀]/u, text)
  same(t, /\u{1f600}/u, text)
  same(t, /\ud83d\ude00/u, text)
})

test('properties and their opposites, alone and in classes, are those of this V8', (t) => {
  const text = 'aZ0_ é\u0130ßẞσςΣ\u212aſ\u1c80Ꭰꭰᏸ你😀\u{10428}𐐀\u0378\ue000\ufffe\ufdd0\u{e0001}\u{10ffff}\ud7ff'
  const properties = [
    'L',
    'Lu',
    'Ll',
    'Lt',
    'N',
    'P',
    'Cn',
    'Co',
    'Any',
    'ASCII',
    'Assigned',
    'Alphabetic',
    'Emoji',
    'White_Space',
  ]
  for (const property of [
    ...properties,
    'Script=Cherokee',
    'sc=Greek',
    'scx=Han',
    'Noncharacter_Code_Point',
    'gc=Lu',
  ]) {
    for (const source of [`\\p{${property}}`, `\\P{${property}}+`, `[^\\p{${property}}a]`, `[\\P{${property}}a-z]+`]) {
      for (const flags of ['u', 'iu']) same(t, new RegExp(source, flags), text)
    }
  }
})

/** Letters that are another one without case, but not just one, or not in every way of looking at it. */
const ODD_LETTERS = 'kK\u212asSſßẞiIıİσςΣθϑϴµμΜåÅ\u212bΩωꙊꙋᲈǅǆǄΐ\u1fd3ﬅﬆᎠꭰᏸᏰАаᲀⴀႠა\u1c90\u0345ιΙ\u1fbe𐐀𐐨ÿŸ'

test('where case is ignored, letters beyond ASCII are as good as each other where they are so in JavaScript', (t) => {
  for (const letter of ODD_LETTERS) {
    for (const flags of ['i', 'iu']) {
      // Without the flag u V8 takes a character beyond the first plane for two.
      const text = flags === 'i' ? ODD_LETTERS.replaceAll(/[^\0-\uffff]/gu, '') : ODD_LETTERS
      if (!text.includes(letter)) continue
      same(t, new RegExp(letter, flags), text)
      same(t, new RegExp(`[${letter}]`, flags), text)
      same(t, new RegExp(`[^${letter}é]`, flags), text)
      same(
        t,
        new RegExp(`(?:${letter})+x|[${letter}-${String.fromCodePoint((letter.codePointAt(0) ?? 0) + 40)}]+`, flags),
        text,
      )
    }
  }
  for (const source of [
    '\\w',
    '\\W',
    '[\\w]',
    '[^\\w]',
    '[^\\W]',
    '[\\W]',
    '[\\Wk]',
    '[^x]',
    '[a-z]',
    '[^a-z]',
    '[\\S\\d]',
    '.',
  ]) {
    same(t, new RegExp(source, 'iu'), ODD_LETTERS)
  }
  // A letter beyond the first plane has no other case without the flag u.
  const region = regionWith(t, '𐐀𐐨')
  t.is(region.count(/𐐀/i), 1)
  const far = '𐐀'
  t.is(region.count(new RegExp(`[${far}é]`, 'i')), 1)
  t.is(region.count(/𐐀/iu), 2)
  // Nor has a byte.
  t.is(regionWith(t, Buffer.of(0xe9, 0xc9, 0x61)).count(/[\xe9a]/i), 2)
})

function literal(character: string): string {
  return character.replace(/[\^$\\.*+?()[\]{}|/-]/, '\\$&')
}

test('random characters find each other where case is ignored as they do in JavaScript', (t) => {
  const random = new Random(t)
  const all = /[\p{Changes_When_Casemapped}\p{Changes_When_Casefolded}]/u
  const letters: string[] = []
  for (let code = 0; code <= 0x10ffff; code++)
    if (all.test(String.fromCodePoint(code))) letters.push(String.fromCodePoint(code))
  t.true(letters.length > 2500)
  const anything = (): string => {
    const code = random.integer(0, random.pick([0x7f, 0x7ff, 0xffff, 0x10ffff]))
    return code >= 0xd800 && code <= 0xdfff ? 'a' : String.fromCodePoint(code)
  }
  const allLetters = { i: letters.filter((letter) => letter.length === 1).join(''), iu: letters.join('') }
  let matches = 0
  for (let trial = 0; trial < trials(150, 20_000); trial++) {
    const [one, other] = [random.pick(letters), anything()].sort(
      (a, b) => (a.codePointAt(0) ?? 0) - (b.codePointAt(0) ?? 0),
    )
    for (const flags of ['i', 'iu'] as const) {
      const given = [one ?? '', other ?? ''].map(literal)
      // Outside of a class a hyphen must not be escaped.
      const alone = given.map((letter) => (letter === '\\-' ? '-' : letter))
      const source =
        random.pick([alone[0], alone[1], `[${given.join('')}]`, `[${given.join('-')}]`, `[^${given.join('-')}]`]) ?? ''
      // Without the flag u halves of characters, and what is a class of bytes here, are something else to V8.
      if (flags === 'i' && (/[^\0-\uffff]/u.test(source) || !/[^\0-\x7f]/.test(source) || /[^\0-\ud7ff]/.test(source)))
        continue
      same(t, new RegExp(source, flags), allLetters[flags])
      matches++
    }
  }
  t.true(matches > 100)
})

test('an expression that is as long as can be is refused, or found', (t) => {
  const region = regionWith(t, 'xaby')
  t.is(region.count(new RegExp(`a${'b?'.repeat(1000)}y`)), 1)
  t.is(region.count(new RegExp(`a|${'b'.repeat(5000)}`)), 1)
  // As many ranges as there may be in a class.
  const every = Array.from({ length: 20_000 }, (_, index) => String.fromCodePoint(0x3400 + index * 2)).join('')
  t.is(region.count(new RegExp(`[${every}a]`, 'i')), 1)
  t.is(region.count(new RegExp(`[^${every}a]`, 'iu')), 3)
  t.is(region.count(new RegExp(`a{${'0'.repeat(100)}1}`)), 1)
  t.is(region.count(new RegExp(`a{0,${'9'.repeat(30)}}b`)), 1)
  for (const source of ['\\p{L}'.repeat(5000), 'b?'.repeat(50_000), 'ab'.repeat(1_000_000)]) {
    const error = thrownBy(() => region.count(new RegExp(source, 'u')))
    t.is(error?.code, 'ERR_INVALID_ARG_VALUE')
    t.regex(error?.message ?? '', /a pattern (that|too) long|needs more than 64 MiB/)
  }
})

test('a subclass that says something else each time is read once', (t) => {
  class Fickle extends RegExp {
    #asked = 0
    override get source(): string {
      return ['a', 'a', '(', '\\p{'][this.#asked++] ?? ')'
    }
    override get unicode(): boolean {
      return true
    }
  }
  const region = regionWith(t, 'aab')
  t.is(region.count(new Fickle('a')), 2)
})

function made(source: string): RegExp | undefined {
  try {
    return new RegExp(source)
  } catch {
    return undefined
  }
}

test('modifiers of a group are those of JavaScript, where it has them', (t) => {
  const sources = ['(?i:a)b', '(?-i:a)b', 'a(?m:^b)', '(?s:a.)b', '(?s:.(?-s:.)).', '(?i:a(?-i:b))', '(?ms-i:^.$)']
  const known = sources.map(made).filter((pattern) => pattern !== undefined)
  if (known.length === 0) t.log(`Node.js ${process.versions.node} has no modifiers: nothing was compared`)
  for (const pattern of known) for (const text of ['ab', 'AB', 'Ab', 'aB', 'a\nb', '\n\n\n']) same(t, pattern, text)
  t.pass()
})

test('of old: what means something else, or nothing, in a pattern without the flag u', (t) => {
  const sources = String.raw`
    a{ a{,3} a{1 { } ] x{2} u\u{2} \u{2} \x1 \u12 \z \- \c \c1 \cA [\c] [\c1] [\c_] [\cA] \0 \01 \012
    \08 [\1] [\12] [\8] \1 \8 \12 (a)\2 (a)\101 \377 \k \p{L} [\w-a] [a-\d] [\d-z] [\w--a] [\d-a-z]
    [--0] [a-] [-a] [^-a] [] [^] []a] [\b] [[] [a&&b] [a~~b] [^^] (?:{) \"
  `
  const text = 'a{,3}a{1x{2}{}]]u\\u{2}uu\x01x1u12z-\\c1cA\x11\x1f\0\x018\n8k\bp{L}[&&~~^./0-9_az"'
  for (const source of sources.trim().split(/\s+/)) same(t, new RegExp(source), text, 'latin1')
})

test('what this engine cannot do is refused, and named', (t) => {
  const region = regionWith(t, 'abc')
  const deep = `${'('.repeat(1000)}a${')'.repeat(1000)}`
  const cases: [pattern: RegExp, message: RegExp][] = [
    [/(a)\1/, /back-references \(\\1\)/],
    [/(a)(b)\2/u, /back-references \(\\2\)/],
    [/(?<n>a)\k<n>/, /back-references \(\\k<name>\)/],
    [/(?<n>a)\k<n>/u, /back-references \(\\k<name>\)/],
    [/a(?=b)/, /: look-ahead \(\?=/],
    [/a(?!b)/, /: negative look-ahead \(\?!/],
    [/(?<=a)b/, /: look-behind \(\?<=/],
    [/(?<!a)b/, /: negative look-behind \(\?<!/],
    [/(?:x(?=b)|y)/u, /: look-ahead/],
    [new RegExp('a', 'v'), /the flag v/],
    [/[\x80é]/, /a class of both bytes .* and characters/],
    [/[^é\xff]/, /a class of both bytes .* and characters/],
    [/[\xe9-€]/, /a class of both bytes .* and characters/],
    [/\ud800/, /lone surrogate/],
    [/\ud83d/u, /lone surrogate/],
    [/[\ud800-\udbff]/, /lone surrogate/],
    [/\ude00\ud83d/, /lone surrogate/],
    [new RegExp('\ud800'), /lone surrogate/],
    [new RegExp('[\udfff]', 'u'), /lone surrogate/],
    [/(?:a{1000}){100000}/, /needs more than 64 MiB/],
    [/(?:(?:\w{1000}){1000}){1000}/u, /needs more than 64 MiB/],
    [new RegExp(deep), /groups nested more than 200 deep/],
  ]
  for (const [pattern, message] of cases) {
    for (const name of ['match', 'matchAll', 'count']) {
      const error = thrownBy(() => Reflect.apply(Reflect.get(region, name) as () => unknown, region, [pattern]))
      const said = `${name} ${String(pattern).slice(0, 40)}`
      t.is(error?.code, 'ERR_INVALID_ARG_VALUE', said)
      t.true(error instanceof TypeError)
      t.regex(error?.message ?? '', /has what this engine cannot do: /, said)
      t.regex(error?.message ?? '', message, said)
      t.true((error?.message.length ?? 0) < 400, said)
    }
  }
  // Nothing of the kind, though it looks like it.
  for (const pattern of [
    /\(?=b/,
    /[(?=b)]/,
    /\(\?<=a\)/,
    new RegExp(String.raw`[\1]`),
    new RegExp(String.raw`(a)\2`),
    /\\1/,
    /\\k<n>/,
  ])
    t.notThrows(() => region.count(pattern))
})

test('countAsync rejects, and does not throw, for what this engine cannot do', async (t) => {
  const region = regionWith(t, 'abc')
  const error: unknown = await t.throwsAsync(region.countAsync(/(a)\1/))
  t.is(error instanceof Error && Reflect.get(error, 'code'), 'ERR_INVALID_ARG_VALUE')
})

test('two groups of one name are refused where JavaScript takes them', (t) => {
  const pattern = made('(?<n>a)|(?<n>b)')
  if (pattern === undefined) {
    t.log(`Node.js ${process.versions.node} refuses them itself`)
    return t.pass()
  }
  const region = regionWith(t, 'ab')
  t.regex(thrownBy(() => region.count(pattern))?.message ?? '', /two groups of one name/)
})

test('a repeated group keeps what it matched last, and one that is repeated no times is still counted', (t) => {
  const region = regionWith(t, 'ab-b')
  // JavaScript forgets the `a` where the group is tried again.
  t.deepEqual(found(region, /(?:(a)|b)+/), [
    [
      [0, 2],
      [0, 1],
    ],
    [[3, 4], undefined],
  ])
  t.deepEqual(found(region, /(a|b)+/)[0], [
    [0, 2],
    [1, 2],
  ])
  t.deepEqual(found(region, /(b)(a){0}/), [
    [[1, 2], [1, 2], undefined],
    [[3, 4], [3, 4], undefined],
  ])
  t.deepEqual(found(region, /(?<x>a){0,0}(b)/)[0], [[1, 2], undefined, [1, 2]])
  t.deepEqual(found(region, /((?<x>a)|c){0}b/)[0], [[1, 2], undefined, undefined])
  // A repetition that may match nothing ends with it, where JavaScript tries what else there is.
  t.is(region.match(/(?:|a)*/)?.end, 0)
})

test('expressions that are the end of a backtracking engine are done in seconds', async (t) => {
  const sources = [
    '(a+)+b',
    '(a|a)*b',
    '(.*)*x',
    '(a*)*b',
    '(?:a?){50}a{50}c',
    '(x+x+)+y',
    '^(([a-z])+.)+[A-Z]$',
    '(a+)+',
  ]
  const child = await runChild('search/expressions.mjs', sources)
  t.deepEqual(ending(child), WELL)
  const none = [0, -1, 0]
  t.deepEqual(JSON.parse(child.stdout), [none, none, none, none, none, none, none, [1, 1_000_000, 1]])
})

// AddressSanitizer keeps what was freed for a while.
const measuring = process.env['ASAN_OPTIONS'] === undefined ? test : test.skip

for (const what of ['expression', 'needles', 'places']) {
  measuring(
    `a loop over millions of matches gives memory back as it goes: ${what} (skipped if ASAN_OPTIONS)`,
    async (t) => {
      const child = await runChild('search/many-matches.mjs', [what])
      t.deepEqual(ending(child), WELL)
      const answer = JSON.parse(child.stdout) as { found: number; more: number }
      t.is(answer.found, 3 * 2 * MIB)
      t.true(answer.more < 64, `${answer.more} MiB more`)
    },
  )
}

test('a match of 20 MiB is found whole: here, in the background, by one thread and by more', async (t) => {
  const length = 20 * MIB
  const bytes = Buffer.alloc(length + 2000, 'x')
  bytes.fill('-\n', 0, 1000).fill('\n-', length + 1000)
  bytes.write('<', 1000)
  bytes.write('>', length + 999)
  const region = regionWith(t, bytes)
  const place = [1000, length + 1000]
  t.deepEqual(region.match(/<([^]*)>/)?.indices[1], [1001, length + 999])
  for (const pattern of [/<x+>/, /<[^]*>/u]) {
    const said = String(pattern)
    const match = region.match(pattern)
    t.deepEqual(match?.indices[0], place, said)
    t.true(match?.[0]?.equals(bytes.subarray(1000, length + 1000)), said)
    t.is(region.count(pattern), 1, said)
    for (const threads of [1, 2, 4]) t.is(await region.countAsync(pattern, { threads }), 1, said)
    t.deepEqual(found(region, pattern)[0]?.[0], place, said)
    const later: (readonly [number, number] | undefined)[] = []
    for await (const one of region.matchAll(pattern)) {
      later.push(one.indices[0])
      t.is(one[0]?.byteLength, length)
    }
    t.deepEqual(later, [place], said)
  }
})

test('more matches than a batch has, and matches across the borders of slices, are each found once', async (t) => {
  const bytes = Buffer.alloc(9 * MIB, '.\n')
  for (let border = 4 * MIB; border < bytes.length; border += 4 * MIB) bytes.write('<needle>', border - 4)
  bytes.fill('ab', 0, 10_000)
  const region = regionWith(t, bytes)
  for (const [pattern, count] of [
    [/<\w+>/, 2],
    [/<[a-z]{6}>/, 2],
    [/<[^]{6}>/, 2],
    [/ab/, 5000],
    [/b(?:)/, 5000],
    [/\n/, (9 * MIB - 10_000) / 2 - 8],
  ] as const) {
    t.is(region.count(pattern), count, String(pattern))
    for (const threads of [1, 3]) t.is(await region.countAsync(pattern, { threads }), count, String(pattern))
    if (count > 10_000) continue
    t.is(found(region, pattern).length, count)
    let later = 0
    for await (const match of region.matchAll(pattern)) later += match.length
    t.is(later, count)
  }
})

const AROUND = 5

for (const [kind, encoding] of [
  ['ASCII', 'latin1'],
  ['bytes', 'latin1'],
  ['characters', 'utf8'],
] as const satisfies readonly [Kind, string][]) {
  test(`random expressions find in random texts what JavaScript finds: ${kind}`, (t) => {
    const region = PrivateMemory.allocate(4096)
    t.teardown(() => region.close())
    const seen = { patterns: 0, compared: 0, matches: 0, groups: 0 }
    const property = fc.property(
      expressions(kind),
      fc.array(texts(kind), { minLength: 1, maxLength: 4 }),
      fc.constantFrom('a', '\n', ' ', '\xff'),
      ({ source, flags, agrees, groups }, many, around) => {
        const pattern = new RegExp(source, flags)
        seen.patterns += 1
        for (const given of many) {
          // Between these two we have no line end, and JavaScript has one.
          const text = pattern.multiline ? given.replaceAll('\r\n', '\n') : given
          const bytes = Buffer.from(text, encoding)
          region.fill(around)
          region.set(bytes, AROUND)
          const range = { start: AROUND, end: AROUND + bytes.length }
          const ours = found(region, pattern, range)
          if (region.count(pattern, range) !== ours.length) throw new Error('count')
          if (JSON.stringify(region.match(pattern, range)?.indices[0]) !== JSON.stringify(ours[0]?.[0])) {
            throw new Error('match')
          }
          if (!agrees) continue
          const theirs = expected(pattern, text, encoding, AROUND)
          const kept = (places: Places): Places =>
            places.filter((_, group) => group === 0 || groups[group - 1] === true)
          t.is(
            JSON.stringify(ours.map(kept)),
            JSON.stringify(theirs.map(kept)),
            `${String(pattern)} in ${JSON.stringify(text)}`,
          )
          seen.compared += 1
          seen.matches += ours.length
          seen.groups += ours.length * groups.filter(Boolean).length
        }
      },
    )
    holds(t, property, trials(1500, 100_000))
    t.log(seen)
    t.true(seen.compared > seen.patterns && seen.matches > seen.compared / 2 && seen.groups > seen.patterns / 4)
  })
}
