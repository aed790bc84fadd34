// Files with something in them, and regions over them that are closed when the test ends.

import { writeFileSync } from 'node:fs'

import { capabilities, MmapFile } from 'memmap'
import type { Access, OpenOptions } from 'memmap'

import { tmpFile } from './tmp.ts'

/** The part of ava's `t` that is needed here. */
interface WithTeardown {
  teardown(fn: () => void): void
}

/** Whether regions that are opened for reading have windows: not on macOS. */
export const HAS_READ_WINDOWS = capabilities()['windowsOfReadRegions'] !== 'absent'
/** The access of a region whose windows are wanted, whatever it is opened for. */
export const WINDOWED: Access = HAS_READ_WINDOWS ? 'read' : 'write'

/** A new file with these bytes; its path. */
export function fileWith(t: WithTeardown, bytes: string | Uint8Array, name?: string): string {
  const path = tmpFile(t, name)
  writeFileSync(path, bytes)
  return path
}

/** A map of a new file with these bytes. */
export function regionWith(t: WithTeardown, bytes: string | Uint8Array, options?: OpenOptions): MmapFile {
  return opened(t, fileWith(t, bytes), options)
}

/** As `MmapFile.open`; closed when the test ends. */
export function opened(t: WithTeardown, file: Parameters<typeof MmapFile.open>[0], options?: OpenOptions): MmapFile {
  const region = MmapFile.open(file, options)
  t.teardown(() => region.close())
  return region
}

/** What a call throws, with the properties that errors of the system have. */
export interface Thrown extends Error {
  readonly code?: unknown
  readonly errno?: unknown
  readonly syscall?: unknown
  readonly path?: unknown
}

/** What a call throws; undefined if it does not. */
export function thrownBy(call: () => unknown): Thrown | undefined {
  try {
    call()
    return undefined
  } catch (error) {
    if (error instanceof Error) return error
    throw new Error(`thrown, and no Error: ${String(error)}`, { cause: error })
  }
}

/** The code of what a call throws; undefined if it does not throw. */
export function codeOf(call: () => unknown): unknown {
  return thrownBy(call)?.code
}
