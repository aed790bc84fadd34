// Positions of a needle, a batch at a time.

import * as native from '#binding'

import type { Memory } from './memory.ts'
import { needlePattern } from './pattern.ts'
import type { Pattern } from './pattern.ts'
import type { Batches } from './scan.ts'

const BATCH = 4096

export class Indexes implements Batches<number, Float64Array> {
  readonly memory: Memory
  readonly #needle: Uint8Array
  readonly #start: number
  readonly #end: number
  readonly #found = new Float64Array(BATCH)
  /** For the background; made when it is needed. */
  #pattern: Pattern | undefined
  #positions: Float64Array = new Float64Array(0)
  #from: number

  constructor(memory: Memory, start: number, end: number, needle: Uint8Array) {
    this.memory = memory
    this.#start = start
    this.#from = start
    this.#end = end
    // A copy: the caller may change theirs while the scan is under way.
    this.#needle = Buffer.copyBytesFrom(needle)
  }

  get state(): number {
    return this.#from
  }

  get over(): boolean {
    return this.#from > this.#stop
  }

  get total(): number {
    return this.#end - this.#start
  }

  get done(): number {
    return this.#from - this.#start
  }

  get #stop(): number {
    return Math.min(this.#end, this.memory.byteLength)
  }

  read(region: number): Float64Array {
    return this.#found.subarray(0, native.indexesOf(region, this.#from, this.#stop, this.#needle, this.#found))
  }

  async readBehind(region: number, ticket: number): Promise<Float64Array | Error> {
    this.#pattern ??= needlePattern(this.#needle)
    const part = Float64Array.of(this.#from, this.#stop, 0, BATCH)
    const batch = await native.matchesInBackground(region, this.#pattern.handle, part, false, ticket)
    if (batch instanceof Error) return batch
    // Which needle, first byte, end: of each the second.
    return Float64Array.from({ length: batch.spans.length / 3 }, (_, i) => batch.spans[3 * i + 1] ?? 0)
  }

  take(positions: Float64Array): Float64Array {
    const full = positions.length === BATCH
    this.#from = full ? (positions[BATCH - 1] ?? 0) + Math.max(1, this.#needle.byteLength) : Number.POSITIVE_INFINITY
    this.#positions = positions
    return positions
  }

  behind(item: number): number {
    return (this.#positions[item] ?? 0) + this.#needle.byteLength
  }
}
