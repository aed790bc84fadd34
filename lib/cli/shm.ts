// memmap shm, memmap shm rm NAME…

import { SharedMemory } from '../shared-memory.ts'
import { FOUND, NOTHING, Trouble, TROUBLE } from './command.ts'
import type { Command, Values } from './command.ts'
import { age, oneLine, shortSize, styled, table } from './display.ts'
import { unseen } from './maps.ts'
import { segments } from './system.ts'
import type { Segment } from './system.ts'
import type { Terminal } from './terminal.ts'

const HELP = `usage: memmap shm [OPTION]…
       memmap shm rm [OPTION]… NAME…

Lists shared memory that has a name: whose it is, how long it is, how much memory it takes, its age, and which
processes have it open or mapped. All programs of the system have their names in one place, and nothing tells who made
which: all are listed. A name marked with * is none that this package could have given; rm refuses it.

rm removes names. Who has the memory keeps it; nobody finds it by its name any more, and it goes with its last holder.
It asks before each, at a terminal; where there is none, --yes is needed.

  -y, --yes            rm does not ask
      --json           a row is {"name": string, "ours": boolean, "owner": string, "mode": string, "byteLength": number,
                       "allocated": number, "since": string | null, "processes": [{"pid": number, "command": string}]},
                       where "ours" says whether the package could have made it; of rm a row is
                       {"name": string, "removed": boolean}
  -h, --help           this
  -V, --version        which memmap this is

The list is Linux only; rm is for every system whose names outlive their holders: not for Windows.
Exit code: 0 listed or removed, 1 there are none, or somebody said no, 2 trouble.
`

/** So many processes are named before it is said how many more there are. */
const NAMED = 5

export const shm: Command = {
  summary: 'lists shared memory by name; shm rm NAME removes one',
  help: HELP,
  options: { yes: { type: 'boolean', short: 'y' }, json: { type: 'boolean' } },
  run,
}

async function run(terminal: Terminal, values: Values, [what, ...names]: readonly string[]): Promise<number> {
  if (what === undefined) return list(terminal, values)
  if (what !== 'rm') throw new Trouble(`shm does not know '${what}'; there is rm. See memmap shm --help`)
  if (names.length === 0) throw new Trouble('it is not said which name to remove. See memmap shm --help')
  return remove(terminal, values, names)
}

async function list(terminal: Terminal, { json }: Values): Promise<number> {
  const { found, hidden } = segments()
  const rows = found.toSorted((one, other) => (one.name < other.name ? -1 : 1))
  if (json === true) {
    for (const { allowed, since, mode, ...rest } of rows) {
      const { name, owner, byteLength, allocated, processes } = rest
      const made = since === undefined ? null : new Date(since).toISOString()
      const permissions = mode.toString(8).padStart(4, '0')
      await terminal.row(
        JSON.stringify({
          name,
          ours: allowed,
          owner,
          mode: permissions,
          byteLength,
          allocated,
          since: made,
          processes,
        }),
      )
    }
  } else if (rows.length > 0) {
    const columns = [
      { title: 'NAME' },
      { title: 'OWNER' },
      { title: 'MODE' },
      { title: 'BYTES', right: true },
      { title: 'ALLOCATED', right: true },
      { title: 'AGE', right: true },
      { title: 'PROCESSES' },
    ]
    const cells = rows.map((row) => [
      `${row.name}${row.allowed ? '' : ' *'}`,
      row.owner,
      row.mode.toString(8),
      shortSize(row.byteLength),
      shortSize(row.allocated),
      row.since === undefined ? '-' : age(Date.now() - row.since),
      holders(row),
    ])
    await terminal.drawn(table(columns, cells))
    const others = rows.some(({ allowed }) => !allowed)
    if (others) await terminal.drawn([styled('dim', '* no name that this package could have given')])
  }
  if (json !== true) await terminal.drawn(unseen(hidden))
  return rows.length > 0 ? FOUND : NOTHING
}

function holders({ processes }: Segment): string {
  if (processes.length === 0) return '-'
  const more = processes.length > NAMED ? ` and ${processes.length - NAMED} more` : ''
  return `${processes.slice(0, NAMED).map(({ pid, command }) => `${pid} ${first(command)}`).join(', ')}${more}` // prettier-ignore
}

/** The program, without its arguments and folders. */
function first(command: string): string {
  const [program = ''] = command.split(' ')
  return program.slice(program.lastIndexOf('/') + 1)
}

async function remove(terminal: Terminal, { yes, json }: Values, names: readonly string[]): Promise<number> {
  const known = yes === true ? [] : whatThereIs()
  let refused = false
  let trouble = false
  for (const name of names) {
    try {
      const segment = known.find((one) => one.name === name)
      const removed = yes === true || (await confirmed(terminal, name, segment))
      if (removed) SharedMemory.unlink(name)
      else refused = true
      if (json === true) await terminal.row(JSON.stringify({ name, removed }))
      else if (removed) await terminal.row(`removed ${name}`)
    } catch (error) {
      await terminal.flush()
      terminal.complain(error, name)
      trouble = true
    }
  }
  return trouble ? TROUBLE : refused ? NOTHING : FOUND
}

/** What there is, where the system says: to be asked about in words. */
function whatThereIs(): readonly Segment[] {
  try {
    return segments().found
  } catch {
    return []
  }
}

async function confirmed(terminal: Terminal, name: string, segment: Segment | undefined): Promise<boolean> {
  const about = segment === undefined ? '' : ` (${shortSize(segment.byteLength)} of ${segment.owner}${heldBy(segment)})`
  const answer = await terminal.asks(oneLine(`Remove '${name}'${about}?`))
  if (answer === undefined) {
    throw new Trouble(`'${name}' is not removed: there is no terminal to ask at; --yes removes without asking`)
  }
  return answer
}

function heldBy(segment: Segment): string {
  const count = segment.processes.length
  if (count === 0) return ', in use by nobody that can be seen'
  return `, in use by ${count === 1 ? 'a process' : `${count} processes`}: ${holders(segment)}`
}
