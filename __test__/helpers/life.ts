// What the tests of lifetimes and of safety share: each runs a program of fixtures/life in a process and a folder of its
// own.

import type { ExecutionContext } from 'ava'

import { ending, runChild, WELL } from './child.ts'
import type { ChildOptions, ChildResult } from './child.ts'
import { tmpFolder } from './tmp.ts'

/** `ArrayBuffer.prototype.transfer`, since Node 22. */
export const HAS_TRANSFER = 'transfer' in ArrayBuffer.prototype

type Argument = string | number

/** Runs a program and tells how it ended. */
export function run(
  t: ExecutionContext,
  program: string,
  args: readonly Argument[] = [],
  options: ChildOptions = {},
): Promise<ChildResult> {
  const nodeArgs = ['--expose-gc', ...(options.nodeArgs ?? [])]
  return runChild(`life/${program}.mjs`, [tmpFolder(t), ...args], { ...options, nodeArgs })
}

/** Runs a program that is to find all as it should be; what it printed, if anything, as JSON. */
export async function endsWell(
  t: ExecutionContext,
  program: string,
  args: readonly Argument[] = [],
  options: ChildOptions = {},
): Promise<unknown> {
  const result = await run(t, program, args, options)
  t.deepEqual(ending(result), WELL, [program, ...args].join(' '))
  return result.code === 0 && result.stdout !== '' ? JSON.parse(result.stdout) : undefined
}

/** A number among what a program printed. */
export function number(facts: unknown, name: string): number {
  const value: unknown = typeof facts === 'object' && facts !== null ? Reflect.get(facts, name) : undefined
  return typeof value === 'number' ? value : Number.NaN
}
