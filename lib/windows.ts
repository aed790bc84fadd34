// A region in windows of equal size, the last one shorter.

import type { NonSharedBuffer } from 'node:buffer'

import { OURS, DONE, Scan } from './scan.ts'
import type { Region } from './region.ts'

export class Windows extends Scan<NonSharedBuffer> {
  position: number
  readonly #region: Region
  readonly #end: number
  readonly #size: number
  readonly #overlap: number
  #next: number

  constructor(region: Region, start: number, end: number, size: number, overlap: number) {
    super(OURS)
    this.#region = region
    this.position = start
    this.#next = start
    this.#end = end
    this.#size = size
    this.#overlap = overlap
  }

  next(): IteratorResult<NonSharedBuffer, undefined> {
    const start = this.#next
    const end = Math.min(start + this.#size, this.#end)
    const window = this.#region.subarray(start, end)
    // Behind the end, and also where a refresh made the region shorter.
    if (window.byteLength === 0) return DONE
    this.position = start + window.byteLength
    this.#next = this.position >= this.#end ? this.#end : this.position - this.#overlap
    return { done: false, value: window }
  }
}
