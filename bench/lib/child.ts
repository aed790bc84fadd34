// A process that does the same work by other means, when it is told to: see limit/src/main.rs and peer.py.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { join } from 'node:path'

import type { Run } from './measure.ts'

const BENCH = join(import.meta.dirname, '..')
/** The program of bench/limit. */
export const LIMIT = join(BENCH, 'limit', 'target', 'release', 'memmap-bench-limit')

export interface Child {
  /** Runs a command there. */
  ask(...words: readonly (string | number)[]): Promise<Run>
  end(): void
}

function start(command: string, args: readonly string[]): Promise<Child | undefined> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const answers = createInterface(child.stdout)[Symbol.asyncIterator]()
    child.once('error', () => resolve(undefined))
    child.once('spawn', () => {
      resolve({
        async ask(...words) {
          child.stdin.write(`${words.join('\t')}\n`)
          const answer = await answers.next()
          if (answer.done) throw new Error(`${command} ended in the middle of '${words.join(' ')}'`)
          const [nanoseconds = '', result = ''] = answer.value.split('\t')
          if (nanoseconds === 'error') throw new Error(`${command}: ${words.join(' ')}: ${result}`)
          return { nanoseconds: Number(nanoseconds), result }
        },
        end() {
          child.stdin.end()
        },
      })
    })
  })
}

/** The loop in Rust; `scripts/bench.mjs` has built it. */
export async function startLimit(): Promise<Child> {
  const child = await start(LIMIT, [])
  if (child === undefined) throw new Error('bench/limit was not built: run the benchmark by `npm run bench`')
  return child
}

/** Python, if there is one. */
export function startPython(): Promise<Child | undefined> {
  return start('python3', [join(BENCH, 'peer.py')])
}

/** A Node of its own that runs a script of `bench/`. */
export async function startNode(script: string, args: readonly string[] = []): Promise<Child> {
  const child = await start(process.execPath, ['--import=@oxc-node/core/register', join(BENCH, script), ...args])
  if (child === undefined) throw new Error(`cannot run ${process.execPath}`)
  return child
}
