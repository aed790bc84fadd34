import * as native from '#binding'

import { rowsOf } from './rows.ts'

/**
 * What the system allows this process: see {@link limits}.
 *
 * @group Answers
 * @example
 * ```ts
 * import { limits } from 'memmap'
 * import type { Limits } from 'memmap'
 *
 * const { pageSize, pinnable }: Limits = limits()
 * console.log(Math.floor(pinnable / pageSize), 'pages may be pinned')
 * ```
 */
export interface Limits {
  /** Bytes in a page. */
  readonly pageSize: number
  /** Maps this process has; 0 where the system does not count (macOS, Windows). */
  readonly maps: number
  /** Maps it may have; `Infinity` where there is no limit to run into. Opening refuses at 90 % of it. */
  readonly maxMaps: number
  /** Bytes it may still pin; `Infinity` without a limit. */
  readonly pinnable: number
  /** Bytes left for shared memory; -1 where the system does not say. */
  readonly sharedMemory: number
}

/**
 * What the system allows this process, now.
 *
 * @group About this process
 * @example
 * ```ts
 * import { limits } from 'memmap'
 *
 * console.log(limits().maps, 'of', limits().maxMaps, 'maps')
 * ```
 */
export function limits(): Limits {
  return native.limits()
}

/**
 * How well each feature is supported: by a call of the system's own, by other means, or not at all. The same features everywhere:
 * `windowsOfReadRegions`, `faultGuard`, `namedSharedMemory`, `exactNamedLengths`, `namedResize`, `descriptorOfSharedMemory`,
 * `sealedSharedMemory`, `allocateOnExtend`, `resizeMappedFile`, `fileLocks`, `lockWaits`, `wait`, `waitAsync`, `advise`,
 * `prefetch`, `residency`, `pin`, `protect`, `leaveOutOfCoreDumps`, `mapCount` and `sharedArrayBuffer`.
 *
 * @group Answers
 * @example
 * ```ts
 * import { capabilities } from 'memmap'
 *
 * const absent = Object.entries(capabilities()).filter(([, support]) => support === 'absent')
 * console.log('not here:', absent.map(([feature]) => feature).join(', '))
 * ```
 */
export type Capabilities = Readonly<Record<string, 'native' | 'emulated' | 'absent'>>

/**
 * What this system and this runtime can do, by feature.
 *
 * @group About this process
 * @example
 * ```ts
 * import { capabilities } from 'memmap'
 *
 * if (capabilities().namedResize === 'absent') console.log('named shared memory keeps its length here')
 * ```
 */
export function capabilities(): Capabilities {
  const runtime = native.hasSharedArrayBuffer() ? 'native' : 'absent'
  const found = Object.fromEntries(rowsOf(native.capabilities())) as Capabilities
  return { ...found, sharedArrayBuffer: runtime }
}
