// Runs a program in a process of its own and tells how it ended: the tests that may kill a process go through here.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { isAbsolute } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface ChildOptions {
  /** Added to this process's environment; `undefined` takes a variable out. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Before the program's path: `--expose-gc`, … */
  readonly nodeArgs?: readonly string[]
  /** Milliseconds, by default more than a busy or emulated machine needs; the child is killed then, by SIGKILL. */
  readonly timeout?: number
  /** A program and arguments that Node is started by: `['prlimit', '--data=…']`. */
  readonly under?: readonly string[]
  /** Called once, when the child has said its first word. */
  readonly whenReady?: (child: ChildProcess) => void
}

export interface ChildResult {
  /** Exit code; null where a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** What qemu itself says where a signal ends what it runs. */
const EMULATOR = /^qemu: uncaught target signal .*\n/m

const FIXTURES = new URL('../fixtures/', import.meta.url)

/** Runs a program under `__test__/fixtures/` (or an absolute path) with this Node and waits for its end. */
export function runChild(
  fixture: string | URL,
  args: readonly (string | number)[] = [],
  { env = {}, nodeArgs = [], timeout = 240_000, under = [], whenReady }: ChildOptions = {},
): Promise<ChildResult> {
  const whole = typeof fixture === 'string' && isAbsolute(fixture)
  const path = whole ? fixture : fileURLToPath(new URL(fixture, FIXTURES))
  const line = [...under, process.execPath, ...nodeArgs, path, ...args.map(String)]
  const [command = process.execPath, ...rest] = line
  return new Promise((resolve, reject) => {
    const child = spawn(command, rest, {
      // Without ava's own loader flags: the child is a program of a user.
      env: { ...process.env, NODE_OPTIONS: undefined, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout,
      killSignal: 'SIGKILL',
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    if (whenReady !== undefined) child.stdout.once('data', () => whenReady(child))
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr: stderr.replace(EMULATOR, '') }))
  })
}

/** How a child ended, in a form one `t.deepEqual` shows whole. */
export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
}

/** What a child that did its work ends with. */
export const WELL: Ending = { code: 0, signal: null, stderr: '' }

/** The part of a result to compare with {@link WELL}. */
export function ending({ code, signal, stderr }: ChildResult): Ending {
  return { code, signal, stderr }
}
