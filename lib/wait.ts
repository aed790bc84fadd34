// Words of shared memory as meeting points. How one waits is the addon's business (crates/core/src/wait.rs); here are
// timers and signals, and the standing still in short steps.

import * as native from '#binding'

import * as args from './arguments.ts'
import { outOfRange, regionClosed } from './errors.ts'
import type { Memory } from './memory.ts'

/**
 * How a wait ended: somebody has called or the word is another one since; the word was another one; the time is over.
 *
 * @group Answers
 * @example
 * ```ts
 * import { SharedMemory } from 'memmap'
 * import type { WaitResult } from 'memmap'
 *
 * using memory = SharedMemory.anonymous(4096)
 * const result: WaitResult = memory.wait(0, 1)
 * console.log(result) // → not-equal
 * ```
 */
export type WaitResult = 'ok' | 'not-equal' | 'timed-out'

const WORD = 4
const [MOST_NEGATIVE, MOST] = [-(2 ** 31), 2 ** 31 - 1]
/** As many as there may be. */
const ALL = 2 ** 31 - 1
/** A worker that is terminated must come back from the addon first. */
const LONGEST_BLOCK_MS = 25
/** Timers take no more; a longer wait is begun again. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
const [WOKEN, DIFFERENT] = [0, 1]

/** Stands still until somebody notifies the word. */
export function waitHere(memory: Memory, offset: unknown, expected: unknown, options: unknown): WaitResult {
  const at = args.offset('offset', offset)
  const value = args.integer('expected', expected, MOST_NEGATIVE, MOST)
  const given = args.options(options, ['timeout'])
  const timeout = args.timeout('options.timeout', given.timeout)
  const region = regionWithWord(memory, at)
  const deadline = performance.now() + timeout
  let left = timeout
  for (let first = true; ; first = false) {
    const answer = native.wait(region, at, value, Math.min(left, LONGEST_BLOCK_MS))
    if (answer === WOKEN) return 'ok'
    // Between two steps nobody hears a call: the word tells.
    if (answer === DIFFERENT) return first ? 'not-equal' : 'ok'
    left = deadline - performance.now()
    if (left <= 0) return 'timed-out'
  }
}

/** As `waitHere`, without standing still. */
export async function waitElsewhere(
  memory: Memory,
  offset: unknown,
  expected: unknown,
  options: unknown,
): Promise<WaitResult> {
  const at = args.offset('offset', offset)
  const value = args.integer('expected', expected, MOST_NEGATIVE, MOST)
  const given = args.options(options, ['timeout', 'signal'])
  const timeout = args.timeout('options.timeout', given.timeout)
  const signal = args.signal('options.signal', given.signal)
  const region = regionWithWord(memory, at)
  signal?.throwIfAborted()
  if (keepingAlive === undefined) listen()
  const number = (last = (last + 1) % 2 ** 32)
  if (!native.beginWait(number, region, at, value)) return 'not-equal'
  const result = await outcome(number, timeout, signal)
  // Asked of the region also so that nobody collects it, and with it the wait, before.
  if (result instanceof Error) throw memory.closed ? regionClosed() : result
  return result
}

/** Calls so many of those who wait for the word. */
export function notifyWord(memory: Memory, offset: unknown, count: unknown): number {
  const at = args.offset('offset', offset)
  const most = count === undefined || count === Infinity ? ALL : Math.min(args.offset('count', count), ALL)
  return native.notify(regionWithWord(memory, at), at, most)
}

/** The region's number, if the word lies in it. */
function regionWithWord(memory: Memory, offset: number): number {
  const { region, byteLength, lead } = memory
  if (offset > byteLength - WORD) throw outOfRange('offset', `>= 0 && <= ${Math.max(0, byteLength - WORD)}`, offset)
  if ((lead + offset) % WORD !== 0) throw outOfRange('offset', `at a multiple of ${WORD} bytes in memory`, offset)
  return region
}

/** Those who wait in this isolate, by their numbers. */
const waiting = new Map<number, (failure: Error | null | undefined) => void>()
let last = 0
/** While somebody waits the event loop is kept alive, by a timer that never does anything. */
let keepingAlive: NodeJS.Timeout | undefined

function listen(): void {
  native.onWaitEnded((number, failure) => waiting.get(number)?.(failure))
  keepingAlive = setInterval(() => {}, LONGEST_TIMER_MS).unref()
}

/** How a wait that was begun ends: also by its time or its signal. */
function outcome(number: number, timeout: number, signal: AbortSignal | undefined): Promise<WaitResult | Error> {
  return new Promise((resolve, reject) => {
    const deadline = timeout === Infinity ? Infinity : performance.now() + timeout
    let timer: NodeJS.Timeout | undefined
    const end = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', aborted)
      waiting.delete(number)
      if (waiting.size === 0) keepingAlive?.unref()
    }
    const aborted = (): void => {
      // Otherwise somebody was faster, and the answer is on its way.
      if (!native.giveUpWait(number)) return
      end()
      reject(signal?.reason)
    }
    const arm = (): void => {
      const left = deadline - performance.now()
      if (left > 0) {
        timer = setTimeout(arm, Math.min(Math.ceil(left), LONGEST_TIMER_MS))
      } else if (native.giveUpWait(number)) {
        end()
        resolve('timed-out')
      }
    }
    if (waiting.size === 0) keepingAlive?.ref()
    waiting.set(number, (failure) => {
      end()
      resolve(failure ?? 'ok')
    })
    signal?.addEventListener('abort', aborted, { once: true })
    if (timeout !== Infinity) arm()
  })
}
