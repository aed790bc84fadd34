// memmap maps [PID]

import { NOTHING, FOUND, Trouble } from './command.ts'
import type { Command, Values } from './command.ts'
import { oneLine, shortSize, styled, table, whole } from './display.ts'
import { mapsOf, users } from './system.ts'
import type { MapRow } from './system.ts'
import type { Terminal } from './terminal.ts'

const HELP = `usage: memmap maps [OPTION]…
       memmap maps [OPTION]… PID

Without PID: the processes that use the package, which is to say those that have its addon loaded. With PID: the live
maps of that process, whether it uses the package or not. Of other users' processes to root only; on Windows those that
the system lets this user open.

  KIND anonymous   shared memory without a name, made by this package (Linux)
       closed      a region of this package that was closed, and that views still hold the addresses of (Linux)
       named       shared memory that has a name, this package's or another program's (Linux)
       shared      shared memory; the system tells neither its name nor who made it (macOS, Windows)
       file        a file; the system does not tell who mapped it
       addon       this package's addon
       program     (with --all) the program and its libraries: on Linux and macOS files of which some part is executable
       private     (with --all) memory of the process alone: heap, stacks, PrivateMemory
       system      (with --all) the kernel's own pages, devices; on macOS also libraries that all processes share

PERM is what may be done: r, w, x, and s where what is written is the file's or everybody's, p where it stays with the
process. Not told: on macOS the offset of private maps, on Windows any, and how much is in memory of what goes beyond
16 GiB. COMMAND is the path of the program there, without what it was started with. A closed region is private memory on
macOS, and stays mapped on Windows until nobody holds its addresses. Tried on Windows under wine only, never on macOS.

  -a, --all            maps of every kind
  -f, --filter TEXT    only those whose path has TEXT in it; without PID, whose command has
  -s, --sort BY        bytes (the default, largest first), memory (most in memory first), address
      --json           a row is {"pid": number, "start": string, "end": string, "bytes": number,
                       "resident": number | null, "permissions": string, "kind": string,
                       "offset": number | null, "path": string}, addresses in hexadecimal; without PID
                       {"pid": number, "owner": string, "maps": number, "mapped": number, "command": string}, where
                       "mapped" is bytes of files and shared memory
  -h, --help           this
  -V, --version        which memmap this is

Exit code: 0 shown, 1 there is nothing to show, 2 trouble.
`

const SORTS: Readonly<Record<string, (one: MapRow, other: MapRow) => number>> = {
  bytes: (one, other) => bytesOf(other) - bytesOf(one),
  memory: (one, other) => (other.resident ?? 0) - (one.resident ?? 0),
  address: () => 0,
}
/** Kinds that are not what one looks for. */
const COMMON: ReadonlySet<string> = new Set(['program', 'private', 'system'])
/** Kinds that are surely this package's. */
const OURS: ReadonlySet<string> = new Set(['addon', 'anonymous', 'closed'])
const MOST_PIDS = 2 ** 32 - 1

export const maps: Command = {
  summary: 'the live maps of a process; without PID, who uses the package',
  help: HELP,
  options: {
    all: { type: 'boolean', short: 'a' },
    filter: { type: 'string', short: 'f' },
    sort: { type: 'string', short: 's' },
    json: { type: 'boolean' },
  },
  run,
}

async function run(terminal: Terminal, values: Values, positionals: readonly string[]): Promise<number> {
  const [pid, more] = positionals
  if (more !== undefined) throw new Trouble('maps takes one PID. See memmap maps --help')
  const by = String(values['sort'] ?? 'bytes')
  const sort = Object.hasOwn(SORTS, by) ? SORTS[by] : undefined
  if (sort === undefined) throw new Trouble(`--sort takes ${Object.keys(SORTS).join(', ')}, not '${by}'`)
  return pid === undefined ? showUsers(terminal, values) : showMaps(terminal, values, numberOf(pid), sort)
}

function numberOf(pid: string): number {
  const number = Number(pid)
  if (!/^\d+$/.test(pid) || number < 1 || number > MOST_PIDS) throw new Trouble(`'${pid}' is no number of a process`)
  return number
}

