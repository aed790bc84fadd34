// What the tests of searches in the background share: files that take a while, and who is at work.

import { closeSync, openSync, readdirSync, readFileSync, truncateSync, writeSync } from 'node:fs'
import { getEventListeners } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { isLinux } from './system.ts'
import { tmpFile } from './tmp.ts'

/** The part of ava's `t` that is needed here. */
interface WithTeardown {
  teardown(fn: () => void): void
}

export const MIB = 2 ** 20
export const GIB = 2 ** 30
/** crates/core/src/search_job.rs takes so many bytes at a time. */
export const SLICE = 4 * MIB
/** Nothing but a hole: a search goes on in it for a minute and more, and is never far from looking at who wants it. */
export const ENDLESS = 200 * GIB

/** A file of nothing, with a few marks in it. */
export function sparseFile(t: WithTeardown, size: number, marks: Readonly<Record<string, string>> = {}): string {
  const path = tmpFile(t)
  const fd = openSync(path, 'w')
  for (const [at, mark] of Object.entries(marks)) writeSync(fd, mark, Number(at))
  closeSync(fd)
  truncateSync(path, size)
  return path
}

/** Threads of the addon's own, in this process or another; none can be seen where the system is not Linux. */
export function ourThreads(pid: number | 'self' = 'self'): number {
  if (!isLinux) return 0
  const tasks = `/proc/${pid}/task`
  return readdirSync(tasks).filter((task) => {
    try {
      return readFileSync(join(tasks, task, 'comm'), 'utf8') === 'memmap\n'
    } catch {
      // It has ended meanwhile.
      return false
    }
  }).length
}

/** Waits until so many of them are at work. */
export async function underWay(threads = 1): Promise<void> {
  const began = performance.now()
  while (ourThreads() < threads) {
    if (performance.now() - began > 10_000) throw new Error(`${ourThreads()} threads are at work`)
    await sleep(5)
  }
}

/** Waits until none of them is left; how many milliseconds that took. */
export async function threadsGone(): Promise<number> {
  const began = performance.now()
  while (ourThreads() > 0) {
    if (performance.now() - began > 10_000) throw new Error(`${ourThreads()} threads are still at work`)
    await sleep(2)
  }
  return performance.now() - began
}

/** How many listen to a signal. */
export const listening = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

/** What a promise rejects with. */
export async function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (reason) {
    return reason
  }
  throw new Error('it did not reject')
}

/** Collects reports of progress, and finds fault with them. */
export class Reports {
  readonly seen: { readonly done: number; readonly total: number; readonly at: number }[] = []

  readonly listen = (done: number, total: number): void => {
    this.seen.push({ done, total, at: performance.now() })
  }

  /** What is wrong with them, for work that came to its end. */
  faults(total: number): string[] {
    const faults: string[] = []
    for (const [number, { done, at, total: said }] of this.seen.entries()) {
      const before = this.seen[number - 1]
      if (said !== total) faults.push(`report ${number} is of ${said} bytes`)
      if (before !== undefined && done <= before.done) faults.push(`report ${number}: ${before.done}, then ${done}`)
      const tenth = this.seen[number - 10]
      if (tenth !== undefined && at - tenth.at < 1000) faults.push(`eleven within ${at - tenth.at} ms`)
    }
    if (this.seen.at(-1)?.done !== total) faults.push(`the last report is ${this.seen.at(-1)?.done} of ${total}`)
    return faults
  }
}
