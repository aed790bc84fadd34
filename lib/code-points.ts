// Sets of code points, and what Unicode knows of them. The addon has no tables of that: V8 has them all, and is asked.

/** Ranges with both their ends, in order, none of which touches another. */
export type CodePoints = readonly (readonly [first: number, last: number])[]

export const LAST_CODE_POINT = 0x10_ffff

const PLANE = 0x1_0000
const SURROGATES = [0xd800, 0xdfff] as const
const CAPITALS = [0x41, 0x5a] as const
const SMALLS = [0x61, 0x7a] as const
const CAPITAL_TO_SMALL = 0x20
/** The two beyond ASCII that are as good as a letter of it, with the flag u alone: U+212A is a k, and U+017F an s. */
const BEYOND_ASCII = [
  { letter: 0x6b, other: 0x212a },
  { letter: 0x73, other: 0x017f },
] as const
/** By the property. There are so many of them, and no more. */
const properties = new Map<string, CodePoints>()
let cased: Cased | undefined

/** All that is something else in another case: those of the first plane, and the others. */
interface Cased {
  readonly set: CodePoints
  readonly near: string
  readonly far: string
}

/** What is in any of the sets. */
export function union(...sets: readonly CodePoints[]): CodePoints {
  const merged: [number, number][] = []
  for (const [first, last] of sets.flat().sort((one, other) => one[0] - other[0])) {
    const before = merged.at(-1)
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last)
    else merged.push([first, last])
  }
  return merged
}

/** What is not in the set, which has nothing behind `end`. */
export function complement(set: CodePoints, end = LAST_CODE_POINT): CodePoints {
  const gaps: [number, number][] = []
  let next = 0
  for (const [first, last] of set) {
    if (first > next) gaps.push([next, first - 1])
    next = last + 1
  }
  if (next <= end) gaps.push([next, end])
  return gaps
}

function intersection(one: CodePoints, other: CodePoints): CodePoints {
  return complement(union(complement(one), complement(other)))
}

/** Without the halves of characters, which no text in UTF-8 has. */
export function withoutSurrogates(set: CodePoints): CodePoints {
  const [low, high] = SURROGATES
  return [...within(set, [0, low - 1]), ...within(set, [high + 1, LAST_CODE_POINT])]
}

function within(set: CodePoints, [low, high]: readonly [number, number]): CodePoints {
  const inside = ([first, last]: readonly [number, number]) => [Math.max(first, low), Math.min(last, high)] as const
  return set.map(inside).filter(([first, last]) => first <= last)
}

/** What `\p{…}` stands for. V8 has read it before. */
export function ofProperty(property: string): CodePoints {
  let known = properties.get(property)
  if (known === undefined) {
    known = ask(`\\p{${property}}`)
    properties.set(property, known)
  }
  return known
}

/** The set, with the other letters of ASCII that differ by case alone. */
export function foldAscii(set: CodePoints): CodePoints {
  const moved = (letters: readonly [number, number], by: number): CodePoints =>
    within(set, letters).map(([first, last]) => [first + by, last + by])
  return union(set, moved(CAPITALS, CAPITAL_TO_SMALL), moved(SMALLS, -CAPITAL_TO_SMALL))
}

/** The set, with all that JavaScript takes for one of it where case is ignored. Without the flag u that is not the same. */
export function fold(set: CodePoints, unicode: boolean): CodePoints {
  const folded = foldAscii(set)
  if ((set.at(-1)?.[1] ?? 0) <= 0x7f) {
    if (!unicode) return folded
    const others = BEYOND_ASCII.filter(({ letter }) => within(folded, [letter, letter]).length > 0)
    return union(folded, ...others.map(({ other }): CodePoints => [[other, other]]))
  }
  cased ??= findCased()
  const { near, far } = cased
  // Without the flag u a character beyond the first plane is two of its halves to V8, and has no case.
  const members = within(intersection(set, cased.set), [0, unicode ? LAST_CODE_POINT : PLANE - 1])
  if (members.length === 0) return set
  const pattern = new RegExp(`[${members.map((range) => written(range, unicode)).join('')}]`, unicode ? 'giu' : 'gi')
  const found = (unicode ? near + far : near).match(pattern) ?? []
  return union(
    set,
    found.map((character) => [character.codePointAt(0) ?? 0, character.codePointAt(0) ?? 0]),
  )
}

function written(range: readonly [number, number], unicode: boolean): string {
  const digits = range.map((code) => code.toString(16).padStart(4, '0'))
  return digits.map((code) => (unicode ? `\\u{${code}}` : `\\u${code}`)).join('-')
}

function findCased(): Cased {
  const set = ask('\\p{Changes_When_Casemapped}\\p{Changes_When_Casefolded}')
  return { set, near: textOf(within(set, [0, PLANE - 1])), far: textOf(within(set, [PLANE, LAST_CODE_POINT])) }
}

/** The characters of a set, one behind the other. */
function textOf(set: CodePoints): string {
  const codes = set.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, index) => first + index))
  return codes.map((code) => String.fromCodePoint(code)).join('')
}

/** All that a class has: V8 goes through every character there is. It takes tens of milliseconds. */
function ask(members: string): CodePoints {
  // Who is in it and who is not are both taken in whole runs: to step over the latter one by one takes several times as long.
  const pattern = new RegExp(`([${members}]+)|[^${members}]+`, 'gu')
  const ranges: [number, number][] = []
  for (let start = 0; start <= LAST_CODE_POINT; start += PLANE) {
    for (const { index, 1: run } of plane(start).matchAll(pattern)) {
      if (run !== undefined) ranges.push([inPlane(start, index), inPlane(start, index + run.length - 1)])
    }
  }
  return union(ranges)
}

/** The characters of a plane, one behind the other. */
function plane(start: number): string {
  const units = new Uint16Array(PLANE * 2)
  let length = 0
  for (let code = start; code < start + PLANE; code++) {
    if (code >= PLANE) {
      units[length++] = 0xd7c0 + (code >> 10)
      units[length++] = 0xdc00 + (code & 0x3ff)
    } else if (code < SURROGATES[0] || code > SURROGATES[1]) units[length++] = code
  }
  return Buffer.from(units.buffer, 0, length * 2).toString('utf16le')
}

/** The character that a unit of a plane's text is of. */
function inPlane(start: number, unit: number): number {
  if (start >= PLANE) return start + (unit >> 1)
  return unit < SURROGATES[0] ? unit : unit + SURROGATES[1] + 1 - SURROGATES[0]
}
