// What a region finds by a regular expression, beside what JavaScript finds in a string.

import type { ExecutionContext } from 'ava'
import type { Match, Range, Region } from 'memmap'

import { regionWith } from './files.ts'

/** Where a match and its groups are. */
export type Places = (readonly [number, number] | undefined)[]

export const placesOf = (match: Match): Places =>
  Array.from({ length: match.length }, (_, group) => match.indices[group])

export function found(region: Region, pattern: RegExp, range?: Range): Places[] {
  return [...region.matchAll(pattern, range)].map(placesOf)
}

/** What JavaScript finds in a string, in bytes of its encoding. */
export function expected(pattern: RegExp, text: string, encoding: 'latin1' | 'utf8', start = 0): Places[] {
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
export function same(t: ExecutionContext, pattern: RegExp, text: string, encoding: 'latin1' | 'utf8' = 'utf8'): void {
  const region = regionWith(t, Buffer.from(text, encoding))
  const theirs = expected(pattern, text, encoding)
  const said = `${String(pattern)} in ${JSON.stringify(text)}`
  t.deepEqual(found(region, pattern), theirs, said)
  t.is(region.count(pattern), theirs.length, said)
  const first = region.match(pattern)
  t.deepEqual(first === null ? undefined : placesOf(first), theirs[0], said)
  region.close()
}
