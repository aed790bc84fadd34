// Lines of a region, a block at a time: the addon finds the line ends of a block in one call, the block is copied
// (so that what is handed out outlives the region) or decoded once, and all its lines are cut from that in one loop.

import type { NonSharedBuffer } from 'node:buffer'

import * as native from '#binding'

import { invalidArgValue } from './errors.ts'
import type { Memory } from './memory.ts'
import type { Batches } from './scan.ts'
import type { Range } from './types.ts'

const RETURN = 0x0d
const ENDS = 4096
/** Text of more than 128 KiB is large to V8, which takes new memory from the system for each: twice the time in all. */
const BLOCK = 64 * 1024
/** The first block is this long, and each next one four times as long: who takes one line does not wait for thousands. */
const FIRST_BLOCK = 4 * 1024
/** In the background each block has a thread of its own, which takes some time to start. */
const BLOCK_BEHIND = 128 * 1024

/**
 * The class that Buffers are made by. Its constructor takes two thirds of the time of `subarray`, which asks the buffer for
 * it, checks what we know and calls it.
 */
const FastBuffer = Reflect.get(Buffer, Symbol.species) as new (
  buffer: ArrayBuffer,
  byteOffset: number,
  length: number,
) => NonSharedBuffer

/**
 * What {@link Region.lines} takes beside an encoding.
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 * import type { Lines } from 'memmap'
 *
 * using log = MmapFile.open('access.log')
 * const lastFirst: Lines = { reverse: true, partial: false }
 * for (const line of log.lines({ ...lastFirst, encoding: 'utf8' })) {
 *   console.log(line) // → 4999 POST /y 500 user=eve ERROR
 *   break
 * }
 * ```
 */
export interface Lines extends Range {
  /** Whether a last line without its end is given too; default true. False for a file that is still being written. */
  partial?: boolean | undefined
  /** From the last line to the first; default false. */
  reverse?: boolean | undefined
}

/** Which lines, and in what order. */
export interface WhichLines {
  readonly start: number
  readonly end: number
  readonly partial: boolean
  readonly reverse: boolean
}

/** Encodings in which every byte 0x0a is a line end and nothing else is, so that a block can be decoded whole. */
const DECODED_BY_BLOCK = new Set<BufferEncoding>(['utf8', 'utf-8', 'latin1', 'binary'])

/** Lines that lie one behind the other. */
interface Block {
  /** First byte of the first. */
  readonly start: number
  /** Where they end. */
  readonly ends: Float64Array
  /** The byte at the last one's end is a `\n`, and a `\r` before that belongs to it. */
  readonly terminated: boolean
  /** From the first byte to the last one's end. */
  readonly bytes: Uint8Array
}

abstract class LineBlocks<T> implements Batches<T, Block> {
  readonly memory: Memory
  readonly #which: WhichLines
  /** Positions of the line ends, and in the last place where the block begins. */
  readonly #facts = new Float64Array(ENDS + 1)
  #block: Block | undefined
  #blockSize = FIRST_BLOCK
  /** What is left: the lines in here were not given. */
  #start: number
  #end: number

  constructor(memory: Memory, which: WhichLines) {
    this.memory = memory
    this.#which = which
    this.#start = which.start
    this.#end = which.end
  }

  get state(): number {
    return this.#which.reverse ? this.#end : this.#start
  }

  get over(): boolean {
    return this.#start >= this.#stop
  }

  get total(): number {
    return this.#which.end - this.#which.start
  }

  get done(): number {
    return this.#start - this.#which.start + this.#which.end - this.#end
  }

  get #stop(): number {
    return Math.min(this.#end, this.memory.byteLength)
  }

