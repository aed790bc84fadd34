import type { NonSharedBuffer } from 'node:buffer'

import * as native from '#binding'

import * as args from './arguments.ts'
import { askedOf, BACKGROUND, inBackground } from './background.ts'
import type { Asked, Background } from './background.ts'
import { Indexes } from './indexes.ts'
import { ByteLines, checkLineEncoding, textLines } from './lines.ts'
import type { Lines } from './lines.ts'
import type { Match } from './match.ts'
import { FoundNeedles, Matches, matchesOf } from './matches.ts'
import type { Found } from './matches.ts'
import { expressionPattern, isExpression, isNeedles, needlePattern, needlesPattern } from './pattern.ts'
import type { Needle, Pattern } from './pattern.ts'
import { MEMORY, ScalarAccess } from './scalar-access.ts'
import { OURS, Scan } from './scan.ts'
import type { Range } from './types.ts'

/** Found in no empty range. */
const ANY_BYTE = Uint8Array.of(0)
const NOWHERE = needlePattern(ANY_BYTE)
const RANGE_AND_BACKGROUND = ['start', 'end', ...BACKGROUND] as const

/** Finding, counting and going through lines: what users are told of it stands at `Region`. */
export abstract class Searching extends ScalarAccess {
  /**
   * Position of the first match that lies wholly in the range, or -1. An empty needle is found at its start.
   *
   * @group Searching
   * @throws `ERR_INVALID_ARG_TYPE` for what is no needle; `ERR_REGION_CLOSED`; `ERR_REGION_FAULTED`.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('access.log')
   * console.log(file.indexOf('ERROR', { start: -1_000_000 }))
   * ```
   */
  indexOf(needle: Needle, range?: Range): number {
    const { start, end, bytes } = this.#sought(needle, args.range(range))
    return native.indexOf(this[MEMORY].region, start, end, bytes)
  }

  /**
   * Position of the last match that lies wholly in the range, or -1. An empty needle is found at its end.
   *
   * @group Searching
   * @throws `ERR_INVALID_ARG_TYPE` for what is no needle; `ERR_REGION_CLOSED`; `ERR_REGION_FAULTED`.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * const line = log.lastIndexOf('\n', { end: -1 }) + 1
   * console.log(log.toString('utf8', line).trim()) // → 4999 POST /y 500 user=eve ERROR
   * ```
   */
  lastIndexOf(needle: Needle, range?: Range): number {
    const { start, end, bytes } = this.#sought(needle, args.range(range))
    return native.lastIndexOf(this[MEMORY].region, start, end, bytes)
  }

  /**
   * Whether there is a match that lies wholly in the range.
   *
   * @group Searching
   * @throws `ERR_INVALID_ARG_TYPE` for what is no needle; `ERR_REGION_CLOSED`; `ERR_REGION_FAULTED`.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * console.log(log.includes('FATAL')) // → false
   * ```
   */
  includes(needle: Needle, range?: Range): boolean {
    return this.indexOf(needle, range) !== -1
  }

  /**
   * How many matches that do not overlap lie in the range. An empty needle is found between any two bytes.
   *
   * Many needles are looked for at once, and counted each: of two that begin at the same byte the first of the list is found.
   *
   * @group Searching
   * @throws `ERR_INVALID_ARG_VALUE` for a regular expression that this engine cannot do, and for no or empty needles in a list.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * console.log(log.count(/ 5\d\d /), log.count(['ERROR', 'WARN'])) // → 2500 [ 2500, 1250 ]
   * ```
   */
  count(needle: Needle | RegExp, range?: Range): number
  count(needles: readonly Needle[], range?: Range): number[]
  count(needle: Needle | RegExp | readonly Needle[], range?: Range): number | number[] {
    const given = args.range(range)
    if (isExpression(needle) || isNeedles(needle)) {
      const pattern = patternOf('needle', needle)
      const { region, start, end } = this.#text(given)
      const counts = native.countPattern(region, start, end, pattern.handle)
      return isNeedles(needle) ? [...counts] : (counts[0] ?? 0)
    }
    const { start, end, bytes } = this.#sought(needle, given)
    return native.count(this[MEMORY].region, start, end, bytes)
  }

