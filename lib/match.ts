import type { NonSharedBuffer } from 'node:buffer'
import { inspect } from 'node:util'

import { illegalConstructor } from './errors.ts'

/** Lets only this package make matches. @internal */
export const OURS: unique symbol = Symbol('memmap.match')

/**
 * Positions of a match or a group: its first byte, and the byte behind its last one.
 *
 * @group Answers
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 * import type { Place } from 'memmap'
 *
 * using log = MmapFile.open('access.log')
 * const place: Place | undefined = log.match(/user=(\w+)/)?.indices[1]
 * if (place !== undefined) console.log(log.toString('utf8', ...place)) // → ann
 * ```
 */
export type Place = readonly [start: number, end: number]

/**
 * Where the groups of a match are: as many as `match.length`, that of the whole match first.
 *
 * @group Answers
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 *
 * using log = MmapFile.open('access.log')
 * const indices = log.match(/user=(?<user>\w+)/)?.indices
 * console.log(indices?.[0], indices?.groups?.user) // → [ 12, 20 ] [ 17, 20 ]
 * ```
 */
export interface Indices extends ReadonlyArray<Place | undefined> {
  /** The same by name; `undefined` where no group has one. */
  readonly groups: Readonly<Record<string, Place | undefined>> | undefined
}

/** Some matches in a row, as the addon gives them: see `MatchBatch` there. */
export interface MatchData {
  readonly spans: Float64Array
  readonly bytes: Uint8Array
  /** Groups of each, the whole match included. */
  readonly groups: number
  readonly names: ReadonlyMap<number, string>
}

/** The bytes of a group. */
let bytesOf: (match: Match, group: number) => NonSharedBuffer | undefined

/**
 * A match of a regular expression, or of one of many needles. `match[0]` are its bytes and `match[1]` those of the first group,
 * `undefined` where the group has no part in it. Copies: they outlive the region.
 *
 * @group What one gets
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 *
 * using log = MmapFile.open('access.log')
 * const match = log.match(/ (?<status>\d{3}) user=(\w+)/)
 * if (match !== null) console.log(match.index, match.groups?.status?.toString(), String(match[2])) // → 7 200 ann
 * ```
 */
export class Match implements Iterable<NonSharedBuffer | undefined> {
  /** Bytes of a group, that of the whole match first; `undefined` where it has no part in the match. */
  readonly [group: number]: NonSharedBuffer | undefined
  readonly #data: MatchData
  /** Where in `spans` it begins, and in `bytes` its bytes. */
  readonly #span: number
  readonly #byte: number

  /** @internal */
  // There may be millions: a match is no more than its place in the batch, and all else is made when it is looked at.
  constructor(key: typeof OURS, data: MatchData, span: number, byte: number) {
    if (key !== OURS) throw illegalConstructor('region.match() or matchAll()')
    this.#data = data
    this.#span = span
    this.#byte = byte
  }

  /** Position in the region of the first byte. */
  get index(): number {
    return this.#data.spans[this.#span + 1] ?? 0
  }

  /** Position in the region of the byte behind the last one. */
  get end(): number {
    return this.#data.spans[this.#span + 2] ?? 0
  }

  /** Which of many needles it is, by its place in their list, from 0; 0 for a regular expression. */
  get needle(): number {
    return this.#data.spans[this.#span] ?? 0
  }

  /** How many groups there are, the whole match included. */
  get length(): number {
    return this.#data.groups
  }

  static {
    bytesOf = (match, group) => {
      const place = match.#place(group)
      if (place === undefined) return undefined
      const { buffer, byteOffset } = match.#data.bytes
      const from = byteOffset + match.#byte + place[0] - match.index
      return Buffer.from(buffer as ArrayBuffer, from, place[1] - place[0])
    }
  }

  /**
   * Groups by their names, as copies; `undefined` where no group has one.
   *
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * console.log(log.match(/user=(?<user>\w+)/)?.groups?.user?.toString()) // → ann
   * ```
   */
  get groups(): Readonly<Record<string, NonSharedBuffer | undefined>> | undefined {
    return this.#named((group) => this[group])
  }

  /**
   * Where the match and its groups are in the region.
   *
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * console.log(log.match(/user=(\w+)/)?.indices[1]) // → [ 17, 20 ]
   * ```
   */
  get indices(): Indices {
    const places = Array.from({ length: this.length }, (_, group) => this.#place(group))
    return Object.assign(places, { groups: this.#named((group) => places[group]) })
  }

  /**
   * The match and its groups, as `[all, first, second] = match`.
   *
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * const [all, user] = log.match(/user=(\w+)/) ?? []
   * console.log(String(all), String(user)) // → user=ann ann
   * ```
   */
  *[Symbol.iterator](): IterableIterator<NonSharedBuffer | undefined> {
    for (let group = 0; group < this.length; group++) yield this[group]
  }

  /** How `console.log` shows it. @internal */
  [inspect.custom](_depth: number, options: object): string {
    const { index, end, groups } = this
    return `Match ${inspect({ index, end, ...Object.fromEntries([...this].entries()), groups }, options)}`
  }

  #place(group: number): Place | undefined {
    if (group >= this.length) return undefined
    const start = this.#data.spans[this.#span + 1 + 2 * group] ?? -1
    return start < 0 ? undefined : [start, this.#data.spans[this.#span + 2 + 2 * group] ?? start]
  }

  #named<T>(value: (group: number) => T): Readonly<Record<string, T>> | undefined {
    const { names } = this.#data
    if (names.size === 0) return undefined
    // Without a prototype, as JavaScript's own: a group may be named `constructor`.
    const named = Object.create(null) as Record<string, T>
    for (const [group, name] of names) named[name] = value(group)
    return named
  }
}

let defined = 0

/** Groups are made when they are looked at: most never are. @internal */
export function defineGroups(count: number): void {
  for (; defined < count; defined++) {
    const group = defined
    Object.defineProperty(Match.prototype, group, {
      get(this: Match) {
        return bytesOf(this, group)
      },
      configurable: true,
    })
  }
}
