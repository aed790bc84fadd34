// How often the garbage collector goes through the whole heap.

import { setTimeout as sleep } from 'node:timers/promises'
import { constants, PerformanceObserver } from 'node:perf_hooks'

/** Long enough for what happened to be told. */
const TOLD_MS = 50

/** Mark-sweeps while `work` runs. */
export async function markSweeps(work: () => void): Promise<number> {
  let found = 0
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { detail } = entry as typeof entry & { detail?: { kind?: number } }
      if (detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR) found += 1
    }
  })
  // What came before is not to be counted.
  globalThis.gc?.()
  await sleep(TOLD_MS)
  observer.observe({ entryTypes: ['gc'] })
  work()
  await sleep(TOLD_MS)
  observer.disconnect()
  return found
}
