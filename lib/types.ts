/**
 * What a region may do to what it shows.
 *
 * - `'read'`: nothing written reaches the file.
 * - `'write'`: shared; writes reach the file and every other map of it.
 * - `'copy'`: private copy-on-write; the region changes, the file never does.
 */
export type Access = 'read' | 'write' | 'copy'

/** Bytes as every method takes them: a view, a buffer, or a string, which is encoded as UTF-8. */
export type Bytes = NodeJS.ArrayBufferView | ArrayBufferLike | string

/** A part of a region in bytes, `[start, end)`. A negative number counts from the end; both are clamped. */
export interface Range {
  /** First byte; by default 0. */
  start?: number | undefined
  /** The byte behind the last one; by default the end of the region. */
  end?: number | undefined
}
