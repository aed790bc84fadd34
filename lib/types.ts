/**
 * What a region may do to what it shows.
 *
 * - `'read'`: nothing written reaches the file.
 * - `'write'`: shared; writes reach the file and every other map of it.
 * - `'copy'`: private copy-on-write; the region changes, the file never does.
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import { MmapFile } from 'memmap'
 *
 * using draft = MmapFile.open('data.bin', { access: 'copy' })
 * draft.set('SOME')
 * console.log(draft.toString('utf8', 0, 4), readFileSync('data.bin', { encoding: 'utf8' }).slice(0, 4)) // → SOME some
 * ```
 */
export type Access = 'read' | 'write' | 'copy'

/**
 * Bytes as every method takes them: a view, a buffer, or a string, which is encoded as UTF-8.
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 *
 * using log = MmapFile.open('access.log')
 * console.log(log.indexOf('WARN') === log.indexOf(Buffer.from('WARN'))) // → true
 * ```
 */
export type Bytes = NodeJS.ArrayBufferView | ArrayBufferLike | string

/**
 * A part of a region in bytes, `[start, end)`. A negative number counts from the end; both are clamped.
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 * import type { Range } from 'memmap'
 *
 * using log = MmapFile.open('access.log')
 * const tail: Range = { start: -1000 }
 * console.log(log.count('\n', tail))
 * ```
 */
export interface Range {
  /** First byte; by default 0. */
  start?: number | undefined
  /** The byte behind the last one; by default the end of the region. */
  end?: number | undefined
}
