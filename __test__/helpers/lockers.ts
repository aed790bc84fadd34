// Other processes and workers that lock files as they are told, and what the system itself knows of the locks of a file.

import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fstatSync, readFileSync, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { Worker } from 'node:worker_threads'

import { FileLock } from 'memmap'
import type { LockOptions, Waiting } from 'memmap'

import { hasPython, isLinux } from './system.ts'

/** The part of ava's `t` that is needed here. */
interface WithTeardown {
  teardown(fn: () => void | PromiseLike<void>): void
}

/** Options that survive JSON: there is no `Infinity` in it. */
export type Told = LockOptions & Pick<Waiting, 'timeout'>

const FIXTURES = new URL('../fixtures/locks/', import.meta.url)

/** The path of a program of fixtures/locks. */
export function lockProgram(name: string): string {
  return fileURLToPath(new URL(name, FIXTURES))
}

/** A lock that is released when the test ends. */
export function held(t: WithTeardown, lock: FileLock | null): FileLock {
  if (lock === null) throw new Error('somebody else has the lock')
  t.teardown(() => lock.release())
  return lock
}

/** Whether somebody could lock just now; it is given back at once. */
export function free(file: Parameters<typeof FileLock.tryAcquire>[0], options?: LockOptions): boolean {
  const lock = FileLock.tryAcquire(file, options)
  lock?.release()
  return lock !== null
}

/** So often the list must say the same: it is read piece by piece, and what others lock meanwhile moves its lines about. */
const SURE = 4

/** How a lock is in the system's list: `'OFDLCK WRITE 0 10'`, the end behind the last byte; `'-> …'` for who waits. */
export function locksOf(file: string | number): string[] {
  const { ino } = typeof file === 'string' ? statSync(file) : fstatSync(file)
  let last = listed(ino)
  for (let same = 1; same < SURE;) {
    const next = listed(ino)
    same = isDeepStrictEqual(next, last) ? same + 1 : 1
    last = next
  }
  return last
}

function listed(inode: number): string[] {
  return readFileSync('/proc/locks', 'latin1')
    .split('\n')
    .flatMap((line) => {
      const parts = /^\d+: *(-> )?(\w+) +\w+ +(\w+) +-?\d+ \w+:\w+:(\d+) (\d+) (\w+)/.exec(line)
      if (parts === null || Number(parts[4]) !== inode) return []
      const [, waits = '', family, mode, , start, end] = parts
      // Locks without an end stop before the bytes by which owners of mutexes are known to live.
      const behind = end === 'EOF' || Number(end) === 2 ** 62 ? 'Infinity' : Number(end) + 1
      return [`${waits}${family} ${mode} ${start} ${behind}`]
    })
    .sort()
}

/** Whether something comes to be so in good time, on however busy or emulated a machine. */
export async function eventually(isSo: () => boolean, ms = 120_000): Promise<boolean> {
  const end = performance.now() + ms
  while (!isSo()) {
    if (performance.now() > end) return false
    await sleep(5)
  }
  return true
}

/** What a promise has come to after so long: `'pending'` if to nothing. */
export async function soFar(promise: Promise<unknown>, ms = 50): Promise<unknown> {
  return Promise.race([promise, sleep(ms, 'pending')])
}

/** How a promise ends: its value, or the code of the error it is rejected with. */
export function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: unknown) => (error instanceof Error ? Reflect.get(error, 'code') : undefined) ?? error)
}

interface Answer {
  readonly number: number
  readonly begun?: boolean
  readonly value?: unknown
}

interface Asked {
  /** Resolves when the other has begun: it may stand still from then on. */
  readonly begun: Promise<void>
  /** The value; the code of an error; `'gone'` where the other ended first. */
  readonly done: Promise<unknown>
}

/** Another flow of control that locks files as it is told. */
class Locker {
  readonly #send: (message: object) => void
  readonly #open = new Map<number, { readonly begun: () => void; readonly done: (value: unknown) => void }>()
  #last = 0

  constructor(send: (message: object) => void) {
    this.#send = send
  }

  /** @internal */
  protected answered({ number, begun, value }: Answer): void {
    const one = this.#open.get(number)
    if (begun === true) return one?.begun()
    this.#open.delete(number)
    one?.done(value)
  }

