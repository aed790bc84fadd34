import { constants } from 'node:buffer'
import type { NonSharedBuffer } from 'node:buffer'
import { inspect } from 'node:util'

import * as native from '#binding'

import * as args from './arguments.ts'
import { askedOf, BACKGROUND } from './background.ts'
import type { Background } from './background.ts'
import { Cursor, OURS as OUR_CURSOR } from './cursor.ts'
import {
  illegalConstructor,
  invalidArgType,
  invalidArgValue,
  outOfRange,
  regionClosed,
  regionReadOnly,
  stringTooLong,
} from './errors.ts'
import { faultOfRegion } from './faults.ts'
import type { Fault } from './faults.ts'
import type { Waiting } from './file-lock.ts'
import { PROTECTIONS } from './memory.ts'
import type { Memory, Protection } from './memory.ts'
import { prefetch } from './prefetch.ts'
import type { RegionHandle } from './region-handle.ts'
import { OURS as OUR_RESIDENCY, Residency } from './residency.ts'
import { MEMORY } from './scalar-access.ts'
import { OURS as OUR_SCAN, Scan } from './scan.ts'
import { Searching } from './searching.ts'
import type { Access, Bytes, Range } from './types.ts'
import { notifyWord, waitElsewhere, waitHere } from './wait.ts'
import type { WaitResult } from './wait.ts'
import { Windows } from './windows.ts'

/** Lets only this package make regions. @internal */
export const OURS: unique symbol = Symbol('memmap.region')

/** No encoding makes a character of more bytes than UTF-8 does: three for one of UTF-16's units. */
const MOST_BYTES_OF_TEXT = 3 * constants.MAX_STRING_LENGTH

const TypedArray: unknown = Object.getPrototypeOf(Uint8Array)

/** In the order of the core's numbers. */
const ADVICE: readonly Advice[] = [
  'normal',
  'random',
  'sequential',
  'willneed',
  'dontneed',
  'cold',
  'pageout',
  'hugepage',
  'nohugepage',
]

/**
 * How memory will be used, by the names of madvise(2): what {@link Region.advise} takes.
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 * import type { Advice } from 'memmap'
 *
 * using log = MmapFile.open('access.log')
 * const advice: Advice = 'sequential'
 * console.log(log.advise(advice) ? 'told' : 'this system has no such advice')
 * ```
 */
export type Advice =
  'normal' | 'random' | 'sequential' | 'willneed' | 'dontneed' | 'cold' | 'pageout' | 'hugepage' | 'nohugepage'

/**
 * What {@link Region.view} makes: `Float64Array`, `DataView`, …
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 * import type { ViewConstructor } from 'memmap'
 *
 * using file = MmapFile.open('matrix.f64')
 * const type: ViewConstructor<Float64Array> = Float64Array
 * console.log(file.view(type)[100]) // → 1
 * ```
 */
export type ViewConstructor<T> = new (buffer: ArrayBuffer, byteOffset: number, length: number) => T

/**
 * Memory as bytes: what every kind of region can do. Made by {@link MmapFile}, {@link SharedMemory} and {@link PrivateMemory}.
 *
 * Positions are bytes from the start of the region, whole numbers up to 2^53 - 1. Ranges are `[start, end)`; a
 * negative number counts from the end, and both ends are clamped. `subarray`, `view` and `windows` hand out memory
 * that dies (length 0) at `close` and at a `refresh` that changed something; all else that returns bytes returns
 * copies.
 *
 * Every method throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or `ERR_OUT_OF_RANGE` for an argument it cannot
 * take, then `ERR_REGION_CLOSED` once the region is closed, and `ERR_REGION_FAULTED` when the system could not supply
 * a page of it. A call that throws has changed nothing.
 *
 * ### Numbers
 *
 * Buffer's whole read and write family, over a region of any length, at any offset (in bytes from the start, by default 0), aligned or
 * not; also by Buffer's other names for it (`readUint8` for `readUInt8`). Nothing is rounded or wrapped: a value that does not fit is
 * `ERR_OUT_OF_RANGE`, and nothing is written then. The writing ones return the offset behind what they wrote, and throw
 * `ERR_REGION_READONLY` where access is `'read'`. Others may see a number of several bytes half written: only `Atomics` on a
 * {@link view} are whole.
 *
 * ### Searching
 *
 * At the speed of the memory, right at any length, and in the background where the event loop must go on.
 *
 * A needle is bytes, a string (its UTF-8), or one byte by its number. A range is a text of its own: matches lie wholly in it.
 *
 * A regular expression works on bytes, and finds a match in linear time whatever the pattern. Without the flag `u`, `.`, `\w`, `\s` and classes
 * stand for single bytes, `\xHH` for just that one, and a character beyond ASCII for its bytes in UTF-8; with `u` the text is UTF-8.
 * The flags `i`, `m`, `s` and `y` (at the start of the range, then match behind match) mean what they mean in JavaScript, `g` and
 * `lastIndex` nothing. Look-around, back-references and the flag `v` are refused with `ERR_INVALID_ARG_VALUE`, by their names.
 *
 * What differs from JavaScript: a group that is repeated keeps what it matched last; a repetition ends where it matches nothing,
 * as `(|a)*` does at once; `\r\n` is one line end, in the middle of which `^` and `$` with `m` never are, and U+2028 and U+2029
 * are none; `\b` knows letters of ASCII only, also with `iu`; with `iu` `\P{…}` is what `\p{…}` is not.
 *
 * @group Regions
 * @example
 * ```ts
 * import { MmapFile, Region } from 'memmap'
 *
 * const file = MmapFile.open('counter.bin', { access: 'write', create: true, length: 8 })
 * file.writeBigUInt64LE(file.readBigUInt64LE(0) + 1n, 0)
 * console.log(file instanceof Region, file.readBigUInt64LE()) // → true 1n
 * file.close()
 * ```
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 *
 * using log = MmapFile.open('access.log')
 * console.log(log.count('\n'), await log.countAsync(/ 5\d\d /)) // → 5000 2500
 * for await (const { index, needle } of log.indexesOf(['ERROR', 'WARN'])) console.log(index, needle)
 * ```
 */
