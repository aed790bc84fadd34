// Permits in shared memory. The table of who has how many is the addon's (crates/core/src/semaphore.rs).

import { inspect } from 'node:util'

import * as native from '#binding'

import * as args from './arguments.ts'
import { lockTimeout } from './errors.ts'
import type { Waiting } from './file-lock.ts'
import { ANSWER, checkPlace, countOf, kindOf, MANNER, open, take, takeSync, untilDone } from './owned.ts'
import type { Place } from './owned.ts'
import type { Region } from './region.ts'

/** As `BYTES` of crates/core/src/semaphore.rs. */
const BYTES = 2048
const MOST = 2 ** 31 - 1
/** Changing the table takes microseconds; who is stopped in the middle of it is not waited for by `tryAcquire`. */
const LONGEST_CHANGE_MS = 50

/**
 * So many at a time, between processes and workers: {@link Semaphore.byteLength} bytes of memory that all of them have. Zeroed bytes
 * are one of which nothing is taken. The number of permits is not in the memory: every process says the same, or each keeps
 * to its own.
 *
 * The memory says who has how many, in one table, so that it is exact whenever a process is killed. What the dead had stays
 * taken: `recover` gives it back. Up to 248 workers and processes may have permits at a time. For the memory the same
 * holds as for {@link Mutex}.
 *
 * @group Taking turns
 * @example
 * ```ts
 * import { Semaphore, SharedMemory } from 'memmap'
 *
 * const memory = SharedMemory.openOrCreate('downloads', 4096)
 * const downloads = new Semaphore(memory, 0, 4)
 * await downloads.acquire()
 * try {
 *   // at most four are here, in all processes
 * } finally {
 *   downloads.release()
 * }
 * SharedMemory.unlink('downloads')
 * memory.close()
 * ```
 */
export class Semaphore {
  /** Bytes of memory that a semaphore takes: 2048. */
  static readonly byteLength: number = BYTES

  readonly #place: Place
  readonly #permits: number

  /**
   * The semaphore at a place of a region; any number of objects for the same one.
   *
   * @param region a file opened with access `'write'`, or `SharedMemory`.
   * @param offset in bytes: a multiple of 8 in memory, the same in every process.
   * @param permits how many may be taken: 1 to 2^31 - 1.
   * @throws as `new Mutex`.
   * @example
   * ```ts
   * import { Semaphore, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * const seats = new Semaphore(memory, 0, 2)
   * console.log(seats.tryAcquire(), seats.tryAcquire(), seats.tryAcquire()) // → true true false
   * ```
   */
  constructor(region: Region, offset: number, permits: number) {
    checkPlace(region, offset)
    this.#permits = args.integer('permits', permits, 1, MOST)
    this.#place = open(region, offset, true, BYTES)
  }

