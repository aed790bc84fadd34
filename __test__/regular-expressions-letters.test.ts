// What letters are to regular expressions: bytes, characters, properties, and one another without their case.

import test from 'ava'

import { regionWith } from './helpers/files.ts'
import { found, same } from './helpers/matches.ts'
import { Random } from './helpers/random.ts'
import { trials } from './helpers/trials.ts'

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
