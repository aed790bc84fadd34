// Positions of a needle, a batch at a time.

import * as native from '#binding'

import type { Memory } from './memory.ts'
import { needlePattern } from './pattern.ts'
import type { Pattern } from './pattern.ts'
import type { Batches } from './scan.ts'

const BATCH = 4096
/** So far behind its first position a batch ends here: whoever waits for the first would wait for the whole file. */
const FAR = 16 * 2 ** 20

/** From so many bytes on the addon asks for the length of the file behind them. */
const ASKED = 4096

/** Positions, and where the search goes on. */
interface Batch {
  readonly positions: Float64Array
  readonly next: number
}

export class Indexes implements Batches<number, Batch> {
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

  read(region: number): Batch {
    const stop = this.#stop
    const { byteLength } = this.#needle
    let start = this.#from
    let end = stop
    if (stop - start > FAR) {
      const first = native.indexOf(region, start, stop, this.#needle)
      if (first === -1) return { positions: this.#found.subarray(0, 0), next: Number.POSITIVE_INFINITY }
      end = Math.min(first + byteLength + FAR, stop)
      // Never a few bytes alone: of those nobody asks whether the file still has them.
      start = Math.min(first, end - ASKED)
    }
    const positions = this.#found.subarray(0, native.indexesOf(region, start, end, this.#needle, this.#found))
    if (end === stop && positions.length < BATCH) return { positions, next: Number.POSITIVE_INFINITY }
    const behind = (positions.at(-1) ?? start) + Math.max(1, byteLength)
    // What begins before the end and does not lie wholly before it was not found.
    return { positions, next: positions.length === BATCH ? behind : Math.max(behind, end - byteLength + 1) }
  }

  async readBehind(region: number, ticket: number): Promise<Batch | Error> {
    this.#pattern ??= needlePattern(this.#needle)
    const from = this.#from
    const part = Float64Array.of(from, this.#stop, 0, BATCH)
    const batch = await native.matchesInBackground(region, this.#pattern.handle, part, false, ticket)
    if (batch instanceof Error) return batch
    // Which needle, first byte, end: of each the second.
    const positions = Float64Array.from({ length: batch.spans.length / 3 }, (_, i) => batch.spans[3 * i + 1] ?? 0)
    return { positions, next: from + batch.next }
  }

  take({ positions, next }: Batch): Float64Array {
    this.#from = next
    this.#positions = positions
    return positions
  }

  behind(item: number): number {
    return (this.#positions[item] ?? 0) + this.#needle.byteLength
  }
}