  /**
   * Takes a permit, or waits for one: first come, first served among those of this isolate. Where all are those of the dead, it
   * waits until somebody calls `recover`.
   *
   * @param options `timeout` in milliseconds, by default for ever, and a `signal`.
   * @throws (rejects with) `ERR_LOCK_TIMEOUT`; the signal's `reason`; `ERR_REGION_CLOSED`, also where the region is closed
   * meanwhile; `ERR_SHARED_STATE_INVALID` where somebody has overwritten it; `ERR_INVALID_STATE` where 248 others have permits.
   * @example
   * ```ts
   * import { Semaphore, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * const downloads = new Semaphore(memory, 0, 4)
   * await downloads.acquire({ timeout: 1000 })
   * downloads.release()
   * ```
   */
  async acquire(options?: Waiting): Promise<void> {
    const given = args.options(options, ['timeout', 'signal'])
    const timeout = args.timeout('options.timeout', given.timeout)
    const signal = args.signal('options.signal', given.signal)
    signal?.throwIfAborted()
    if (this.#place.owned.turns.length === 0) {
      if (this.tryAcquire()) return
    } else {
      void this.#region
    }
    if (timeout === 0) throw lockTimeout(this.#name, 0)
    await take(this.#place, timeout, signal, this.#name, (manner) => this.#attempt(manner))
  }

  /**
   * As {@link Semaphore.acquire}, with this thread standing still. A worker that waits can be terminated.
   *
   * @throws as {@link Semaphore.acquire}.
   * @example
   * ```ts
   * import { Semaphore, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * const downloads = new Semaphore(memory, 0, 4)
   * downloads.acquireSync({ timeout: 1000 })
   * downloads.release()
   * ```
   */
  acquireSync(options?: Pick<Waiting, 'timeout'>): void {
    const given = args.options(options, ['timeout'])
    const timeout = args.timeout('options.timeout', given.timeout)
    takeSync(this.#place, timeout, this.#name, (manner) => this.#attempt(manner), neverOwn)
  }

  /**
   * Takes a permit if there is one. False also where that cannot be said within 50 ms, since a process was stopped in just the
   * microsecond in which it changed the table.
   *
   * @throws as {@link Semaphore.acquire}, but for a timeout.
   * @example
   * ```ts
   * import { Semaphore, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * const downloads = new Semaphore(memory, 0, 1)
   * if (downloads.tryAcquire()) downloads.release()
   * ```
   */
  tryAcquire(): boolean {
    const answer = untilDone(this.#place, LONGEST_CHANGE_MS, (manner) => this.#acquire(manner & ~MANNER.waits))
    return kindOf(answer) === ANSWER.taken
  }

  /**
   * Gives permits back: those of this isolate first, then others', since a permit may be given back elsewhere than where it was
   * taken.
   *
   * @param count how many, 1 to 2^31 - 1; by default 1.
   * @throws `ERR_OUT_OF_RANGE` where fewer are taken; nothing has changed then. `ERR_REGION_CLOSED`, `ERR_SHARED_STATE_INVALID`.
   * @example
   * ```ts
   * import { Semaphore, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * const downloads = new Semaphore(memory, 0, 4)
   * for (let i = 0; i < 4; i++) await downloads.acquire()
   * downloads.release(4)
   * ```
   */
  release(count = 1): void {
    const permits = args.integer('count', count, 1, MOST)
    const { offset, owned } = this.#place
    untilDone(this.#place, Infinity, (manner) =>
      native.releasePermits(this.#region, offset, owned.number, permits, manner),
    )
    owned.next()
  }

  /**
   * Gives back what isolates had that are no more: killed, crashed or ended without `release`. Whoever calls it says so that
   * nothing is left of what they did with their permits.
   *
   * @returns how many permits that gave back.
   * @throws `ERR_REGION_CLOSED`, `ERR_REGION_READONLY`, `ERR_SHARED_STATE_INVALID`.
   * @example
   * ```ts
   * import { Semaphore, SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * const downloads = new Semaphore(memory, 0, 4)
   * console.log(downloads.recover()) // → 0
   * ```
   */
  recover(): number {
    const { offset, owned } = this.#place
    const answer = untilDone(this.#place, Infinity, (manner) =>
      native.recoverPermits(this.#region, offset, owned.number, manner),
    )
    owned.next()
    return countOf(answer)
  }

  get #region(): number {
    return this.#place.memory.writableRegion
  }

  #acquire(manner: number): number {
    const { offset, owned } = this.#place
    return native.acquirePermit(this.#region, offset, owned.number, this.#permits, manner)
  }

  #attempt(manner: number): { readonly taken: undefined } | number {
    const answer = this.#acquire(manner)
    return kindOf(answer) === ANSWER.taken ? { taken: undefined } : answer
  }

  get #name(): string {
    return `the semaphore at ${this.#place.offset}`
  }

  /** @internal */
  [inspect.custom](_depth: number, options: object): string {
    return `Semaphore ${inspect({ offset: this.#place.offset, permits: this.#permits }, options)}`
  }
}

/** The table is never ours for longer than a call. */
function neverOwn(): Error {
  return new Error('unreachable')
}
