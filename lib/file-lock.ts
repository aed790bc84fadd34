// Locks of files. The table of who has what, and who waits, is the addon's (crates/core/src/lock_table.rs), one for all
// isolates of the process; here are arguments, timers and signals, and locks that nobody released.

import { inspect } from 'node:util'
import type { PathLike } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'

import * as native from '#binding'

import * as args from './arguments.ts'
import { illegalConstructor, invalidArgValue, lockTimeout, outOfRange } from './errors.ts'
import { sourceOf } from './file-source.ts'
import type { Source } from './file-source.ts'
import { releaseWhenCollected, released, WATCHED } from './forgotten-locks.ts'
import type { Watched } from './forgotten-locks.ts'
import type { Memory } from './memory.ts'

/**
 * What is locked, and with whom one shares it: for {@link FileLock.acquire}.
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { FileLock } from 'memmap'
 *
 * using reader = FileLock.acquireSync('data.bin', { mode: 'shared', start: 0, end: 4096 })
 * console.log(reader.start, reader.end) // → 0 4096
 * ```
 */
export interface LockOptions {
  /** Whom it keeps out: `'exclusive'` everybody, `'shared'` those who want it exclusive. Default `'exclusive'`. */
  mode?: 'shared' | 'exclusive' | undefined
  /** First byte; default 0. May lie beyond the end of the file. */
  start?: number | undefined
  /** The byte behind the last; default `Infinity`: the end of the file and all that may come. */
  end?: number | undefined
  /**
   * `'range'`: as `lockf` and Java's `FileChannel.lock`. `'file'`: the file as such, as `flock(1)`. Default `'range'`. The two
   * do not see each other; on macOS, where the system has one list of both, a lock of the file excludes those of its ranges.
   */
  kind?: 'range' | 'file' | undefined
  /** Make the file if it is not there; with a path only. Default false. */
  create?: boolean | undefined
}

/**
 * How long one waits: for a lock, a mutex, a permit, a record or a word.
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { Ring, SharedMemory } from 'memmap'
 * import type { Waiting } from 'memmap'
 *
 * using memory = SharedMemory.anonymous(Ring.byteLengthFor(4096))
 * const briefly: Waiting = { timeout: 10 }
 * await new Ring(memory, 0, 4096).pop(briefly).catch((error) => console.log(error.code)) // → ERR_RING_TIMEOUT
 * ```
 */
export interface Waiting {
  /** Milliseconds; default: for ever. 0 asks once. */
  timeout?: number | undefined
  /** Gives the wait up. Where more than ten waits share one, Node warns of a leak: see `events.setMaxListeners`. */
  signal?: AbortSignal | undefined
}

/** @internal What a lock is asked of: a file, or that of a region. */
export type Lockable = Source | LockableRegion

/** @internal */
export interface LockableRegion {
  readonly memory: Memory
  /** Where in the file the region's positions are counted from. */
  readonly offset: number
  readonly path: string | undefined
}

/** @internal */
export const ACQUIRE: unique symbol = Symbol('memmap.acquire')
/** @internal */
export const ACQUIRE_SYNC: unique symbol = Symbol('memmap.acquireSync')
/** @internal */
export const TRY_ACQUIRE: unique symbol = Symbol('memmap.tryAcquire')

const OURS = Symbol('memmap.lock')
const REGION_KEYS = ['mode', 'start', 'end', 'kind'] as const
const REGION_SYNC_KEYS = [...REGION_KEYS, 'timeout'] as const
const REGION_WAIT_KEYS = [...REGION_SYNC_KEYS, 'signal'] as const
const FILE_KEYS = [...REGION_KEYS, 'create'] as const
const FILE_SYNC_KEYS = [...FILE_KEYS, 'timeout'] as const
const FILE_WAIT_KEYS = [...FILE_SYNC_KEYS, 'signal'] as const
const FLAGS = { exclusive: 1, file: 2, create: 4, blocking: 8 }
const MODES = ['shared', 'exclusive'] as const
const KINDS = ['range', 'file'] as const
/** A worker that is terminated must come back from the addon first. */
const LONGEST_BLOCK_MS = 50
/** Timers take no more; a longer wait is begun again. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Where the quick calls of the addon find their arguments; none in a host that forbids external memory. */
const asked = askedLock()

function askedLock(): Float64Array | undefined {
  try {
    return new Float64Array(native.askedLock())
  } catch {
    return undefined
  }
}

