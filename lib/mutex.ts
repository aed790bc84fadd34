// Mutual exclusion by a word in shared memory. Taking it while it is free, and giving it back while nobody waits, is one
// compare-and-swap each, done here; all else is in the addon (crates/core/src/mutex.rs), with which this must agree.

import { inspect } from 'node:util'

import * as native from '#binding'

import * as args from './arguments.ts'
import { illegalConstructor, lockOverlap, lockTimeout } from './errors.ts'
import type { Waiting } from './file-lock.ts'
import { releaseWhenCollected, released, WATCHED } from './forgotten-locks.ts'
import type { Watched } from './forgotten-locks.ts'
import type { Memory } from './memory.ts'
import { ANSWER, kindOf, MANNER, open, STATE, take, takeSync } from './owned.ts'
import type { Owned, Place } from './owned.ts'
import type { Region } from './region.ts'

/** As `BYTES` of crates/core/src/mutex.rs. */
const BYTES = 64
const OURS = Symbol('memmap.guard')
const NO_WORDS = new Int32Array(0)

/**
 * What one has who is alone in the critical section. One that is forgotten is given back when it
 * is collected, with a warning, and the next owner finds it `abandoned`.
 *
 * @group Taking turns
 * @example
 * ```ts
 * import { Mutex, SharedMemory } from 'memmap'
 * import type { MutexGuard } from 'memmap'
 *
 * using memory = SharedMemory.anonymous(4096)
 * const guard: MutexGuard = await new Mutex(memory, 0).lock()
 * guard.release() // or: using guard = await …
 * ```
 */
export interface MutexGuard extends Disposable {
  /** The last owner died inside: what the mutex protects may be half changed. */
  readonly abandoned: boolean
  /**
   * Lets others in. Calling it again does nothing, and it never throws.
   *
   * @example
   * ```ts
   * import { Mutex, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * const mutex = new Mutex(memory, 0)
   * mutex.lockSync().release()
   * console.log(mutex.tryLock() !== null) // → true
   * ```
   */
  release(): void
}

/**
 * Mutual exclusion between processes and workers, by {@link Mutex.byteLength} bytes of memory that all of them have. Zeroed
 * bytes are a free one: whoever comes first makes it, and nobody has to be the one who does.
 *
 * Free, it is taken and given back without a system call. Whoever waits for it sleeps, and gets it within a few
 * milliseconds' turns of those who came before: a sleeper that waits for long is let in before those who have just come. When
 * its owner ends without giving it back (`kill -9`, a crash, a worker that is terminated), the next one gets it with
 * `abandoned: true`, mostly within 30 ms. An owner that is merely stopped keeps it.
 *
 * All code of one isolate is one owner: `lock` queues, `tryLock` gives `null`, and `lockSync` throws, since the thread that stands
 * still could not give it back. A guard outlives its region: `release` works after `close`.
 *
 * The memory must be a file opened with access `'write'` or `SharedMemory`, in the first 4 TiB, and every process gives the same
 * offset. An owner is known to live by a lock of the file far beyond its end: a program that locks the whole file by `lockf`, which
 * reaches beyond all ends, waits until the isolates are gone that use a mutex in it, and they wait for it. macOS: between
 * processes of one user. Windows: in one session.
 *
 * @group Taking turns
 * @example
 * ```ts
 * import { Mutex, SharedMemory } from 'memmap'
 *
 * const memory = SharedMemory.openOrCreate('accounts', 4096)
 * const mutex = new Mutex(memory, 0)
 * const guard = await mutex.lock({ timeout: 1000 })
 * try {
 *   if (guard.abandoned) memory.fill(0, { start: Mutex.byteLength })
 *   memory.writeInt32LE(memory.readInt32LE(64) + 1, 64)
 * } finally {
 *   guard.release()
 * }
 * SharedMemory.unlink('accounts')
 * memory.close()
 * ```
 */
export class Mutex {
  /** Bytes of memory that a mutex takes: 64. */
  static readonly byteLength: number = BYTES

  readonly #place: Place
  readonly #memory: Memory
  readonly #owned: Owned
  #words: Int32Array = NO_WORDS
  /** Which of the memory's mappings the words are of. */
  #mapping = -1

  /**
   * The mutex at a place of a region; any number of objects for the same one.
   *
   * @param region a file opened with access `'write'`, or `SharedMemory`.
   * @param offset in bytes: a multiple of 8 in memory, the same in every process.
   * @throws `ERR_SHARED_STATE_INVALID` where the bytes hold something else; `ERR_OUT_OF_RANGE` for an offset that is not
   * aligned, or where it does not fit; `ERR_REGION_READONLY`; `ERR_INVALID_STATE` for memory that nobody else has, and for a
   * file without a descriptor (`keepOpen: false`); `ERR_LOCK_UNSUPPORTED` where the file system has no locks, or will not open
   * the memory again.
   * @example
   * ```ts
   * import { MmapFile, Mutex } from 'memmap'
   *
   * using table = MmapFile.open('table.bin', { access: 'write', create: true, length: 4096 })
   * const mutex = new Mutex(table, 0)
   * mutex.lockSync().release()
   * ```
   */
  constructor(region: Region, offset: number) {
    this.#place = open(region, offset, false, BYTES)
    this.#memory = this.#place.memory
    this.#owned = this.#place.owned
  }

