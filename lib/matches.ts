// Matches of a regular expression or of many needles, a batch at a time.

import * as native from '#binding'

import { defineGroups, Match, OURS } from './match.ts'
import type { MatchData } from './match.ts'
import type { Memory } from './memory.ts'
import type { Pattern } from './pattern.ts'
import type { Batches } from './scan.ts'

const BATCH = 4096
/** The first batch is so long, and each next one four times as long: who takes one match does not wait for thousands. */
const FIRST_BATCH = 64

interface MatchBatch extends Spans {
  readonly next: number
}

/** Matches of any pattern, as the addon finds them. */
abstract class PatternMatches<T> implements Batches<T, MatchBatch> {
  readonly memory: Memory
  readonly pattern: Pattern
  readonly #withBytes: boolean
  readonly #start: number
  readonly #end: number
  /** From the start of the text. */
  #next = 0
  #batch = FIRST_BATCH

  constructor(memory: Memory, start: number, end: number, pattern: Pattern, withBytes: boolean) {
    this.memory = memory
    this.pattern = pattern
    this.#start = start
    this.#end = end
    this.#withBytes = withBytes
  }

  get state(): number {
    return this.#next
  }

  get over(): boolean {
    return this.#start + this.#next > this.#stop
  }

  get total(): number {
    return this.#end - this.#start
  }

  get done(): number {
    return this.#next
  }

  get #stop(): number {
    return Math.min(this.#end, this.memory.byteLength)
  }

  #part(): Float64Array {
    return Float64Array.of(this.#start, this.#stop, this.#next, this.#batch)
  }

  read(region: number): MatchBatch {
    return native.matches(region, this.pattern.handle, this.#part(), this.#withBytes)
  }

  readBehind(region: number, ticket: number): Promise<MatchBatch | Error> {
    return native.matchesInBackground(region, this.pattern.handle, this.#part(), this.#withBytes, ticket)
  }

  take(batch: MatchBatch): T[] {
    this.#next = batch.next
    this.#batch = Math.min(4 * this.#batch, BATCH)
    return this.make(batch)
  }

  protected abstract make(batch: Spans): T[]

  abstract behind(item: number): number
}

export class Matches extends PatternMatches<Match> {
  #matches: Match[] = []

  constructor(memory: Memory, start: number, end: number, pattern: Pattern) {
    super(memory, start, end, pattern, true)
  }

  make(data: Spans): Match[] {
    this.#matches = matchesOf(data, this.pattern)
    return this.#matches
  }

  behind(item: number): number {
    return this.#matches[item]?.end ?? 0
  }
}

/** What the addon gives. */
type Spans = Pick<MatchData, 'spans' | 'bytes'>

/** The matches of a batch. */
export function matchesOf({ spans, bytes }: Spans, { groups, names }: Pattern): Match[] {
  defineGroups(groups)
  const data = { spans, bytes, groups, names }
  const stride = 1 + 2 * groups
  const count = spans.length / stride
  const matches: Match[] = []
  matches.length = count // all at once, not as it grows
  let byte = 0
  for (let i = 0, span = 0; i < count; i++, span += stride) {
    matches[i] = new Match(OURS, data, span, byte)
    byte += (spans[span + 2] ?? 0) - (spans[span + 1] ?? 0)
  }
  return matches
}

/**
 * Where one of many needles is: what {@link Region.indexesOf} gives for a list.
 *
 * @group Answers
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 * import type { Found } from 'memmap'
 *
 * using log = MmapFile.open('access.log')
 * const all: Found[] = [...log.indexesOf(['ERROR', 'WARN'])]
 * console.log(all[0], all.length) // → { needle: 0, index: 43 } 3750
 * ```
 */
export interface Found {
  /** Position in the region. */
  readonly index: number
  /** Which needle, by its place in the list. */
  readonly needle: number
}

/** Positions of many needles. */
export class FoundNeedles extends PatternMatches<Found> {
  #ends: Float64Array = new Float64Array(0)

  constructor(memory: Memory, start: number, end: number, pattern: Pattern) {
    super(memory, start, end, pattern, false)
  }

  make({ spans }: Spans): Found[] {
    const count = spans.length / 3
    const found: Found[] = []
    this.#ends = new Float64Array(count)
    for (let i = 0; i < count; i++) {
      found.push({ needle: spans[3 * i] ?? 0, index: spans[3 * i + 1] ?? 0 })
      this.#ends[i] = spans[3 * i + 2] ?? 0
    }
    return found
  }

  behind(item: number): number {
    return this.#ends[item] ?? 0
  }
}