export abstract class Region extends Searching implements Disposable {
  /** @internal */
  readonly [MEMORY]: Memory

  /** @internal */
  protected constructor(key: typeof OURS, memory: Memory) {
    if (key !== OURS) throw illegalConstructor('MmapFile.open()')
    super()
    this[MEMORY] = memory
  }

  /**
   * Bytes in the region; 0 once closed. Never throws.
   *
   * @group About it
   */
  get byteLength(): number {
    return this[MEMORY].byteLength
  }

  /**
   * The first page that the system could not supply; `null` if there was none, and once closed. From then on every method
   * throws `ERR_REGION_FAULTED`, and raw windows read zeros there. `refresh()` maps what is there now, and clears it.
   *
   * The channel `memmap:fault` of `node:diagnostics_channel` gets a {@link FaultMessage} once for each region. Windows: a mapped
   * file cannot become shorter there, and of a disk that fails only methods that copy or search can tell; an access through
   * a window or by `readUInt8` and the like ends the process then.
   *
   * @group About it
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * const log = MmapFile.open('access.log')
   * if (log.fault !== null) console.log(log.fault.cause, 'at', log.fault.offset)
   * log.close()
   * ```
   */
  get fault(): Fault | null {
    const memory = this[MEMORY]
    return memory.closed ? null : faultOfRegion(memory.region)
  }

  /**
   * What was asked for at `open`: `'read'`, `'write'` or `'copy'`. What the pages allow now may be less, see {@link protect}.
   *
   * @group About it
   */
  get access(): Access {
    return this[MEMORY].access
  }

  /**
   * Whether `close` was called. Never throws.
   *
   * @group About it
   */
  get closed(): boolean {
    return this[MEMORY].closed
  }

  /**
   * Lets the memory and the file go, at once. Views that were handed out have length 0 from then on; calling it again
   * does nothing, and it never throws. Windows: a file that views were handed out of stays open until they are collected.
   *
   * @group Closing
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * const file = MmapFile.open('data.bin')
   * const window = file.subarray(0, 16)
   * file.close()
   * console.log(file.closed, window.length) // → true 0
   * ```
   */
  close(): void {
    this[MEMORY].close()
  }

  /**
   * As {@link close}: for `using file = MmapFile.open(…)`, in TypeScript and from Node 24 on.
   *
   * @group Closing
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('data.bin')
   * console.log(file.byteLength) // → 1048576
   * ```
   */
  [Symbol.dispose](): void {
    this[MEMORY].close()
  }

