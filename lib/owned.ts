// What mutexes and semaphores share: who this isolate is in one, and waiting for it. The algorithms are the addon's
// (crates/core/src/mutex.rs, semaphore.rs); here are turns, timers and signals.

import * as native from '#binding'

import * as args from './arguments.ts'
import { invalidArgType, lockTimeout, outOfRange, regionClosed } from './errors.ts'
import type { Memory } from './memory.ts'
import { Region } from './region.ts'
import { MEMORY } from './scalar-access.ts'
import { waitElsewhere } from './wait.ts'

/** How one tries: as the addon knows it. */
export const MANNER = { waits: 1, slept: 2, starves: 4, asks: 8 } as const
/** Answers of the addon: above the 32 bits of a word. */
export const ANSWER = { taken: 0, abandoned: 1, own: 2, obstructed: 3, busy: 4, noneLeft: 5 } as const
/** Where the words lie that are slept on. */
export const STATE = 4
const SEQUENCE = 16
const ALIGNMENT = 8

const WORD = 2 ** 32
/** From then on a wait is a long one, and what is given back is handed on to those who wait. */
const LONG_MS = 2
/** Sleep ends after that, to look whether the owner lives. */
const LOOK_AGAIN_MS = 15
/** Where another program has locked the whole file nobody can be woken. */
const OBSTRUCTED_MS = 5
/** Timers take no more; a longer wait is begun again. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

const never = new Int32Array(new SharedArrayBuffer(4))

/** One mutex or semaphore as this isolate has it, however many objects there are for it. */
export class Owned {
  readonly number: number
  /** Who we are in it, once that is known. */
  id = 0
  /** A guard of this isolate was not released yet. */
  held = false
  /** Waits of this isolate, first come, first served. Only the first one asks. */
  readonly turns: Turn[] = []

  constructor(number: number) {
    this.number = number
  }

  /** The first one that waits is to look again. */
  next(): void {
    this.turns[0]?.wake()
  }
}

interface Turn {
  wake: () => void
}

const known = new Map<number, WeakRef<Owned>>()
const forgotten = new FinalizationRegistry<number>((number) => {
  if (known.get(number)?.deref() === undefined) known.delete(number)
})

/** That of a number, if there is one. */
export function ownedOf(number: number): Owned | undefined {
  return known.get(number)?.deref()
}

/** Where a mutex or semaphore is. */
export interface Place {
  readonly memory: Memory
  readonly offset: number
  readonly owned: Owned
}

/** Checks where it is to be, and finds it there. */
export function open(region: unknown, offset: unknown, semaphore: boolean, byteLength: number): Place {
  const memory = memoryOf(region)
  const at = args.offset('offset', offset)
  const number = native.openOwned(checked(memory, at, byteLength), at, semaphore)
  let owned = ownedOf(number)
  if (owned === undefined) {
    owned = new Owned(number)
    known.set(number, new WeakRef(owned))
    forgotten.register(owned, number)
  }
  return { memory, offset: at, owned }
}

/** The arguments of the constructors, before `permits`. */
export function checkPlace(region: unknown, offset: unknown): void {
  memoryOf(region)
  args.offset('offset', offset)
}

function memoryOf(region: unknown): Memory {
  const memory: Memory | undefined = region instanceof Region ? region[MEMORY] : undefined
  // What only inherits from a region has none.
  if (memory === undefined) throw invalidArgType('region', 'a region', region)
  return memory
}

/** The region's number, if the bytes lie in it. */
function checked(memory: Memory, offset: number, byteLength: number): number {
  const region = memory.writableRegion
  if (offset > memory.byteLength - byteLength) {
    throw outOfRange('offset', `<= ${memory.byteLength - byteLength}, so that its ${byteLength} bytes fit`, offset)
  }
  if ((memory.lead + offset) % ALIGNMENT !== 0) {
    throw outOfRange('offset', `at a multiple of ${ALIGNMENT} bytes in memory`, offset)
  }
  return region
}

/** Takes something, in the manner given: what is taken, or the addon's answer why not. */
export type Attempt<T> = (manner: number) => { readonly taken: T } | number

/** How one waits, the longer the more. */
class Patience {
  readonly #begun = performance.now()
  readonly #timeout: number
  #slept = 0

  constructor(timeout: number) {
    this.#timeout = timeout
  }

