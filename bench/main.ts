// Runs the groups of rows one after another, and says at the end which targets are missed.
//
//   npm run bench                             all of them
//   npm run bench -- search lines             some of them
//   npm run bench -- --report [search lines]  and writes docs/benchmarks; groups that were there before stay
//   npm run bench -- --draw                   writes the page and the pictures again from results.json

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { getPriority, loadavg, setPriority } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { commit, conditions, peersOf } from './lib/conditions.ts'
import { indexesFile, smallFile, sparseFile, textFile } from './lib/files.ts'
import { printRow, printTitle } from './lib/print.ts'
import type { Message, RowResult, Title } from './lib/result.ts'
import { files } from './report/page.ts'
import { merge, readResults, saveResults } from './report/results.ts'
import type { GroupResult } from './report/results.ts'

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
const ROOT = join(import.meta.dirname, '..')
const REPORT = join(ROOT, 'docs', 'benchmarks')
const RESULTS = join(REPORT, 'results.json')

function raisePriority(): void {
  try {
    // For the children too. Only root may, and only Unix knows it so.
    setPriority(Math.min(getPriority(), -5))
  } catch {
    // At the priority it has, then.
  }
}

function printConditions(names: readonly string[], command: string): void {
  const lines = { ...conditions(), ...Object.assign({}, ...names.map(peersOf)), file: textFile(), command }
  const width = Math.max(...Object.keys(lines).map((name) => name.length)) + 2
  for (const [name, text] of Object.entries(lines)) console.log(`${name}:`.padEnd(width) + String(text))
  console.log(`
Everybody has a turn, then everybody again, until the ratio is known to 3 % or 20 s have passed, after half a second
of each that does not count. Times are medians; the ratio is the median of each turn's, and so not always just that of the medians.
The file is in memory, and everybody's map of it is made and touched before.
`)
}

/** Runs a group in a process of its own, prints its rows as they come, and returns them. */
async function measure(group: string, command: string): Promise<GroupResult> {
  const began = { date: new Date().toISOString(), load: loadavg()[0] ?? 0, commit: commit() }
  const from = performance.now()
  const tables: (Title & { rows: RowResult[] })[] = []
  const execArgv = ['--import=@oxc-node/core/register', '--expose-gc']
  const child = fork(join(import.meta.dirname, `${group}.ts`), { execArgv })
  child.on('message', (message: Message) => {
    const last = tables.at(-1)
    if ('table' in message) {
      if (last !== undefined) console.log()
      printTitle(message.table)
      tables.push({ ...message.table, rows: [] })
    } else if (last !== undefined) {
      printRow(last, message.row)
      // An error's message may name a folder of this machine.
      last.rows.push({ ...message.row, bound: message.row.bound.replaceAll(ROOT, '.') })
    }
  })
  // What it has sent may come after its end.
  const [[code]] = await Promise.all([once(child, 'exit') as Promise<[number | null]>, once(child, 'disconnect')])
  if (code !== 0) process.exit(code ?? 1)
  console.log()
  const seconds = (performance.now() - from) / 1000
  return { group, ...began, seconds, command, conditions: conditions(), peers: peersOf(group), tables }
}

/** Writes the page and its pictures, and takes away those of groups that are no more. */
function draw(): void {
  const written = files(readResults(RESULTS), GROUPS)
  for (const [name, text] of written) writeFileSync(join(REPORT, name), text)
  for (const name of readdirSync(REPORT)) {
    if (name.endsWith('.svg') && !written.has(name)) rmSync(join(REPORT, name))
  }
}

function printVerdicts(rows: readonly RowResult[]): void {
  const judged = rows.filter(({ holds }) => holds !== undefined)
  const missed = judged.filter(({ holds }) => holds === false)
  console.log(`${judged.length - missed.length} of ${judged.length} targets hold`)
  for (const { what, verdict, target } of missed) console.log(`  missed: ${what}: ${verdict}, target ${target}`)
}

function fail(message: string): never {
  console.error(`bench: ${message}`)
  process.exit(2)
}

function readArguments() {
  const options = { report: { type: 'boolean', default: false }, draw: { type: 'boolean', default: false } } as const
  try {
    return parseArgs({ options, allowPositionals: true })
  } catch (error) {
    return fail((error as Error).message)
  }
}

const { values, positionals: named } = readArguments()
const unknown = named.find((name) => !GROUPS.includes(name))
if (unknown !== undefined) fail(`there is no '${unknown}'; there are: ${GROUPS.join(', ')}`)
if (values.draw) {
  if (readResults(RESULTS).groups.length === 0) fail('nothing to draw: `npm run bench -- --report` comes first')
  draw()
  process.exit()
}

raisePriority()
// Made here, before anybody measures.
for (const make of [textFile, indexesFile, smallFile, () => sparseFile(40)]) make()
const names = named.length === 0 ? GROUPS : named
const command = ['npm run bench --', ...(values.report ? ['--report'] : []), ...named].join(' ').replace(/ --$/, '')
printConditions(names, command)

const rows: RowResult[] = []
for (const name of names) {
  const result = await measure(name, command)
  rows.push(...result.tables.flatMap((table) => table.rows))
  if (values.report) {
    // After each, so that who is interrupted has what was measured.
    saveResults(RESULTS, merge(readResults(RESULTS), result, GROUPS))
    draw()
  }
}
printVerdicts(rows)
