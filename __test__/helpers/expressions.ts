// Random regular expressions, and what of their matches every engine has to agree on.
//
// JavaScript gives up a repetition that matches nothing and tries what else there is, and forgets what groups in it matched
// before; engines of linear time do neither. So `(|a)*` and the group in `(?:(a)|b)*` differ, and knowingly.

import * as fc from 'fast-check'

export interface Expression {
  readonly source: string
  readonly flags: string
  /** Whether the matches are the same in every engine. */
  readonly agrees: boolean
  /** Of each group, the first one on, whether it is too. */
  readonly groups: readonly boolean[]
}

interface Part {
  readonly text: string
  /** A quantifier behind it stands for all of it. */
  readonly single: boolean
  /** It can match nothing. */
  readonly nullable: boolean
  /** It does so only where it can match nothing else. */
  readonly emptyLast: boolean
  readonly agrees: boolean
  readonly groups: readonly boolean[]
  /** The first of the groups is all of it. */
  readonly captures: boolean
}

const CHARACTER: Part = {
  text: '',
  single: true,
  nullable: false,
  emptyLast: true,
  agrees: true,
  groups: [],
  captures: false,
}

const character = (text: string): Part => ({ ...CHARACTER, text })
const characters = (text: string): Part => ({ ...CHARACTER, text, single: false })
const anchor = (text: string): Part => ({ ...CHARACTER, text, single: false, nullable: true })

const NAMED = '(?<>'

function group(opening: string, inner: Part): Part {
  const captures = opening !== '(?:'
  return {
    ...inner,
    text: `${opening}${inner.text})`,
    single: true,
    groups: captures ? [true, ...inner.groups] : inner.groups,
    captures,
  }
}

function sequence(parts: readonly Part[]): Part {
  const nullable = parts.every((part) => part.nullable)
  return {
    text: parts.map((part) => part.text).join(''),
    single: false,
    nullable,
    emptyLast: !nullable || parts.every((part) => part.emptyLast),
    agrees: parts.every((part) => part.agrees),
    groups: parts.flatMap((part) => part.groups),
    captures: false,
  }
}

function choice(parts: readonly Part[]): Part {
  const nullable = parts.some((part) => part.nullable)
  return {
    text: `(?:${parts.map((part) => part.text).join('|')})`,
    single: true,
    nullable,
    emptyLast: parts.slice(0, -1).every((part) => !part.nullable) && (parts.at(-1)?.emptyLast ?? true),
    agrees: parts.every((part) => part.agrees),
    groups: parts.flatMap((part) => part.groups),
    captures: false,
  }
}

interface Quantifier {
  readonly text: string
  readonly min: number
  readonly max: number
}

const QUANTIFIERS: readonly Quantifier[] = [
  { text: '*', min: 0, max: Infinity },
  { text: '+', min: 1, max: Infinity },
  { text: '?', min: 0, max: 1 },
  { text: '{0}', min: 0, max: 0 },
  { text: '{1}', min: 1, max: 1 },
  { text: '{2}', min: 2, max: 2 },
  { text: '{0,2}', min: 0, max: 2 },
  { text: '{1,3}', min: 1, max: 3 },
  { text: '{2,}', min: 2, max: Infinity },
  { text: '{01,02}', min: 1, max: 2 },
]

function repeated(inner: Part, { text, min, max }: Quantifier, lazy: boolean): Part {
  const whole = inner.single ? inner : group('(?:', inner)
  const nullable = inner.nullable || min === 0
  const own = (kept: boolean, index: number): boolean => {
    if (max === 0) return true
    if (inner.nullable) return false
    return max === 1 ? kept : kept && inner.captures && index === 0
  }
  return {
    text: `${whole.text}${text}${lazy ? '?' : ''}`,
    single: false,
    nullable,
    emptyLast: !nullable || max === 0 || (!lazy && inner.emptyLast),
    agrees: inner.agrees && (!inner.nullable || inner.emptyLast || min === max),
    groups: inner.groups.map(own),
    captures: false,
  }
}

const CLASSES = ['\\d', '\\D', '\\w', '\\W', '\\s', '\\S']
const LITERALS = ['a', 'b', 'c', 'A', 'Z', '0', '7', '_', ' ', '-', ',', '/', '"', '#', '&', '~', '!', '<', '=', ':']
const ESCAPES = ['\\n', '\\r', '\\t', '\\v', '\\f', '\\0', '\\cJ', '\\cj', '\\x61', '\\x0A', '\\u0062', '\\u000a']
const SYNTAX = [
  '\\.',
  '\\*',
  '\\+',
  '\\?',
  '\\^',
  '\\$',
  '\\(',
  '\\)',
  '\\[',
  '\\]',
  '\\{',
  '\\}',
  '\\|',
  '\\\\',
  '\\/',
]
/** Of old: known without the flag u only. */
const ODD = [
  '\\a',
  '\\e',
  '\\z',
  '\\A',
  '\\Q',
  '\\h',
  '\\_',
  '\\-',
  '\\"',
  '\\01',
  '\\012',
  '\\08',
  '\\8',
  '\\61',
  '\\77',
  '\\k',
  '\\u',
  '\\x',
  ']',
]
const ODD_LONG = [
  'a{',
  'a{,3}',
  'a{1x',
  'b{x}',
  '{a}',
  '\\c',
  '\\c!',
  '\\x1',
  '\\u12',
  '\\u{2}',
  '\\p{L}',
  '(?:{)',
  '(?:})',
  '\\081',
]
const BYTES = ['\\x80', '\\xe9', '\\xff', '\\377', '\\200']
const BEYOND = [
  'é',
  'É',
  '€',
  '😀',
  '\\u00e9',
  '\\xe9',
  '\\u20ac',
  '\\u{1f600}',
  '\\ud83d\\ude00',
  '\\u{65}',
  '\\p{L}',
  '\\p{Lu}',
  '\\P{L}',
]
const MEMBERS = [
  'a',
  'b',
  'z',
  'A',
  '0',
  '9',
  '_',
  ' ',
  '.',
  '*',
  '(',
  ')',
  '{',
  '}',
  '|',
  '[',
  '&&',
  '~~',
  '$',
  '^',
  ':',
  '\\b',
  '\\n',
  '\\]',
  '\\\\',
  '\\-',
  '\\^',
]
const RANGES = ['a-c', 'A-Z', '0-7', '!-/', '\\x00-\\x1f', '\\t-\\r', 'a-a', ' -~']
const ODD_MEMBERS = [
  '\\c',
  '\\c1',
  '\\c_',
  '\\cA',
  '\\01',
  '\\0',
  '\\8',
  '\\1',
  '\\w-a',
  'a-\\d',
  '\\d-z',
  '\\w--',
  '\\d-a-c',
  '\\B',
  '\\k',
  '\\x1',
  '--0',
]
const BYTE_MEMBERS = ['\\x80', '\\xe9-\\xff', '\\x80-\\xff', 'a-\\xe9', '\\377']
const BEYOND_MEMBERS = ['é', 'à-ÿ', '€', '😀', '\\u{1f600}-\\u{1f64f}', '\\xe9', 'a-é', '\\p{L}', '\\ud83d\\ude00']

