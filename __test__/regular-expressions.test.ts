// Regular expressions over bytes, beside JavaScript's own over strings.

import { inspect } from 'node:util'

import test from 'ava'
import * as fc from 'fast-check'
import { Match, PrivateMemory } from 'memmap'

import { expressions, texts } from './helpers/expressions.ts'
import type { Kind } from './helpers/expressions.ts'
import { codeOf, regionWith, thrownBy } from './helpers/files.ts'
import { expected, found, same } from './helpers/matches.ts'
import type { Places } from './helpers/matches.ts'
import { holds } from './helpers/random.ts'
import { trials } from './helpers/trials.ts'

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