/** A lock as it is asked for: in the file's own positions. */
interface Request {
  readonly lockable: Lockable
  readonly mode: 'shared' | 'exclusive'
  readonly start: number
  readonly end: number
  readonly flags: number
}

/**
 * A lock of a part of a file, or of all of it, that the system keeps: other processes, workers and other locks of this one
 * wait for it, until it is released or the process ends.
 *
 * It is the process's as a whole: opening, reading and closing the same file elsewhere changes nothing, a child does not
 * inherit it, and a worker's goes with the worker. Linux and macOS: it binds those who ask for locks (`fcntl`, `lockf`,
 * Java), and nobody else. Windows: also ordinary reads and writes of the range through other handles fail, also those of
 * `fs` in this process; mapped views do not.
 *
 * @group Locking files
 * @example
 * ```ts
 * import { FileLock } from 'memmap'
 *
 * const lock = await FileLock.acquire('job.lock', { create: true, timeout: 10_000 })
 * try {
 *   console.log('nobody else is here', lock.mode)
 * } finally {
 *   lock.release()
 * }
 * ```
 */
export class FileLock implements Disposable {
  readonly #id: number
  readonly #request: Request
  #mode: 'shared' | 'exclusive'
  #released = false

  /** @internal */
  constructor(key: typeof OURS, id: number, request: Request) {
    if (key !== OURS) throw illegalConstructor('FileLock.acquire()')
    this.#id = id
    this.#mode = request.mode
    this.#request = request
    releaseWhenCollected(this)
  }

  /**
   * Waits for a lock of a file: by path, by descriptor or by FileHandle. First come, first served among the waits of this
   * process.
   *
   * @throws (rejects with) `ERR_LOCK_TIMEOUT`; the signal's `reason`; `ENOENT`, `EACCES`, `EISDIR` and what else the system
   * says; `EBADF` for a closed descriptor, or one that is read-only where the lock is exclusive; `ENODEV` for what is no
   * regular file; `ERR_OUT_OF_RANGE` for an empty range; `ERR_LOCK_UNSUPPORTED` where the file system has no such locks.
   * @example
   * ```ts
   * import { FileLock } from 'memmap'
   *
   * const lock = await FileLock.acquire('data.bin', { create: true, start: 4096, end: 8192, mode: 'shared' })
   * lock.release()
   * ```
   */
  static async acquire(file: PathLike | number | FileHandle, options?: LockOptions & Waiting): Promise<FileLock> {
    return FileLock[ACQUIRE](sourceOf(file), options)
  }

  /**
   * As {@link FileLock.acquire}, with this thread standing still; for workers and scripts. A worker that waits can be
   * terminated.
   *
   * @throws as {@link FileLock.acquire}; without a `timeout` also `ERR_LOCK_OVERLAP` where this thread has the lock itself,
   * and `EDEADLK` where all who have it stand still and wait for one of this thread's.
   * @example
   * ```ts
   * import { FileLock } from 'memmap'
   *
   * using lock = FileLock.acquireSync('job.lock', { create: true, timeout: 1000 })
   * console.log(lock.mode) // → exclusive
   * ```
   */
  static acquireSync(file: PathLike | number | FileHandle, options?: LockOptions & Pick<Waiting, 'timeout'>): FileLock {
    return FileLock[ACQUIRE_SYNC](sourceOf(file), options)
  }

  /**
   * As {@link FileLock.acquire}, but does not wait: `null` if somebody has it.
   *
   * @throws as {@link FileLock.acquire}, but for a timeout.
   * @example
   * ```ts
   * import { FileLock } from 'memmap'
   *
   * const lock = FileLock.tryAcquire('job.lock', { create: true })
   * if (lock === null) console.log('somebody else runs the job')
   * lock?.release()
   * ```
   */
  static tryAcquire(file: PathLike | number | FileHandle, options?: LockOptions): FileLock | null {
    return FileLock[TRY_ACQUIRE](sourceOf(file), options)
  }

  /** @internal */
  static async [ACQUIRE](lockable: Lockable, options: unknown): Promise<FileLock> {
    const given = args.options(options, 'memory' in lockable ? REGION_WAIT_KEYS : FILE_WAIT_KEYS)
    const request = requestOf(lockable, given)
    const timeout = args.timeout('options.timeout', given.timeout)
    const signal = args.signal('options.signal', given.signal)
    signal?.throwIfAborted()
    const id = begin(request, 0)
    if (id < 0) {
      // A promise that cannot be made must not leave a place in the queue behind.
      const done = lockGranted(-id)
      await granted(-id, done, request, timeout, signal)
    }
    return new FileLock(OURS, Math.abs(id), request)
  }

