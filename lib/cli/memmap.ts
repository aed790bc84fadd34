#!/usr/bin/env node
// The command `memmap`: a table of what it can do, each in a file of its own.

import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'

import { Trouble, TROUBLE } from './command.ts'
import type { Command } from './command.ts'
import { count } from './count.ts'
import { doctor } from './doctor.ts'
import { find } from './find.ts'
import { locks } from './locks.ts'
import { maps } from './maps.ts'
import { residency } from './residency.ts'
import { shm } from './shm.ts'
import { Terminal } from './terminal.ts'

const SEARCH = { count, find }
const DIAGNOSIS = { residency, maps, shm, locks, doctor }
const COMMANDS: Readonly<Record<string, Command>> = { ...SEARCH, ...DIAGNOSIS }
const COMMON = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'V' },
} as const

function lines(commands: Readonly<Record<string, Command>>): string {
  return Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}`).join('\n') // prettier-ignore
}

function help(): string {
  return `usage: memmap COMMAND …

Search in files of any size:
${lines(SEARCH)}

Look at what is there:
${lines(DIAGNOSIS)}

\`memmap COMMAND --help\` tells more of each; \`memmap --version\` which memmap this is. Each takes --json.
Exit code: 0 found or shown, 1 nothing there (doctor: a warning), 2 trouble, 130 ended by Ctrl-C.
`
}

function version(): string {
  const { version: number } = createRequire(import.meta.url)('memmap/package.json') as { version: string }
  return `memmap ${number}\n`
}

async function run(terminal: Terminal, [name = '', ...args]: readonly string[]): Promise<number> {
  if (name === '-V' || name === '--version') return terminal.say(version())
  if (name === '-h' || name === '--help') return terminal.say(help())
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) {
    const what = name === '' ? 'no command is given' : `there is no command '${name}'`
    throw new Trouble(`${what}; there are: ${Object.keys(COMMANDS).join(', ')}. See memmap --help`)
  }
  const given = parse(name, command, args)
  if (given.values['version'] === true) return terminal.say(version())
  if (given.values['help'] === true) return terminal.say(command.help)
  return command.run(terminal, given.values, given.positionals)
}

function parse(name: string, { options }: Command, args: string[]) {
  try {
    return parseArgs({ args, options: { ...COMMON, ...options }, allowPositionals: true })
  } catch (error) {
    const [why = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
    throw new Trouble(`${why.replace(/\.$/, '')}. See memmap ${name} --help`, { cause: error })
  }
}

const terminal = new Terminal()
try {
  process.exitCode = await run(terminal, process.argv.slice(2))
  await terminal.flush()
} catch (error) {
  terminal.complain(error)
  process.exitCode = TROUBLE
}