  /**
   * A window of the region, not a copy: it shows what others write, and where access is `'write'` what is stored in it
   * reaches the file. A raw window cannot throw: check what it gave with a method of the region where that matters. Where others
   * may store at the same time, decode a copy (`slice`, `toString` of the region): Node's own decoding reads twice, and may end
   * the process when bytes change in between.
   *
   * @group Windows
   * @param start first byte, from the end where negative; by default 0. Clamped.
   * @param end the byte behind the last; by default the end of the region. Clamped.
   * @throws `ERR_ZERO_COPY_UNAVAILABLE` where the runtime (Electron) or the system (`'read'` on macOS) has no windows, and under
   * `protect('none')`.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * const file = MmapFile.open('data.bin')
   * const header = file.subarray(0, 4)
   * console.log(header.toString()) // → some
   * file.close() // header.length is 0 from here on
   * ```
   */
  subarray(start?: number, end?: number): NonSharedBuffer {
    const from = args.index('start', start, 0)
    const to = args.index('end', end, Number.MAX_SAFE_INTEGER)
    const memory = this[MEMORY].checked
    const first = args.clamp(from, memory.byteLength)
    const length = Math.max(0, args.clamp(to, memory.byteLength) - first)
    if (length === 0) return Buffer.alloc(0)
    const { buffer, byteOffset } = memory.place(first, length)
    return Buffer.from(buffer, byteOffset, length)
  }

  /**
   * A typed window of the region: `count` elements from `byteOffset` on; by default as many whole ones as there are.
   *
   * @group Windows
   * @param type the class: one of the typed arrays, `Buffer` not among them, or `DataView`, which has no need of alignment.
   * @param byteOffset in bytes; by default 0.
   * @param count in elements, of a `DataView` in bytes.
   * @throws `ERR_OUT_OF_RANGE` where the elements do not lie in the region, or `byteOffset` plus the region's own
   * offset is no multiple of their size; `ERR_ZERO_COPY_UNAVAILABLE` as {@link subarray}.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * const file = MmapFile.open('matrix.f64', { access: 'write' })
   * const row = file.view(Float64Array, 0, 100)
   * row.fill(1)
   * file.close()
   * ```
   */
  view<T>(type: ViewConstructor<T>, byteOffset = 0, count?: number): T {
    const size = elementSize(type)
    const offset = args.offset('byteOffset', byteOffset)
    const wanted = count === undefined ? undefined : args.offset('count', count)
    const memory = this[MEMORY].checked
    const available = Math.max(0, memory.byteLength - offset)
    if (offset > memory.byteLength) throw outOfRange('byteOffset', `<= ${memory.byteLength}`, byteOffset)
    const length = wanted ?? Math.floor(available / size)
    if (length * size > available) throw outOfRange('count', `<= ${Math.floor(available / size)}`, count)
    if (length === 0) return new type(new ArrayBuffer(0), 0, 0)
    const place = memory.place(offset, length * size)
    if (place.byteOffset % size !== 0) {
      throw outOfRange('byteOffset', `at a multiple of ${size} bytes in memory`, byteOffset)
    }
    return new type(place.buffer, place.byteOffset, length)
  }

  /**
   * Window after window of `size` bytes, the last one shorter, for files of any length.
   *
   * @group Windows
   * @param options a range, and how many bytes each window repeats of the one before (`overlap`, less than `size`).
   * @throws `ERR_ZERO_COPY_UNAVAILABLE` as {@link subarray}, at the first window.
   * @example
   * ```ts
   * import { createHash } from 'node:crypto'
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('data.bin')
   * const hash = createHash('sha256')
   * for (const window of file.windows(1 << 20)) hash.update(window)
   * ```
   */
  windows(size: number, options?: Range & Background & { overlap?: number | undefined }): Scan<NonSharedBuffer> {
    const step = args.integer('size', size, 1, Number.MAX_SAFE_INTEGER)
    const given = args.options(options, ['start', 'end', 'overlap', ...BACKGROUND])
    const asked = askedOf(given)
    const overlap = given.overlap === undefined ? 0 : args.integer('options.overlap', given.overlap, 0, step - 1)
    const { start, end } = this[MEMORY].clamped(args.rangeOf(given))
    return new Scan(OUR_SCAN, new Windows(this, this[MEMORY], start, end, step, overlap), asked, start)
  }