async function showUsers(terminal: Terminal, { json, filter }: Values): Promise<number> {
  const { found, hidden } = users()
  const wanted = found.filter(({ command }) => typeof filter !== 'string' || command.includes(filter))
  const rows = wanted.toSorted((one, other) => one.pid - other.pid)
  if (json === true) {
    for (const { pid, owner, maps: count, mapped, command } of rows) {
      await terminal.row(JSON.stringify({ pid, owner, maps: count, mapped, command }))
    }
  } else if (rows.length > 0) {
    const columns = [
      { title: 'PID', right: true },
      { title: 'OWNER' },
      { title: 'MAPS', right: true },
      { title: 'MAPPED', right: true },
      { title: 'COMMAND' },
    ]
    const cells = rows.map(({ pid, owner, maps: count, mapped, command }) => {
      return [String(pid), owner, whole(count), shortSize(mapped), command]
    })
    await terminal.drawn(table(columns, cells))
  }
  if (json !== true) await terminal.drawn(unseen(hidden))
  return rows.length > 0 ? FOUND : NOTHING
}

/** Says that some could not be looked at. */
export function unseen(hidden: number): string[] {
  if (hidden === 0) return []
  const what = hidden === 1 ? 'one more process' : `${whole(hidden)} more processes`
  return [styled('dim', `${what} may not be looked at by this user`)]
}

const bytesOf = ({ start, end }: MapRow): number => Number(end - start)

function lookedAt(pid: number): MapRow[] {
  try {
    return mapsOf(pid)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ESRCH' || code === 'ENOENT') throw new Trouble(`there is no process ${pid}`, { cause: error })
    if (code !== 'EACCES' && code !== 'EPERM') throw error
    const who = process.platform === 'win32' ? 'Windows does not let this user' : 'only root may'
    throw new Trouble(`process ${pid} is another user's, or protected: ${who} look at its maps`, { cause: error })
  }
}

async function showMaps(
  terminal: Terminal,
  { json, all, filter }: Values,
  pid: number,
  sort: (one: MapRow, other: MapRow) => number,
): Promise<number> {
  const every = lookedAt(pid)
  const wanted = every.filter(({ kind, path }) => {
    return (all === true || !COMMON.has(kind)) && (typeof filter !== 'string' || path.includes(filter))
  })
  const rows = wanted.toSorted(sort)
  if (json === true) {
    for (const { start, end, offset = null, permissions, kind, path, resident = null } of rows) {
      const addresses = { start: start.toString(16), end: end.toString(16), bytes: Number(end - start) }
      await terminal.row(JSON.stringify({ pid, ...addresses, resident, permissions, kind, offset, path }))
    }
    return rows.length > 0 ? FOUND : NOTHING
  }
  if (rows.length > 0) await terminal.drawn(tableOf(rows))
  const left = every.length - rows.length
  const total = `${whole(rows.length)} maps, ${shortSize(rows.reduce((sum, row) => sum + bytesOf(row), 0))}`
  const rest = left === 0 ? '' : `; ${whole(left)} more ${all === true ? 'without that text' : 'with --all'}`
  await terminal.drawn([styled('dim', `${total}${rest}`)])
  return rows.length > 0 ? FOUND : NOTHING
}

function tableOf(rows: readonly MapRow[]): string[] {
  const columns = [
    { title: 'ADDRESS', right: true },
    { title: 'BYTES', right: true },
    { title: 'IN MEMORY', right: true },
    { title: 'PERM' },
    { title: 'KIND' },
    { title: 'PATH' },
  ]
  const cells = rows.map((row) => {
    const inMemory = row.resident === undefined ? '-' : shortSize(row.resident)
    return [row.start.toString(16), shortSize(bytesOf(row)), inMemory, row.permissions, row.kind, oneLine(row.path)]
  })
  const [head = '', ...lines] = table(columns, cells)
  return [head, ...lines.map((line, at) => (OURS.has(rows[at]?.kind ?? '') ? styled('green', line) : line))]
}
