// A region of each kind, with the same bytes in it.

import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'

import { capabilities, MmapFile, PrivateMemory, SharedMemory } from 'memmap'
import type { Protection, Region } from 'memmap'

import { isMac, isPosix } from './system.ts'
import { tmpFile } from './tmp.ts'

/** The part of ava's `t` that is needed here. */
interface WithTeardown {
  teardown(fn: () => void): void
}

/** Bytes that are nowhere zero. */
export function pattern(length: number, seed = 1): Buffer {
  return Buffer.from(Array.from({ length }, (_, at) => 1 + ((at * 7 + (at >> 8) + seed) % 255)))
}

/** A name of shared memory that nobody else has; it is removed when the test ends. */
export function freshName(t: WithTeardown): string {
  const name = `memmap-${randomBytes(8).toString('hex')}`
  t.teardown(() => {
    try {
      SharedMemory.unlink(name)
    } catch {
      // The test, or the region itself, has removed it.
    }
  })
  return name
}

export interface Made<R extends Region = Region> {
  readonly region: R
  /** The file behind it. */
  readonly path: string | undefined
  /** Position in the file of the first byte. */
  readonly offset: number
}

type Maker = (t: WithTeardown, bytes: Buffer) => Made

const OFFSET = 5001

function ofFile(access: 'read' | 'write' | 'copy', offset = 0, withLength = false): Maker {
  return (t, bytes) => {
    const path = tmpFile(t)
    writeFileSync(path, Buffer.concat([Buffer.alloc(offset, 0xee), bytes]))
    const length = withLength ? bytes.length : undefined
    return { region: MmapFile.open(path, { access, offset, length }), path, offset }
  }
}

function filled(region: Region, bytes: Buffer): Made {
  region.set(bytes)
  return { region, path: undefined, offset: 0 }
}

/** Those that can be made longer and, but for the growable one, shorter. */
export const SIZABLE = {
  'a file': ofFile('write'),
  'a file opened with its length': ofFile('write', 0, true),
  'a file from an unaligned offset on': ofFile('write', OFFSET),
  'a part of a file from an unaligned offset on': ofFile('write', OFFSET, true),
  'named memory': (t, bytes) => filled(SharedMemory.create(freshName(t), bytes.length), bytes),
  'growable anonymous memory': (_, bytes) => filled(SharedMemory.anonymous(bytes.length, { growable: true }), bytes),
  'private memory': (_, bytes) => filled(PrivateMemory.allocate(bytes.length), bytes),
} as const satisfies Record<string, Maker>

export const KINDS = {
  "a file, 'read'": ofFile('read'),
  "a file, 'read', from an unaligned offset on": ofFile('read', OFFSET),
  "a file, 'copy'": ofFile('copy'),
  "a file, 'copy', from an unaligned offset on": ofFile('copy', OFFSET),
  ...SIZABLE,
  'sealed anonymous memory': (_, bytes) => filled(SharedMemory.anonymous(bytes.length), bytes),
} as const satisfies Record<string, Maker>

export type Sizable = keyof typeof SIZABLE
export type Kind = keyof typeof KINDS

/** On macOS and Windows it keeps its length for good. */
const sharedGrows = capabilities()['namedResize'] !== 'absent'
const GROWABLE: Kind = 'growable anonymous memory'

/** Those that there are on this platform. */
export const kinds = (): Kind[] => (Object.keys(KINDS) as Kind[]).filter((kind) => sharedGrows || kind !== GROWABLE)
export const sizables = (): Sizable[] =>
  (Object.keys(SIZABLE) as Sizable[]).filter((kind) => sharedGrows || (kind !== GROWABLE && kind !== 'named memory'))

/** What its pages may be given: Windows lets only memory be executed that was made for it, as private memory is. */
export const protectionsOf = (kind: Kind): Protection[] =>
  (['none', 'read', 'write', 'execute'] as const).filter(
    // Windows maps for executing only what was made for it, and macOS no shared memory.
    (protection) =>
      protection !== 'execute' || kind === 'private memory' || (isPosix && !(isMac && kind.endsWith('memory'))),
  )

/** A region of a kind; closed when the test ends. */
export function made(t: WithTeardown, kind: Kind, bytes: Buffer): Made {
  const one = KINDS[kind](t, bytes)
  t.teardown(() => one.region.close())
  return one
}

/** Whether writing reaches the region's file, or nothing but the region. */
export const isPrivate = (kind: Kind): boolean => kind.includes("'copy'") || kind === 'private memory'
export const isReadOnly = (kind: Kind): boolean => kind.includes("'read'")
