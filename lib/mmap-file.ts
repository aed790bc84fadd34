import type { PathLike } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'

import * as native from '#binding'

import * as args from './arguments.ts'
import { invalidArgType, invalidArgValue } from './errors.ts'
import { ACQUIRE, ACQUIRE_SYNC, FileLock, TRY_ACQUIRE } from './file-lock.ts'
import type { Lockable, LockOptions, Waiting } from './file-lock.ts'
import { sourceOf } from './file-source.ts'
import { facts, Memory } from './memory.ts'
import { OURS, Region } from './region.ts'
import { attach } from './region-handle.ts'
import type { RegionHandle } from './region-handle.ts'
import { MEMORY } from './scalar-access.ts'
import type { Access } from './types.ts'

/**
 * How a file is opened: for {@link MmapFile.open}.
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 * import type { OpenOptions } from 'memmap'
 *
 * const options: OpenOptions = { access: 'write', create: true, length: 1 << 20, sparse: true }
 * using table = MmapFile.open('table.bin', options)
 * ```
 */
export interface OpenOptions {
  /** Default `'read'`. */
  access?: Access | undefined
  /** First byte shown, any byte, not only multiples of a page; default 0. */
  offset?: number | undefined
  /** Bytes shown; by default to the end of the file. Beyond its end access `'write'` extends it, the others refuse. */
  length?: number | undefined
  /** Make the file if it is not there; `'exclusive'`: it must not be there. With access `'write'` only. */
  create?: boolean | 'exclusive' | undefined
  /** Permissions of a created file, less the process's umask; default 0o666. Windows knows only read-only. */
  mode?: number | undefined
  /** Extend without allocating: a write may then find the disk full, which is a fault. Default false. */
  sparse?: boolean | undefined
  /** Keep a descriptor; default true. Without one there is no `refresh`, no `fileSize`. */
  keepOpen?: boolean | undefined
  /** Ask for huge pages, where the file system has them; default false. */
  hugePages?: boolean | undefined
  /** Turn pages the system cannot supply into errors; default true. Without, they end the process. */
  guard?: boolean | undefined
}

/**
 * How a part of a region's file is locked; positions are the region's. For {@link MmapFile.lock}.
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 *
 * using table = MmapFile.open('table.bin', { access: 'write', create: true, length: 4096 })
 * using lock = table.lockSync({ start: 64, end: 128, mode: 'shared' })
 * ```
 */
export type RegionLockOptions = Omit<LockOptions, 'create'>

const ACCESSES: readonly Access[] = ['read', 'write', 'copy']
const KEYS = ['access', 'offset', 'length', 'create', 'mode', 'sparse', 'keepOpen', 'hugePages', 'guard'] as const
const FLAGS = { create: 1, exclusive: 2, sparse: 4, keepOpen: 8, hugePages: 16, guard: 32 }
const GUARD_BY_DEFAULT = process.env['MEMMAP_GUARD'] !== 'off'

/**
 * A file as memory.
 *
 * @group Regions
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 *
 * using log = MmapFile.open('access.log')
 * console.log(log.count('ERROR'), 'errors in', log.byteLength, 'bytes') // → 2500 errors in 126390 bytes
 * ```
 */
export class MmapFile extends Region {
  readonly #path: string | undefined
  readonly #offset: number
  #lockable: Lockable | undefined

  /** @internal */
  constructor(key: typeof OURS, memory: Memory, path: string | undefined, offset: number) {
    super(key, memory)
    this.#path = path
    this.#offset = offset
  }

  /**
   * Maps a file: by path, by descriptor or by FileHandle (which may be closed afterwards: the map has its own).
   *
   * @group Opening
   * @param file a path (a string, its bytes, or a `file:` URL), a descriptor or a FileHandle.
   * @param options by default all of the file, for reading.
   * @throws `ENOENT`, `EACCES`, `EEXIST` and what else the system says, with `path` and `syscall`; `EISDIR` for a
   * directory; `ENODEV` for what is no regular file; `ENOSPC` where there is no room to extend the file, which is then
   * as it was; `ERR_OUT_OF_RANGE` for an offset or a length beyond the end.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * const table = MmapFile.open('table.bin', { access: 'write', create: true, length: 1 << 20 })
   * table.writeDoubleLE(Math.PI, 4096)
   * await table.flush()
   * table.close()
   * ```
   */
  static open(file: PathLike | number | FileHandle, options?: OpenOptions): MmapFile {
    const source = sourceOf(file)
    const given = args.options(options, KEYS)
    const access = args.oneOf('options.access', given.access, ACCESSES, 'read')
    const offset = given.offset === undefined ? 0 : args.offset('options.offset', given.offset)
    const length = given.length === undefined ? -1 : args.offset('options.length', given.length)
    const mode = given.mode === undefined ? 0o666 : args.integer('options.mode', given.mode, 0, 0o7777)
    const flags =
      creation(given.create, access) |
      flag('sparse', given.sparse, false) |
      flag('keepOpen', given.keepOpen, true) |
      flag('hugePages', given.hugePages, false) |
      flag('guard', given.guard, GUARD_BY_DEFAULT)
    const number = ACCESSES.indexOf(access)
    const { path, bytes, descriptor } = source
    const region = native.openFile(path, bytes, descriptor, number, offset, length, flags, mode, facts)
    return new MmapFile(OURS, new Memory(region, access), path ?? bytes?.toString(), offset)
  }

