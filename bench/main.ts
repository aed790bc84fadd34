// Runs the groups of rows one after another, and says at the end which targets are missed.
//
//   npm run bench                    all of them
//   npm run bench -- search lines    some of them

import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, getPriority, release, setPriority, totalmem, type } from 'node:os'
import { join } from 'node:path'

import { GIB, indexesFile, SEED, smallFile, sparseFile, textFile } from './lib/files.ts'
import type { Verdict } from './lib/group.ts'

const GROUPS = [
  'open',
  'guard',
  'random-access',
  'search',
  'lines',
  'move',
  'shared-memory',
  'waiting',
  'mutex',
  'ring',
  'locks',
  'gc',
]

function version(command: string): string {
  try {
    return execFileSync(command, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return `skipped: no ${command}`
  }
}

/** Whether memory that programs make comes in huge pages: it decides what random access costs. */
function hugePages(): string {
  try {
    return readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8').trim()
  } catch {
    return 'unknown'
  }
}

function raisePriority(): void {
  try {
    // For the children too. Only root may, and only Unix knows it so.
    setPriority(Math.min(getPriority(), -5))
  } catch {
    // At the priority it has, then.
  }
}

function printConditions(names: readonly string[]): void {
  const lines = {
    machine: `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, ${(totalmem() / GIB).toFixed(0)} GiB`,
    system: `${type()} ${release()}, ${process.arch}; huge pages: ${hugePages()}; priority ${getPriority()}`,
    Node: `${process.version}, V8 ${process.versions.v8}`,
    Python: version('python3'),
    limit: `bench/limit, ${version('rustc')}`,
    file: `${textFile()}, seed ${SEED}`,
    command: `npm run bench -- ${names.join(' ')}`,
  }
  for (const [name, text] of Object.entries(lines)) console.log(`${`${name}:`.padEnd(9)} ${text}`)
  console.log(`
Everybody has a turn, then everybody again, until the ratio is known to 3 % or 20 s have passed, after half a second
of each that does not count. Times are medians; the ratio is the median of each turn's, and so not always just that of the medians.
The file is in memory, and everybody's map of it is made and touched before.
`)
}

const named = process.argv.slice(2)
const unknown = named.find((name) => !GROUPS.includes(name))
if (unknown !== undefined) {
  console.error(`bench: there is no '${unknown}'; there are: ${GROUPS.join(', ')}`)
  process.exit(2)
}

raisePriority()
// Made here, before anybody measures.
for (const make of [textFile, indexesFile, smallFile, () => sparseFile(40)]) make()
const names = named.length === 0 ? GROUPS : named
printConditions(names)

const verdicts: Verdict[] = []
for (const name of names) {
  const execArgv = ['--import=@oxc-node/core/register', '--expose-gc']
  const child = fork(join(import.meta.dirname, `${name}.ts`), { execArgv })
  child.on('message', (verdict) => verdicts.push(verdict as Verdict))
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) process.exit(code ?? 1)
  console.log()
}
const missed = verdicts.filter(({ holds }) => !holds)
console.log(`${verdicts.length - missed.length} of ${verdicts.length} targets hold`)
for (const { what, found } of missed) console.log(`  missed: ${what}: ${found}`)
