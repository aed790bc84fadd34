/**
 * Memory-mapped files, shared memory and file-range locks.
 *
 * Begin with {@link MmapFile} for files, {@link SharedMemory} for memory that processes and workers share, {@link FileLock} for locks.
 * What regions of every kind can do stands at {@link Region}, and at each of them again. What goes wrong is an error with a `code`: the
 * page of error codes says for each what it means and what to do.
 *
 * @module memmap
 */

export { MmapFile } from './lib/mmap-file.ts'
export { SharedMemory } from './lib/shared-memory.ts'
export { PrivateMemory } from './lib/private-memory.ts'
export { Region } from './lib/region.ts'
export { FileLock } from './lib/file-lock.ts'
export { Mutex } from './lib/mutex.ts'
export { Semaphore } from './lib/semaphore.ts'
export { Ring } from './lib/ring.ts'
export { Cursor } from './lib/cursor.ts'
export { Scan } from './lib/scan.ts'
export { Match } from './lib/match.ts'
export { Residency } from './lib/residency.ts'
export { mappings } from './lib/mappings.ts'
export { capabilities, limits } from './lib/limits.ts'

export type { OpenOptions, RegionLockOptions } from './lib/mmap-file.ts'
export type { LockOptions, Waiting } from './lib/file-lock.ts'
export type { MutexGuard } from './lib/mutex.ts'
export type { Into } from './lib/ring.ts'
export type { NameOptions } from './lib/shared-memory.ts'
export type { AllocateOptions } from './lib/private-memory.ts'
export type { Fault, FaultCause, FaultMessage } from './lib/faults.ts'
export type { Advice, ViewConstructor } from './lib/region.ts'
export type { WaitResult } from './lib/wait.ts'
export type { Protection } from './lib/memory.ts'
export type { RegionHandle } from './lib/region-handle.ts'
export type { MappingInfo } from './lib/mappings.ts'
export type { Capabilities, Limits } from './lib/limits.ts'
export type { Lines } from './lib/lines.ts'
export type { Background } from './lib/background.ts'
export type { Needle } from './lib/pattern.ts'
export type { Found } from './lib/matches.ts'
export type { Indices, Place } from './lib/match.ts'
export type { Access, Bytes, Range } from './lib/types.ts'
