// One region's memory as TypeScript sees it: its number in the native table, its status word, and the
// ArrayBuffers over it, made on first use.
//
// V8 counts an external ArrayBuffer at its full length, so a buffer over a gigabyte made by every open
// would make the garbage collector work for every open. Hence the first few scalar reads go through the
// addon, and only who keeps reading, or asks for a window, gets a buffer.
//
// The buffer that this file reads through is nobody else's: it can be taken away at close, and the memory with it, and
// nobody can move it away (`transfer`) between two reads. What is handed out is another over the same memory, and holds
// it: a request of the caller's may be under way on it (see docs/design.md, "The life of a region").

import { constants } from 'node:buffer'

import * as native from '#binding'

import * as args from './arguments.ts'
import { outOfRange, regionClosed, regionReadOnly } from './errors.ts'
import type { Access } from './types.ts'

/** Scalar accesses through the addon before a buffer is made. */
const CALLS_BEFORE_BUFFER = 32
/** Longest ArrayBuffer of this Node: 4 GiB on Node 20. */
const LONGEST_BUFFER = constants.MAX_LENGTH
/** Where a region is longer than that: segments this far apart, so that every window up to this long lies in one. */
const STRIDE = 2 ** 31
const PAGE = 4096

/** From this length on `set` copies in the addon: what its call costs is nothing beside the copy. */
const LONG_COPY = 4096

const CELLS_PER_PAGE = 1024
const NEVER_FAULTED = new Int32Array(1)
const NOTHING = new Uint8Array(0)
const NO_WORDS = [new BigInt64Array(0), new BigUint64Array(0)] as const
/** V8 has whole numbers up to this at hand; others it keeps elsewhere, and has to look for. */
const SMALL = 2 ** 31 - 1
const statusPages: (ArrayBuffer | undefined)[] = []
/** Kept, since a cell serves one region after another. */
const statusCells: (Int32Array | undefined)[] = []

/** A cell alone, so that looking at it takes no index. */
function statusCell(cell: number): Int32Array {
  try {
    const page = (statusPages[Math.floor(cell / CELLS_PER_PAGE)] ??= native.statusPage(
      Math.floor(cell / CELLS_PER_PAGE),
    ))
    return (statusCells[cell] ??= new Int32Array(page, (cell % CELLS_PER_PAGE) * Int32Array.BYTES_PER_ELEMENT, 1))
  } catch {
    // A runtime without external memory: every access goes through the addon there, which looks itself.
    return NEVER_FAULTED
  }
}

/**
 * How many regions of the process have faulted and are still there; its cell is nobody's. One word for all, because to
 * V8 its address is a constant, and `verify` is in every access.
 */
const faultedRegions = statusCell(0)

/**
 * What the addon says of a mapping: byteLength, lead, number of the status cell, whether its pages take stores, their
 * protection; and of a region that was just opened whether it was created, its access and its offset. Read at once, so one array
 * serves all calls.
 */
export const facts = new Float64Array(8)

/** Protections by their numbers in the addon. */
export const PROTECTIONS = ['none', 'read', 'write', 'execute'] as const
/**
 * What the pages of a region allow: see {@link Region.protect}.
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { PrivateMemory } from 'memmap'
 * import type { Protection } from 'memmap'
 *
 * using memory = PrivateMemory.allocate(4096)
 * const nothing: Protection = 'none'
 * memory.protect(nothing) // whoever looks at it now gets an error
 * ```
 */
export type Protection = 'none' | 'read' | 'write' | 'execute'

const scratch = new DataView(new ArrayBuffer(8))
const scratchWords = [new BigInt64Array(scratch.buffer), new BigUint64Array(scratch.buffer)] as const
const scratchBytes = Array.from({ length: 9 }, (_, size) => new Uint8Array(scratch.buffer, 0, size))

// Memory that nobody reads through any more, and was not closed: the addon lets go of it. Buffers that were handed out
// keep theirs. Scans and cursors keep a region's Memory, so it is that, and not the Region, whose end counts.
const collected = new FinalizationRegistry<number>((region) => native.close(region, true))

