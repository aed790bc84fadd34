import * as args from './arguments.ts'
import { illegalConstructor } from './errors.ts'

/** Lets only this package make them. @internal */
export const OURS: unique symbol = Symbol('memmap.residency')

/**
 * Which pages of a part of a region are in memory.
 *
 * @group What one gets
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 *
 * using file = MmapFile.open('data.bin')
 * const { resident, pages, known } = file.residency()
 * console.log(known ? `${resident} of ${pages} pages` : 'the system does not say')
 * ```
 */
export class Residency {
  /** Whether the system says; of a file of another owner's that one may not write, Linux does not. */
  readonly known: boolean
  /** Bytes in a page. */
  readonly pageSize: number
  /** Pages that the part touches. */
  readonly pages: number
  /** How many of them are in memory; 0 where it is not known. */
  readonly resident: number
  readonly #bits: Uint8Array
  readonly #first: number

  /** @internal */
  constructor(
    key: typeof OURS,
    facts: { known: boolean; pages: number; resident: number; bits: Uint8Array },
    pageSize: number,
    first: number,
  ) {
    if (key !== OURS) throw illegalConstructor('region.residency()')
    this.known = facts.known
    this.pageSize = pageSize
    this.pages = facts.pages
    this.resident = facts.known ? facts.resident : 0
    this.#bits = facts.bits
    this.#first = first
  }

  /**
   * Whether the page that has the byte at `offset` of the region is in memory; false outside of the part.
   *
   * @param offset in bytes from the start of the region.
   * @throws `ERR_OUT_OF_RANGE` for what is no whole number.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using file = MmapFile.open('data.bin')
   * const residency = file.residency()
   * let map = ''
   * for (let at = 0; at < file.byteLength; at += residency.pageSize) map += residency.has(at) ? '#' : '.'
   * console.log(map)
   * ```
   */
  has(offset: number): boolean {
    const position = args.integer('offset', offset, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    const page = Math.floor((position - this.#first) / this.pageSize)
    return page >= 0 && page < this.pages && ((this.#bits[page >> 3] ?? 0) & (1 << (page & 7))) !== 0
  }
}
