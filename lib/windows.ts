// A region in windows of equal size, the last one shorter.

import type { NonSharedBuffer } from 'node:buffer'

import * as native from '#binding'

import type { Batches } from './scan.ts'
import type { Memory } from './memory.ts'

/** What windows need of a region. */
interface Windowed {
  subarray(start: number, end: number): NonSharedBuffer
}

/** A batch is one window, of which there is nothing to know; in the background its pages are read in. */
export class Windows implements Batches<NonSharedBuffer, null> {
  readonly memory: Memory
  readonly #region: Windowed
  readonly #start: number
  readonly #end: number
  readonly #size: number
  readonly #overlap: number
  #next: number
  #behind = 0

  constructor(region: Windowed, memory: Memory, start: number, end: number, size: number, overlap: number) {
    this.memory = memory
    this.#region = region
    this.#start = start
    this.#next = start
    this.#end = end
    this.#size = size
    this.#overlap = overlap
  }

  get state(): number {
    return this.#next
  }

  /** Also where a refresh made the region shorter. */
  get over(): boolean {
    return this.#next >= Math.min(this.#end, this.memory.byteLength)
  }

  get total(): number {
    return this.#end - this.#start
  }

  get done(): number {
    return this.#next - this.#start
  }

  read(): null {
    return null
  }

  readBehind(region: number, ticket: number): Promise<null | Error> {
    const end = Math.min(this.#next + this.#size, this.#end, this.memory.byteLength)
    return native.prefetch(region, this.#next, end, ticket)
  }

  take(): [NonSharedBuffer] {
    const window = this.#region.subarray(this.#next, Math.min(this.#next + this.#size, this.#end))
    this.#behind = this.#next + window.byteLength
    this.#next = this.#behind >= this.#end ? this.#end : this.#behind - this.#overlap
    return [window]
  }

  behind(): number {
    return this.#behind
  }
}