  /**
   * Waits for it: first come, first served among those of this isolate.
   *
   * @param options `timeout` in milliseconds, by default for ever, and a `signal`.
   * @throws (rejects with) `ERR_LOCK_TIMEOUT`; the signal's `reason`; `ERR_REGION_CLOSED`, also where the region is closed
   * meanwhile; `ERR_SHARED_STATE_INVALID` where somebody has overwritten it.
   * @example
   * ```ts
   * import { Mutex, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * const mutex = new Mutex(memory, 0)
   * const guard = await mutex.lock({ signal: AbortSignal.timeout(1000) })
   * guard.release()
   * ```
   */
  async lock(options?: Waiting): Promise<MutexGuard> {
    const given = args.options(options, ['timeout', 'signal'])
    const timeout = args.timeout('options.timeout', given.timeout)
    const signal = args.signal('options.signal', given.signal)
    signal?.throwIfAborted()
    const guard = this.#owned.turns.length === 0 ? this.tryLock() : this.#open(null)
    if (guard !== null) return guard
    if (timeout === 0) throw lockTimeout(this.#name, 0)
    return take(this.#place, timeout, signal, this.#name, (manner) => this.#attempt(manner))
  }

  /**
   * As {@link Mutex.lock}, with this thread standing still; for workers and scripts. A worker that waits can be terminated. Of
   * two isolates that wait for each other nobody knows: a `timeout` ends that.
   *
   * @param options `timeout` in milliseconds, by default for ever.
   * @throws as {@link Mutex.lock}; `ERR_LOCK_OVERLAP` where this isolate has it itself.
   * @example
   * ```ts
   * import { Mutex, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * using guard = new Mutex(memory, 0).lockSync({ timeout: 1000 })
   * console.log(guard.abandoned) // → false
   * ```
   */
  lockSync(options?: Pick<Waiting, 'timeout'>): MutexGuard {
    if (options === undefined) {
      const guard = this.#quick()
      if (guard !== null) return guard
    }
    const given = args.options(options, ['timeout'])
    const timeout = args.timeout('options.timeout', given.timeout)
    this.#open(null)
    if (this.#owned.held) throw lockOverlap()
    return takeSync(this.#place, timeout, this.#name, (manner) => this.#attempt(manner), lockOverlap)
  }

  /**
   * As {@link Mutex.lock}, but does not wait: `null` if somebody has it, or somebody waits who has waited for long.
   *
   * @throws as {@link Mutex.lock}, but for a timeout.
   * @example
   * ```ts
   * import { Mutex, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * const mutex = new Mutex(memory, 0)
   * const guard = mutex.tryLock()
   * console.log(mutex.tryLock()) // → null
   * guard?.release()
   * ```
   */
  tryLock(): MutexGuard | null {
    const guard = this.#quick()
    if (guard !== null || this.#owned.held) return guard
    const answer = this.#attempt(MANNER.asks)
    return typeof answer === 'number' ? null : answer.taken
  }

  /** By one compare-and-swap, if it is free. */
  #quick(): MutexGuard | null {
    const words = this.#current()
    const { id } = this.#owned
    if (id === 0 || words.length === 0 || Atomics.compareExchange(words, 0, 0, id) !== 0) return null
    try {
      this.#memory.verify()
    } catch (error) {
      // Another page of the region had vanished: nobody will hear that this one is ours.
      if (Atomics.compareExchange(words, 0, id, 0) !== id) native.releaseMutex(this.#owned.number, false)
      throw error
    }
    return new Guard(OURS, this.#place, words, false)
  }

  #attempt(manner: number): { readonly taken: MutexGuard } | number {
    const { owned, offset } = this.#place
    const words = this.#current()
    const answer = native.tryMutex(this.#memory.writableRegion, offset, owned.number, manner)
    if (owned.id === 0) owned.id = native.ownerOf(owned.number)
    const kind = kindOf(answer)
    if (kind > ANSWER.abandoned) return answer
    return { taken: new Guard(OURS, this.#place, words, kind === ANSWER.abandoned) }
  }

  /** Throws where the region is closed, and else gives that back. */
  #open<T>(value: T): T {
    this.#current()
    return value
  }

  /** The state, where V8 can look at it. */
  #current(): Int32Array {
    const memory = this.#memory
    if (memory.closed || memory.mappings !== this.#mapping) {
      void memory.writableRegion
      this.#words = memory.word(this.#place.offset + STATE)
      this.#mapping = memory.mappings
    }
    return this.#words
  }

  get #name(): string {
    return `the mutex at ${this.#place.offset}`
  }

  /** @internal */
  [inspect.custom](_depth: number, options: object): string {
    const { offset, owned } = this.#place
    return `Mutex ${inspect({ offset, held: owned.held }, options)}`
  }
}

class Guard implements MutexGuard {
  readonly abandoned: boolean
  /** Also so that nobody collects the memory, which the words would outlive. */
  readonly #place: Place
  readonly #words: Int32Array
  #released = false

  constructor(key: typeof OURS, place: Place, words: Int32Array, abandoned: boolean) {
    if (key !== OURS) throw illegalConstructor('mutex.lock()')
    this.#place = place
    this.#words = words
    this.abandoned = abandoned
    place.owned.held = true
    releaseWhenCollected(this)
  }

  get released(): boolean {
    return this.#released
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    released(this)
    const { owned } = this.#place
    owned.held = false
    const { id } = owned
    const words = this.#words
    // Words of a region that was closed, or mapped anew, are no more.
    if (words.length === 0 || Atomics.compareExchange(words, 0, id, 0) !== id) native.releaseMutex(owned.number, false)
    if (owned.turns.length > 0) owned.next()
  }

  [Symbol.dispose](): void {
    this.release()
  }

  [WATCHED](): Watched {
    return { id: this.#place.owned.number, kind: 'mutex', what: 'a mutex' }
  }

  [inspect.custom](_depth: number, options: object): string {
    return `MutexGuard ${inspect({ abandoned: this.abandoned, released: this.#released }, options)}`
  }
}
