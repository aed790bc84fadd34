// Random data that can be had again: the seed is printed, and MEMMAP_SEED sets it.

import * as fc from 'fast-check'

/** The part of ava's `t` that is needed here. */
interface WithLog {
  log(...values: unknown[]): void
}

/** Random numbers of one seed. */
export class Random {
  readonly seed: number
  #state: number

  constructor(t: WithLog, seed = seedOf()) {
    t.log(`MEMMAP_SEED=${seed}`)
    this.seed = seed
    this.#state = seed
  }

  /** From 0 to 1, as Math.random (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** An integer in `[min, max]`. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1))
  }

  /** One of some values. */
  pick<T>(values: readonly T[]): T {
    const value = values[this.integer(0, values.length - 1)]
    if (value === undefined && values.length === 0) throw new Error('nothing to pick from')
    return value as T
  }

  /** Bytes, all of them out of `alphabet` if there is one. */
  bytes(length: number, alphabet?: Uint8Array | string): Buffer {
    const letters = typeof alphabet === 'string' ? Buffer.from(alphabet) : alphabet
    const bytes = Buffer.alloc(length)
    for (let at = 0; at < length; at++)
      bytes[at] = letters === undefined ? this.integer(0, 255) : this.pick([...letters])
    return bytes
  }

  /** An end of a range in something that long: often inside, also negative, at the ends and beyond. */
  index(length: number): number | undefined {
    const kind = this.integer(0, 11)
    if (kind === 0) return undefined
    if (kind === 1) return this.pick([0, length, -length, length + 1, -length - 1, 2 ** 53 - 1, -(2 ** 53) + 1])
    return this.integer(-length - 3, length + 3)
  }
}

function seedOf(): number {
  const given = process.env['MEMMAP_SEED']
  return given === undefined || given === '' ? Math.floor(Math.random() * 2 ** 31) : Number(given)
}

/** Checks a property of fast-check's with a seed that is printed. */
export function holds<Ts extends unknown[]>(t: WithLog, property: fc.IProperty<Ts>, numRuns = 200): void {
  const seed = seedOf()
  t.log(`MEMMAP_SEED=${seed}`)
  fc.assert(property, { seed, numRuns })
}

/** As `holds`, of a property that has to be waited for. */
export async function holdsLater<Ts>(t: WithLog, property: fc.IAsyncProperty<Ts>, numRuns: number): Promise<void> {
  const seed = seedOf()
  t.log(`MEMMAP_SEED=${seed}`)
  await fc.assert(property, { seed, numRuns })
}