  /**
   * The region that `share` gave a handle of, in this worker: a mapping of its own of the same file.
   *
   * @group Opening
   * @throws `ERR_INVALID_ARG_VALUE` for a handle of another kind; `ERR_REGION_CLOSED` for a stale one.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * using same = MmapFile.attach(log.share()) // mostly in a worker, from `workerData` or a message
   * console.log(same.equals(log)) // → true
   * ```
   */
  static attach(handle: RegionHandle): MmapFile {
    const { memory, label, offset } = attach('MmapFile', handle)
    return new MmapFile(OURS, memory, label, offset)
  }

  /**
   * The path it was opened by; `undefined` for a descriptor.
   *
   * @group About it
   */
  get path(): string | undefined {
    return this.#path
  }

  /**
   * Position in the file of the region's first byte, in bytes.
   *
   * @group About it
   */
  get offset(): number {
    return this.#offset
  }

  /**
   * Bytes in the file now, not at `open`.
   *
   * @group About it
   * @throws `ERR_INVALID_STATE` where no descriptor was kept; `ERR_REGION_CLOSED`.
   * @example
   * ```ts
   * import { appendFileSync } from 'node:fs'
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * appendFileSync('access.log', 'more')
   * console.log(log.fileSize - log.byteLength) // → 4
   * ```
   */
  get fileSize(): number {
    return native.fileSize(this[MEMORY].region)
  }

  /**
   * Whether the path names another file by now, or none: somebody has renamed over it or removed it. False for a descriptor.
   *
   * @group About it
   * @throws `ERR_REGION_CLOSED`.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * if (log.replaced) console.log('rotated: open it again')
   * ```
   */
  get replaced(): boolean {
    return native.replaced(this[MEMORY].region)
  }

  /**
   * Locks a part of the file, or all of it: waits until nobody else has it. Positions are the region's, and those of the
   * lock that one gets are the file's. The lock outlives the region.
   *
   * @group Locking
   * @throws (rejects with) what {@link FileLock.acquire} does; `ERR_INVALID_STATE` where no descriptor was kept; `EBADF` for
   * an exclusive lock of a region with access `'read'` or `'copy'`, whose descriptor is for reading only.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * const table = MmapFile.open('table.bin', { access: 'write', create: true, length: 4096 })
   * const lock = await table.lock({ start: 0, end: 8 })
   * table.writeBigUInt64LE(table.readBigUInt64LE(0) + 1n, 0)
   * lock.release()
   * ```
   */
  async lock(options?: RegionLockOptions & Waiting): Promise<FileLock> {
    return FileLock[ACQUIRE](this.#toLock(), options)
  }

  /**
   * As {@link MmapFile.lock}, with this thread standing still; for workers and scripts.
   *
   * @group Locking
   * @throws what {@link FileLock.acquireSync} does; `ERR_INVALID_STATE` and `EBADF` as {@link MmapFile.lock}.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using table = MmapFile.open('table.bin', { access: 'write', create: true, length: 4096 })
   * using lock = table.lockSync({ start: 0, end: 8, timeout: 1000 })
   * console.log(lock.mode) // → exclusive
   * ```
   */
  lockSync(options?: RegionLockOptions & Pick<Waiting, 'timeout'>): FileLock {
    return FileLock[ACQUIRE_SYNC](this.#toLock(), options)
  }

  /**
   * As {@link MmapFile.lock}, but does not wait: `null` if somebody has it.
   *
   * @group Locking
   * @throws as {@link MmapFile.lock}, but for a timeout.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using table = MmapFile.open('table.bin', { access: 'write', create: true, length: 4096 })
   * const lock = table.tryLock()
   * console.log(table.tryLock({ start: 0, end: 8 })) // → null
   * lock?.release()
   * ```
   */
  tryLock(options?: RegionLockOptions): FileLock | null {
    return FileLock[TRY_ACQUIRE](this.#toLock(), options)
  }

  #toLock(): Lockable {
    return (this.#lockable ??= { memory: this[MEMORY], offset: this.#offset, path: this.#path })
  }

  /** @internal */
  protected override shareableKind(): 'MmapFile' {
    return 'MmapFile'
  }

  /** @internal */
  protected override facts(): object {
    return { path: this.#path, offset: this.#offset, ...super.facts() }
  }
}

function creation(create: unknown, access: Access): number {
  if (create === undefined || create === false) return 0
  if (create !== true && create !== 'exclusive') {
    if (typeof create !== 'string') throw invalidArgType('options.create', "of type boolean or 'exclusive'", create)
    throw invalidArgValue('options.create', create, "must be true, false or 'exclusive'")
  }
  if (access !== 'write') {
    throw invalidArgValue('options.create', create, `goes with access 'write' only, not with '${access}'`)
  }
  return create === true ? FLAGS.create : FLAGS.exclusive
}

function flag(name: 'sparse' | 'keepOpen' | 'hugePages' | 'guard', value: unknown, fallback: boolean): number {
  return args.boolean(`options.${name}`, value, fallback) ? FLAGS[name] : 0
}