export type Kind = 'ASCII' | 'bytes' | 'characters'

const among = (...lists: readonly (readonly string[])[]): fc.Arbitrary<string> => fc.constantFrom(...lists.flat())

function partsOf(kind: Kind): fc.Arbitrary<Part> {
  const inUnicode = kind === 'characters'
  const single = among(
    LITERALS,
    CLASSES,
    ESCAPES,
    SYNTAX,
    ['.', '.', '[]', '[^]'],
    inUnicode ? BEYOND : ODD,
    kind === 'bytes' ? BYTES : [],
  ).map(character)
  const member = among(
    MEMBERS,
    RANGES,
    CLASSES,
    inUnicode ? BEYOND_MEMBERS : ODD_MEMBERS,
    kind === 'bytes' ? BYTE_MEMBERS : [],
  )
  const ofClass = fc
    .tuple(
      fc.constantFrom('', '^', '', '^', '-', '^-'),
      fc.array(member, { minLength: 1, maxLength: 4 }),
      fc.constantFrom('', '-'),
    )
    .map(([first, members, last]) => character(`[${first}${members.join('')}${last}]`))
  const plain = fc.constantFrom('a', 'b', 'ab', 'ba', 'aa').map(characters)
  const anchors = fc.constantFrom('^', '$', '\\b', '\\B', '(?:)').map(anchor)
  const odd = inUnicode ? [] : [{ weight: 1, arbitrary: fc.constantFrom(...ODD_LONG).map(characters) }]
  return fc.letrec<{ part: Part }>((tie) => ({
    part: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      { weight: 4, arbitrary: plain },
      { weight: 3, arbitrary: single },
      { weight: 2, arbitrary: ofClass },
      { weight: 1, arbitrary: anchors },
      ...odd,
      {
        weight: 4,
        arbitrary: fc.array(tie('part'), { minLength: 2, maxLength: 4 }).map(sequence),
      },
      { weight: 2, arbitrary: fc.array(tie('part'), { minLength: 2, maxLength: 3 }).map(choice) },
      {
        weight: 4,
        arbitrary: fc
          .tuple(tie('part'), fc.constantFrom(...QUANTIFIERS), fc.boolean())
          .map(([inner, quantifier, lazy]) => repeated(inner, quantifier, lazy)),
      },
      {
        weight: 3,
        arbitrary: fc
          .tuple(fc.constantFrom('(', '(?:', NAMED), tie('part'))
          .map(([opening, inner]) => group(opening, inner)),
      },
    ),
  })).part
}

const HIGH = /\\x[89a-f]|\\[23]/i

/** Patterns that JavaScript takes. Those of bytes have none of their letters beyond ASCII, but their numbers. */
export function expressions(kind: Kind): fc.Arbitrary<Expression> {
  const given = fc.subarray(['d', 'g', 'i', 'm', 's', 'y'])
  return fc
    .tuple(partsOf(kind), given)
    .map(([part, wanted]): Expression => {
      let name = 0
      const source = part.text.replaceAll(NAMED, () => `(?<n${++name}>`)
      // Bytes have no capital letters.
      const taken = wanted.filter((flag) => flag !== 'i' || kind !== 'bytes' || !HIGH.test(source))
      return {
        source,
        flags: `${taken.join('')}${kind === 'characters' ? 'u' : ''}`,
        agrees: part.agrees,
        groups: part.groups,
      }
    })
    .filter(({ source, flags }) => {
      try {
        return new RegExp(source, flags) instanceof RegExp
      } catch {
        return false
      }
    })
}

/** Texts that have what the patterns look for. */
export function texts(kind: Kind): fc.Arbitrary<string> {
  const ascii = [...'aaaabbbbccAZ019_ -.,/{}[]()*^$\\\n\r\t\0kuxpz&~', '\u0001', '\n']
  const beyond =
    kind === 'ASCII' ? [] : kind === 'bytes' ? ['\x80', '\xe9', '\xff', '\xc3'] : ['é', 'É', '€', '😀', 'ß']
  return fc.array(fc.constantFrom(...ascii, ...beyond, ...beyond), { maxLength: 14 }).map((letters) => letters.join(''))
}
