// What the addon says of processes, shared memory, locks and the system, as objects. It says it in rows of words.

import * as native from '#binding'

import { rowsOf } from '../rows.ts'

export interface Process {
  readonly pid: number
  readonly command: string
}

/** What was found, and how many processes could not be looked at. */
export interface Seen<T> {
  readonly found: readonly T[]
  readonly hidden: number
}

export interface MapRow {
  readonly start: bigint
  readonly end: bigint
  /** Position in the file; undefined where the system does not tell. */
  readonly offset: number | undefined
  readonly permissions: string
  readonly kind: string
  readonly path: string
  /** Bytes in memory; undefined where that may not be known. */
  readonly resident: number | undefined
}

export interface User extends Process {
  readonly owner: string
  readonly maps: number
  readonly mapped: number
}

export interface Segment {
  readonly name: string
  /** Whether this package could have made it. */
  readonly allowed: boolean
  readonly owner: string
  /** Milliseconds since 1970. */
  readonly since: number | undefined
  readonly mode: number
  readonly byteLength: number
  readonly allocated: number
  readonly processes: readonly Process[]
}

export interface Lock {
  readonly family: string
  readonly exclusive: boolean
  readonly waits: boolean
  readonly start: bigint
  /** Undefined for all that may ever come. */
  readonly end: bigint | undefined
  /** The owner of a mutex or semaphore, whose life is known by this lock. */
  readonly owner: { readonly position: number; readonly number: number } | undefined
  readonly processes: readonly Process[]
}

const ENDLESS = 2n ** 64n - 1n

const numberOf = (word = ''): number | undefined => (word === '' ? undefined : Number(word))

function processesOf(words: readonly string[]): Process[] {
  return Array.from({ length: words.length >> 1 }, (_, at) => {
    return { pid: Number(words[2 * at]), command: words[2 * at + 1] ?? '' }
  })
}

function seen<T>(text: string, each: (row: readonly string[]) => T): Seen<T> {
  const [first, ...rows] = rowsOf(text)
  return { found: rows.map(each), hidden: Number(first?.[0] ?? 0) }
}

export function mapsOf(pid: number): MapRow[] {
  return rowsOf(native.processMaps(pid)).map(
    ([start = '', end = '', offset, permissions = '', kind = '', path = '', rss]) => {
      const numbers = { start: BigInt(start), end: BigInt(end), offset: numberOf(offset) }
      return { ...numbers, permissions, kind, path, resident: numberOf(rss) }
    },
  )
}

export function users(): Seen<User> {
  return seen(native.addonUsers(), ([owner = '', maps, mapped, pid, command = '']) => {
    return { pid: Number(pid), command, owner, maps: Number(maps), mapped: Number(mapped) }
  })
}

export function segments(): Seen<Segment> {
  return seen(native.namedSegments(), ([name = '', allowed, owner = '', since, mode, length, allocated, ...rest]) => ({
    name,
    allowed: allowed === '1',
    owner,
    since: numberOf(since),
    mode: Number(mode),
    byteLength: Number(length),
    allocated: Number(allocated),
    processes: processesOf(rest),
  }))
}

export function locksOf(path: string): Seen<Lock> {
  return seen(
    native.fileLocks(Buffer.from(path)),
    ([family = '', exclusive, waits, start = '', end = '', position, number, ...rest]) => ({
      family,
      exclusive: exclusive === '1',
      waits: waits === '1',
      start: BigInt(start),
      end: BigInt(end) === ENDLESS ? undefined : BigInt(end),
      owner: position === '' ? undefined : { position: Number(position), number: Number(number) },
      processes: processesOf(rest),
    }),
  )
}

/** Limits and settings by name; those that there are. */
export function machine(): ReadonlyMap<string, string> {
  return new Map(rowsOf(native.machine()).map(([name = '', value = '']) => [name, value]))
}
