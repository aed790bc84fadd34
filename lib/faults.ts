// Faults: what became of a page that the system could not supply, and telling of it.

import { channel } from 'node:diagnostics_channel'
import { isMainThread } from 'node:worker_threads'

import * as native from '#binding'

/**
 * Why a page could not be supplied: the file became shorter, the disk was full, or reading failed.
 *
 * @group Answers
 * @example
 * ```ts
 * import type { FaultCause } from 'memmap'
 *
 * const advice: Record<FaultCause, string> = {
 *   truncated: 'refresh() maps what is left',
 *   'no-space': 'make room, then refresh()',
 *   io: 'look at the disk',
 * }
 * console.log(advice.truncated)
 * ```
 */
export type FaultCause = 'truncated' | 'no-space' | 'io'

/**
 * The first page of a region that the system could not supply: see {@link Region.fault}.
 *
 * @group Answers
 * @example
 * ```ts
 * import { truncateSync } from 'node:fs'
 * import { MmapFile } from 'memmap'
 *
 * using file = MmapFile.open('data.bin')
 * // Windows does not let a file be cut off that is mapped.
 * if (process.platform !== 'win32') {
 *   truncateSync('data.bin', 0)
 *   try {
 *     file.slice()
 *   } catch {
 *     console.log(file.fault?.cause, file.fault?.offset) // truncated 0
 *   }
 * }
 * ```
 */
export interface Fault {
  /** Byte in the region that was missed. */
  readonly offset: number
  /** Bytes from there on that read as zeros since. */
  readonly byteLength: number
  /** Why, as far as the system tells. */
  readonly cause: FaultCause
  /** When it was noticed. */
  readonly at: Date
}

/**
 * What the channel `memmap:fault` of `node:diagnostics_channel` gets, once for a region that has faulted.
 *
 * @group Answers
 * @example
 * ```ts
 * import { subscribe } from 'node:diagnostics_channel'
 * import type { FaultMessage } from 'memmap'
 *
 * subscribe('memmap:fault', (message) => {
 *   const { path, fault } = message as FaultMessage
 *   console.error(`${path}: ${fault.cause} at ${fault.offset}`)
 * })
 * ```
 */
export interface FaultMessage {
  /** The class of the region. */
  readonly kind: string
  /** Its path or name; none where it has none. */
  readonly path: string | undefined
  /** What {@link Region.fault} says. */
  readonly fault: Fault
}

const CHANNEL = channel('memmap:fault')
const CAUSES: readonly FaultCause[] = ['truncated', 'no-space', 'io']
const numbers = new Float64Array(3)

export function faultOf(cause: string, offset: number, byteLength: number, at: number): Fault {
  return { offset, byteLength, cause: CAUSES.find((one) => one === cause) ?? 'io', at: new Date(at) }
}

/** The first fault of a region, by its number. */
export function faultOfRegion(region: number): Fault | null {
  const cause = native.fault(region, numbers)
  return cause === null ? null : faultOf(cause, numbers[0] ?? 0, numbers[1] ?? 0, numbers[2] ?? 0)
}

// The addon tells of a fault just before it throws the first error for it.
native.onFault((kind, path, cause, offset, byteLength, at) => {
  if (!CHANNEL.hasSubscribers) return
  const message: FaultMessage = { kind, path: path ?? undefined, fault: faultOf(cause, offset, byteLength, at) }
  CHANNEL.publish(message)
})

// The first listener for SIGBUS makes libuv put its handler in front of the guard's, where a fault would come again and
// again for ever; after the last one it puts the default action there, which ends the process. Node does both in listeners
// of its own for these two events, before ours: so it is done by now. Other threads do not listen to signals. Not covered: what
// a worker misses in the moment between libuv's change and ours, and listeners of a main thread that has not loaded this.
function rearm(event: string | symbol): void {
  if (event === 'SIGBUS') native.rearmGuard()
}
if (isMainThread) {
  process.on('newListener', rearm)
  process.on('removeListener', rearm)
}