interface Segment {
  readonly start: number // in the mapped range
  readonly end: number
  readonly buffer: ArrayBuffer
  /** Holds the memory, so that it may be handed out. */
  readonly held: boolean
}

/** Where a window lies. */
export interface Place {
  readonly buffer: ArrayBuffer
  readonly byteOffset: number
}

export class Memory {
  readonly access: Access
  protection: Protection = 'write'
  /** 0 once closed. */
  byteLength = 0
  closed = false
  /** How often it was mapped anew. */
  mappings = 0
  /** All of the region, to be read where `holds` says so. */
  whole = scratch
  /** The same as 64-bit words, to be read where `holdsWord` says so. */
  signedWords = NO_WORDS[0]
  unsignedWords = NO_WORDS[1]
  /** Where in the last view that `fetch` or `locate` gave the bytes are. */
  local = 0
  /** The offset that view was asked for, as a number. */
  #offset = 0
  readonly #region: number
  /** Bytes between the start of the mapped range, which is at a page, and the first byte of the region. */
  #lead = 0
  #status: Int32Array = NEVER_FAULTED
  #takesStores = true
  #mutable = false
  /** The same as `whole`, for copying into. */
  #bytes = NOTHING
  /** Bytes that `whole` has. */
  #readable = -1
  /** Bytes that `words` have. */
  #readableWords = -1
  #segments: Segment[] = []
  #views: (DataView | undefined)[] = []
  #calls = 0
  /** Why no buffer can be had, once that is known. */
  #refusal: unknown

  /** Takes in the region that the addon has just described in `facts`. */
  constructor(region: number, access: Access) {
    this.#region = region
    this.access = access
    this.#adopt()
    collected.register(this, region, this)
  }

