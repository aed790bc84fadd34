import { Progress, Work } from './background.ts'
import type { Asked } from './background.ts'
import { illegalConstructor, isRegionClosed } from './errors.ts'
import type { Memory } from './memory.ts'

/** Lets only this package make scans. @internal */
export const OURS: unique symbol = Symbol('memmap.scan')

/**
 * Where the items of a scan come from: a batch at a time, since a call of the addon for each would cost more than finding it. A
 * batch of kind `B` is read here or in the background; in the background the next one is under way while this one is used.
 */
export interface Batches<T, B> {
  readonly memory: Memory
  /** Where the next batch begins; a batch that was read ahead for another state is of no use. */
  readonly state: number
  /** Whether there is no batch any more. */
  readonly over: boolean
  /** Bytes of the whole scan. */
  readonly total: number
  /** Those before the next batch. */
  readonly done: number
  /** Reads the next batch. */
  read(region: number): B
  /** Has it read in the background. */
  readBehind(region: number, ticket: number): Promise<B | Error>
  /** Makes items of a batch, and goes on to the next. */
  take(batch: B): ArrayLike<T>
  /** Position behind one of the items of this batch. */
  behind(item: number): number
}

/** One pass in the background: what `[Symbol.asyncIterator]` returns. */
interface Pass {
  readonly progress: Progress
  /** What it waits for. */
  work: Work<unknown> | undefined
  ended: boolean
}

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })
const NOTHING: readonly never[] = []

/**
 * A pass over a region: what `windows`, `lines`, `indexesOf` and `matchAll` return. It can be run once.
 *
 * `for … of` runs it here. `for await … of` runs it in the background and reads ahead, so that the event loop goes on; so do
 * `stream.pipeline` and `Readable.from`. Either goes on where it is after a `break`, and throws `ERR_REGION_CLOSED` from the
 * next step on when the region is closed under it, and the reason of the `signal` it was given once that is aborted.
 *
 * @group What one gets
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 *
 * using file = MmapFile.open('access.log')
 * const scan = file.lines({ encoding: 'utf8' })
 * for await (const line of scan) if (line.includes('ERROR')) console.log(scan.position, line)
 * ```
 */
export class Scan<T> implements IterableIterator<T>, AsyncIterable<T> {
  readonly #batches: Batches<T, unknown>
  readonly #asked: Asked
  /** Items of this batch that were given. */
  #given = 0
  /** Position before this batch. */
  #before: number
  #items: ArrayLike<T> = NOTHING
  #ahead: { readonly state: number; readonly mappings: number; readonly work: Work<unknown> } | undefined

  /** @internal */
  constructor(key: typeof OURS, batches: Batches<T, unknown>, asked: Asked, position: number) {
    if (key !== OURS) throw illegalConstructor('region.windows(), lines(), indexesOf() or matchAll()')
    this.#batches = batches
    this.#asked = asked
    this.#before = position
  }

  /**
   * Where in the region the scan is: just behind the last item given; with `reverse` just before it. In bytes; never throws.
   */
  get position(): number {
    return this.#given === 0 ? this.#before : this.#batches.behind(this.#given - 1)
  }