  get manner(): number {
    if (this.#slept === 0) return this.#timeout === 0 ? MANNER.asks : MANNER.waits
    const starves = performance.now() - this.#begun >= LONG_MS ? MANNER.starves : 0
    return MANNER.waits | MANNER.slept | MANNER.asks | starves
  }

  /** Milliseconds until it is over; throws when it is. */
  left(what: string): number {
    const left = this.#timeout - (performance.now() - this.#begun)
    if (left <= 0) throw lockTimeout(what, this.#timeout)
    return left
  }

  /** Milliseconds to sleep now. */
  sleep(what: string): number {
    const slice = this.#slept === 0 ? LONG_MS : LOOK_AGAIN_MS
    this.#slept += 1
    return Math.min(slice, this.left(what))
  }
}

/** What an answer says is to be slept on. */
function wordOf(
  place: Place,
  answer: number,
): { readonly kind: number; readonly offset: number; readonly word: number } {
  const kind = Math.floor(answer / WORD)
  const offset = place.offset + (kind === ANSWER.noneLeft ? SEQUENCE : STATE)
  return { kind, offset, word: answer | 0 }
}

/** The kind of an answer. */
export function kindOf(answer: number): number {
  return Math.floor(answer / WORD)
}

/** The number below it. */
export function countOf(answer: number): number {
  return answer % WORD
}

/** Stands still until it is taken. `own` is thrown where we have it ourselves. */
export function takeSync<T>(place: Place, timeout: number, what: string, attempt: Attempt<T>, own: () => Error): T {
  const patience = new Patience(timeout)
  for (;;) {
    const answer = attempt(patience.manner)
    if (typeof answer !== 'number') return answer.taken
    const { kind, offset, word } = wordOf(place, answer)
    if (kind === ANSWER.own) throw own()
    const milliseconds = patience.sleep(what)
    if (kind === ANSWER.obstructed) Atomics.wait(never, 0, 0, Math.min(milliseconds, OBSTRUCTED_MS))
    else native.wait(place.memory.region, offset, word, milliseconds)
  }
}

/** Waits until it is taken, behind those of this isolate that came before. */
export async function take<T>(
  place: Place,
  timeout: number,
  signal: AbortSignal | undefined,
  what: string,
  attempt: Attempt<T>,
): Promise<T> {
  const { memory, owned } = place
  const { turns } = owned
  const patience = new Patience(timeout)
  const turn: Turn = { wake: () => {} }
  turns.push(turn)
  try {
    while (turns[0] !== turn) await pause(turn, timeout === Infinity ? Infinity : patience.left(what), signal)
    for (;;) {
      if (memory.closed) throw regionClosed()
      const answer = owned.held ? ANSWER.own * WORD : attempt(patience.manner)
      if (typeof answer !== 'number') return answer.taken
      const { kind, offset, word } = wordOf(place, answer)
      if (kind === ANSWER.own) await pause(turn, timeout === Infinity ? Infinity : patience.left(what), signal)
      else if (kind === ANSWER.obstructed) await pause(turn, Math.min(patience.sleep(what), OBSTRUCTED_MS), signal)
      else await waitElsewhere(memory, offset, word, { timeout: patience.sleep(what), signal })
    }
  } catch (error) {
    // It may have been us who was woken, and now nobody looks.
    if (turns[0] === turn) wakeAnother(place)
    throw error
  } finally {
    const first = turns[0] === turn
    turns.splice(turns.indexOf(turn), 1)
    if (first) owned.next()
  }
}

function wakeAnother({ memory, offset, owned }: Place): void {
  if (memory.closed || owned.held) return
  try {
    native.notify(memory.region, offset + STATE, 1)
    native.notify(memory.region, offset + SEQUENCE, 1)
  } catch {
    // Faulted: those who sleep find out by themselves.
  }
}

/** Until somebody wakes it, or the time is over. Where nobody in the world could, it keeps no process alive. */
function pause(turn: Turn, milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const end = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', aborted)
      turn.wake = () => {}
    }
    const aborted = (): void => {
      end()
      reject(signal?.reason)
    }
    turn.wake = () => {
      end()
      resolve()
    }
    if (milliseconds !== Infinity) timer = setTimeout(turn.wake, Math.min(Math.ceil(milliseconds), LONGEST_TIMER_MS))
    signal?.addEventListener('abort', aborted, { once: true })
  })
}

/** Stands still for as long as somebody else changes the table of a semaphore: mostly not at all. */
export function untilDone(place: Place, longest: number, attempt: (manner: number) => number): number {
  const begun = performance.now()
  for (let slept = false; ; slept = true) {
    const answer = attempt(slept ? MANNER.slept | MANNER.asks | MANNER.waits : 0)
    const { kind, offset, word } = wordOf(place, answer)
    const ended = kind !== ANSWER.busy && kind !== ANSWER.obstructed
    if (ended || performance.now() - begun > longest) return answer
    if (kind === ANSWER.obstructed) Atomics.wait(never, 0, 0, OBSTRUCTED_MS)
    else native.wait(place.memory.region, offset, word, slept ? LOOK_AGAIN_MS : LONG_MS)
  }
}
