// Calls of one isolate that wait for the same thing: first come, first served, and one wait of the system's for all of them.

import * as native from '#binding'

import type { Memory } from './memory.ts'
import { waitElsewhere } from './wait.ts'

/**
 * How long one sleeps before one looks again, called or not: whoever had to call may have been killed just before, and who is in the way
 * may be dead. A worker that stands still must come back from the addon first, to be terminated.
 */
const LONGEST_SLEEP_MS = 200
const LONGEST_BLOCK_MS = 25
/** Timers take no more; a longer wait is begun again. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** What one waits for. */
export interface Meeting {
  readonly memory: Memory
  /** The word that is notified. */
  readonly offset: number
  /** Says that one is about to sleep: what has to stand in the word then. */
  sleep(): number
}

/** Does what is waited for, if it can be done now. */
type Attempt<T> = () => T | undefined

interface Waiter {
  /** Whether it has been done. Throws what the caller is to hear. */
  attempt(): boolean
  fail(error: unknown): void
}

/** Those of an isolate that wait for one thing. */
export class WaitingLine {
  readonly #meeting: Meeting
  readonly #waiters: Waiter[] = []
  #sleep: AbortController | undefined
  #isServed = false

  constructor(meeting: Meeting) {
    this.#meeting = meeting
  }

  /** Nobody waits: who comes now may try at once. */
  get isEmpty(): boolean {
    return this.#waiters.length === 0
  }

  /** Waits for one's turn, and then until it can be done. */
  wait<T>(
    attempt: Attempt<T>,
    timeout: number,
    signal: AbortSignal | undefined,
    tooLate: (timeout: number) => Error,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const deadline = performance.now() + timeout
      let timer: NodeJS.Timeout | undefined
      const end = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', aborted)
      }
      const waiter: Waiter = {
        attempt() {
          const done = attempt()
          if (done === undefined) return false
          end()
          resolve(done)
          return true
        },
        fail(error) {
          end()
          reject(error)
        },
      }
      const giveUp = (reason: unknown): void => {
        this.#remove(waiter)
        waiter.fail(reason)
      }
      const aborted = (): void => giveUp(signal?.reason)
      const arm = (): void => {
        const left = deadline - performance.now()
        if (left <= 0) giveUp(tooLate(timeout))
        else timer = setTimeout(arm, Math.min(Math.ceil(left), LONGEST_TIMER_MS))
      }
      this.#waiters.push(waiter)
      signal?.addEventListener('abort', aborted, { once: true })
      if (timeout !== Infinity) arm()
      if (!this.#isServed) void this.#serve()
    })
  }

  #remove(waiter: Waiter): void {
    const at = this.#waiters.indexOf(waiter)
    if (at < 0) return
    this.#waiters.splice(at, 1)
    // Who is first now may want less, and the last to go leaves nobody asleep.
    if (at === 0) this.#sleep?.abort()
  }

  async #serve(): Promise<void> {
    this.#isServed = true
    for (;;) {
      const first = this.#waiters[0]
      if (first === undefined) break
      try {
        if (first.attempt()) {
          this.#waiters.shift()
          continue
        }
        const expected = this.#meeting.sleep()
        if (first.attempt()) {
          this.#waiters.shift()
          continue
        }
        await this.#sleepOn(expected)
      } catch (error) {
        if (this.#waiters[0] !== first) continue
        this.#waiters.shift()
        first.fail(error)
      }
    }
    this.#isServed = false
  }

  async #sleepOn(expected: number): Promise<void> {
    const { memory, offset } = this.#meeting
    const sleep = new AbortController()
    this.#sleep = sleep
    try {
      await waitElsewhere(memory, offset, expected, { timeout: LONGEST_SLEEP_MS, signal: sleep.signal })
    } catch (error) {
      if (!sleep.signal.aborted) throw error
    } finally {
      this.#sleep = undefined
    }
  }

  /** As `wait`, with this thread standing still: so nobody else of it can have a turn meanwhile, and it does not queue. */
  waitSync<T>(attempt: Attempt<T>, timeout: number, tooLate: (timeout: number) => Error): T {
    const { memory, offset } = this.#meeting
    const deadline = performance.now() + timeout
    for (;;) {
      const expected = this.#meeting.sleep()
      const done = attempt()
      if (done !== undefined) return done
      const left = deadline - performance.now()
      if (left <= 0) throw tooLate(timeout)
      native.wait(memory.region, offset, expected, Math.min(left, LONGEST_BLOCK_MS))
    }
  }
}
