// Locks that nobody released, and nobody can: they are released when they are collected, and the mistake is told once.
//
// Watching an object costs half of what a lock does, and most are gone before the next turn of the event loop. So locks
// are watched from then on; until then they are held here.

import * as native from '#binding'

import { ownedOf } from './owned.ts'

/** What is left of a lock when it has been collected. */
export interface Watched {
  readonly id: number
  readonly kind: 'file' | 'mutex'
  /** What it is of. */
  readonly what: string
}

/** @internal */
export const WATCHED: unique symbol = Symbol('memmap.watched')

interface Lock {
  readonly released: boolean
  [WATCHED](): Watched
}

/** So many released ones may lie among the young. */
const MANY = 1024

let young: Lock[] = []
let scheduled = false
let told = false

const forgotten = new FinalizationRegistry<Watched>(({ id, kind, what }) => {
  if (kind === 'file') native.releaseLock(id)
  else forsake(id)
  if (told) return
  told = true
  const now = kind === 'file' ? 'It is released now' : 'The next owner is told that it was abandoned'
  process.emitWarning(
    `A lock of ${what} was garbage-collected before it was released. ${now}; call release(), or use \`using\`.`,
    { type: 'MemmapWarning', code: 'MEMMAP_LOCK_NOT_RELEASED' },
  )
})

/** What the mutex protects may be half changed, and nobody can say. */
function forsake(number: number): void {
  try {
    native.releaseMutex(number, true)
  } catch {
    // Its memory is gone, or somebody has overwritten it: nobody waits for us.
  }
  const owned = ownedOf(number)
  if (owned === undefined) return
  owned.held = false
  owned.next()
}

export function releaseWhenCollected(lock: Lock): void {
  young.push(lock)
  if (young.length % MANY === 0) young = young.filter((one) => !one.released)
  if (scheduled) return
  scheduled = true
  setImmediate(watch).unref()
}

export function released(lock: Lock): void {
  // The usual case: the one that was taken last.
  if (young[young.length - 1] === lock) young.pop()
  else forgotten.unregister(lock)
}

function watch(): void {
  scheduled = false
  for (const lock of young) if (!lock.released) forgotten.register(lock, lock[WATCHED](), lock)
  young = []
}
