// The command `memmap` as its users run it: in a pipe, and in a terminal.

import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

import type { ExecutionContext } from 'ava'

import { hasPython, isPosix, ROOT } from './system.ts'

export const COMMAND = join(ROOT, 'dist', 'lib', 'cli', 'memmap.js')

/** Whether it can be run in a terminal: by Python. */
export const hasTerminal = isPosix && hasPython

export interface Ended {
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

type Child = ChildProcessByStdio<null, Readable, Readable>

export function started(args: readonly string[]): Child {
  const env = { ...process.env, NODE_OPTIONS: undefined }
  return spawn(process.execPath, [COMMAND, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
  })
}

export async function ended(child: Child): Promise<Ended> {
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes))
  child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }
}

export const memmap = (...args: string[]): Promise<Ended> => ended(started(args))

/** Its rows with `--json`, and how it ended. */
export async function rowsOf<T>(...args: string[]): Promise<{ code: number | null; rows: T[]; stderr: string }> {
  const { code, stdout, stderr } = await memmap(...args, '--json')
  const lines = stdout.toString().split('\n').filter((line) => line !== '') // prettier-ignore
  return { code, rows: lines.map((line) => JSON.parse(line) as T), stderr }
}

/** It says just this, and nothing is wrong. */
export function says(t: ExecutionContext, { code, stdout, stderr }: Ended, text: string, expected = 0): void {
  t.deepEqual({ code, stdout: stdout.toString(), stderr }, { code: expected, stdout: text, stderr: '' })
}

/** It ends with 2 and one line on stderr for each thing that is wrong. */
export function complains(t: ExecutionContext, { code, stdout, stderr }: Ended, ...wrong: RegExp[]): void {
  t.is(code, 2)
  t.is(stdout.toString(), '')
  const lines = stderr.split('\n')
  t.is(lines.pop(), '')
  t.is(lines.length, wrong.length, stderr)
  for (const [index, line] of lines.entries()) t.regex(line, wrong[index] ?? /^$/)
}

/** What a terminal showed, with all that commands it. */
export interface Screen {
  readonly shown: string
  readonly code: number
  readonly seconds: number | null
}

/** Runs it in a terminal, with these variables, where keys are pressed once a text is there. */
export function inTerminal(
  env: Readonly<Record<string, string | undefined>>,
  keys: string,
  after: string,
  ...args: readonly string[]
): Promise<Screen> {
  const script = join(ROOT, '__test__', 'fixtures', 'cli', 'terminal.py')
  return new Promise((resolve, reject) => {
    const child = spawn('python3', [script, keys, after, process.execPath, COMMAND, ...args], {
      env: { ...process.env, NODE_OPTIONS: undefined, NO_COLOR: undefined, TERM: 'xterm', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 60_000,
    })
    let answer = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (answer += text))
    child.on('error', reject).on('close', () => resolve(JSON.parse(answer) as Screen))
  })
}

export const typing = (keys: string, after: string, ...args: readonly string[]): Promise<Screen> =>
  inTerminal({}, keys, after, ...args)

export const onScreen = (...args: readonly string[]): Promise<Screen> => typing('-', '', ...args)

/** Without what colours it. */
export function plain(shown: string): string {
  // The escape is what is looked for.
  return shown.replaceAll(/\x1b\[\d+m/g, '').replaceAll('\r\n', '\n') // eslint-disable-line no-control-regex -- a terminal's own
}
