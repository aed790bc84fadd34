import * as native from '#binding'

import * as args from './arguments.ts'
import { facts, Memory } from './memory.ts'
import { OURS, Region } from './region.ts'

/**
 * How memory is allocated: for {@link PrivateMemory.allocate}.
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { PrivateMemory } from 'memmap'
 *
 * using table = PrivateMemory.allocate(64 * 2 ** 20, { hugePages: true })
 * table.view(Float64Array).fill(0.5)
 * ```
 */
export interface AllocateOptions {
  /** Ask for huge pages; ordinary ones do where there are none. Default false. */
  hugePages?: boolean | undefined
  /** Keep it in memory (never swapped); `ENOMEM` or `EPERM` where the system does not allow as much. Default false. */
  pin?: boolean | undefined
  /** Zero it before it is given back, and leave it out of core dumps and of children where the system can. Default false. */
  wipe?: boolean | undefined
}

/**
 * Memory of this isolate alone, outside of V8's heap: of any size, given back at `close`.
 *
 * @group Regions
 * @example
 * ```ts
 * import { PrivateMemory } from 'memmap'
 *
 * const secret = PrivateMemory.allocate(4096, { pin: true, wipe: true })
 * secret.set('correct horse battery staple')
 * secret.close()
 * ```
 */
export class PrivateMemory extends Region {
  /** @internal */
  // oxlint-disable-next-line no-useless-constructor -- the inherited one is protected, and `allocate` calls this one
  constructor(key: typeof OURS, memory: Memory) {
    super(key, memory)
  }

  /**
   * Allocates zeroed memory.
   *
   * @group Opening
   * @param byteLength in bytes, 1 or more; also beyond what Node's Buffers can have.
   * @throws `ERR_OUT_OF_RANGE` for a length of 0; `ENOMEM` where there is not as much; with `pin` also `EPERM` and `EAGAIN`.
   * @example
   * ```ts
   * import { PrivateMemory } from 'memmap'
   *
   * const memory = PrivateMemory.allocate(2 ** 20)
   * memory.view(Float64Array, 0, 1000).fill(1)
   * memory.close() // given back now, not when the garbage collector finds the time
   * ```
   */
  static allocate(byteLength: number, options?: AllocateOptions): PrivateMemory {
    const length = args.integer('byteLength', byteLength, 1, Number.MAX_SAFE_INTEGER)
    const given = args.options(options, ['hugePages', 'pin', 'wipe'])
    const hugePages = args.boolean('options.hugePages', given.hugePages, false)
    const pin = args.boolean('options.pin', given.pin, false)
    const wipe = args.boolean('options.wipe', given.wipe, false)
    return new PrivateMemory(OURS, new Memory(native.allocate(length, hugePages, pin, wipe, facts), 'write'))
  }
}