  /**
   * The next item.
   *
   * @throws `ERR_REGION_CLOSED`, `ERR_REGION_FAULTED`; the reason of the `signal` once that is aborted.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * const first = log.lines({ encoding: 'utf8' }).next()
   * if (!first.done) console.log(first.value) // → 0 GET / 200 user=ann
   * ```
   */
  next(): IteratorResult<T, undefined> {
    const { region } = this.#batches.memory
    while (this.#given === this.#items.length) {
      this.#asked.signal?.throwIfAborted()
      if (this.#batches.over) return DONE
      // First: what `read` fills may be what the position is made from.
      this.#forget()
      this.#use(this.#batches.read(region))
    }
    return { done: false, value: this.#items[this.#given++] as T }
  }

  /**
   * The scan itself, for `for … of`: it works in this thread.
   *
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * for (const index of log.indexesOf('ERROR')) {
   *   console.log(index) // → 43
   *   break
   * }
   * ```
   */
  [Symbol.iterator](): this {
    return this
  }

  /**
   * The scan in the background, for `for await … of`: the event loop goes on.
   *
   * @throws (rejects with) what {@link next} throws; `EAGAIN` where there is no thread to be had.
   * @example
   * ```ts
   * import { MmapFile } from 'memmap'
   *
   * using log = MmapFile.open('access.log')
   * let warnings = 0
   * for await (const line of log.lines({ encoding: 'utf8' })) if (line.includes('WARN')) warnings += 1
   * console.log(warnings) // → 1250
   * ```
   */
  // Not an async generator: that takes twice as long for an item, and there may be millions.
  [Symbol.asyncIterator](): AsyncIterableIterator<T, undefined, undefined> {
    const pass: Pass = { progress: new Progress(this.#asked, this.#batches.total), work: undefined, ended: false }
    /** Those who asked before the last answer. */
    let turn: Promise<unknown> | undefined
    const end = (): IteratorReturnResult<undefined> => {
      pass.ended = true
      pass.work?.end()
      this.#ahead?.work.end()
      this.#ahead = undefined
      return DONE
    }
    const later = async (before: Promise<unknown> | undefined): Promise<IteratorResult<T, undefined>> => {
      await before
      if (pass.ended) return DONE
      try {
        return (await this.#fill(pass)) ? { done: false, value: this.#items[this.#given++] as T } : end()
      } catch (error) {
        // `return` has ended what this waited for.
        if (pass.ended) return DONE
        end()
        throw error
      }
    }
    return {
      next: () => {
        if (turn === undefined && !pass.ended && this.#given < this.#items.length && this.#wanted()) {
          return Promise.resolve({ done: false, value: this.#items[this.#given++] as T })
        }
        const answer = later(turn)
        const settled = answer.then(
          () => {},
          () => {},
        )
        turn = settled
        void settled.then(() => {
          if (turn === settled) turn = undefined
        })
        return answer
      },
      return: () => Promise.resolve(end()),
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  /** Whether the region is open and nobody has ended the scan: `#fill` says what is wrong. */
  #wanted(): boolean {
    return !this.#batches.memory.closed && this.#asked.signal?.aborted !== true
  }

  /** Gets the next batch, if there is no item left of this one; false at the end. */
  async #fill(pass: Pass): Promise<boolean> {
    const { memory } = this.#batches
    for (;;) {
      this.#asked.signal?.throwIfAborted()
      const { region } = memory
      if (this.#given < this.#items.length) return true
      if (this.#batches.over) {
        pass.progress.end()
        return false
      }
      const { done, state } = this.#batches
      const { mappings } = memory
      pass.progress.report(done)
      const work = (pass.work = this.#begin(region))
      let batch: unknown
      try {
        batch = await pass.progress.during(work.answer(), () => pass.progress.report(done + work.done))
      } catch (error) {
        if (memory.closed || memory.mappings === mappings || !isRegionClosed(error)) throw error
        continue
      }
      if (pass.ended) return false
      // Of a mapping that is gone, or somebody has gone on meanwhile by `next` or another pass: of no use.
      if (memory.mappings !== mappings || this.#batches.state !== state) continue
      this.#use(batch)
      this.#readAhead(region)
    }
  }

  #use(batch: unknown): void {
    this.#forget()
    this.#items = this.#batches.take(batch)
  }

  /** All items of this batch were given. */
  #forget(): void {
    this.#before = this.position
    this.#items = NOTHING
    this.#given = 0
  }

  /** The next batch, perhaps under way. */
  #begin(region: number): Work<unknown> {
    const ahead = this.#ahead
    this.#ahead = undefined
    if (ahead?.state === this.#batches.state && ahead.mappings === this.#batches.memory.mappings) return ahead.work
    ahead?.work.end()
    return this.#start(region)
  }

  #readAhead(region: number): void {
    if (this.#batches.over) return
    this.#ahead?.work.end()
    this.#ahead = undefined
    try {
      this.#ahead = { state: this.#batches.state, mappings: this.#batches.memory.mappings, work: this.#start(region) }
    } catch {
      // There are items to give. What is wrong comes out of the step that needs the next batch.
    }
  }

  #start(region: number): Work<unknown> {
    return new Work(this.#batches.memory, this.#asked.signal, (ticket) => this.#batches.readBehind(region, ticket))
  }
}
