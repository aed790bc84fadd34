// Locks that nobody released, and nobody can: they are released when they are collected, and the mistake is told once.
//
// Watching an object costs half of what a lock does, and most are gone before the next turn of the event loop. So locks
// are watched from then on; until then they are held here.

import * as native from '#binding'

/** What is left of a lock when it has been collected. */
export interface Watched {
  readonly id: number
  readonly path: string | undefined
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

const forgotten = new FinalizationRegistry<Watched>(({ id, path }) => {
  native.releaseLock(id)
  if (told) return
  told = true
  const which = path === undefined ? 'a descriptor' : `'${path}'`
  process.emitWarning(
    `A lock of ${which} was garbage-collected before it was released. It is released now; call release(), or use \`using\`.`,
    { type: 'MemmapWarning', code: 'MEMMAP_LOCK_NOT_RELEASED' },
  )
})

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
