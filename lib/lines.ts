// Lines of a region, a block at a time: the addon finds the line ends of a block in one call, the block is copied
// (so that what is handed out outlives the region) or decoded once, and the lines are cut from that.

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
const BLOCK = 256 * 1024

/** What `lines` takes beside an encoding. */
export type Lines = Range

/** Encodings in which every byte 0x0a is a line end and nothing else is, so that a block can be decoded whole. */
const DECODED_BY_BLOCK = new Set<BufferEncoding>(['utf8', 'utf-8', 'latin1', 'binary'])

abstract class LineScan<T> extends Scan<T> {
  position: number
  readonly #memory: Memory
  readonly #end: number
  readonly #ends = new Float64Array(ENDS)
  #filled = 0
  #given = 0
  #terminated = true
  /** Position of the block's first byte. */
  #block = 0
  /** Position of the next line. */
  #next: number

  constructor(memory: Memory, start: number, end: number) {
    super(OURS)
    this.#memory = memory
    this.#next = start
    this.#end = end
    this.position = start
  }

  next(): IteratorResult<T, undefined> {
    const region = this.#memory.region
    if (this.#given === this.#filled && !this.#fill(region)) return DONE
    const start = this.#next
    const end = this.#ends[this.#given++] ?? 0
    this.#next = Math.min(end + 1, this.#end)
    this.position = this.#next
    return { done: false, value: this.cut(start - this.#block, end - this.#block, this.#terminated) }
  }

  /** Takes the next block in; false at the end. */
  #fill(region: number): boolean {
    const start = this.#next
    const end = Math.min(this.#end, this.#memory.byteLength)
    if (start >= end) return false
    const blockEnd = Math.min(start + BLOCK, end)
    let filled = native.indexesOf(region, start, blockEnd, NEWLINE_NEEDLE, this.#ends)
    this.#terminated = true
    if (filled === 0) {
      // A line longer than a block, or the last one without an end.
      const next = native.indexOf(region, blockEnd, end, NEWLINE_NEEDLE)
      this.#terminated = next !== -1
      this.#ends[0] = this.#terminated ? next : end
      filled = 1
    }
    this.take(region, start, this.#ends[filled - 1] ?? end)
    this.#block = start
    this.#filled = filled
    this.#given = 0
    return true
  }

  /** Copies or decodes the bytes of a block. */
  protected abstract take(region: number, start: number, end: number): void

  /** A line of the block; `terminated`, the byte behind it is a `\n`, and a `\r` before that belongs to it. */
  protected abstract cut(start: number, end: number, terminated: boolean): T
}

/** Lines as bytes. */
export class ByteLines extends LineScan<NonSharedBuffer> {
  #bytes: NonSharedBuffer = Buffer.alloc(0)

  protected take(region: number, start: number, end: number): void {
    this.#bytes = copyOf(region, start, end)
  }

  protected cut(start: number, end: number, terminated: boolean): NonSharedBuffer {
    return this.#bytes.subarray(start, lineEnd(this.#bytes, start, end, terminated))
  }
}

function copyOf(region: number, start: number, end: number): NonSharedBuffer {
  const bytes = Buffer.allocUnsafeSlow(end - start)
  native.read(region, start, bytes)
  return bytes
}

function lineEnd(bytes: Buffer, start: number, end: number, terminated: boolean): number {
  return terminated && end > start && bytes[end - 1] === RETURN ? end - 1 : end
}

/** Lines as text, in an encoding that is cut at line ends only after it was decoded. */
class TextLines extends LineScan<string> {
  readonly #encoding: BufferEncoding
  #bytes: NonSharedBuffer = Buffer.alloc(0)
  #text = ''
  /** A byte is a character: positions in the bytes are positions in the text. */
  #aligned = true
  #next = 0

  constructor(memory: Memory, start: number, end: number, encoding: BufferEncoding) {
    super(memory, start, end)
    this.#encoding = encoding
  }

  protected take(region: number, start: number, end: number): void {
    const length = end - start
    if (this.#bytes.byteLength < length) this.#bytes = Buffer.allocUnsafeSlow(length)
    const bytes = this.#bytes.subarray(0, length)
    native.read(region, start, bytes)
    this.#text = bytes.toString(this.#encoding)
    this.#next = 0
    // No byte gives more than one character, so equal lengths mean one each.
    this.#aligned = this.#text.length === length
    // One line of a gigabyte must not keep its memory for the rest of the scan.
    if (length > 4 * BLOCK) this.#bytes = Buffer.alloc(0)
  }

  protected cut(start: number, end: number, terminated: boolean): string {
    const text = this.#text
    let from = start
    let to = end
    if (!this.#aligned) {
      from = this.#next
      const found = text.indexOf('\n', from)
      to = found === -1 ? text.length : found
      this.#next = to + 1
    }
    if (terminated && to > from && text.charCodeAt(to - 1) === RETURN) to -= 1
    return text.slice(from, to)
  }
}

/** Lines as text, in an encoding of bytes (hex, base64): each line by itself. */
class EncodedLines extends LineScan<string> {
  readonly #encoding: BufferEncoding
  #bytes: NonSharedBuffer = Buffer.alloc(0)

  constructor(memory: Memory, start: number, end: number, encoding: BufferEncoding) {
    super(memory, start, end)
    this.#encoding = encoding
  }

  protected take(region: number, start: number, end: number): void {
    this.#bytes = copyOf(region, start, end)
  }

  protected cut(start: number, end: number, terminated: boolean): string {
    return this.#bytes.toString(this.#encoding, start, lineEnd(this.#bytes, start, end, terminated))
  }
}

export function textLines(memory: Memory, start: number, end: number, encoding: BufferEncoding): Scan<string> {
  return DECODED_BY_BLOCK.has(encoding)
    ? new TextLines(memory, start, end, encoding)
    : new EncodedLines(memory, start, end, encoding)
}

/** Refuses an encoding in which a line end is not the byte 0x0a. */
export function checkLineEncoding(encoding: BufferEncoding): void {
  if (/^(utf-?16le|ucs-?2)$/i.test(encoding)) {
    throw invalidArgValue('options.encoding', encoding, 'has line ends of two bytes; lines() cuts at the byte 0x0a')
  }
}
