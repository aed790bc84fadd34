// Names for shared memory that nobody else has, and programs that get descriptors of ours.

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'

import { capabilities, limits, SharedMemory } from 'memmap'
import type { Region } from 'memmap'

import type { ChildResult } from './child.ts'

/** The part of ava's `t` that is needed here. */
interface WithTeardown {
  teardown(fn: () => void): void
}

/** How long memory of a length is to whoever opens it without one: on some systems it has whole pages. */
export function shownLength(length: number): number {
  const { pageSize } = limits()
  return capabilities()['exactNamedLengths'] === 'absent' ? Math.ceil(length / pageSize) * pageSize : length
}

/** A name that is free, and is so again when the test ends. */
export function freeName(t: WithTeardown): string {
  const name = `t-${process.pid.toString(36)}-${randomBytes(5).toString('hex')}`
  t.teardown(() => removed(name))
  return name
}

/** Removes a name, if it is there. */
export function removed(name: string): boolean {
  try {
    SharedMemory.unlink(name)
    return true
  } catch {
    return false
  }
}

/** A region that is closed when the test ends. */
export function kept<R extends Region>(t: WithTeardown, region: R): R {
  t.teardown(() => region.close())
  return region
}

/** Where Linux has a name. */
export function shmPath(name: string): string {
  return `/dev/shm/${name}`
}

const FIXTURES = new URL('../fixtures/shared/', import.meta.url)

/** The path of a program of fixtures/shared. */
export function program(name: string): string {
  return fileURLToPath(new URL(`${name}.mjs`, FIXTURES))
}

/** Runs a program of fixtures/shared that gets descriptors of ours, from 3 on. */
export function runWithDescriptors(
  name: string,
  args: readonly (string | number)[],
  descriptors: readonly (number | undefined)[],
): Promise<ChildResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program(name), ...args.map(String)], {
      env: { ...process.env, NODE_OPTIONS: undefined },
      stdio: ['ignore', 'pipe', 'pipe', ...descriptors],
      timeout: 60_000,
      killSignal: 'SIGKILL',
    })
    let stdout = ''
    let stderr = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}
