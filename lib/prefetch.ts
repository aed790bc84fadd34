// Reading ahead in the background, until it is done or nobody wants it any more.

import * as native from '#binding'

import { Work } from './background.ts'
import type { Memory } from './memory.ts'

export async function prefetch(
  memory: Memory,
  start: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  await new Work(memory, signal, (ticket) => native.prefetch(memory.region, start, end, ticket)).answer()
}
