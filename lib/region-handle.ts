// What `share` gives and `attach` takes: a plain object, so that postMessage carries it.

import * as native from '#binding'

import { invalidArgType, invalidArgValue, staleHandle } from './errors.ts'
import { facts, Memory } from './memory.ts'
import type { Access } from './types.ts'

/**
 * Stands for a region in another isolate of the same process; good while the region that gave it is open. See
 * {@link Region.share}.
 *
 * @group Answers
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 * import type { RegionHandle } from 'memmap'
 *
 * using log = MmapFile.open('access.log')
 * const handle: RegionHandle = structuredClone(log.share()) // as postMessage does
 * using same = MmapFile.attach(handle)
 * ```
 */
export interface RegionHandle {
  /** The class that attaches it: `'MmapFile'` or `'SharedMemory'`. */
  readonly kind: string
  /** Which region of the process. */
  readonly id: string
  /** Its length in bytes when the handle was made. */
  readonly byteLength: number
}

/** The classes of regions that can be shared, as the addon numbers them. */
export const KINDS = ['MmapFile', 'SharedMemory'] as const
const ACCESSES: readonly Access[] = ['read', 'write', 'copy']

export interface Attached {
  readonly memory: Memory
  readonly label: string | undefined
  readonly offset: number
}

/** Checks a handle, and attaches to the region of that kind that it stands for. */
export function attach(kind: (typeof KINDS)[number], handle: unknown): Attached {
  const id = check(kind, handle)
  const region = native.attach(KINDS.indexOf(kind), id, facts)
  if (region < 0) throw staleHandle()
  const access = ACCESSES[facts[6] ?? 0] ?? 'read'
  const offset = facts[7] ?? 0
  return { memory: new Memory(region, access), label: native.label(region) ?? undefined, offset }
}

function check(kind: string, handle: unknown): string {
  if (typeof handle === 'object' && handle !== null && 'kind' in handle && 'id' in handle) {
    const { kind: theirs, id } = handle
    if (typeof theirs === 'string' && typeof id === 'string') {
      if (theirs !== kind) throw invalidArgValue('handle.kind', theirs, `must be '${kind}' here`)
      return id
    }
  }
  throw invalidArgType('handle', 'what region.share() gave', handle)
}
