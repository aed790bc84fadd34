import * as native from '#binding'

import { rowsOf } from './rows.ts'

/**
 * One live mapping of this process, as {@link mappings} tells of it.
 *
 * @group Answers
 * @example
 * ```ts
 * import { mappings, MmapFile } from 'memmap'
 * import type { MappingInfo } from 'memmap'
 *
 * using log = MmapFile.open('access.log')
 * const mapped: MappingInfo | undefined = mappings().at(-1)
 * console.log(mapped?.kind, mapped?.byteLength === log.byteLength) // → MmapFile true
 * ```
 */
export interface MappingInfo {
  /** The class of its region. */
  readonly kind: string
  /** The file, if it was opened by path. */
  readonly path: string | undefined
  /** Bytes. */
  readonly byteLength: number
  /** When it was mapped. */
  readonly since: Date
  /** Closed, but views onto it have not been collected yet: only addresses are taken, no file and no memory. */
  readonly closed: boolean
}

/**
 * What this process has mapped, in all its workers, oldest first: a leak shows here.
 *
 * @group About this process
 * @example
 * ```ts
 * import { mappings } from 'memmap'
 *
 * console.table(mappings())
 * ```
 */
export function mappings(): MappingInfo[] {
  const found = rowsOf(native.mappings()).map(([kind = '', path, byteLength, since, closed]) => {
    return {
      kind,
      path: path || undefined,
      byteLength: Number(byteLength),
      since: Number(since) / 1000,
      closed: closed === '1',
    }
  })
  return found.sort((one, other) => one.since - other.since).map((info) => ({ ...info, since: new Date(info.since) }))
}
