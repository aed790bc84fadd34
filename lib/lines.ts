// Lines of a region, a block at a time: the addon finds the line ends of a block in one call, the block is copied
// (so that what is handed out outlives the region) or decoded once, and all its lines are cut from that in one loop.

import type { NonSharedBuffer } from 'node:buffer'

import * as native from '#binding'

import { invalidArgValue } from './errors.ts'
import type { Memory } from './memory.ts'
import { OURS, DONE, Scan } from './scan.ts'
import type { Range } from './types.ts'

const NEWLINE = 0x0a
const RETURN = 0x0d
const NEWLINE_NEEDLE = Uint8Array.of(NEWLINE)
const ENDS = 4096
/** Text of more than 128 KiB is large to V8, which takes new memory from the system for each: twice the time in all. */
const BLOCK = 64 * 1024
/** The first block is this long, and each next one four times as long: who takes one line does not wait for thousands. */
const FIRST_BLOCK = 4 * 1024

/**
 * The class that Buffers are made by. Its constructor takes two thirds of the time of `subarray`, which asks the buffer for
 * it, checks what we know and calls it.
 */
const FastBuffer = Reflect.get(Buffer, Symbol.species) as new (
  buffer: ArrayBuffer,
  byteOffset: number,
  length: number,
) => NonSharedBuffer

/** What `lines` takes beside an encoding. */
export type Lines = Range

/** Encodings in which every byte 0x0a is a line end and nothing else is, so that a block can be decoded whole. */
const DECODED_BY_BLOCK = new Set<BufferEncoding>(['utf8', 'utf-8', 'latin1', 'binary'])

abstract class LineScan<T> extends Scan<T> {
  readonly #memory: Memory
  readonly #end: number
  /** Positions of the line ends of the block. */
  readonly #ends = new Float64Array(ENDS)
  #lines: T[] = []
  #given = 0
  #blockSize = FIRST_BLOCK
  /** Position of the block's first byte. */
  #block: number
  /** Bytes of a line's end; none where the region ends without one. */
  #newline = 1

  constructor(memory: Memory, start: number, end: number) {
    super(OURS)
    this.#memory = memory
    this.#block = start
    this.#end = end
  }

  get position(): number {
    return this.#given === 0 ? this.#block : (this.#ends[this.#given - 1] ?? 0) + this.#newline
  }

