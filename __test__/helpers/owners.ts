// Other processes that take mutexes as they are told.

import { fileURLToPath } from 'node:url'

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
