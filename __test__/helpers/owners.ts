// Other processes that take mutexes as they are told.

import { fileURLToPath } from 'node:url'

import type { ExecutionContext } from 'ava'
import { Mutex } from 'memmap'
import type { SharedMemory } from 'memmap'

import { Talker } from './lockers.ts'

/** The part of ava's `t` that is needed here. */
interface WithTeardown {
  teardown(fn: () => void | PromiseLike<void>): void
}

const FIXTURES = new URL('../fixtures/mutex/', import.meta.url)

/** The path of a program of fixtures/mutex. */
export function mutexProgram(name: string): string {
  return fileURLToPath(new URL(`${name}.mjs`, FIXTURES))
}

/** A process with a mutex; what it says to commands of fixtures/mutex/owner.mjs. */
export class OwnerProcess extends Talker {
  constructor(t: WithTeardown, kind: 'file' | 'memory', name: string, offset = 0) {
    super(t, process.execPath, [mutexProgram('owner'), kind, name, String(offset)])
  }

  /** One that is there, and has the mutex. */
  static async inside(t: WithTeardown, kind: 'file' | 'memory', name: string, offset = 0): Promise<OwnerProcess> {
    const owner = await OwnerProcess.there(t, kind, name, offset)
    const said = await owner.says('lock')
    if (said !== 'false') throw new Error(`the other could not take the mutex as it should: ${said}`)
    return owner
  }

  /** One that is there. */
  static async there(t: WithTeardown, kind: 'file' | 'memory', name: string, offset = 0): Promise<OwnerProcess> {
    const owner = new OwnerProcess(t, kind, name, offset)
    const said = await owner.hears()
    if (said !== 'ready') throw new Error(`the other could not open the mutex: ${said}`)
    return owner
  }
}

/** Of a mutex at the beginning of named memory: an owner is killed inside, and the next one is told, and nobody after that. */
export async function deathIsTold(t: ExecutionContext, memory: SharedMemory, name: string): Promise<void> {
  const mutex = new Mutex(memory, 0)
  const other = await OwnerProcess.inside(t, 'memory', name)
  t.is(mutex.tryLock(), null)
  await other.kill()
  const guard = await mutex.lock()
  t.true(guard.abandoned)
  guard.release()
  const next = await mutex.lock()
  t.false(next.abandoned)
  next.release()
}
