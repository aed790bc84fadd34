import * as native from '#binding'

import * as args from './arguments.ts'
import { invalidArgType } from './errors.ts'
import { facts, Memory } from './memory.ts'
import { OURS, Region } from './region.ts'
import { attach } from './region-handle.ts'
import type { RegionHandle } from './region-handle.ts'
import { MEMORY } from './scalar-access.ts'
import type { Access } from './types.ts'

/**
 * How named memory is made: for {@link SharedMemory.create} and {@link SharedMemory.openOrCreate}.
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { SharedMemory } from 'memmap'
 *
 * using memory = SharedMemory.create('just-mine', 4096, { mode: 0o600, unlinkOnClose: true })
 * console.log(memory.name) // → just-mine
 * ```
 */
export interface NameOptions {
  /** Permissions, exactly, whatever the umask; default 0o600. POSIX only. */
  mode?: number | undefined
  /** Remove the name when this region is closed, if this call made it. Default false. */
  unlinkOnClose?: boolean | undefined
}

const ACCESSES: readonly Access[] = ['read', 'write', 'copy']
const ACCESS_NUMBER: Readonly<Record<Access, number>> = { read: 0, write: 1, copy: 2 }

/**
 * Memory that other processes and workers have too: by its name, by a descriptor given to a child, or by a handle.
 *
 * A name has 1 to 30 of the characters `A-Z a-z 0-9 . _ -`, on every system. Named memory stays until `unlink`, or until the
 * system ends; on Windows until its last holder closes. Lengths are exact on Linux; macOS and Windows round what `open` sees up
 * to pages, and `byteLength` trims it.
 *
 * @group Regions
 * @example
 * ```ts
 * import { SharedMemory } from 'memmap'
 *
 * const scores = SharedMemory.openOrCreate('scores', 4096)
 * Atomics.add(scores.view(Int32Array), 0, 1)
 * SharedMemory.unlink('scores') // until then the next one finds what is in it
 * scores.close()
 * ```
 */
export class SharedMemory extends Region {
  readonly #name: string | undefined
  readonly #created: boolean

  /** @internal */
  constructor(key: typeof OURS, memory: Memory, name: string | undefined, created: boolean) {
    super(key, memory)
    this.#name = name
    this.#created = created
  }

  /**
   * Makes named memory of `byteLength` zeroed bytes, allocated.
   *
   * @group Opening
   * @param name 1 to 30 of the characters `A-Z a-z 0-9 . _ -`.
   * @param byteLength in bytes, 1 or more.
   * @throws `EEXIST` where the name is taken; `ERR_INVALID_ARG_VALUE` for what is no name; `ERR_OUT_OF_RANGE` for a length
   * of 0; `ENOSPC` where there is no room.
   * @example
   * ```ts
   * import { SharedMemory } from 'memmap'
   *
   * const memory = SharedMemory.create('matrix', 8 * 1000 * 1000)
   * memory.view(Float64Array).fill(1)
   * SharedMemory.unlink('matrix')
   * memory.close()
   * ```
   */
  static create(name: string, byteLength: number, options?: NameOptions): SharedMemory {
    const [known, length, mode, unlink] = nameArguments(name, byteLength, options)
    const region = native.createShared(known, length, mode, unlink, facts)
    return new SharedMemory(OURS, new Memory(region, 'write'), known, true)
  }

  /**
   * Opens named memory, for writing by default.
   *
   * @group Opening
   * @param options `access`, and the `byteLength` it must have; on macOS and Windows, where the system rounds it up to pages,
   * `byteLength` trims it.
   * @throws `ENOENT` where there is none; `EACCES` where it is another user's; `ERR_OUT_OF_RANGE` where its length is another.
   * @example
   * ```ts
   * import { SharedMemory } from 'memmap'
   *
   * const memory = SharedMemory.create('weather', 4096)
   * const reader = SharedMemory.open('weather', { access: 'read' }) // in another process
   * memory.set('sunny')
   * console.log(reader.toString('utf8', 0, 5)) // → sunny
   * SharedMemory.unlink('weather')
   * reader.close()
   * memory.close()
   * ```
   */
  static open(name: string, options?: { access?: Access | undefined; byteLength?: number | undefined }): SharedMemory {
    const known = nameArgument(name)
    const given = args.options(options, ['access', 'byteLength'])
    const access = args.oneOf('options.access', given.access, ACCESSES, 'write')
    const { byteLength } = given
    const length =
      byteLength === undefined ? -1 : args.integer('options.byteLength', byteLength, 1, Number.MAX_SAFE_INTEGER)
    const region = native.openShared(known, ACCESS_NUMBER[access], length, facts)
    return new SharedMemory(OURS, new Memory(region, access), known, false)
  }

  /**
   * Opens named memory of just this length, or makes it: `created` tells which. Of two that race, both get the same, whole.
   *
   * @group Opening
   * @param name 1 to 30 of the characters `A-Z a-z 0-9 . _ -`.
   * @param byteLength in bytes, 1 or more.
   * @throws `ERR_OUT_OF_RANGE` where there is one of another length; `EACCES` where it is another user's; `ERR_INVALID_ARG_VALUE`
   * for what is no name; `ENOSPC`.
   * @example
   * ```ts
   * import { SharedMemory } from 'memmap'
   *
   * const memory = SharedMemory.openOrCreate('settings', 4096)
   * console.log(memory.created) // → true
   * SharedMemory.unlink('settings')
   * memory.close()
   * ```
   */
  static openOrCreate(name: string, byteLength: number, options?: NameOptions): SharedMemory {
    const [known, length, mode, unlink] = nameArguments(name, byteLength, options)
    const region = native.openOrCreateShared(known, length, mode, unlink, facts)
    return new SharedMemory(OURS, new Memory(region, 'write'), known, facts[5] === 1)
  }

