// memmap doctor

import { createRequire } from 'node:module'

import { capabilities, limits } from '../limits.ts'
import { FOUND, NOTHING, Trouble } from './command.ts'
import type { Command, Values } from './command.ts'
import { styled } from './display.ts'
import type { Style } from './display.ts'
import { findings } from './findings.ts'
import type { Finding, State } from './findings.ts'
import { machine } from './system.ts'
import type { Terminal } from './terminal.ts'

const HELP = `usage: memmap doctor [OPTION]…

Looks at the limits and settings that maps, shared memory, pinned memory and waits run into, as they are for a process
started from here, and says what to change, with the command. Nothing is changed by it.

  ok        all is well
  note      well, but for some purposes there is something to change
  warning   something will not work, or not as it should

  -q, --quiet          warnings only
      --json           a row is {"check": string, "state": "ok" | "note" | "warning", "value": string,
                       "advice": string | null, "command": string | null}; the last one is {"capabilities":
                       {FEATURE: "native" | "emulated" | "absent"}}
  -h, --help           this
  -V, --version        which memmap this is

Exit code: 0 nothing to warn of, 1 there is a warning, 2 trouble.
`

const STYLES: Readonly<Record<State, Style>> = { ok: 'green', note: 'cyan', warning: 'yellow' }
const STATE = 9
const CHECK = 22
const LEAST = 60
const MOST = 100

export const doctor: Command = {
  summary: 'limits and capabilities of this system, and what to change',
  help: HELP,
  options: { quiet: { type: 'boolean', short: 'q' }, json: { type: 'boolean' } },
  run,
}

async function run(terminal: Terminal, { json, quiet }: Values, positionals: readonly string[]): Promise<number> {
  if (positionals.length > 0) throw new Trouble('doctor takes no arguments. See memmap doctor --help')
  const facts = { settings: machine(), limits: limits(), capabilities: capabilities(), environment: process.env }
  const all = findings(facts)
  const told = quiet === true ? all.filter(({ state }) => state === 'warning') : all
  if (json === true) {
    for (const { check, state, value, advice = null, command = null } of told) {
      await terminal.row(JSON.stringify({ check, state, value, advice, command }))
    }
    if (quiet !== true) await terminal.row(JSON.stringify({ capabilities: facts.capabilities }))
  } else {
    if (quiet !== true) await terminal.drawn([styled('bold', here(facts.settings.get('kernel'))), ''])
    await terminal.drawn(told.flatMap(lines))
    if (quiet !== true) await terminal.drawn(missing(facts.capabilities))
  }
  return all.some(({ state }) => state === 'warning') ? NOTHING : FOUND
}

function here(kernel: string | undefined): string {
  const { version } = createRequire(import.meta.url)('memmap/package.json') as { version: string }
  const system = `${process.platform}-${process.arch}${kernel === undefined ? '' : `, kernel ${kernel}`}`
  return `memmap ${version}, ${system}, Node ${process.version}`
}

function lines({ check, state, value, advice, command }: Finding): string[] {
  const head = `${styled(STYLES[state], state.padEnd(STATE))}${check.padEnd(CHECK)}${value}`
  const indent = ' '.repeat(STATE + CHECK)
  const told = advice === undefined ? [] : wrapped(advice)
  const change = command === undefined ? [] : [`${indent}${styled('bold', `→ ${command}`)}`]
  return [head, ...told.map((line) => `${indent}${styled('dim', line)}`), ...change]
}

function wrapped(text: string): string[] {
  const columns = process.stdout.isTTY ? process.stdout.columns || 80 : MOST
  const room = Math.max(LEAST, Math.min(MOST, columns)) - STATE - CHECK
  const found: string[] = []
  for (const word of text.split(' ')) {
    const last = found.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= room) found[found.length - 1] = `${last} ${word}`
    else found.push(word)
  }
  return found
}

/** What is not there, or by other means: of all that capabilities() tells. */
function missing(all: Readonly<Record<string, string>>): string[] {
  const named = (support: string): string =>
    Object.keys(all).filter((feature) => all[feature] === support).join(', ') // prettier-ignore
  const rows = (['emulated', 'absent'] as const).map((support) => [support, named(support)] as const)
  return ['', ...rows.filter(([, features]) => features !== '').map(([support, features]) => `${support}: ${features}`)]
}