  #adopt(): void {
    this.byteLength = facts[0] ?? 0
    this.#lead = facts[1] ?? 0
    this.#status = statusCell(facts[2] ?? 0)
    this.#takesStores = facts[3] === 1
    this.protection = PROTECTIONS[facts[4] ?? 2] ?? 'none'
    this.#mutable = this.access !== 'read' && this.protection === 'write'
    this.#refusal = undefined
    this.#calls = 0
  }

  /** Itself, if it is open. */
  get checked(): this {
    if (this.closed) throw regionClosed()
    return this
  }

  /** A range inside it. */
  clamped(given: args.GivenRange): { start: number; end: number } {
    const { byteLength } = this.checked
    const start = args.clamp(given.start, byteLength)
    return { start, end: Math.max(start, args.clamp(given.end, byteLength)) }
  }

  /** The region's number, if it is open: what every call of the addon takes. */
  get region(): number {
    if (this.closed) throw regionClosed()
    return this.#region
  }

  /** Bytes between the start of the mapped range, which is at a page, and the first byte of the region. */
  get lead(): number {
    return this.#lead
  }

  get writableRegion(): number {
    if (this.closed) throw regionClosed()
    if (!this.#mutable) throw regionReadOnly(this.access, this.protection)
    return this.#region
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    collected.unregister(this)
    // First the views, then the memory: nothing may look at a range that is on its way out.
    this.#detach()
    this.byteLength = 0
    this.#mutable = false
    native.close(this.#region, false)
  }

  /** Maps what is there now; true if anything changed. */
  refresh(): boolean {
    if (!native.refresh(this.region, facts)) return false
    this.#replaced()
    return true
  }

  resize(byteLength: number): void {
    // Our own buffers go first: some systems cannot shorten a file that anything has mapped.
    this.#detachUnheld()
    native.resize(this.region, byteLength, facts)
    this.#replaced()
  }

  protect(protection: Protection): void {
    native.protect(this.region, PROTECTIONS.indexOf(protection), facts)
    this.#replaced()
  }

  /** The addon has mapped anew and described it in `facts`. */
  #replaced(): void {
    this.mappings++
    this.#detach()
    this.#adopt()
  }

  #detachUnheld(): void {
    for (const { buffer, held } of this.#segments) if (!held) native.detach(buffer)
    this.#segments = this.#segments.filter(({ held }) => held)
    this.#forgetViews()
  }

  #detach(): void {
    for (const { buffer } of this.#segments) native.detach(buffer)
    this.#segments = []
    this.#forgetViews()
  }

  #forgetViews(): void {
    this.#views = []
    this.whole = scratch
    this.signedWords = NO_WORDS[0]
    this.unsignedWords = NO_WORDS[1]
    this.#bytes = NOTHING
    this.#readable = -1
    this.#readableWords = -1
  }

  // ─── scalars: one DataView call, on `whole` at the offset or on what `fetch` or `locate` give at `local`; then
  // `verify` or `commit`. Random reads wait for memory, and the processor asks for the more of it at a time the fewer
  // instructions lie between two of them: hence two ways to read, each with no more than it needs.

  /** Whether `whole` has these bytes. They may be zeros until `verify` has looked. */
  holds(offset: number, size: number): boolean {
    return typeof offset === 'number' && offset >= 0 && offset <= this.#readable - size && Math.floor(offset) === offset
  }

  /**
   * Whether the words have the one at this offset, at its eighth part. V8 reads a BigInt from an array four times as fast
   * as from a DataView on Node 20, which calls a function for it. In this computer's order of bytes: all of ours are
   * little-endian.
   */
  holdsWord(offset: number): boolean {
    return (
      typeof offset === 'number' &&
      (offset & 7) === 0 &&
      offset >= 0 &&
      offset <= this.#readableWords - 8 &&
      Math.floor(offset) === offset
    )
  }

  /** An array whose first word is the one at the offset, wherever it lies. */
  signedWord(offset: number): BigInt64Array {
    this.#bringWord(offset)
    return scratchWords[0]
  }

  unsignedWord(offset: number): BigUint64Array {
    this.#bringWord(offset)
    return scratchWords[1]
  }

  #bringWord(offset: number): void {
    const view = this.locate(offset, 8)
    if (view === scratch) return
    // In two halves: a DataView's own reading of a BigInt is that function call again.
    scratch.setUint32(0, view.getUint32(this.local, true), true)
    scratch.setUint32(4, view.getUint32(this.local + 4, true), true)
  }

  /** A view of the bytes, for reading. */
  locate(offset: number, size: number): DataView {
    if (!this.holds(offset, size)) return this.fetch(offset, size)
    this.local = offset
    return this.whole
  }

  /** A view of the bytes, for writing. They are written when `commit` has returned. */
  locateForWriting(offset: number, size: number): DataView {
    if (!this.#mutable) {
      args.offset('offset', offset)
      throw this.closed ? regionClosed() : regionReadOnly(this.access, this.protection)
    }
    return this.locate(offset, size)
  }

  /** Throws if a page had vanished. */
  verify(): void {
    if (faultedRegions[0] !== 0) this.#verifyThis()
  }

  #verifyThis(): void {
    if (this.#status[0] !== 0) native.check(this.region)
  }

  commit(view: DataView, size: number): void {
    if (view === scratch) native.write(this.#region, this.#offset, bytesOfScratch(size), size)
    else this.verify()
  }

  /** As `locate`, where `whole` does not have them: checks the arguments, and makes a view where that is worth it. */
  fetch(given: number, size: number): DataView {
    const offset = args.offset('offset', given)
    const region = this.region
    if (offset > this.byteLength - size) {
      throw outOfRange('offset', `>= 0 && <= ${Math.max(0, this.byteLength - size)}`, offset)
    }
    if (this.#calls < CALLS_BEFORE_BUFFER) {
      this.#calls += 1
    } else if (this.#refusal === undefined && this.protection !== 'none') {
      const view = this.#viewOf(this.#lead + offset, size)
      if (view !== undefined) return view
    }
    native.read(region, offset, bytesOfScratch(size))
    this.local = 0
    this.#offset = offset
    return scratch
  }

  /** Copies a few bytes to where they are known to fit. */
  store(bytes: Uint8Array, offset: number, length: number): void {
    const region = this.writableRegion
    if (length === 0 || length >= LONG_COPY || !this.#copiesHere()) {
      native.write(region, offset, bytes, length)
      return
    }
    this.verify()
    this.#bytes.set(bytes, offset)
    this.verify()
  }

  /** Whether `#bytes` has the region; makes it where that is worth it. */
  #copiesHere(): boolean {
    if (this.#readable > 0) return true
    if (this.#refusal !== undefined || this.#lead + this.byteLength > LONGEST_BUFFER) return false
    if (this.#calls++ < CALLS_BEFORE_BUFFER) return false
    return this.#viewOf(this.#lead, 1) !== undefined
  }

  /** A 32-bit word that fits, for `Atomics`; an array of none where no buffer can be had. Dies as all of this region's do. */
  word(offset: number): Int32Array {
    const position = this.#lead + offset
    const start = Math.floor(position / PAGE) * PAGE
    const end = Math.min(this.#lead + this.byteLength, start + PAGE)
    try {
      return new Int32Array(this.#segment(start, end, false).buffer, position - start, 1)
    } catch {
      return new Int32Array(0)
    }
  }

  /** A view that has the bytes at a position of the range; none where no buffer can be had. */
  #viewOf(position: number, size: number): DataView | undefined {
    try {
      const total = this.#lead + this.byteLength
      if (total <= LONGEST_BUFFER) {
        this.#readWhole(this.#segment(0, total, false).buffer)
        this.local = position - this.#lead
        return this.whole
      }
      const number = Math.floor(position / STRIDE)
      const start = number * STRIDE
      let view = this.#views[number]
      if (view === undefined || view.buffer.byteLength === 0) {
        view = new DataView(this.#segment(start, Math.min(total, start + LONGEST_BUFFER), false).buffer)
        this.#views[number] = view
      }
      if (position + size > start + view.byteLength) return undefined
      this.local = position - start
      return view
    } catch (refusal) {
      this.#refusal = refusal
      return undefined
    }
  }

  #readWhole(buffer: ArrayBuffer): void {
    const [lead, length] = [this.#lead, this.byteLength]
    this.whole = new DataView(buffer, lead, length)
    this.#bytes = new Uint8Array(buffer, lead, length)
    this.#readable = length <= SMALL ? length | 0 : length
    if (lead % 8 !== 0) return
    this.signedWords = new BigInt64Array(buffer, lead, Math.floor(length / 8))
    this.unsignedWords = new BigUint64Array(buffer, lead, Math.floor(length / 8))
    this.#readableWords = this.#readable
  }

  /** The buffer over a part of the range, made if there is none that serves. */
  #segment(start: number, end: number, held: boolean): Segment {
    const at = this.#segments.findIndex((one) => one.start === start && one.end === end && one.held === held)
    const found = this.#segments[at]
    if (found !== undefined && found.buffer.byteLength > 0) return found
    const segment = { start, end, buffer: native.arrayBuffer(this.region, start, end - start, held), held }
    if (found === undefined) {
      this.#segments.push(segment)
    } else {
      // Its owner moved it away.
      native.detach(found.buffer)
      this.#segments[at] = segment
    }
    return segment
  }

  // ─── windows

  /** Where a part of the region lies, for handing out. Throws `ERR_ZERO_COPY_UNAVAILABLE` where nothing can be. */
  place(offset: number, byteLength: number): Place {
    const total = this.#lead + this.byteLength
    const position = this.#lead + offset
    // Asked for windows, the addon says why there are none.
    if (!this.#takesStores) native.arrayBuffer(this.region, 0, total, true)
    if (total <= LONGEST_BUFFER) {
      return { buffer: this.#segment(0, total, true).buffer, byteOffset: position }
    }
    let start = Math.floor(position / STRIDE) * STRIDE
    if (position + byteLength > start + LONGEST_BUFFER) start = Math.floor(position / PAGE) * PAGE
    if (position + byteLength > start + LONGEST_BUFFER) {
      throw outOfRange('the length of a window', `<= ${LONGEST_BUFFER - PAGE} in this Node`, byteLength)
    }
    const { buffer } = this.#segment(start, Math.min(total, start + LONGEST_BUFFER), true)
    return { buffer, byteOffset: position - start }
  }
}

function bytesOfScratch(size: number): Uint8Array {
  return scratchBytes[size] ?? scratchBytes[8] ?? new Uint8Array()
}