  /** @internal */
  static [ACQUIRE_SYNC](lockable: Lockable, options: unknown): FileLock {
    const given = args.options(options, 'memory' in lockable ? REGION_SYNC_KEYS : FILE_SYNC_KEYS)
    const request = requestOf(lockable, given)
    const timeout = args.timeout('options.timeout', given.timeout)
    const id = begin(request, timeout === Infinity ? FLAGS.blocking : 0)
    if (id < 0) grantedSync(-id, request, timeout)
    return new FileLock(OURS, Math.abs(id), request)
  }

  /** @internal */
  static [TRY_ACQUIRE](lockable: Lockable, options: unknown): FileLock | null {
    const given = args.options(options, 'memory' in lockable ? REGION_KEYS : FILE_KEYS)
    const request = requestOf(lockable, given)
    const { flags, start, end } = request
    const id =
      'memory' in lockable
        ? tryRegion(lockable.memory.region, flags, start, end)
        : native.tryLockFile(lockable.path, lockable.bytes, lockable.descriptor, flags, start, end)
    return id === 0 ? null : new FileLock(OURS, id, request)
  }

  /** Whom it keeps out now: `'exclusive'` everybody, `'shared'` those who want it exclusive. */
  get mode(): 'shared' | 'exclusive' {
    return this.#mode
  }

  /** First byte in the file. */
  get start(): number {
    return this.#request.start
  }

  /** The byte behind the last one in the file; `Infinity`: its end and all that may come. */
  get end(): number {
    return this.#request.end
  }

  /** Whether `release` was called. Never throws. */
  get released(): boolean {
    return this.#released
  }

  /**
   * Whether the path that was locked names another file by now, or none: somebody has renamed over it or removed it, and
   * whoever locks that path now gets another lock. False for a lock by descriptor.
   */
  get replaced(): boolean {
    return !this.#released && native.lockReplaced(this.#id)
  }

