// Work on threads of the addon's own: who may end it, who hears how far it is.

import { availableParallelism } from 'node:os'

import * as native from '#binding'

import * as args from './arguments.ts'
import { regionClosed, invalidArgType } from './errors.ts'
import type { Memory } from './memory.ts'

/**
 * How work in the background is done: searches and scans with `for await`.
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 * import type { Background } from 'memmap'
 *
 * using log = MmapFile.open('access.log')
 * const gently: Background = { threads: 1, signal: AbortSignal.timeout(60_000) }
 * console.log(await log.countAsync('ERROR', gently)) // → 2500
 * ```
 */
export interface Background {
  /** Ends it: the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined
  /** Threads that search, 1 to 256; by default one for each core, and only one where little is to be searched. */
  threads?: number | undefined
  /** Told how many bytes are done, and of how many: at most ten times a second, and once at the end. */
  onProgress?: ((done: number, total: number) => void) | undefined
}

/** The same, checked. */
export interface Asked {
  readonly signal: AbortSignal | undefined
  readonly threads: number
  readonly onProgress: ((done: number, total: number) => void) | undefined
}

export const BACKGROUND = ['signal', 'threads', 'onProgress'] as const

const MOST_THREADS = 256
/** With the one at the end that is never more than ten in a second. */
const BETWEEN_REPORTS = 125

let tickets = 0

export function askedOf(given: Partial<Record<(typeof BACKGROUND)[number], unknown>>): Asked {
  const signal = args.signal('options.signal', given.signal)
  const threads =
    given.threads === undefined ? undefined : args.integer('options.threads', given.threads, 1, MOST_THREADS)
  const { onProgress } = given
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw invalidArgType('options.onProgress', 'of type function', onProgress)
  }
  return {
    signal,
    threads: threads ?? Math.min(MOST_THREADS, availableParallelism()),
    onProgress: onProgress as Asked['onProgress'],
  }
}

/** Tells the caller how far it is. */
export class Progress {
  readonly #tell: Asked['onProgress']
  readonly #total: number
  #told = -1
  #last = performance.now()

  constructor({ onProgress }: Asked, total: number) {
    this.#tell = onProgress
    this.#total = total
  }

  /** So many bytes are done: tells it, if the last time is long enough ago. */
  report(done: number): void {
    if (this.#tell === undefined || done <= this.#told || performance.now() - this.#last < BETWEEN_REPORTS) return
    this.#report(done)
  }

  /** All is done. */
  end(): void {
    if (this.#tell !== undefined && this.#told !== this.#total) this.#report(this.#total)
  }

  #report(done: number): void {
    this.#told = Math.min(done, this.#total)
    this.#last = performance.now()
    this.#tell?.(this.#told, this.#total)
  }

  /** Calls `look` again and again while something is waited for; what it throws comes out of the promise. */
  async during<T>(answer: Promise<T>, look: () => void): Promise<T> {
    if (this.#tell === undefined) return answer
    let timer: NodeJS.Timeout | undefined
    const failed = new Promise<never>((_, reject) => {
      timer = setInterval(() => {
        try {
          look()
        } catch (error) {
          reject(error)
        }
      }, BETWEEN_REPORTS)
    })
    try {
      return await Promise.race([answer, failed])
    } finally {
      clearInterval(timer)
    }
  }
}

/** A piece of work that was begun. */
export class Work<T> {
  readonly #memory: Memory
  readonly #signal: AbortSignal | undefined
  readonly #ticket: number
  readonly #answer: Promise<T | Error>
  readonly #ended: Promise<never>
  #abort = (): void => {}

  constructor(memory: Memory, signal: AbortSignal | undefined, start: (ticket: number) => Promise<T | Error>) {
    signal?.throwIfAborted()
    this.#memory = memory
    this.#signal = signal
    this.#ticket = tickets = (tickets + 1) % 2 ** 32
    try {
      this.#answer = start(this.#ticket)
    } catch (error) {
      native.endWork(this.#ticket)
      throw error
    }
    this.#ended = new Promise((_, reject) => {
      this.#abort = () => {
        native.endWork(this.#ticket)
        reject(signal?.reason)
      }
    })
    // Whoever does not wait for it any more has heard of the reason elsewhere.
    this.#ended.catch(() => {})
    signal?.addEventListener('abort', this.#abort, { once: true })
    // Also where nobody ever asks what came of it: a scan may be left as it is.
    const end = (): void => this.end()
    this.#answer.then(end, end)
  }

  /** How many bytes of it are done. */
  get done(): number {
    return native.workDone(this.#ticket)
  }

  /** What came of it. */
  async answer(): Promise<T> {
    try {
      const answer = await Promise.race([this.#answer, this.#ended])
      this.#signal?.throwIfAborted()
      if (this.#memory.closed) throw regionClosed()
      if (answer instanceof Error) throw answer
      return answer
    } finally {
      this.end()
    }
  }

  /** Nobody wants it any more. */
  end(): void {
    this.#signal?.removeEventListener('abort', this.#abort)
    native.endWork(this.#ticket)
  }
}

/** Work from its beginning to its end, with reports of how far it is. */
export async function inBackground<T>(
  memory: Memory,
  asked: Asked,
  total: number,
  start: (ticket: number) => Promise<T | Error>,
): Promise<T> {
  const progress = new Progress(asked, total)
  const work = new Work(memory, asked.signal, start)
  try {
    const answer = await progress.during(work.answer(), () => progress.report(work.done))
    progress.end()
    return answer
  } finally {
    work.end()
  }
}
