// The programs of examples/, run as their users run them.

import { spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { join } from 'node:path'

import { runChild } from './child.ts'
import type { ChildOptions, ChildResult } from './child.ts'
import { ROOT } from './system.ts'

/** What their heads tell to give to Node: 20 does not run TypeScript by itself. Nodes that do take no loader, which is a program. */
export const LOADER: readonly string[] = process.features.typescript ? [] : ['--import=@oxc-node/core/register']

/** Runs an example to its end. */
export function runExample(
  name: string,
  args: readonly (string | number)[] = [],
  options: ChildOptions = {},
): Promise<ChildResult> {
  return runChild(new URL(`../../examples/${name}.ts`, import.meta.url), args, { nodeArgs: LOADER, ...options })
}

/** Starts an example that is talked to. */
export function startExample(name: string, args: readonly string[]): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [...LOADER, join('examples', `${name}.ts`), ...args], {
    cwd: ROOT,
    env: { ...process.env, NODE_OPTIONS: undefined },
    stdio: 'pipe',
  })
}
