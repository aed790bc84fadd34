import { illegalConstructor } from './errors.ts'

/** Lets only this package make scans. @internal */
export const OURS: unique symbol = Symbol('memmap.scan')

/**
 * A pass over a region: what `windows`, `lines` and `indexesOf` return. `for … of` runs it; it can be run once.
 *
 * It goes on where it is after a `break`, and throws `ERR_REGION_CLOSED` from the next step on when the region is
 * closed under it.
 *
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 *
 * using file = MmapFile.open('access.log')
 * const scan = file.lines({ encoding: 'utf8' })
 * for (const line of scan) if (line.includes('ERROR')) console.log(scan.position, line)
 * ```
 */
export abstract class Scan<T> implements IterableIterator<T> {
  /** @internal */
  constructor(key: typeof OURS) {
    if (key !== OURS) throw illegalConstructor('region.windows(), lines() or indexesOf()')
  }

  /** Where in the region the scan is: just behind the last item given. */
  abstract readonly position: number

  /** The next item. */
  abstract next(): IteratorResult<T, undefined>

  /** The scan itself. */
  [Symbol.iterator](): this {
    return this
  }
}

export const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })
