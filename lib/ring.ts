// Rings of records in shared memory. The algorithm is the core's (crates/core/src/ring/queue.rs); here are arguments, copies
// of what goes in and out, and waiting.

import { setImmediate } from 'node:timers/promises'
import { isUint8Array } from 'node:util/types'

import * as native from '#binding'

import * as args from './arguments.ts'
import { invalidArgType, outOfRange, ringEnded, ringTimeout } from './errors.ts'
import type { Waiting } from './file-lock.ts'
import type { Memory } from './memory.ts'
import { Region } from './region.ts'
import { MEMORY } from './scalar-access.ts'
import type { Bytes } from './types.ts'
import { WaitingLine } from './waiting-line.ts'

const [SHORTEST, LONGEST] = [4096, 2 ** 30]
const ALIGNMENT = 64
/** Where in a ring the words are that consumers and producers sleep on. */
const [DATA, SPACE] = [256, 320]

/** What the addon answers to a push, … */
const [IN, FULL, FAILED] = [0, 1, -1]
/** … and to a pop, if it is no length. The last stands for a length: that of a record there was no room for, taken from it. */
const [NONE, AT_END, TOO_LONG] = [-2, -3, -4]

/**
 * Records up to this long go through memory that the addon knows: giving it a typed array takes longer than copying that
 * many bytes.
 */
const SHORT = 4096
const HEAD = 16
const scratch = new ArrayBuffer(HEAD + SHORT)
/** What the calls without arguments are asked: which ring, and how long the record is. */
const asked = new Float64Array(scratch, 0, 2)
const record = Buffer.from(scratch, HEAD)
/** No character takes more bytes of UTF-8, for each of its units in a string. */
const BYTES_OF_A_UNIT = 3
const SHORT_TEXT = Math.floor(SHORT / BYTES_OF_A_UNIT)
native.ringScratch(scratch)

/** So many calls that need not wait go by before one looks at the clock … */
const CALLS = 64
/** … and so long they may go on before the event loop has a turn: promises alone would never let it. */
const LONGEST_TURN_MS = 10
let calls = 0
let turnBegan = performance.now()

function isTurnOver(): boolean {
  calls += 1
  return calls % CALLS === 0 && performance.now() - turnBegan > LONGEST_TURN_MS
}

async function nextTurn(): Promise<void> {
  await setImmediate()
  turnBegan = performance.now()
}

/**
 * Where a record that is popped is to be put: for {@link Ring.pop}.
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { Ring, SharedMemory } from 'memmap'
 *
 * using memory = SharedMemory.anonymous(Ring.byteLengthFor(65_536))
 * const ring = new Ring(memory, 0, 65_536)
 * const into = Buffer.alloc(ring.capacity) // the longest record has room in it
 * ring.tryPush('again and again')
 * console.log(ring.tryPop({ into })?.toString()) // → again and again
 * ```
 */
export interface Into {
  /**
   * Memory to use again: where the record fits, it is copied there, and the Buffer that comes back shows that part. By
   * default each record gets memory of its own, which for long ones takes longer than the copying.
   */
  into?: Uint8Array | undefined
}

const collected = new FinalizationRegistry<number>((ring) => native.closeRing(ring))

