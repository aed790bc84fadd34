// Reading ahead in the background, until it is done or nobody wants it any more.

import * as native from '#binding'

import type { Memory } from './memory.ts'
import { regionClosed } from './errors.ts'

let tickets = 0

export async function prefetch(
  memory: Memory,
  start: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted()
  const ticket = (tickets = (tickets + 1) % 2 ** 32)
  const done = native.prefetch(memory.region, start, end, ticket)
  const stop = (): void => native.endPrefetch(ticket)
  signal?.addEventListener('abort', stop, { once: true })
  try {
    const failure = await done
    signal?.throwIfAborted()
    if (memory.closed) throw regionClosed()
    if (failure !== null) throw failure
  } finally {
    signal?.removeEventListener('abort', stop)
    stop()
  }
}
