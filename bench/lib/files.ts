// The files the benchmark works on: made once, the same on every machine.

import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, statfsSync, truncateSync } from 'node:fs'
import { writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

export const SEED = 0x6d656d
export const GIB = 2 ** 30
const MIB = 2 ** 20

const DATA = join(import.meta.dirname, '..', '.data')

/** Stands once, near the end. */
export const LAST_BYTE = '~'
export const LAST_WORD = 'FATAL out of memory'
/** Stands in one line of fifty or so. */
export const WORD = 'ERROR'
/** How far before the end those two stand. */
const FROM_END = 100_000

/** Numbers of 8-byte words: this many of them. */
export const INDEXES = 2_000_000

/** Mulberry32: 32 random bits a call, the same everywhere. */
export function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

/** The file's path; makes it if it is not there, under another name until it is whole. */
function made(folder: string, name: string, make: (path: string) => void): string {
  const path = join(folder, name)
  if (existsSync(path)) return path
  mkdirSync(folder, { recursive: true })
  const unfinished = `${path}.${process.pid}`
  process.once('exit', () => rmSync(unfinished, { force: true }))
  make(unfinished)
  renameSync(unfinished, path)
  return path
}

const LEVELS = ['INFO ', 'INFO ', 'INFO ', 'DEBUG', 'WARN ']
const VERBS = ['GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE']
const THINGS = ['users', 'orders', 'sessions', 'carts', 'items', 'reports/monthly', 'search', 'health']
const two = Array.from({ length: 100 }, (_, number) => String(number).padStart(2, '0'))
const at = <T>(list: readonly T[], number: number): T => list[number % list.length] as T

/** A line of a log, about 75 bytes. */
function line(next: () => number): string {
  const time = next()
  const what = next()
  const id = next()
  const clock = `${at(two, time % 24)}:${at(two, (time >>> 5) % 60)}:${at(two, (time >>> 12) % 60)}`
  const level = what % 50 === 0 ? WORD : at(LEVELS, what >>> 3)
  const request = `${at(VERBS, what >>> 8)} /${at(THINGS, what >>> 12)}/${id % 1_000_000}`
  return `2024-03-${at(two, 1 + ((time >>> 18) % 28))}T${clock}Z ${level} ${request} 200 ${id >>> 21}ms ${id.toString(16)} 10.0.${(id >>> 4) & 255}\n`
}

/** A gigabyte of a log, in ASCII. */
export function textFile(): string {
  return made(DATA, `log-1GiB-${SEED}.txt`, (path) => {
    const next = random(SEED)
    const file = openSync(path, 'w')
    let left = GIB
    let marked = false
    while (left > 0) {
      let block = ''
      while (block.length < Math.min(MIB, left)) {
        block += line(next)
        if (!marked && left - block.length <= FROM_END) {
          block += `${LAST_WORD} ${LAST_BYTE}\n`
          marked = true
        }
      }
      if (block.length >= left) block = `${block.slice(0, left - 1)}\n`
      left -= writeSync(file, block, null, 'latin1')
    }
    closeSync(file)
  })
}

/** Where in a file of a gigabyte random 8-byte words are, as 32-bit numbers of words. */
export function indexesFile(): string {
  return made(DATA, `indexes-${INDEXES}-${SEED}.u32`, (path) => writeFileSync(path, indexes()))
}

export function indexes(): Uint32Array<ArrayBuffer> {
  const next = random(SEED + 1)
  return Uint32Array.from({ length: INDEXES }, () => next() % (GIB / 8))
}

export function smallFile(): string {
  return made(DATA, 'page-4KiB.bin', (path) => writeFileSync(path, Buffer.alloc(4096, 'page')))
}

/** A file of that length with nothing in it. */
export function sparseFile(gibibytes: number): string {
  return made(DATA, `sparse-${gibibytes}GiB.bin`, (path) => {
    closeSync(openSync(path, 'w'))
    truncateSync(path, gibibytes * GIB)
  })
}

/** A file to lock: this process's, since another benchmark's locks would be in the way. */
export function lockedFile(): string {
  const path = made(DATA, `locked-${process.pid}.bin`, (unfinished) => writeFileSync(unfinished, Buffer.alloc(4096)))
  process.once('exit', () => rmSync(path, { force: true }))
  return path
}

/**
 * A file of a gigabyte to write to, and what takes it away. In memory where the system has such a place: the disk's
 * writing back, at moments of its own, would be measured else.
 */
export function scratchFile(): { path: string; remove: () => void } {
  const memory = '/dev/shm'
  const fits = existsSync(memory) && statfsSync(memory).bavail * statfsSync(memory).bsize > 1.5 * GIB
  const folder = fits ? memory : DATA
  const path = made(folder, `memmap-bench-${process.pid}.bin`, (unfinished) => {
    const file = openSync(unfinished, 'w')
    const block = Buffer.alloc(MIB, 'scratch ')
    for (let written = 0; written < GIB; written += MIB) writeSync(file, block)
    closeSync(file)
  })
  const remove = (): void => rmSync(path, { force: true })
  process.once('exit', remove)
  return { path, remove }
}
