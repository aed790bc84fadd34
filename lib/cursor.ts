// A position in a region, and what a file object does from there.

import type { NonSharedBuffer } from 'node:buffer'

import * as args from './arguments.ts'
import type { CursorScalars } from './cursor-scalars.ts'
import { illegalConstructor, outOfRange } from './errors.ts'
import type { Region } from './region.ts'
import { READERS, ScalarAccess, WRITERS } from './scalar-access.ts'
import type { Bytes } from './types.ts'

/** Lets only this package make cursors. @internal */
export const OURS: unique symbol = Symbol('memmap.cursor')

const NEWLINE = 0x0a
type Reader = (this: Region, offset: number, byteLength?: number) => number | bigint
type Writer = (this: Region, value: unknown, offset: number, byteLength?: number) => number

const ORIGINS = ['start', 'current', 'end'] as const

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- the static block of the class adds just these
export interface Cursor extends CursorScalars {}

/**
 * A position in a region. Reading and writing start there and move it on; what throws leaves it where it was.
 *
 * Beside the methods below it has Buffer's whole read and write family without the offset (`readUInt32LE()`,
 * `writeDoubleBE(value)`, …). Errors are those of the region's own methods.
 *
 * @group What one gets
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 *
 * using file = MmapFile.open('records.bin')
 * const cursor = file.cursor()
 * const count = cursor.readUInt32LE()
 * for (let i = 0; i < count; i++) console.log(cursor.read(cursor.readUInt16LE()).toString())
 * // → first
 * // → second
 * // → third
 * ```
 */
export class Cursor {
  readonly #region: Region
  #position: number

  /** @internal */
  constructor(key: typeof OURS, region: Region, position: number) {
    if (key !== OURS) throw illegalConstructor('region.cursor()')
    this.#region = region
    this.#position = position
  }

  static {
    for (const name of READERS) {
      const read = Reflect.get(ScalarAccess.prototype, name) as Reader
      const size = sizeOf(name)
      const readFromHere = function (this: Cursor, byteLength?: number): number | bigint {
        const length = size ?? args.integer('byteLength', byteLength, 1, 6)
        const value = read.call(this.#region, this.#position, length)
        this.#position += length
        return value
      }
      Object.defineProperty(this.prototype, name, { value: readFromHere, writable: true, configurable: true })
    }
    for (const name of WRITERS) {
      const write = Reflect.get(ScalarAccess.prototype, name) as Writer
      const writeFromHere = function (this: Cursor, value: unknown, byteLength?: number): void {
        this.#position = write.call(this.#region, value, this.#position, byteLength)
      }
      Object.defineProperty(this.prototype, name, { value: writeFromHere, writable: true, configurable: true })
    }
  }

  /** Bytes from the start of the region, from 0 to its length. */
  get position(): number {
    return this.#position
  }

  /** @throws `ERR_OUT_OF_RANGE` before the start and behind the end; `ERR_REGION_CLOSED`. */
  set position(position: number) {
    this.#position = this.#within('position', args.offset('position', position))
  }

  /** Bytes between here and the end; 0 where the region has become shorter or was closed. */
  get remaining(): number {
    return Math.max(0, this.#region.byteLength - this.#position)
  }

  /**
   * Moves to `offset` from the start, from here or from the end.
   *
   * @param offset in bytes; may be negative.
   * @param from by default `'start'`.
   * @returns the new position.
   * @throws `ERR_OUT_OF_RANGE` where that lies before the start or behind the end; the position stays.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * const cursor = log.cursor()
   * cursor.seek(-10, 'end')
   * console.log(cursor.remaining) // → 10
   * ```
   */
  seek(offset: number, from?: 'start' | 'current' | 'end'): number {
    const distance = args.integer('offset', offset, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    const origin = args.oneOf('from', from, ORIGINS, 'start')
    const base = { start: 0, current: this.#position, end: this.#region.byteLength }[origin]
    this.#position = this.#within('offset', base + distance)
    return this.#position
  }

  /**
   * A copy of the next `length` bytes, by default of all; shorter or empty at the end.
   *
   * @param length in bytes, 0 or more.
   * @throws as {@link Region.slice}.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('data.bin')
   * const cursor = file.cursor()
   * console.log(cursor.read(4).toString(), cursor.position) // → some 4
   * ```
   */
  read(length?: number): NonSharedBuffer {
    const wanted = length === undefined ? Number.MAX_SAFE_INTEGER : args.offset('length', length)
    const bytes = this.#region.slice(this.#position, this.#position + Math.min(wanted, this.remaining))
    this.#position += bytes.byteLength
    return bytes
  }

  /**
   * The next byte, 0 to 255.
   *
   * @throws `ERR_OUT_OF_RANGE` at the end.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('data.bin')
   * console.log(file.cursor().readByte()) // → 115
   * ```
   */
  readByte(): number {
    const byte = this.#region.readUInt8(this.#position)
    this.#position += 1
    return byte
  }

  /**
   * A copy of the next line with its `\n`; empty at the end.
   *
   * @throws as {@link Region.indexOf} and {@link Region.slice}.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * const cursor = log.cursor()
   * for (let line = cursor.readLine(); line.length > 0; line = cursor.readLine()) {
   *   if (line.includes('ERROR')) break
   * }
   * console.log(cursor.readLine().toString().trim()) // → 2 WARN slow
   * ```
   */
  readLine(): NonSharedBuffer {
    const end = this.#region.indexOf(NEWLINE, { start: this.#position })
    return this.read(end === -1 ? undefined : end + 1 - this.#position)
  }

  /**
   * Writes all of the bytes, or none where they do not fit.
   *
   * @returns how many.
   * @throws as {@link Region.set}.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('notes.bin', { access: 'write', create: true, length: 64 })
   * const cursor = file.cursor()
   * cursor.write('one ')
   * cursor.write('two')
   * console.log(file.toString('utf8', 0, cursor.position)) // → one two
   * ```
   */
  write(bytes: Bytes): number {
    const written = this.#region.set(bytes, this.#position)
    this.#position += written
    return written
  }

  /**
   * Writes a byte.
   *
   * @param byte 0 to 255.
   * @throws `ERR_OUT_OF_RANGE` at the end, and for what is no byte; `ERR_REGION_READONLY`.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('notes.bin', { access: 'write', create: true, length: 64 })
   * const cursor = file.cursor(63)
   * cursor.writeByte(0xff)
   * console.log(cursor.remaining) // → 0
   * ```
   */
  writeByte(byte: number): void {
    this.#position = this.#region.writeUInt8(byte, this.#position)
  }

  #within(name: string, position: number): number {
    const length = this.#region.byteLength
    // Throws when the region is closed: its length says nothing then.
    this.#region.at(0)
    if (position < 0 || position > length) throw outOfRange(name, `at a position >= 0 && <= ${length}`, position)
    return position
  }
}

/** Bytes that a reader of this name reads; none where the caller says how many. */
function sizeOf(name: string): number | undefined {
  if (/U?[Ii]nt[LB]E$/.test(name)) return undefined
  if (name.includes('Float')) return 4
  if (name.includes('Double')) return 8
  return Number(/\d+/.exec(name)?.[0]) / 8
}