  next(): IteratorResult<T, undefined> {
    const region = this.#memory.region
    if (this.#given === this.#lines.length && !this.#fill(region)) return DONE
    return { done: false, value: this.#lines[this.#given++] as T }
  }

  /** Takes the next block in; false at the end. */
  #fill(region: number): boolean {
    const start = this.position
    const end = Math.min(this.#end, this.#memory.byteLength)
    if (start >= end) return false
    const blockEnd = Math.min(start + this.#blockSize, end)
    let filled = native.indexesOf(region, start, blockEnd, NEWLINE_NEEDLE, this.#ends)
    let terminated = true
    if (filled === 0) {
      // A line longer than a block, or the last one without an end.
      const next = native.indexOf(region, blockEnd, end, NEWLINE_NEEDLE)
      terminated = next !== -1
      this.#ends[0] = terminated ? next : end
      filled = 1
    }
    this.#lines = this.cut(region, start, this.#ends.subarray(0, filled), terminated)
    this.#newline = terminated ? 1 : 0
    this.#block = start
    this.#blockSize = Math.min(4 * this.#blockSize, BLOCK)
    this.#given = 0
    return true
  }

  /**
   * The lines of a block that begins at `start`; `ends` are the positions of their ends. `terminated`, the byte there
   * is a `\n`, and a `\r` before that belongs to it.
   */
  protected abstract cut(region: number, start: number, ends: Float64Array, terminated: boolean): T[]
}

/** Lines as bytes. */
export class ByteLines extends LineScan<NonSharedBuffer> {
  protected cut(region: number, start: number, ends: Float64Array, terminated: boolean): NonSharedBuffer[] {
    const bytes = Buffer.allocUnsafeSlow((ends.at(-1) ?? start) - start)
    native.read(region, start, bytes)
    const { buffer } = bytes
    const lines: NonSharedBuffer[] = []
    lines.length = ends.length // all at once, not as it grows
    let from = 0
    for (let i = 0; i < ends.length; i++) {
      const end = (ends[i] ?? 0) - start
      lines[i] = new FastBuffer(buffer, from, lineEnd(bytes, from, end, terminated) - from)
      from = end + 1
    }
    return lines
  }
}

function lineEnd(bytes: Buffer, start: number, end: number, terminated: boolean): number {
  return terminated && end > start && bytes[end - 1] === RETURN ? end - 1 : end
}

/** Lines as text. */
abstract class TextScan extends LineScan<string> {
  protected readonly encoding: BufferEncoding
  #bytes: NonSharedBuffer = Buffer.alloc(0)

  constructor(memory: Memory, start: number, end: number, encoding: BufferEncoding) {
    super(memory, start, end)
    this.encoding = encoding
  }

  /** Bytes of the region, in memory that the next call takes again. */
  protected take(region: number, start: number, end: number): NonSharedBuffer {
    const length = end - start
    // One line of a gigabyte must not keep its memory for the rest of the scan.
    const kept = length <= 4 * BLOCK
    if (kept && this.#bytes.byteLength < length) this.#bytes = Buffer.allocUnsafeSlow(Math.max(length, BLOCK))
    const bytes = kept ? this.#bytes.subarray(0, length) : Buffer.allocUnsafeSlow(length)
    native.read(region, start, bytes)
    return bytes
  }
}

/** Lines in an encoding that is cut at line ends only after it was decoded. */
class DecodedLines extends TextScan {
  protected cut(region: number, start: number, ends: Float64Array, terminated: boolean): string[] {
    const bytes = this.take(region, start, ends.at(-1) ?? start)
    const text = bytes.toString(this.encoding)
    const lines: string[] = []
    lines.length = ends.length // all at once, not as it grows
    // No byte gives more than one character, so equal lengths mean one each.
    if (text.length === bytes.byteLength) {
      let from = 0
      for (let i = 0; i < ends.length; i++) {
        const end = (ends[i] ?? 0) - start
        lines[i] = text.slice(from, lineEnd(bytes, from, end, terminated))
        from = end + 1
      }
      return lines
    }
    let from = 0
    for (let i = 0; i < ends.length; i++) {
      const found = text.indexOf('\n', from)
      const end = found === -1 ? text.length : found
      const returned = terminated && end > from && text.charCodeAt(end - 1) === RETURN
      lines[i] = text.slice(from, returned ? end - 1 : end)
      from = end + 1
    }
    return lines
  }
}

/** Lines in an encoding of bytes (hex, base64): each by itself. */
class EncodedLines extends TextScan {
  protected cut(region: number, start: number, ends: Float64Array, terminated: boolean): string[] {
    const bytes = this.take(region, start, ends.at(-1) ?? start)
    const lines: string[] = []
    lines.length = ends.length // all at once, not as it grows
    let from = 0
    for (let i = 0; i < ends.length; i++) {
      const end = (ends[i] ?? 0) - start
      lines[i] = bytes.toString(this.encoding, from, lineEnd(bytes, from, end, terminated))
      from = end + 1
    }
    return lines
  }
}

export function textLines(memory: Memory, start: number, end: number, encoding: BufferEncoding): Scan<string> {
  return DECODED_BY_BLOCK.has(encoding)
    ? new DecodedLines(memory, start, end, encoding)
    : new EncodedLines(memory, start, end, encoding)
}

/** Refuses an encoding in which a line end is not the byte 0x0a. */
export function checkLineEncoding(encoding: BufferEncoding): void {
  if (/^(utf-?16le|ucs-?2)$/i.test(encoding)) {
    throw invalidArgValue('options.encoding', encoding, 'has line ends of two bytes; lines() cuts at the byte 0x0a')
  }
}