  read(region: number): Block {
    const { reverse } = this.#which
    const found = native.lineEnds(region, this.#start, this.#stop, this.#blockSize, reverse, this.#facts)
    const ends = this.#facts.subarray(0, Math.abs(found))
    const start = this.#facts[ENDS] ?? 0
    const bytes = this.room((ends.at(-1) ?? start) - start)
    native.read(region, start, bytes)
    return { start, ends, terminated: found > 0, bytes }
  }

  readBehind(region: number, ticket: number): Promise<Block | Error> {
    const part = Float64Array.of(this.#start, this.#stop, BLOCK_BEHIND, ENDS)
    return native.linesInBackground(region, part, this.#which.reverse, ticket)
  }

  take(block: Block): T[] {
    const { partial, reverse } = this.#which
    const lines = this.cut(block.bytes, block.start, block.ends, block.terminated)
    if (!partial && !block.terminated) lines.pop()
    if (reverse) {
      lines.reverse()
      this.#end = block.start
    } else this.#start = (block.ends.at(-1) ?? 0) + (block.terminated ? 1 : 0)
    this.#block = block
    this.#blockSize = Math.min(4 * this.#blockSize, BLOCK)
    return lines
  }

  behind(item: number): number {
    const { start = 0, ends, terminated = false } = this.#block ?? {}
    const last = (ends?.length ?? 0) - 1
    if (!this.#which.reverse) return (ends?.[item] ?? 0) + (item < last || terminated ? 1 : 0)
    // Just before the line: behind the end of the one before it. One that was left out was the last.
    const line = last - item - (!this.#which.partial && !terminated ? 1 : 0)
    return line === 0 ? start : (ends?.[line - 1] ?? 0) + 1
  }

  /** Memory for so many bytes of lines. */
  protected abstract room(length: number): Uint8Array

  /** The lines of a block that begins at `start`; `ends` are the positions of their ends. */
  protected abstract cut(bytes: Uint8Array, start: number, ends: Float64Array, terminated: boolean): T[]
}

/** Lines as bytes. */
export class ByteLines extends LineBlocks<NonSharedBuffer> {
  /** Handed out, so it is never used again. */
  room(length: number): NonSharedBuffer {
    return Buffer.allocUnsafeSlow(length)
  }

  cut(bytes: Uint8Array, start: number, ends: Float64Array, terminated: boolean): NonSharedBuffer[] {
    const { byteOffset } = bytes
    const buffer = bytes.buffer as ArrayBuffer
    const lines: NonSharedBuffer[] = []
    lines.length = ends.length // all at once, not as it grows
    let from = 0
    for (let i = 0; i < ends.length; i++) {
      const end = (ends[i] ?? 0) - start
      lines[i] = new FastBuffer(
        buffer,
        byteOffset + from,
        lineEnd(bytes, from, end, isTerminated(i, ends, terminated)) - from,
      )
      from = end + 1
    }
    return lines
  }
}

/** Only the last line may be without its end. */
function isTerminated(line: number, ends: Float64Array, terminated: boolean): boolean {
  return terminated || line < ends.length - 1
}

function lineEnd(bytes: Uint8Array, start: number, end: number, terminated: boolean): number {
  return terminated && end > start && bytes[end - 1] === RETURN ? end - 1 : end
}

/** Lines as text. */
abstract class TextBlocks extends LineBlocks<string> {
  protected readonly encoding: BufferEncoding
  #bytes: NonSharedBuffer = Buffer.alloc(0)

  constructor(memory: Memory, which: WhichLines, encoding: BufferEncoding) {
    super(memory, which)
    this.encoding = encoding
  }

  /** Memory that the next block takes again. */
  room(length: number): NonSharedBuffer {
    // One line of a gigabyte must not keep its memory for the rest of the scan.
    const kept = length <= 4 * BLOCK
    if (kept && this.#bytes.byteLength < length) this.#bytes = Buffer.allocUnsafeSlow(Math.max(length, BLOCK))
    return kept ? this.#bytes.subarray(0, length) : Buffer.allocUnsafeSlow(length)
  }
}

/** Lines in an encoding that is cut at line ends only after it was decoded. */
class DecodedLines extends TextBlocks {
  cut(block: Uint8Array, start: number, ends: Float64Array, terminated: boolean): string[] {
    const bytes = Buffer.from(block.buffer as ArrayBuffer, block.byteOffset, block.byteLength)
    const text = bytes.toString(this.encoding)
    const lines: string[] = []
    lines.length = ends.length // all at once, not as it grows
    // No byte gives more than one character, so equal lengths mean one each.
    if (text.length === bytes.byteLength) {
      let from = 0
      for (let i = 0; i < ends.length; i++) {
        const end = (ends[i] ?? 0) - start
        lines[i] = text.slice(from, lineEnd(bytes, from, end, isTerminated(i, ends, terminated)))
        from = end + 1
      }
      return lines
    }
    let from = 0
    for (let i = 0; i < ends.length; i++) {
      const found = text.indexOf('\n', from)
      const end = found === -1 ? text.length : found
      const returned = isTerminated(i, ends, terminated) && end > from && text.charCodeAt(end - 1) === RETURN
      lines[i] = text.slice(from, returned ? end - 1 : end)
      from = end + 1
    }
    return lines
  }
}

/** Lines in an encoding of bytes (hex, base64): each by itself. */
class EncodedLines extends TextBlocks {
  cut(block: Uint8Array, start: number, ends: Float64Array, terminated: boolean): string[] {
    const bytes = Buffer.from(block.buffer as ArrayBuffer, block.byteOffset, block.byteLength)
    const lines: string[] = []
    lines.length = ends.length // all at once, not as it grows
    let from = 0
    for (let i = 0; i < ends.length; i++) {
      const end = (ends[i] ?? 0) - start
      lines[i] = bytes.toString(this.encoding, from, lineEnd(bytes, from, end, isTerminated(i, ends, terminated)))
      from = end + 1
    }
    return lines
  }
}

export function textLines(memory: Memory, which: WhichLines, encoding: BufferEncoding): TextBlocks {
  return DECODED_BY_BLOCK.has(encoding)
    ? new DecodedLines(memory, which, encoding)
    : new EncodedLines(memory, which, encoding)
}

/** Refuses an encoding in which a line end is not the byte 0x0a. */
export function checkLineEncoding(encoding: BufferEncoding): void {
  if (/^(utf-?16le|ucs-?2)$/i.test(encoding)) {
    throw invalidArgValue('options.encoding', encoding, 'has line ends of two bytes; lines() cuts at the byte 0x0a')
  }
}
