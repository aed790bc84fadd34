// Other processes and workers that wait for words, and call, as they are told.

import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

import type { Access, RegionHandle } from 'memmap'

import { isLinux } from './system.ts'

/** The part of ava's `t` that is needed here. */
interface WithTeardown {
  teardown(fn: () => void | PromiseLike<void>): void
}

/** The memory that a partner opens. */
export interface Shared {
  readonly kind: 'file' | 'name' | 'fd' | 'handle'
  readonly where: string | number | RegionHandle
  readonly access?: Access
}

const PROGRAM = fileURLToPath(new URL('../fixtures/waits/partner.mjs', import.meta.url))

/** What makes io_uring impossible: a kernel before 6.7, whoever runs this machine, and perhaps a container's filter. */
function mayForbidRing(): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number)
  if (major < 6 || (major === 6 && minor < 7)) return true
  const isDisabled = readFileSync('/proc/sys/kernel/io_uring_disabled', 'utf8').trim() !== '0'
  return isDisabled || !/^Seccomp:\s+0$/m.test(readFileSync('/proc/self/status', 'utf8'))
}

/** Whether a call is told to just the waits it was meant for, however many there are: Linux where io_uring is allowed. */
export const countsCalls = isLinux && process.env['MEMMAP_WAITER'] === undefined && !mayForbidRing()

/** A process, or a worker of this one. */
export class Partner {
  readonly #other: EventEmitter
  readonly #send: (message: object) => void
  readonly worker: Worker | undefined
  readonly child: ChildProcess | undefined
  readonly ready: Promise<void>
  #begun: () => void = () => {}
  #done: (value: unknown) => void = () => {}

  constructor(t: WithTeardown, shared: Shared, how: 'process' | 'worker' = 'process') {
    if (how === 'worker') {
      const worker = new Worker(PROGRAM, { workerData: shared })
      this.worker = worker
      this.#other = worker
      this.#send = (message) => worker.postMessage(message)
      t.teardown(async () => void (await worker.terminate()))
    } else {
      const fd = shared.kind === 'fd' ? [Number(shared.where)] : []
      const told = shared.kind === 'fd' ? { ...shared, where: 4 } : shared
      const child = fork(PROGRAM, [JSON.stringify(told)], {
        env: { ...process.env, NODE_OPTIONS: undefined },
        execArgv: [],
        // After the channel, which is 3 for it.
        stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...fd],
      })
      this.child = child
      this.#other = child
      this.#send = (message) => child.send(message)
      t.teardown(() => void child.kill('SIGKILL'))
    }
    this.ready = once(this.#other, 'message').then(() => {})
    this.#other.on('message', (message: { begun?: boolean; value?: unknown; ready?: boolean }) => {
      if (message.begun === true) this.#begun()
      else if (message.ready !== true) this.#done(message.value)
    })
    this.#other.on('exit', () => this.#done('gone'))
    this.#other.on('error', () => {})
  }

  /** Tells it to do something, one thing at a time: `begun` when it is about to, `done` with what came of it. */
  async begin(name: string, ...args: readonly unknown[]): Promise<{ readonly done: Promise<unknown> }> {
    await this.ready
    const begun = new Promise<void>((resolve) => (this.#begun = resolve))
    const done = new Promise<unknown>((resolve) => (this.#done = resolve))
    this.#send({ name, args })
    await Promise.race([begun, done])
    return { done }
  }

  /** As `begin`, to the end. */
  async ask(name: string, ...args: readonly unknown[]): Promise<unknown> {
    return (await this.begin(name, ...args)).done
  }
}