  /** @internal */
  protected gone(): void {
    for (const { begun, done } of this.#open.values()) {
      begun()
      done('gone')
    }
    this.#open.clear()
  }

  /** Tells it to do something: a command of fixtures/locks/commands.mjs. */
  begin(name: string, ...args: readonly unknown[]): Asked {
    const number = ++this.#last
    const noted: { begun: () => void; done: (value: unknown) => void } = { begun: () => {}, done: () => {} }
    const begun = new Promise<void>((resolve) => (noted.begun = resolve))
    const done = new Promise<unknown>((resolve) => (noted.done = resolve))
    this.#open.set(number, noted)
    this.#send({ number, name, args })
    return { begun, done }
  }

  /** As `begin`, to the end. */
  ask(name: string, ...args: readonly unknown[]): Promise<unknown> {
    return this.begin(name, ...args).done
  }

  /** Takes a lock; its number there. */
  async holds(path: string, options: Told = {}): Promise<number> {
    const id = await this.ask('acquire', path, options)
    if (typeof id !== 'number') throw new Error(`the other could not lock: ${String(id)}`)
    return id
  }

  /** Whether it could have the lock just now. */
  async canHave(path: string, options: Told = {}): Promise<boolean> {
    const can = await this.ask('canHave', path, options)
    if (typeof can !== 'boolean') throw new Error(`the other could not try: ${String(can)}`)
    return can
  }

  async releases(id: number): Promise<void> {
    await this.ask('release', id)
  }
}

/** A process of its own. */
export class LockProcess extends Locker {
  readonly child: ChildProcess
  readonly ended: Promise<unknown>

  constructor(t: WithTeardown) {
    const child = spawn(process.execPath, [lockProgram('process.mjs')], {
      env: { ...process.env, NODE_OPTIONS: undefined },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    super((message) => child.stdin.write(`${JSON.stringify(message)}\n`))
    // What is told to one that was killed is lost, and that is as it should be.
    child.stdin.on('error', () => {})
    this.child = child
    this.ended = once(child, 'exit')
    child.once('exit', () => this.gone())
    createInterface({ input: child.stdout }).on('line', (line) => this.answered(JSON.parse(line) as Answer))
    t.teardown(() => this.kill())
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.ended
  }
}

/** A worker of this process. */
export class LockWorker extends Locker {
  readonly worker: Worker
  readonly ended: Promise<unknown>

  constructor(t: WithTeardown) {
    const worker = new Worker(lockProgram('worker.mjs'), { execArgv: [] })
    super((message) => worker.postMessage(message))
    this.worker = worker
    this.ended = new Promise((resolve) => worker.once('exit', resolve))
    worker.on('error', () => {})
    worker.once('exit', () => this.gone())
    worker.on('message', (message: Answer) => this.answered(message))
    t.teardown(async () => void (await worker.terminate()))
  }
}

/** Any other program that takes lines and answers each with a line. */
export class Talker {
  readonly child: ChildProcess
  readonly ended: Promise<unknown>
  readonly #lines: AsyncIterator<string>

  constructor(t: WithTeardown, command: string, args: readonly string[]) {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    child.stdin.on('error', () => {})
    this.child = child
    this.ended = once(child, 'exit')
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    t.teardown(() => this.kill())
  }

  async hears(): Promise<string> {
    const line = await this.#lines.next()
    return line.done === true ? 'ended' : line.value
  }

  async says(line: string): Promise<string> {
    this.child.stdin?.write(`${line}\n`)
    return this.hears()
  }

  async kill(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL')
    await this.ended
  }
}

/** Python itself, and not what looks for it each time: that takes ten times as long to start. */
export const PYTHON = hasPython
  ? spawnSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).stdout.trim()
  : undefined

/** Threads of this process; those of the runtime among them. */
export function threads(): number {
  return Number(/^Threads:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
}

/** Numbers in the order of their size, as one line says them. */
export function spread(delays: readonly number[]): string {
  const sorted = delays.toSorted((one, other) => one - other)
  const at = (part: number) => (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? NaN).toFixed(2)
  return `min ${at(0)}, p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)} ms, of ${sorted.length}`
}

/** Whether the system has a list of its locks; not each that calls itself Linux has. */
export const listsLocks = isLinux && hasList()

function hasList(): boolean {
  try {
    readFileSync('/proc/locks')
    return true
  } catch {
    return false
  }
}