  /**
   * As {@link indexOf}, in the background and on several threads.
   *
   * @group Searching
   * @param options a range, and how: see {@link Background}.
   * @throws (rejects) the reason of the signal; `ERR_REGION_CLOSED` where the region was closed or mapped anew meanwhile;
   * `ERR_REGION_FAULTED`; `EAGAIN` where there is no thread to be had.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('access.log')
   * console.log(await file.indexOfAsync('ERROR', { signal: AbortSignal.timeout(60_000) })) // → 43
   * ```
   */
  async indexOfAsync(needle: Needle, options?: Range & Background): Promise<number> {
    const given = args.options(options, RANGE_AND_BACKGROUND)
    const asked = askedOf(given)
    const { start, end, bytes } = this.#sought(needle, args.rangeOf(given))
    const { handle } = needlePattern(bytes)
    return this.#behind(asked, end - start, (region, ticket) =>
      native.firstInBackground(region, start, end, handle, asked.threads, ticket),
    )
  }

  /**
   * As {@link count}, in the background and on several threads.
   *
   * @group Searching
   * @param options a range, and how: see {@link Background}.
   * @throws (rejects) as {@link indexOfAsync}; `ERR_INVALID_ARG_VALUE` as {@link count}.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * const onProgress = (done: number, total: number) => console.log(Math.round((100 * done) / total), '%')
   * console.log(await log.countAsync(['ERROR', 'WARN'], { onProgress })) // → [ 2500, 1250 ]
   * ```
   */
  async countAsync(needle: Needle | RegExp, options?: Range & Background): Promise<number>
  async countAsync(needles: readonly Needle[], options?: Range & Background): Promise<number[]>
  async countAsync(
    needle: Needle | RegExp | readonly Needle[],
    options?: Range & Background,
  ): Promise<number | number[]> {
    const given = args.options(options, RANGE_AND_BACKGROUND)
    const asked = askedOf(given)
    const { start, end, pattern } = this.#patternAndText(needle, args.rangeOf(given))
    const counts = await this.#behind(asked, end - start, (region, ticket) =>
      native.countInBackground(region, start, end, pattern.handle, asked.threads, ticket),
    )
    return isNeedles(needle) ? [...counts] : (counts[0] ?? 0)
  }

  /**
   * Positions of all matches that do not overlap; of many needles also which it is.
   *
   * @group Searching
   * @param options a range, and how it is done with `for await`: see {@link Background}.
   * @throws `ERR_INVALID_ARG_TYPE` for what is no needle; `ERR_INVALID_ARG_VALUE` for no or empty needles in a list; `ERR_REGION_CLOSED`.
   * What steps throw stands at {@link Scan}.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('access.log')
   * for (const index of file.indexesOf('ERROR')) console.log(index)
   * for (const { index, needle } of file.indexesOf(['ERROR', 'WARN'])) console.log(index, needle)
   * ```
   */
  indexesOf(needle: Needle, options?: Range & Background): Scan<number>
  indexesOf(needles: readonly Needle[], options?: Range & Background): Scan<Found>
  indexesOf(needle: Needle | readonly Needle[], options?: Range & Background): Scan<number> | Scan<Found> {
    const given = args.options(options, RANGE_AND_BACKGROUND)
    const asked = askedOf(given)
    if (isNeedles(needle)) {
      const { start, end, pattern } = this.#patternAndText(needle, args.rangeOf(given))
      return new Scan(OURS, new FoundNeedles(this[MEMORY], start, end, pattern), asked, start)
    }
    const { start, end, bytes } = this.#sought(needle, args.rangeOf(given))
    return new Scan(OURS, new Indexes(this[MEMORY], start, end, bytes), asked, start)
  }

  /**
   * The first match of a regular expression in the range, or `null`.
   *
   * @group Searching
   * @throws `ERR_INVALID_ARG_VALUE` for what this engine cannot do.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * const match = log.match(/user=(?<name>\w+)/)
   * console.log(match?.index, match?.groups?.name?.toString())
   * ```
   */
  match(pattern: RegExp, range?: Range): Match | null {
    const given = args.range(range)
    const ready = expressionPattern('pattern', pattern)
    const { region, start, end } = this.#text(given)
    const batch = native.matches(region, ready.handle, Float64Array.of(start, end, 0, 1), true)
    return matchesOf(batch, ready)[0] ?? null
  }

  /**
   * All matches of a regular expression, or of many needles, that do not overlap.
   *
   * @group Searching
   * @throws `ERR_INVALID_ARG_VALUE` for what this engine cannot do.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * const users = new Set<string>()
   * for (const [, user] of log.matchAll(/user=(\w+)/)) users.add(String(user))
   * console.log([...users].join()) // → ann,bob,eve
   * ```
   */
  matchAll(pattern: RegExp | readonly Needle[], options?: Range & Background): Scan<Match> {
    const given = args.options(options, RANGE_AND_BACKGROUND)
    const asked = askedOf(given)
    const ready = isNeedles(pattern) ? needlesPattern('pattern', pattern) : expressionPattern('pattern', pattern)
    const { start, end } = this.#text(args.rangeOf(given))
    return new Scan(OURS, new Matches(this[MEMORY], start, end, ready), asked, start)
  }

  /**
   * Line after line, without its `\n` or `\r\n`; the last one also where it has no end. Copies: they outlive the region.
   *
   * @group Searching
   * @param options a range, and an `encoding`: with one the lines are strings, without they are Buffers. Lines are cut at
   * the byte 0x0a, so UTF-16 is refused. `reverse` goes from the last line to the first, `partial: false` leaves out a last
   * line without its end.
   * @throws `ERR_UNKNOWN_ENCODING`; `ERR_INVALID_ARG_VALUE` for UTF-16; `ERR_REGION_CLOSED`. What steps throw stands at {@link Scan}.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('access.log')
   * for (const line of file.lines({ encoding: 'utf8' })) console.log(line)
   * ```
   */
  lines(options?: Lines & Background & { encoding?: undefined }): Scan<NonSharedBuffer>
  lines(options: Lines & Background & { encoding: BufferEncoding }): Scan<string>
  lines(
    options?: Lines & Background & { encoding?: BufferEncoding | undefined },
  ): Scan<NonSharedBuffer> | Scan<string> {
    const given = args.options(options, [...RANGE_AND_BACKGROUND, 'encoding', 'partial', 'reverse'])
    const asked = askedOf(given)
    const encoding = given.encoding === undefined ? undefined : args.encoding('options.encoding', given.encoding)
    if (encoding !== undefined) checkLineEncoding(encoding)
    const partial = args.boolean('options.partial', given.partial, true)
    const reverse = args.boolean('options.reverse', given.reverse, false)
    const { start, end } = this.#text(args.rangeOf(given))
    const which = { start, end, partial, reverse }
    const first = reverse ? end : start
    return encoding === undefined
      ? new Scan(OURS, new ByteLines(this[MEMORY], which), asked, first)
      : new Scan(OURS, textLines(this[MEMORY], which, encoding), asked, first)
  }

  #behind<T>(asked: Asked, total: number, start: (region: number, ticket: number) => Promise<T | Error>): Promise<T> {
    const memory = this[MEMORY]
    return inBackground(memory, asked, total, (ticket) => start(memory.region, ticket))
  }

  /** What to look for, and where. Where the end lies before the start there is no match, not even of nothing. */
  #sought(needle: Needle, given: args.GivenRange): { start: number; end: number; bytes: Uint8Array } {
    const bytes = args.pattern('needle', needle)
    const { byteLength } = this[MEMORY].checked
    const start = args.clamp(given.start, byteLength)
    const end = args.clamp(given.end, byteLength)
    return end < start ? { start, end: start, bytes: ANY_BYTE } : { start, end, bytes }
  }

  /** As `#sought`, of anything that can be looked for. */
  #patternAndText(
    needle: Needle | RegExp | readonly Needle[],
    given: args.GivenRange,
  ): { start: number; end: number; pattern: Pattern } {
    if (isExpression(needle) || isNeedles(needle)) return { pattern: patternOf('needle', needle), ...this.#text(given) }
    const { start, end, bytes } = this.#sought(needle, given)
    return { start, end, pattern: bytes === ANY_BYTE ? NOWHERE : needlePattern(bytes) }
  }

  #text(given: args.GivenRange): { region: number; start: number; end: number } {
    const memory = this[MEMORY]
    const { start, end } = memory.clamped(given)
    return { region: memory.region, start, end }
  }
}

function patternOf(name: string, value: RegExp | readonly Needle[]): Pattern {
  return isNeedles(value) ? needlesPattern(name, value) : expressionPattern(name, value)
}
