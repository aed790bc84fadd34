// Positions of a needle, found a block at a time: a call of the addon for each would cost more than finding it.

import * as native from '#binding'

import type { Memory } from './memory.ts'
import { OURS, DONE, Scan } from './scan.ts'

const BLOCK = 4096

export class Indexes extends Scan<number> {
  position: number
  readonly #memory: Memory
  readonly #needle: Uint8Array
  readonly #end: number
  readonly #found = new Float64Array(BLOCK)
  #filled = 0
  #given = 0
  #from: number

  constructor(memory: Memory, start: number, end: number, needle: Uint8Array) {
    super(OURS)
    this.#memory = memory
    this.position = start
    this.#from = start
    this.#end = end
    // A copy: the caller may change theirs while the scan is under way.
    this.#needle = Buffer.copyBytesFrom(needle)
  }

  next(): IteratorResult<number, undefined> {
    const region = this.#memory.region
    if (this.#given === this.#filled) {
      const end = Math.min(this.#end, this.#memory.byteLength)
      if (this.#from > end) return DONE
      this.#given = 0
      this.#filled = native.indexesOf(region, this.#from, end, this.#needle, this.#found)
      const last = this.#filled < BLOCK ? Number.POSITIVE_INFINITY : (this.#found[BLOCK - 1] ?? 0)
      this.#from = last + Math.max(1, this.#needle.byteLength)
      if (this.#filled === 0) return DONE
    }
    const index = this.#found[this.#given++] ?? 0
    this.position = index + this.#needle.byteLength
    return { done: false, value: index }
  }
}