/**
 * A queue of records in shared memory: any number of processes and workers push, any number pop, and each record is popped
 * once. Nobody ever waits for a lock: a push and a pop are a few compare-and-swaps and a copy, and the system is called only
 * to wake who sleeps.
 *
 * Records are bytes of any length from 0 to the ring's capacity; each takes whole cells of 64 bytes. They are popped in
 * the order in which they were pushed; those of one producer keep its order.
 *
 * Who takes part may be killed at any moment. A record that was not yet whole goes with its producer (see {@link dropped}), and one that was
 * being popped with its consumer: nothing is ever popped twice, or by half. Others find that out after some ten milliseconds
 * of standing in front of it; who sleeps there looks every 25 ms (`popSync`, `pushSync`) or 200 ms (`pop`, `push`). A producer that
 * is only stopped, in the middle of a push, holds up what was pushed after it.
 *
 * Zeroed memory is a fresh, empty ring; every process says the same place and capacity. At most 256 isolates use it at a time.
 *
 * @group Taking turns
 * @example
 * ```ts
 * import { Ring, SharedMemory } from 'memmap'
 *
 * const capacity = 2 ** 20
 * const memory = SharedMemory.openOrCreate('jobs', Ring.byteLengthFor(capacity)) // the same in each process
 * const jobs = new Ring(memory, 0, capacity)
 * await jobs.push('resize 42.png') // in one
 * jobs.end()
 * for await (const job of jobs) console.log(job.toString()) // in another
 * SharedMemory.unlink('jobs')
 * memory.close()
 * ```
 */
export class Ring implements AsyncIterable<Buffer> {
  readonly #ring: number
  readonly #capacity: number
  readonly #pushing: WaitingLine
  readonly #popping: WaitingLine

  /**
   * The bytes of memory that a ring takes.
   *
   * @param capacity bytes of records: a power of two, from 4096 to 2^30.
   * @throws `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE` for another capacity.
   * @example
   * ```ts
   * import { Ring, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(Ring.byteLengthFor(65_536))
   * const ring = new Ring(memory, 0, 65_536)
   * console.log(ring.capacity) // → 65536
   * ```
   */
  static byteLengthFor(capacity: number): number {
    return native.ringByteLength(capacityOf(capacity))
  }