  /**
   * Memory without a name, for a child (its `fd` in `stdio`) or a worker (`share`). On Linux it is sealed at its length, or
   * with `growable` against shrinking: nobody can pull pages from under anybody.
   *
   * @group Opening
   * @param byteLength in bytes, 1 or more.
   * @param options `growable`: whether {@link Region.resize} may make it longer; by default not.
   * @throws `ERR_OUT_OF_RANGE` for a length of 0; `ENOMEM`, `ENOSPC` where there is not as much.
   * @example
   * ```ts
   * import { execFileSync } from 'node:child_process'
   * import { SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * if (memory.fd !== undefined) {
   *   const program = "import('memmap').then(({ SharedMemory }) => SharedMemory.fromFd(3).writeInt32LE(42, 0))"
   *   execFileSync(process.execPath, ['--eval', program], { stdio: ['ignore', 'inherit', 'inherit', memory.fd] })
   *   console.log(memory.readInt32LE(0)) // 42
   * }
   * ```
   */
  static anonymous(byteLength: number, options?: { growable?: boolean | undefined }): SharedMemory {
    const length = args.integer('byteLength', byteLength, 1, Number.MAX_SAFE_INTEGER)
    const given = args.options(options, ['growable'])
    const growable = args.boolean('options.growable', given.growable, false)
    return new SharedMemory(OURS, new Memory(native.anonymousShared(length, growable, facts), 'write'), undefined, true)
  }

  /**
   * The memory behind a descriptor, in the child it was given to. Keeps a descriptor of its own; the caller's stays the caller's.
   * Not on Windows.
   *
   * @group Opening
   * @param fd the descriptor's number, 0 or more.
   * @param options `access`, by default `'write'`.
   * @throws `EBADF`; `ENODEV` for a pipe, a socket or a device; `EACCES` where it is open for reading only;
   * `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` on Windows.
   * @example
   * ```ts
   * import { SharedMemory } from 'memmap'
   *
   * // a child of: spawn(process.execPath, ['child.mjs'], { stdio: ['inherit', 'inherit', 'inherit', memory.fd] })
   * try {
   *   const memory = SharedMemory.fromFd(3)
   *   console.log(memory.byteLength)
   * } catch (error) {
   *   console.error('started by hand, without the memory of a parent:', error)
   * }
   * ```
   */
  static fromFd(fd: number, options?: { access?: Access | undefined }): SharedMemory {
    const descriptor = args.integer('fd', fd, 0, 2 ** 31 - 1)
    const given = args.options(options, ['access'])
    const access = args.oneOf('options.access', given.access, ACCESSES, 'write')
    const region = native.sharedFromDescriptor(descriptor, ACCESS_NUMBER[access], facts)
    return new SharedMemory(OURS, new Memory(region, access), undefined, false)
  }

  /**
   * Removes a name. Who has the memory keeps it; a new one may take the name. On Windows the name goes with the last holder, and
   * this only says whether it is there.
   *
   * @group Opening
   * @throws `ENOENT` where there is none; `EACCES` where it is another user's; `ERR_INVALID_ARG_VALUE` for what is no name.
   * @example
   * ```ts
   * import { SharedMemory } from 'memmap'
   *
   * SharedMemory.create('short-lived', 4096).close()
   * if (process.platform !== 'win32') SharedMemory.unlink('short-lived')
   * ```
   */
  static unlink(name: string): void {
    native.unlinkShared(nameArgument(name))
  }

  /**
   * The region that `share` gave a handle of, in this worker: a mapping of its own of the same memory.
   *
   * @group Opening
   * @throws `ERR_INVALID_ARG_VALUE` for a handle of another kind; `ERR_REGION_CLOSED` for a stale one.
   * @example
   * ```ts
   * import { SharedMemory } from 'memmap'
   *
   * using memory = SharedMemory.anonymous(4096)
   * using same = SharedMemory.attach(memory.share()) // mostly in a worker, from `workerData` or a message
   * memory.writeUInt8(7, 0)
   * console.log(same.readUInt8(0)) // → 7
   * ```
   */
  static attach(handle: RegionHandle): SharedMemory {
    const { memory, label } = attach('SharedMemory', handle)
    return new SharedMemory(OURS, memory, label, false)
  }

  /**
   * The name it was opened by; `undefined` for anonymous memory and descriptors.
   *
   * @group About it
   */
  get name(): string | undefined {
    return this.#name
  }

  /**
   * The descriptor, for `stdio` of a child; it is closed with the region. `undefined` on Windows, and once closed.
   *
   * @group About it
   */
  get fd(): number | undefined {
    const memory = this[MEMORY]
    return memory.closed ? undefined : (native.descriptor(memory.region) ?? undefined)
  }

  /**
   * Whether this call made it; else it was there.
   *
   * @group About it
   */
  get created(): boolean {
    return this.#created
  }

  /** @internal */
  protected override shareableKind(): 'SharedMemory' {
    return 'SharedMemory'
  }

  /** @internal */
  protected override facts(): object {
    return { name: this.#name, ...super.facts() }
  }
}

function nameArgument(name: unknown): string {
  if (typeof name !== 'string') throw invalidArgType('name', 'of type string', name)
  return name
}

function nameArguments(name: unknown, byteLength: unknown, options: unknown): [string, number, number, boolean] {
  const known = nameArgument(name)
  const length = args.integer('byteLength', byteLength, 1, Number.MAX_SAFE_INTEGER)
  const given = args.options(options, ['mode', 'unlinkOnClose'])
  const mode = given.mode === undefined ? 0o600 : args.integer('options.mode', given.mode, 0, 0o777)
  return [known, length, mode, args.boolean('options.unlinkOnClose', given.unlinkOnClose, false)]
}