  /**
   * Makes an exclusive lock a shared one, in place: nobody gets it in between. A shared one stays as it is.
   *
   * @throws `ERR_INVALID_STATE` once released; `EBADF` where the descriptor is for writing only.
   * @example
   * ```ts
   * import { FileLock } from 'memmap'
   *
   * using lock = FileLock.acquireSync('job.lock', { create: true })
   * lock.downgrade() // what was written may be read by others, and changed by nobody
   * console.log(lock.mode) // → shared
   * ```
   */
  downgrade(): void {
    native.downgradeLock(this.#id)
    this.#mode = 'shared'
  }

  /**
   * Lets others have it. Calling it again does nothing. One that is forgotten is released when it is collected, with a warning.
   *
   * @example
   * ```ts
   * import { FileLock } from 'memmap'
   *
   * const lock = await FileLock.acquire('job.lock', { create: true })
   * lock.release()
   * console.log(lock.released) // → true
   * ```
   */
  release(): void {
    if (this.#released) return
    this.#released = true
    released(this)
    if (asked === undefined) {
      native.releaseLock(this.#id)
    } else {
      asked[0] = this.#id
      native.releaseAskedLock()
    }
  }

  /**
   * As {@link release}: for `using lock = await FileLock.acquire(…)`, in TypeScript and from Node 24 on.
   *
   * @example
   * ```ts
   * import { FileLock } from 'memmap'
   *
   * using lock = await FileLock.acquire('job.lock', { create: true })
   * console.log(lock.released) // → false
   * ```
   */
  [Symbol.dispose](): void {
    this.release()
  }

  /** @internal */
  [WATCHED](): Watched {
    const path = labelOf(this.#request.lockable)
    return { id: this.#id, kind: 'file', what: path === undefined ? 'a descriptor' : `'${path}'` }
  }

  /** @internal */
  [inspect.custom](_depth: number, options: object): string {
    const { mode, start, end, released: isReleased } = this
    return `FileLock ${inspect({ mode, start, end, released: isReleased }, options)}`
  }
}

/** What an error or a warning calls the file. */
function labelOf(lockable: Lockable): string | undefined {
  return lockable.path ?? ('bytes' in lockable ? lockable.bytes?.toString() : undefined)
}

function requestOf(
  lockable: Lockable,
  given: Partial<Record<'mode' | 'start' | 'end' | 'kind' | 'create', unknown>>,
): Request {
  const mode = args.oneOf('options.mode', given.mode, MODES, 'exclusive')
  const kind = args.oneOf('options.kind', given.kind, KINDS, 'range')
  const start = given.start === undefined ? 0 : args.offset('options.start', given.start)
  const end = given.end === undefined || given.end === Infinity ? Infinity : args.offset('options.end', given.end)
  const create = args.boolean('options.create', given.create, false)
  if (create && 'descriptor' in lockable && lockable.descriptor !== -1) {
    throw invalidArgValue('options.create', create, 'goes with a path only: what a descriptor is of, is there')
  }
  if (kind === 'file' && (given.start !== undefined || given.end !== undefined)) {
    const name = given.start === undefined ? 'end' : 'start'
    throw invalidArgValue(`options.${name}`, given[name], "goes with kind 'range' only: 'file' is all of it")
  }
  if (end <= start) throw outOfRange('options.end', `> ${start}, so that the range is not empty`, end)
  const from = kind === 'range' && 'memory' in lockable ? lockable.offset : 0
  if (end !== Infinity && !Number.isSafeInteger(from + end)) {
    throw outOfRange('options.end', `<= ${Number.MAX_SAFE_INTEGER - from} in this region`, end)
  }
  if (!Number.isSafeInteger(from + start)) {
    throw outOfRange('options.start', `<= ${Number.MAX_SAFE_INTEGER - from} in this region`, start)
  }
  const flags =
    (mode === 'exclusive' ? FLAGS.exclusive : 0) | (kind === 'file' ? FLAGS.file : 0) | (create ? FLAGS.create : 0)
  return { lockable, mode, start: from + start, end: from + end, flags }
}

function tryRegion(region: number, flags: number, start: number, end: number): number {
  if (asked !== undefined) {
    asked[0] = region
    asked[1] = flags
    asked[2] = start
    asked[3] = end
    const id = native.tryAskedLock()
    if (id >= 0) return id
  }
  return native.tryLockRegion(region, flags, start, end)
}

/** A place in the queue: the lock's number, negative if it has to be waited for. */
function begin({ lockable, flags, start, end }: Request, more: number): number {
  if ('memory' in lockable) return native.startLockRegion(lockable.memory.region, flags | more, start, end)
  return native.startLockFile(lockable.path, lockable.bytes, lockable.descriptor, flags | more, start, end)
}

function lockGranted(id: number): Promise<Error | null> {
  try {
    return native.lockGranted(id)
  } catch (error) {
    native.releaseLock(id)
    throw error
  }
}

function granted(
  id: number,
  done: Promise<Error | null>,
  request: Request,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const deadline = performance.now() + timeout
    let timer: NodeJS.Timeout | undefined
    const end = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', aborted)
    }
    // The lock may have come just now, and nobody has heard of it: it goes back, too.
    const giveUp = (reason: unknown): void => {
      end()
      native.releaseLock(id)
      reject(reason)
    }
    const aborted = (): void => giveUp(signal?.reason)
    const arm = (): void => {
      const left = deadline - performance.now()
      if (left <= 0) giveUp(lockTimeout(nameOf(request), timeout))
      else timer = setTimeout(arm, Math.min(Math.ceil(left), LONGEST_TIMER_MS))
    }
    signal?.addEventListener('abort', aborted, { once: true })
    done.then((failure) => {
      // After giving up, nobody listens any more.
      end()
      if (failure === null) resolve()
      else reject(failure)
    }, reject)
    if (timeout !== Infinity) arm()
  })
}

function grantedSync(id: number, request: Request, timeout: number): void {
  const deadline = performance.now() + timeout
  for (;;) {
    const left = Math.max(0, deadline - performance.now())
    if (native.waitForLock(id, Math.min(left, LONGEST_BLOCK_MS))) return
    if (left > 0) continue
    native.releaseLock(id)
    throw lockTimeout(nameOf(request), timeout)
  }
}

function nameOf({ lockable, flags, start, end }: Request): string {
  const label = labelOf(lockable)
  const file = label === undefined ? 'the descriptor' : `'${label}'`
  return (flags & FLAGS.file) === 0 ? `bytes ${start} to ${end} of ${file}` : file
}
