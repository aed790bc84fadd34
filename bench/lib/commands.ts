// Programs for searching that people have at hand: each is started for a run, reads the file and ends.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { timed } from './measure.ts'
import type { Contender } from './measure.ts'

/** Where `scripts/bench.mjs` puts the one that it installs. */
const RIPGREP = join(import.meta.dirname, '..', '.data', 'ripgrep', 'bin', 'rg')
const COMMAND = join(import.meta.dirname, '..', '..', 'dist', 'lib', 'cli', 'memmap.js')

function output(program: string, args: readonly string[]): string {
  // Bytes, as ours are.
  const env = { ...process.env, LC_ALL: 'C' }
  return execFileSync(program, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
}

function exists(program: string): boolean {
  try {
    output(program, ['--version'])
    return true
  } catch {
    return false
  }
}

export const ripgrep = existsSync(RIPGREP) ? RIPGREP : 'rg'

/** A run of a program that says a number first; none where it is not here. */
export function command(program: string, ...args: readonly string[]): Contender | undefined {
  return exists(program) ? () => timed(1, () => Number.parseInt(output(program, args), 10)) : undefined
}

/** A run of our own command. */
export function ours(...args: readonly string[]): Contender {
  return () => timed(1, () => Number.parseInt(output(process.execPath, [COMMAND, ...args]), 10))
}
