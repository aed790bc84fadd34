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

const ADVICE = [
  'normal',
  'random',
  'sequential',
  'willneed',
  'dontneed',
  'cold',
  'pageout',
  'hugepage',
  'nohugepage',
] as const

/** How memory will be used, by the names of madvise(2). */
export type Advice = (typeof ADVICE)[number]

/** What `view` makes: `Float64Array`, `DataView`, … */
export type ViewConstructor<T> = new (buffer: ArrayBuffer, byteOffset: number, length: number) => T

/**
 * Memory as bytes: what every kind of region can do.
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
 * @example
 * ```ts
 * import { MmapFile, Region } from 'memmap'
 *
 * const file = MmapFile.open('data.bin')
 * console.log(file instanceof Region, file.byteLength, file.slice(0, 16))
 * file.close()
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

  /** Bytes in the region; 0 once closed. */
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
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * const log = MmapFile.open('access.log')
   * if (log.fault !== null) console.log(log.fault.cause, 'at', log.fault.offset)
   * ```
   */
  get fault(): Fault | null {
    const memory = this[MEMORY]
    return memory.closed ? null : faultOfRegion(memory.region)
  }

  /** What was asked for at `open`. */
  get access(): Access {
    return this[MEMORY].access
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    return this[MEMORY].closed
  }

  /**
   * Lets the memory and the file go, at once. Views that were handed out have length 0 from then on; calling it again
   * does nothing. On Windows a file that views were handed out of stays open until they are collected.
   */
  close(): void {
    this[MEMORY].close()
  }

  /** As `close`: for `using file = MmapFile.open(…)`. */
  [Symbol.dispose](): void {
    this[MEMORY].close()
  }

  /**
   * A window of the region, not a copy: it shows what others write, and where access is `'write'` what is stored in it
   * reaches the file. A raw window cannot throw: check what it gave with a method of the region where that matters. Where others
   * may store at the same time, decode a copy (`slice`, `toString` of the region): Node's own decoding reads twice, and may end
   * the process when bytes change in between.
   *
   * @throws `ERR_ZERO_COPY_UNAVAILABLE` where the runtime (Electron) or the system (`'read'` on macOS) has no windows.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * const file = MmapFile.open('data.bin')
   * const header = file.subarray(0, 16)
   * console.log(header.toString('hex'))
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

  /** The byte at `index`, from the end where negative; `undefined` where there is none. */
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

  /** A copy of a part of the region, which outlives it. */
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
   * @returns how many.
   * @throws `ERR_OUT_OF_RANGE` where they do not fit; `ERR_REGION_READONLY`.
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
   * @throws `ERR_REGION_READONLY`; `ERR_INVALID_ARG_VALUE` where there is nothing to fill with.
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
   * @throws `ERR_OUT_OF_RANGE` where one of the parts does not lie in the region; `ERR_REGION_READONLY`.
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

  /** Whether the region holds just these bytes, or another region the same ones. */
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
   * A part of the region as text.
   *
   * @throws `ERR_UNKNOWN_ENCODING`; `ERR_STRING_TOO_LONG` beyond Node's longest string (512 MiB).
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

  /** A position in the region and what a file object does from there; any number of them. */
  cursor(position = 0): Cursor {
    const at = args.offset('position', position)
    const { byteLength } = this[MEMORY].checked
    if (at > byteLength) throw outOfRange('position', `<= ${byteLength}`, at)
    return new Cursor(OUR_CURSOR, this, at)
  }

  /** Every byte by its number. */
  *[Symbol.iterator](): IterableIterator<number> {
    void this[MEMORY].checked
    for (let offset = 0; offset < this[MEMORY].checked.byteLength; offset++) yield this.readUInt8(offset)
  }

  /**
   * Brings a range to stable storage; it is there when the promise resolves. Works on a thread of its own. After one
   * failure every later flush fails too: the system reports a lost write only once.
   *
   * @throws (rejects) `EIO`, `ENOSPC` and what else the system says; `ERR_REGION_CLOSED` also where the region was closed
   * meanwhile. Nothing is to be done for `'read'` and `'copy'`.
   */
  async flush(range?: Range): Promise<void> {
    const { start, end } = this[MEMORY].clamped(args.range(range))
    const memory = this[MEMORY]
    const failure = await native.flush(memory.region, start, end)
    if (memory.closed) throw regionClosed()
    if (failure !== null) throw failure
  }

  /** As {@link flush}, waiting here. With `wait: false` the writing only begins, and nobody says when it is done. */
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
   * @returns whether anything changed.
   * @throws `ERR_INVALID_STATE` where no descriptor was kept.
   */
  refresh(): boolean {
    return this[MEMORY].refresh()
  }

  /**
   * Changes the length of the region, and of the file or memory behind it. Content is kept, new bytes are zero and allocated
   * (with `sparse` not). Views handed out before have length 0, as at close. A call that throws leaves region and file as
   * they were.
   *
   * @throws `ERR_REGION_READONLY` for `'read'` and `'copy'`; `ENOSPC` where there is no room; `ERR_INVALID_STATE` for sealed
   * memory, and where no descriptor was kept; `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` for named memory but on Linux;
   * `ERR_REGION_BUSY` on Windows, where a file cannot be shortened while anybody has it mapped.
   */
  resize(byteLength: number): void {
    const length = args.integer('byteLength', byteLength, 1, Number.MAX_SAFE_INTEGER)
    this.#writable().resize(length)
  }

  /**
   * Tells the system how the memory will be used.
   *
   * @returns false where the system has no such advice.
   * @throws `ERR_INVALID_STATE` for `'dontneed'` on `'copy'` regions and `PrivateMemory`: it would lose what was written.
   */
  advise(advice: Advice, range?: Range): boolean {
    const number = ADVICE.indexOf(args.oneOf('advice', required('advice', advice), ADVICE, 'normal'))
    const { start, end } = this[MEMORY].clamped(args.range(range))
    return native.advise(this[MEMORY].region, number, start, end)
  }

  /**
   * Brings a part of the region into memory, off the event loop.
   *
   * @param options a range, and a `signal` that ends it.
   * @throws (rejects) `signal.reason`; `ERR_REGION_CLOSED` where the region was closed meanwhile.
   */
  async prefetch(options?: Range & { signal?: AbortSignal | undefined }): Promise<void> {
    const given = args.options(options, ['start', 'end', 'signal'])
    const signal = args.signal('options.signal', given.signal)
    const { start, end } = this[MEMORY].clamped(args.rangeOf(given))
    await prefetch(this[MEMORY], start, end, signal)
  }

  /** Which pages of a part of the region are in memory. */
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
   * @throws `ENOMEM`, `EPERM` or `EAGAIN` where the system allows less: see `limits().pinnable`.
   */
  pin(range?: Range): void {
    const { start, end } = this[MEMORY].clamped(args.range(range))
    native.pin(this[MEMORY].region, start, end)
  }

  /** Lets a part of the region go that was pinned. Whole pages: what shares one with its ends is let go too. */
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
   * @throws `ERR_REGION_READONLY` for `'write'` on access `'read'`; `ERR_INVALID_STATE` where no descriptor was kept;
   * `EACCES` or `EPERM` where the system forbids it.
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
   * @throws `ERR_INVALID_STATE` for `PrivateMemory`, and where no descriptor was kept.
   */
  share(): RegionHandle {
    const { region, byteLength } = this[MEMORY].checked
    return { kind: this.shareableKind(), id: native.share(region), byteLength }
  }

  /**
   * A SharedArrayBuffer over the region, for `Atomics.wait` between workers. It cannot be taken back: its mapping, and the
   * file, live until it is collected; V8 counts it as 0 bytes. It shows the region's length of now.
   *
   * @throws `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` before Node 22.23, 24.21 and 26.10; `ERR_REGION_READONLY` unless access is
   * `'write'`; `ERR_INVALID_STATE` for `PrivateMemory`, and for an offset that is no multiple of a page.
   */
  sharedArrayBuffer(): SharedArrayBuffer {
    return native.sharedArrayBuffer(this[MEMORY].region)
  }

  /**
   * Stands still while a 32-bit word of the region is the expected one, until somebody calls `notify` for it: another
   * process, worker or mapping of the same file or shared memory. For workers and scripts; a worker that waits can be terminated.
   * As with `Atomics.wait`: store first, then notify, and look at the word again after `'ok'`.
   *
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
   * const memory = SharedMemory.openOrCreate('bell', 4096)
   * const seen = memory.readInt32LE(0)
   * console.log(memory.wait(0, seen, { timeout: 1000 })) // elsewhere: Atomics.add(words, 0, 1); memory.notify(0)
   * ```
   */
  wait(offset: number, expected: number, options?: Pick<Waiting, 'timeout'>): WaitResult {
    return waitHere(this[MEMORY], offset, expected, options)
  }

  /**
   * As {@link wait}, without standing still: any number of waits share one thread. A wait keeps the process alive, as every
   * promise of this package does; it goes on when the region is mapped anew (`resize`, `refresh`, `protect`).
   *
   * @param options `timeout` as for {@link wait}, and a `signal` that gives the wait up.
   * @throws (rejects) as {@link wait}; `ERR_REGION_CLOSED` where the region is closed meanwhile; `ERR_OUT_OF_RANGE` where
   * `resize` or `refresh` leaves the word outside; the signal's `reason`.
   * @example
   * ```ts
   * import { SharedMemory } from 'memmap'
   *
   * const memory = SharedMemory.openOrCreate('bell', 4096)
   * const seen = memory.readInt32LE(0)
   * console.log(await memory.waitAsync(0, seen, { timeout: 1000 }))
   * ```
   */
  async waitAsync(offset: number, expected: number, options?: Waiting): Promise<WaitResult> {
    return waitElsewhere(this[MEMORY], offset, expected, options)
  }

  /**
   * Calls those who wait for a word, in any process, worker or mapping; a region opened for reading may do so, too.
   *
   * @param count how many of them, by default all.
   * @returns how many were called.
   * @throws as {@link wait}.
   * @example
   * ```ts
   * import { SharedMemory } from 'memmap'
   *
   * const memory = SharedMemory.openOrCreate('bell', 4096)
   * Atomics.add(memory.view(Int32Array), 0, 1)
   * console.log(memory.notify(0), 'were waiting')
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
