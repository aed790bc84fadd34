// What a figure depends on: the machine, the system, and the versions of everybody who is measured.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus, getPriority, release, totalmem, type } from 'node:os'
import { join } from 'node:path'

import { ripgrep } from './commands.ts'
import { GIB, SEED } from './files.ts'

/** What is said of each of them, in this order. */
export type Conditions = Readonly<Record<string, string>>

const ROOT = join(import.meta.dirname, '..', '..')
const PEERS = join(ROOT, 'bench', 'peers')
const NOT_HERE = 'not here: its rows are skipped'

function output(command: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(command, args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return undefined
  }
}

function version(command: string): string {
  const [line] = (output(command, ['--version']) ?? NOT_HERE).split('\n', 1)
  return line ?? ''
}

/** Whether memory that programs make comes in huge pages: it decides what random access costs. */
function hugePages(): string {
  try {
    return readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8').trim()
  } catch {
    return 'unknown'
  }
}

export function conditions(): Conditions {
  return {
    machine: `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, ${(totalmem() / GIB).toFixed(0)} GiB`,
    system: `${type()} ${release()}, ${process.arch}; huge pages: ${hugePages()}; priority ${getPriority()}`,
    Node: `${process.version}, V8 ${process.versions.v8}`,
    Python: version('python3'),
    limit: `bench/limit, ${version('rustc')}`,
    seed: String(SEED),
  }
}

/** The versions of packages as they were installed. */
function packages(): Record<string, string> {
  const { optionalDependencies } = JSON.parse(readFileSync(join(PEERS, 'package.json'), 'utf8')) as {
    optionalDependencies: Record<string, string>
  }
  const versions: Record<string, string> = {}
  for (const name of Object.keys(optionalDependencies)) {
    const manifest = join(PEERS, 'node_modules', name, 'package.json')
    const { version: installed } = (
      existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')) : { version: NOT_HERE }
    ) as { version: string }
    versions[`npm's ${name}`] = installed
  }
  return versions
}

/** Those whom only this group stands beside. */
export function peersOf(group: string): Conditions {
  if (group === 'locks') return packages()
  if (group === 'search') return { grep: version('grep'), rg: version(ripgrep), wc: version('wc') }
  return {}
}

/** What is measured: the commit, and whether something was changed since, but for the report itself. */
export function commit(): string {
  const name = output('git', ['rev-parse', '--short=12', 'HEAD'])
  if (name === undefined) return 'unknown'
  const changed = output('git', ['status', '--porcelain', '--', '.', ':!docs/benchmarks'])
  return changed === '' ? name : `${name}, with changes`
}