  /**
   * The ring at a place of a region, to push to, to pop from, or both.
   *
   * @param region a file opened with access `'write'`, or `SharedMemory`.
   * @param offset where it begins: a multiple of 64 bytes in memory.
   * @param capacity as for {@link byteLengthFor}; so many bytes of the region are the ring's.
   * @throws `ERR_OUT_OF_RANGE` where it does not lie in the region; `ERR_REGION_READONLY` unless the region can be written;
   * `ERR_INVALID_STATE` for memory that nobody else can have (`PrivateMemory`, access `'copy'`, `keepOpen: false`);
   * `ERR_SHARED_STATE_INVALID` where there is something else, a ring of another capacity or of another version.
   * @example
   * ```ts
   * import { MmapFile, Ring } from 'memmap'
   *
   * using file = MmapFile.open('queue.bin', { access: 'write', create: true, length: Ring.byteLengthFor(4096) })
   * const queue = new Ring(file, 0, 4096) // what is pushed outlives the process
   * queue.tryPush('for tomorrow')
   * ```
   */
  constructor(region: Region, offset: number, capacity: number) {
    if (!(region instanceof Region)) throw invalidArgType('region', 'an instance of Region', region)
    const at = args.offset('offset', offset)
    this.#capacity = capacityOf(capacity)
    const memory: Memory = region[MEMORY]
    const number = memory.writableRegion
    const last = memory.byteLength - native.ringByteLength(this.#capacity)
    if (at > last) throw outOfRange('offset', `>= 0 && <= ${last}, so that the ring lies in the region`, at)
    if ((memory.lead + at) % ALIGNMENT !== 0) {
      throw outOfRange('offset', `at a multiple of ${ALIGNMENT} bytes in memory`, at)
    }
    const ring = native.openRing(number, at, this.#capacity)
    this.#ring = ring
    collected.register(this, ring)
    const meeting = (word: number, isConsumer: boolean) => ({
      memory,
      offset: at + word,
      sleep: () => native.aboutToSleep(ring, isConsumer),
    })
    this.#pushing = new WaitingLine(meeting(SPACE, false))
    this.#popping = new WaitingLine(meeting(DATA, true))
  }

  /**
   * Bytes of records that there is room for, if their lengths are multiples of 64; also the length of the longest record.
   */
  get capacity(): number {
    return this.#capacity
  }

  /**
   * Whether `end` was called, here or elsewhere. There may be records left to pop.
   *
   * @throws `ERR_REGION_CLOSED`, `ERR_REGION_FAULTED`, `ERR_SHARED_STATE_INVALID`.
   */
  get ended(): boolean {
    return native.ringEnded(this.#ring)
  }

  /**
   * How many records were dropped since their producer was killed in the middle of the push.
   *
   * @throws as {@link ended}.
   */
  get dropped(): number {
    return native.ringDropped(this.#ring)
  }

  /**
   * Pushes a record if there is room for it now.
   *
   * @param bytes 0 bytes up to {@link capacity}; a string goes in as UTF-8.
   * @returns whether it is in. False also while a `push` of this ring's object waits, which it would overtake.
   * @throws as {@link push}, but for a timeout.
   * @example
   * ```ts
   * import { Ring, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(Ring.byteLengthFor(4096))
   * const ring = new Ring(memory, 0, 4096)
   * if (!ring.tryPush('a line of a log')) console.warn('nobody keeps up')
   * ```
   */
  tryPush(bytes: Bytes): boolean {
    const given = this.#checked(bytes)
    return this.#pushing.isEmpty && this.#put(given)
  }

  /**
   * Pushes a record, as soon as there is room for it. Pushes of one object go in in the order of the calls. The bytes are those at the
   * time of the call. What takes much of the ring may have to wait long while others push short ones.
   *
   * @param bytes 0 bytes up to {@link capacity}; a string goes in as UTF-8.
   * @param options `timeout` in milliseconds, by default for ever, and a `signal`; where one of them ends the wait the
   * record is not in.
   * @throws (rejects with) `ERR_OUT_OF_RANGE` for a record longer than {@link capacity}; `ERR_RING_ENDED` after `end`;
   * `ERR_RING_TIMEOUT`; the signal's `reason`; `ERR_REGION_CLOSED`, `ERR_REGION_READONLY`, `ERR_REGION_FAULTED`;
   * `ERR_SHARED_STATE_INVALID` where somebody has written over the ring; `ERR_INVALID_STATE` where 256 others use it.
   * @example
   * ```ts
   * import { Ring, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(Ring.byteLengthFor(4096))
   * const ring = new Ring(memory, 0, 4096)
   * await ring.push(Float64Array.of(1, 2, 3), { timeout: 1000 })
   * ```
   */
  async push(bytes: Bytes, options?: Waiting): Promise<void> {
    const given = this.#checked(bytes)
    const { timeout, signal } = waitingOf(options)
    signal?.throwIfAborted()
    if (this.#pushing.isEmpty && this.#put(given)) {
      if (isTurnOver()) await nextTurn()
      return
    }
    // Until it is its turn the caller may change them.
    const kept = typeof given === 'string' ? given : Buffer.from(given)
    await this.#pushing.wait(() => this.#put(kept) || undefined, timeout, signal, tooLateToPush)
  }

  /**
   * As {@link push}, with this thread standing still; for workers and scripts. A worker that waits can be terminated. It
   * does not queue behind a `push` of the same thread, which could not go on meanwhile.
   *
   * @throws as {@link push}.
   * @example
   * ```ts
   * import { Ring, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(Ring.byteLengthFor(4096))
   * const ring = new Ring(memory, 0, 4096)
   * ring.pushSync(Uint8Array.of(1, 2, 3), { timeout: 1000 })
   * ```
   */
  pushSync(bytes: Bytes, options?: Pick<Waiting, 'timeout'>): void {
    const given = this.#checked(bytes)
    const { timeout } = waitingSyncOf(options)
    if (this.#put(given)) return
    this.#pushing.waitSync(() => this.#put(given) || undefined, timeout, tooLateToPush)
  }

  /**
   * Pops a record if there is one now.
   *
   * @param options `into`: memory to use again, see {@link Into}.
   * @returns a copy of it; `null` if there is none, ended or not, and also while a `pop` of this ring's object waits.
   * @throws as {@link pop}, but for a timeout.
   * @example
   * ```ts
   * import { Ring, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(Ring.byteLengthFor(4096))
   * const ring = new Ring(memory, 0, 4096)
   * ring.tryPush('one')
   * console.log(ring.tryPop()?.toString(), ring.tryPop()) // → one null
   * ```
   */
  tryPop(options?: Into): Buffer | null {
    const { into } = poppingOf(options, TRY_KEYS)
    return this.#popping.isEmpty ? (this.#take(into) ?? null) : null
  }

  /**
   * Pops a record, as soon as there is one. Pops of one object get records in the order of the calls.
   *
   * @param options as for {@link push}, and `into`, see {@link Into}; where the wait ends without a record, none is lost.
   * @returns a copy of the record; `null` after `end`, once all are popped.
   * @throws (rejects with) `ERR_RING_TIMEOUT`; the signal's `reason`; `ERR_REGION_CLOSED`, `ERR_REGION_READONLY`,
   * `ERR_REGION_FAULTED`; `ERR_SHARED_STATE_INVALID` where somebody has written over the ring; `ERR_INVALID_STATE` where 256 others
   * use it.
   * @example
   * ```ts
   * import { Ring, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(Ring.byteLengthFor(4096))
   * const ring = new Ring(memory, 0, 4096)
   * setTimeout(() => ring.push('late'), 10)
   * console.log(String(await ring.pop({ timeout: 1000 }))) // → late
   * ```
   */
  async pop(options?: Waiting & Into): Promise<Buffer | null> {
    const { timeout, signal, into } = poppingOf(options, POP_KEYS)
    signal?.throwIfAborted()
    const taken = this.#popping.isEmpty ? this.#take(into) : undefined
    if (taken === undefined) return this.#popping.wait(() => this.#take(into), timeout, signal, tooLateToPop)
    if (isTurnOver()) await nextTurn()
    return taken
  }

  /**
   * As {@link pop}, with this thread standing still; for workers and scripts. A worker that waits can be terminated.
   *
   * @throws as {@link pop}.
   * @example
   * ```ts
   * import { Ring, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(Ring.byteLengthFor(4096))
   * const ring = new Ring(memory, 0, 4096)
   * ring.pushSync('one')
   * console.log(ring.popSync({ timeout: 1000 })?.toString()) // → one
   * ```
   */
  popSync(options?: Pick<Waiting, 'timeout'> & Into): Buffer | null {
    const { timeout, into } = poppingOf(options, POP_SYNC_KEYS)
    const taken = this.#take(into)
    return taken === undefined ? this.#popping.waitSync(() => this.#take(into), timeout, tooLateToPop) : taken
  }

  /**
   * Says that there will be no more records, for all and for good: every push fails from then on, and who pops gets what is
   * in and then `null`. A push that has succeeded is before the end. Calling it again does nothing.
   *
   * @throws as {@link ended}.
   * @example
   * ```ts
   * import { Ring, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(Ring.byteLengthFor(4096))
   * const ring = new Ring(memory, 0, 4096)
   * ring.end()
   * console.log(ring.ended, await ring.pop()) // → true null
   * ```
   */
  end(): void {
    native.endRing(this.#ring)
  }

  /**
   * Pops records until the end. `break` loses none.
   *
   * @throws (rejects with) as {@link pop}, but for a timeout.
   * @example
   * ```ts
   * import { Ring, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(Ring.byteLengthFor(4096))
   * const ring = new Ring(memory, 0, 4096)
   * await ring.push('one')
   * ring.end()
   * for await (const record of ring) console.log(record.toString()) // → one
   * ```
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const next = await this.pop()
      if (next === null) return
      yield next
    }
  }

  #checked(bytes: Bytes): Uint8Array | string {
    if (typeof bytes === 'string' && bytes.length <= SHORT_TEXT) return bytes
    const given = args.bytes('record', bytes)
    const length = args.lengthOf(given)
    if (length > this.#capacity) throw outOfRange('record.byteLength', `<= ${this.#capacity}`, length)
    return given
  }

  /** Whether it is in. */
  #put(given: Uint8Array | string): boolean {
    let answer = FAILED
    if (typeof given === 'string') {
      answer = this.#putShort(record.write(given))
    } else {
      const length = args.lengthOf(given)
      if (length <= SHORT) {
        // What was detached by a getter of the options has no bytes left, and V8 refuses to copy none from it.
        if (length > 0) record.set(given)
        answer = this.#putShort(length)
      }
    }
    if (answer === FAILED)
      answer = native.pushRecord(this.#ring, typeof given === 'string' ? Buffer.from(given) : given)
    if (answer === IN) return true
    if (answer === FULL) return false
    throw ringEnded()
  }

  #putShort(length: number): number {
    asked[0] = this.#ring
    asked[1] = length
    return native.pushAsked()
  }

  /** A record; null at the end, undefined where there is none now. */
  #take(into: Uint8Array | undefined): Buffer | null | undefined {
    asked[0] = this.#ring
    let answer = native.popAsked()
    if (answer >= 0) {
      const taken = roomFor(answer, into)
      taken.set(record.subarray(0, answer))
      return taken
    }
    let target: Buffer = record
    for (;;) {
      if (answer === NONE) return undefined
      if (answer === AT_END) return null
      if (answer >= 0) return target === record ? Buffer.from(target.subarray(0, answer)) : target.subarray(0, answer)
      // Somebody else may get that record, and the next one be longer still.
      if (answer <= TOO_LONG) target = roomFor(TOO_LONG - answer, into)
      answer = native.popRecord(this.#ring, target)
    }
  }
}

/** Memory for a record: of the caller's, if it is enough. */
function roomFor(length: number, into: Uint8Array | undefined): Buffer {
  if (into !== undefined && args.lengthOf(into) >= length) return Buffer.from(into.buffer, into.byteOffset, length)
  return length <= SHORT ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length)
}

function capacityOf(capacity: unknown): number {
  const given = args.integer('capacity', capacity, SHORTEST, LONGEST)
  if (!Number.isInteger(Math.log2(given))) throw outOfRange('capacity', 'a power of two', given)
  return given
}

const TRY_KEYS = ['into'] as const
const POP_SYNC_KEYS = ['into', 'timeout'] as const
const POP_KEYS = ['into', 'timeout', 'signal'] as const

interface Popping {
  readonly timeout: number
  readonly signal: AbortSignal | undefined
  readonly into: Uint8Array | undefined
}
const PLAIN: Popping = { timeout: Infinity, signal: undefined, into: undefined }

function poppingOf(options: unknown, keys: readonly (typeof POP_KEYS)[number][]): Popping {
  if (options === undefined) return PLAIN
  const given = args.options(options, keys)
  const { into } = given
  if (into !== undefined && !isUint8Array(into)) {
    throw invalidArgType('options.into', 'an instance of Buffer or Uint8Array', into)
  }
  return {
    timeout: args.timeout('options.timeout', given.timeout),
    signal: args.signal('options.signal', given.signal),
    into,
  }
}

function waitingOf(options: unknown): { timeout: number; signal: AbortSignal | undefined } {
  const given = args.options(options, ['timeout', 'signal'])
  return {
    timeout: args.timeout('options.timeout', given.timeout),
    signal: args.signal('options.signal', given.signal),
  }
}

function waitingSyncOf(options: unknown): { timeout: number } {
  return { timeout: args.timeout('options.timeout', args.options(options, ['timeout']).timeout) }
}

const tooLateToPush = (timeout: number): Error => ringTimeout('had no room for the record', timeout)
const tooLateToPop = (timeout: number): Error => ringTimeout('had no record', timeout)