  /**
   * The byte at `index`, from the end where negative; `undefined` where there is none.
   *
   * @group Copies and changes
   * @param index a whole number.
   * @returns 0 to 255.
   * @throws `ERR_OUT_OF_RANGE` for what is no whole number; `ERR_REGION_CLOSED`; `ERR_REGION_FAULTED`.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * console.log(log.at(-1) === 0x0a, log.at(log.byteLength)) // → true undefined
   * ```
   */
  at(index: number): number | undefined {
    const position = args.integer('index', index, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    const { byteLength } = this[MEMORY].checked
    const offset = position < 0 ? position + byteLength : position
    if (offset < 0 || offset >= byteLength) {
      this[MEMORY].verify()
      return undefined
    }
    return this.readUInt8(offset)
  }

  /**
   * A copy of a part of the region, which outlives it. Of 4 KiB or more it is checked that the file had them to the end.
   *
   * @group Copies and changes
   * @param start first byte, from the end where negative; by default 0. Clamped.
   * @param end the byte behind the last; by default the end of the region. Clamped.
   * @throws `ERR_REGION_CLOSED`, `ERR_REGION_FAULTED`; `ERR_OUT_OF_RANGE` for what is no whole number. A part longer than Node's
   * longest buffer (4 GiB on Node 20) is a `RangeError` of Node's own.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * const file = MmapFile.open('data.bin')
   * const copy = file.slice(0, 4)
   * file.close()
   * console.log(copy.toString()) // → some
   * ```
   */
  slice(start?: number, end?: number): NonSharedBuffer {
    const from = args.index('start', start, 0)
    const to = args.index('end', end, Number.MAX_SAFE_INTEGER)
    const memory = this[MEMORY].checked
    const first = args.clamp(from, memory.byteLength)
    const length = Math.max(0, args.clamp(to, memory.byteLength) - first)
    const copy = Buffer.allocUnsafeSlow(length)
    native.read(memory.region, first, copy)
    return copy
  }

  /**
   * Copies bytes into the region at `offset`: all of them, or none.
   *
   * @group Copies and changes
   * @param source bytes; a string is written as UTF-8.
   * @param offset in bytes from the start; by default 0.
   * @returns how many bytes.
   * @throws `ERR_OUT_OF_RANGE` where they do not fit; `ERR_REGION_READONLY`.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('notes.bin', { access: 'write', create: true, length: 64 })
   * console.log(file.set('héllo', 8)) // → 6
   * ```
   */
  set(source: Bytes, offset = 0): number {
    const bytes = args.bytes('source', source)
    const to = args.offset('offset', offset)
    const memory = this.#writable()
    const length = args.lengthOf(bytes)
    if (length > memory.byteLength) {
      throw outOfRange('source.byteLength', `<= ${memory.byteLength}, the length of the region`, length)
    }
    if (to + length > memory.byteLength) {
      throw outOfRange('offset', `<= ${memory.byteLength - length}, so that the bytes fit`, to)
    }
    memory.store(bytes, to, length)
    return length
  }

  /**
   * Fills a part of the region with a byte, or with bytes again and again, the last time cut where the part ends.
   *
   * @group Copies and changes
   * @param value a byte, 0 to 255, or bytes.
   * @param range by default all of it.
   * @throws `ERR_REGION_READONLY`; `ERR_INVALID_ARG_VALUE` where there is nothing to fill with; `ERR_OUT_OF_RANGE` for what is no byte.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('notes.bin', { access: 'write', create: true, length: 8 })
   * file.fill('ab').fill(0x2d, { start: -2 })
   * console.log(file.toString()) // → ababab--
   * ```
   */
  fill(value: number | Bytes, range?: Range): this {
    const pattern = args.pattern('value', value)
    if (args.lengthOf(pattern) === 0) throw invalidArgValue('value', value, 'must hold a byte at least')
    const given = args.range(range)
    const memory = this.#writable()
    const { start, end } = this[MEMORY].clamped(given)
    native.fill(memory.region, start, end, pattern)
    return this
  }

  /**
   * Moves bytes inside the region, as memmove does: the parts may overlap.
   *
   * @group Copies and changes
   * @param destination where they go: the offset of the first.
   * @param source where they are.
   * @param byteLength how many.
   * @throws `ERR_OUT_OF_RANGE` where one of the parts does not lie in the region; `ERR_REGION_READONLY`.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('notes.bin', { access: 'write', create: true, length: 8 })
   * file.set('abcdefgh')
   * console.log(file.move(2, 0, 4).toString()) // → ababcdgh
   * ```
   */
  move(destination: number, source: number, byteLength: number): this {
    const to = args.offset('destination', destination)
    const from = args.offset('source', source)
    const length = args.offset('byteLength', byteLength)
    const memory = this.#writable()
    const room = memory.byteLength - length
    if (room < 0) throw outOfRange('byteLength', `<= ${memory.byteLength}`, length)
    if (to > room) throw outOfRange('destination', `<= ${room}`, to)
    if (from > room) throw outOfRange('source', `<= ${room}`, from)
    native.moveWithin(memory.region, to, from, length)
    return this
  }

  /**
   * Whether the region holds just these bytes, or another region the same ones: as many, and each equal.
   *
   * @group Copies and changes
   * @throws `ERR_INVALID_ARG_TYPE` for what is neither; `ERR_REGION_CLOSED` and `ERR_REGION_FAULTED` of either region.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using one = MmapFile.open('access.log')
   * using other = MmapFile.open('access.log.1')
   * console.log(one.equals(other), one.equals('GET')) // → true false
   * ```
   */
  equals(other: Bytes | Region): boolean {
    if (other instanceof Region) {
      const memory: Memory | undefined = other[MEMORY]
      // What only inherits from a region has none.
      if (memory === undefined) throw invalidArgType('other', 'a region or bytes', other)
      const theirs = memory.region
      return native.equalsRegion(this[MEMORY].region, theirs)
    }
    const bytes = args.bytes('other', other)
    return native.equals(this[MEMORY].region, bytes)
  }

  /**
   * A part of the region as text. It is copied before it is decoded: safe also where others write at the same time.
   *
   * @group Copies and changes
   * @param encoding any of Buffer's; by default UTF-8, in which bytes that are no character become U+FFFD.
   * @param start first byte, from the end where negative; by default 0. Clamped.
   * @param end the byte behind the last; by default the end of the region. Clamped.
   * @throws `ERR_UNKNOWN_ENCODING`; `ERR_STRING_TOO_LONG` beyond Node's longest string (512 MiB).
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * console.log(log.toString('latin1', 0, 20)) // → 0 GET / 200 user=ann
   * ```
   */
  override toString(encoding?: BufferEncoding, start?: number, end?: number): string {
    const known = args.encoding('encoding', encoding)
    const from = args.index('start', start, 0)
    const to = args.index('end', end, Number.MAX_SAFE_INTEGER)
    const range = this[MEMORY].clamped({ start: from, end: to })
    // Gigabytes are not copied first, only to be refused.
    if (range.end - range.start > MOST_BYTES_OF_TEXT) throw stringTooLong()
    return this.slice(range.start, range.end).toString(known)
  }

  /**
   * A position in the region and what a file object does from there; any number of them.
   *
   * @group Copies and changes
   * @param position in bytes from the start, up to the length of the region; by default 0.
   * @throws `ERR_OUT_OF_RANGE` behind the end.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * const cursor = log.cursor(2)
   * console.log(cursor.read(3).toString(), cursor.position) // → GET 5
   * ```
   */
  cursor(position = 0): Cursor {
    const at = args.offset('position', position)
    const { byteLength } = this[MEMORY].checked
    if (at > byteLength) throw outOfRange('position', `<= ${byteLength}`, at)
    return new Cursor(OUR_CURSOR, this, at)
  }

  /**
   * Every byte by its number. For what is long, `windows` or `view` take a hundredth of the time.
   *
   * @group Copies and changes
   * @throws `ERR_REGION_CLOSED`, `ERR_REGION_FAULTED`, also in the middle.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('notes.bin', { access: 'write', create: true, length: 3 })
   * file.set('abc')
   * console.log([...file]) // → [ 97, 98, 99 ]
   * ```
   */
  *[Symbol.iterator](): IterableIterator<number> {
    void this[MEMORY].checked
    for (let offset = 0; offset < this[MEMORY].checked.byteLength; offset++) yield this.readUInt8(offset)
  }

  /**
   * Brings a range to stable storage; it is there when the promise resolves. Works on a thread of its own. After one
   * failure every later flush fails too: the system reports a lost write only once. Nothing is to be done for `'read'` and `'copy'`.
   *
   * @group Storage
   * @param range by default all of it; whole pages are written.
   * @throws (rejects with) `EIO`, `ENOSPC` and what else the system says; `ERR_REGION_CLOSED` also where the region was closed
   * meanwhile.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using table = MmapFile.open('table.bin', { access: 'write', create: true, length: 8192 })
   * table.writeDoubleLE(Math.PI, 4096)
   * await table.flush({ start: 4096 })
   * ```
   */
  async flush(range?: Range): Promise<void> {
    const { start, end } = this[MEMORY].clamped(args.range(range))
    const memory = this[MEMORY]
    const failure = await native.flush(memory.region, start, end)
    if (memory.closed) throw regionClosed()
    if (failure !== null) throw failure
  }

  /**
   * As {@link flush}, waiting here. With `wait: false` the writing only begins, and nobody says when it is done.
   *
   * @group Storage
   * @throws as {@link flush}.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using table = MmapFile.open('table.bin', { access: 'write', create: true, length: 8192 })
   * table.set('done')
   * table.flushSync()
   * ```
   */
  flushSync(range?: Range & { wait?: boolean | undefined }): void {
    const given = args.options(range, ['start', 'end', 'wait'], 'range')
    const wait = args.boolean('range.wait', given.wait, true)
    const { start, end } = this[MEMORY].clamped(args.rangeOf(given, 'range'))
    native.flushSync(this[MEMORY].region, start, end, wait)
  }

  /**
   * Maps again what is there now: sees what was appended, forgets what was cut off, and clears a fault. The file is never
   * changed. A region that was opened with a length stays at most that long. Where something changed, views handed out
   * before have length 0, and a `'copy'` region starts again from the file.
   *
   * @group Storage
   * @returns whether anything changed.
   * @throws `ERR_INVALID_STATE` where no descriptor was kept (`keepOpen: false`); what the system says to mapping again (`ENOMEM`).
   * @example
   * ```ts
   * import { appendFileSync } from 'node:fs'
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * const seen = log.byteLength
   * appendFileSync('access.log', 'one more')
   * console.log(log.refresh(), log.toString('utf8', seen)) // → true one more
   * ```
   */
  refresh(): boolean {
    return this[MEMORY].refresh()
  }

  /**
   * Changes the length of the region, and of the file or memory behind it. Content is kept, new bytes are zero and allocated
   * (with `sparse` not). Views handed out before have length 0, as at close. A call that throws leaves region and file as
   * they were.
   *
   * @group Storage
   * @param byteLength in bytes, 1 or more.
   * @throws `ERR_REGION_READONLY` for `'read'` and `'copy'`; `ENOSPC` where there is no room; `ERR_INVALID_STATE` for sealed
   * memory, and where no descriptor was kept; `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` for named memory but on Linux;
   * `ERR_REGION_BUSY` on Windows, where a file cannot be shortened while anybody has it mapped.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using table = MmapFile.open('table.bin', { access: 'write', create: true, length: 4096 })
   * table.resize(8192)
   * console.log(table.byteLength, table.fileSize) // → 8192 8192
   * ```
   */
  resize(byteLength: number): void {
    const length = args.integer('byteLength', byteLength, 1, Number.MAX_SAFE_INTEGER)
    this.#writable().resize(length)
  }

  /**
   * Tells the system how the memory will be used.
   *
   * @group The system's side
   * @param range by default all of it; whole pages.
   * @returns false where the system has no such advice: `'cold'` and `'pageout'` before Linux 5.4; macOS has the
   * first five, Windows `'normal'` and `'willneed'`.
   * @throws `ERR_INVALID_STATE` for `'dontneed'` on `'copy'` regions and `PrivateMemory`: it would lose what was written;
   * `ERR_INVALID_ARG_VALUE` for an advice that there is not.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using index = MmapFile.open('data.bin')
   * index.advise('random') // no reading ahead
   * ```
   */
  advise(advice: Advice, range?: Range): boolean {
    const number = ADVICE.indexOf(args.oneOf('advice', required('advice', advice), ADVICE, 'normal'))
    const { start, end } = this[MEMORY].clamped(args.range(range))
    return native.advise(this[MEMORY].region, number, start, end)
  }

  /**
   * Brings a part of the region into memory, off the event loop.
   *
   * @group The system's side
   * @param options a range, and a `signal` that ends it.
   * @throws (rejects with) `signal.reason`; `ERR_REGION_CLOSED` where the region was closed meanwhile; `ERR_REGION_FAULTED`.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('data.bin')
   * await file.prefetch({ end: 65_536, signal: AbortSignal.timeout(60_000) })
   * ```
   */
  async prefetch(options?: Range & { signal?: AbortSignal | undefined }): Promise<void> {
    const given = args.options(options, ['start', 'end', 'signal'])
    const signal = args.signal('options.signal', given.signal)
    const { start, end } = this[MEMORY].clamped(args.rangeOf(given))
    await prefetch(this[MEMORY], start, end, signal)
  }

  /**
   * Which pages of a part of the region are in memory.
   *
   * @group The system's side
   * @param range by default all of it.
   * @throws `ERR_REGION_CLOSED`; `ERR_REGION_FAULTED`.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('data.bin')
   * const { known, resident, pages } = file.residency({ end: 65_536 })
   * if (known) console.log(resident, 'of', pages, 'pages')
   * ```
   */
  residency(range?: Range): Residency {
    const { start, end } = this[MEMORY].clamped(args.range(range))
    const memory = this[MEMORY]
    const pageSize = native.limits().pageSize
    const lead = memory.lead
    const first = Math.floor((lead + start) / pageSize) * pageSize - lead
    return new Residency(OUR_RESIDENCY, native.residency(memory.region, start, end), pageSize, first)
  }

  /**
   * Keeps a part of the region in memory until `unpin`, `close`, or what maps it anew (`resize`, `refresh`, `protect`). Of a
   * region opened for reading nothing is copied: what others write stays visible.
   *
   * @group The system's side
   * @param range by default all of it; whole pages.
   * @throws `ENOMEM`, `EPERM` or `EAGAIN` where the system allows less: see {@link limits}`().pinnable`.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('data.bin')
   * file.pin({ end: 4096 })
   * file.unpin({ end: 4096 })
   * ```
   */
  pin(range?: Range): void {
    const { start, end } = this[MEMORY].clamped(args.range(range))
    native.pin(this[MEMORY].region, start, end)
  }

  /**
   * Lets a part of the region go that was pinned. Whole pages: what shares one with its ends is let go too. What was not pinned
   * stays as it is.
   *
   * @group The system's side
   * @param range by default all of it.
   * @throws `ERR_REGION_CLOSED`; `ERR_REGION_FAULTED`.
   * @example
   * ```ts
   * import { PrivateMemory } from 'memmap'
   *
   * using memory = PrivateMemory.allocate(4096, { pin: true })
   * memory.unpin()
   * ```
   */
  unpin(range?: Range): void {
    const { start, end } = this[MEMORY].clamped(args.range(range))
    native.unpin(this[MEMORY].region, start, end)
  }

  /**
   * What the pages allow: `'none'`, `'read'`, `'write'` (and reading) or `'execute'` (and reading). Never writing and executing
   * together. The region gets a new mapping; views handed out before have length 0, as at close. Under `'read'` a file or
   * shared memory still has windows, `'copy'` regions and `PrivateMemory` have none. A `'copy'` region is compared with its
   * file page by page for this, which takes its time with gigabytes.
   *
   * @group The system's side
   * @throws `ERR_REGION_READONLY` for `'write'` on access `'read'`; `ERR_INVALID_STATE` where no descriptor was kept;
   * `EACCES` or `EPERM` where the system forbids it; `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` for `'execute'` on Windows, where only
   * `PrivateMemory` has it.
   * @example
   * ```ts
   * import { PrivateMemory } from 'memmap'
   *
   * using table = PrivateMemory.allocate(4096)
   * table.writeUInt32LE(42, 0)
   * table.protect('read') // from here on nobody changes it by mistake
   * console.log(table.readUInt32LE(0)) // → 42
   * ```
   */
  protect(protection: Protection): void {
    const wanted = args.oneOf('protection', required('protection', protection), PROTECTIONS, 'none')
    const memory = this[MEMORY].checked
    if (wanted === 'write' && memory.access === 'read') throw regionReadOnly(memory.access, wanted)
    memory.protect(wanted)
  }

  /**
   * A handle for `attach` in a worker, to be sent by `postMessage`; good while this region is open.
   *
   * @group Sharing
   * @throws `ERR_INVALID_STATE` for `PrivateMemory`, and where no descriptor was kept; `ERR_REGION_CLOSED`.
   * @example
   * ```ts
   * import { once } from 'node:events'
   * import { Worker } from 'node:worker_threads'
   * import { SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * const program = `
   *   const { workerData } = require('node:worker_threads')
   *   import('memmap').then(({ SharedMemory }) => SharedMemory.attach(workerData).writeInt32LE(42, 0))
   * `
   * await once(new Worker(program, { eval: true, workerData: memory.share() }), 'exit')
   * console.log(memory.readInt32LE(0)) // → 42
   * ```
   */
  share(): RegionHandle {
    const { region, byteLength } = this[MEMORY].checked
    return { kind: this.shareableKind(), id: native.share(region), byteLength }
  }

  /**
   * A SharedArrayBuffer over the region, for `Atomics.wait` between workers. It cannot be taken back: its mapping, and the
   * file, live until it is collected; V8 counts it as 0 bytes. It shows the region's length of now.
   *
   * @group Sharing
   * @throws `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` before Node 22.23, 24.21 and 26.10; `ERR_REGION_READONLY` unless access is
   * `'write'`; `ERR_INVALID_STATE` for `PrivateMemory`, and for an offset that is no multiple of a page.
   * @example
   * ```ts
   * import { capabilities, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * if (capabilities().sharedArrayBuffer === 'native') {
   *   const words = new Int32Array(memory.sharedArrayBuffer())
   *   console.log(Atomics.wait(words, 0, 0, 10)) // 'timed-out': nobody has called Atomics.notify
   * }
   * ```
   */
  sharedArrayBuffer(): SharedArrayBuffer {
    return native.sharedArrayBuffer(this[MEMORY].region)
  }

  /**
   * Stands still while a 32-bit word of the region is the expected one, until somebody calls `notify` for it: another
   * process, worker or mapping of the same file or shared memory. For workers and scripts; a worker that waits can be terminated.
   * As with `Atomics.wait`: store first, then notify, and look at the word again after `'ok'`.
   *
   * @group Waiting
   * @param offset a multiple of 4 bytes in memory.
   * @param expected as a signed 32-bit number, in this computer's order of bytes (`readInt32LE`).
   * @param options `timeout`: milliseconds, by default for ever; 0 only looks.
   * @returns `'not-equal'` if the word is another one now, `'timed-out'` if the time is over, else `'ok'`: somebody has called,
   * or the word was seen to be another one since. A call that leaves the word as it is may be missed.
   * @throws `ERR_OUT_OF_RANGE` for an offset outside, or at no multiple of 4; `ERR_INVALID_STATE` for `'copy'` regions and
   * `PrivateMemory`, which are nobody else's, and for `'read'` regions without a descriptor; `ERR_REGION_FAULTED`;
   * `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` before macOS 14.4.
   * @example
   * ```ts
   * import { SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096) // or by a name, or a file
   * const seen = memory.readInt32LE(0)
   * // elsewhere: memory.writeInt32LE(seen + 1, 0), and then memory.notify(0)
   * console.log(memory.wait(0, seen, { timeout: 10 })) // → timed-out
   * ```
   */
  wait(offset: number, expected: number, options?: Pick<Waiting, 'timeout'>): WaitResult {
    return waitHere(this[MEMORY], offset, expected, options)
  }

  /**
   * As {@link wait}, without standing still, and without a thread for each: any number of them. A wait keeps the process alive,
   * as every promise of this package does, and goes on when the region is mapped anew (`resize`, `refresh`, `protect`).
   *
   * On Linux with io_uring, and on Windows, each call is told to just the waits it was meant for. Where a container or an older
   * kernel has no io_uring, and on macOS, a wait is only sure to end if its word is another one when it is called: store first.
   *
   * @group Waiting
   * @param options `timeout` as for {@link wait}, and a `signal` that gives the wait up.
   * @throws (rejects) as {@link wait}; `ERR_REGION_CLOSED` where the region is closed meanwhile; `ERR_OUT_OF_RANGE` where
   * `resize` or `refresh` leaves the word outside; the signal's `reason`.
   * @example
   * ```ts
   * import { SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * const ended = memory.waitAsync(0, 0, { timeout: 1000 })
   * memory.writeInt32LE(1, 0)
   * memory.notify(0)
   * console.log(await ended) // → ok
   * ```
   */
  waitAsync(offset: number, expected: number, options?: Waiting): Promise<WaitResult> {
    return waitElsewhere(this[MEMORY], offset, expected, options)
  }

  /**
   * Calls those who wait for a word, in any process, worker or mapping; a region opened for reading may do so, too.
   *
   * @group Waiting
   * @param offset a multiple of 4 bytes in memory.
   * @param count how many of them, by default all.
   * @returns how many were called.
   * @throws as {@link wait}.
   * @example
   * ```ts
   * import { SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * Atomics.add(memory.view(Int32Array), 0, 1)
   * console.log(memory.notify(0), 'were waiting') // → 0 were waiting
   * ```
   */
  notify(offset: number, count?: number): number {
    return notifyWord(this[MEMORY], offset, count)
  }

  /** The class as handles name it; what cannot be shared says so in `native.share`. @internal */
  protected shareableKind(): string {
    return 'PrivateMemory'
  }

  /** How `console.log` shows it. @internal */
  [inspect.custom](_depth: number, options: object): string {
    const shown = this.closed ? { closed: true } : this.facts()
    return `${this.constructor.name} ${inspect(shown, options)}`
  }

  /** What `inspect` shows of an open region. @internal */
  protected facts(): object {
    return { access: this.access, byteLength: this.byteLength }
  }

  #writable(): Memory {
    const memory = this[MEMORY]
    void memory.writableRegion
    return memory
  }
}

function required<T>(name: string, value: T): T {
  if (value === undefined) throw invalidArgType(name, 'of type string', value)
  return value
}

function elementSize(type: unknown): number {
  if (typeof type === 'function') {
    if (type === DataView || type.prototype instanceof DataView) return 1
    const size: unknown = Reflect.get(type, 'BYTES_PER_ELEMENT')
    if (typeof TypedArray === 'function' && type.prototype instanceof TypedArray && typeof size === 'number')
      return size
  }
  throw invalidArgType('type', 'a TypedArray class or DataView', type)
}
