// memmap locks FILE

import { FOUND, NOTHING, Trouble } from './command.ts'
import type { Command, Values } from './command.ts'
import { oneLine, styled, table } from './display.ts'
import { unseen } from './maps.ts'
import { locksOf } from './system.ts'
import type { Lock } from './system.ts'
import type { Terminal } from './terminal.ts'

const HELP = `usage: memmap locks [OPTION]… FILE

Shows who has which range of FILE locked, shared or exclusive, and who waits. A range is [first byte, byte behind the
last). Nothing is locked by looking, and FILE need not be readable.

  KIND open-file   of an open file: locks of this package, and others of this kind
       process     of a process: fcntl, lockf, Java's FileChannel
       flock       of the file as such: kind 'file' of this package, flock(1)
       lease       whoever opens the file waits until it is given back
       owner       not somebody's lock: by it the owner of a Mutex or Semaphore in the file is known to live

On Linux all of these, with the processes, as far as this user may look at them; of locks that are waited for within a
process, only the first one waits in the system. For shared memory: memmap locks /dev/shm/NAME. On macOS ranges only,
without processes, and without who waits; FILE must be writable there. On Windows nobody may know.

      --json           a row is {"file": string, "state": "held" | "waiting", "mode": "shared" | "exclusive",
                       "kind": string, "start": number, "end": number | null, "owner": null | {"position": number,
                       "number": number}, "processes": [{"pid": number, "command": string}]}; "end" is null for all that
                       may ever come, and what is beyond 2^53 a string of digits; an owner's position is that of its
                       mutex in the file, within 32 bytes
  -h, --help           this
  -V, --version        which memmap this is

Exit code: 0 there are locks, 1 there are none, 2 trouble.
`

export const locks: Command = {
  summary: 'who holds which range of a file, and who waits',
  help: HELP,
  options: { json: { type: 'boolean' } },
  run,
}

async function run(terminal: Terminal, { json }: Values, [file, more]: readonly string[]): Promise<number> {
  if (file === undefined) throw new Trouble('no file is given. See memmap locks --help')
  if (more !== undefined) throw new Trouble('locks takes one file. See memmap locks --help')
  const { found, hidden } = locksOf(file)
  const rows = found.toSorted(inOrder)
  if (json === true) {
    for (const lock of rows) await terminal.row(JSON.stringify({ file, ...facts(lock) }))
  } else if (rows.length > 0) {
    const columns = ['STATE', 'MODE', 'KIND', 'RANGE', 'PROCESSES'].map((title) => ({ title }))
    const [head = '', ...lines] = table(columns, rows.map(cellsOf))
    await terminal.drawn([head, ...lines.map((line, at) => (rows[at]?.waits === true ? styled('yellow', line) : line))])
  }
  if (json !== true) await terminal.drawn(unseen(hidden))
  return rows.length > 0 ? FOUND : NOTHING
}

/** Locks of the file before those that owners are known by, by where they are; who waits behind who holds. */
function inOrder(one: Lock, other: Lock): number {
  if (one.start !== other.start) return one.start < other.start ? -1 : 1
  return Number(one.waits) - Number(other.waits)
}

function facts({ waits, exclusive, family, start, end, owner, processes }: Lock) {
  return {
    state: waits ? 'waiting' : 'held',
    mode: exclusive ? 'exclusive' : 'shared',
    kind: owner === undefined ? family : 'owner',
    start: exact(start),
    end: end === undefined ? null : exact(end),
    owner: owner ?? null,
    processes,
  }
}

/** A number where it is exact, else its digits. */
function exact(value: bigint): number | string {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : String(value)
}

function cellsOf(lock: Lock): string[] {
  const { state, mode, kind } = facts(lock)
  const who = lock.processes.map(({ pid, command }) => `${pid} ${command}`).join(', ')
  return [state, mode, kind, rangeOf(lock), who === '' ? 'not known' : oneLine(who)]
}

function rangeOf({ family, start, end, owner }: Lock): string {
  if (owner !== undefined) return `owner ${owner.number} of the mutex or semaphore at byte ${owner.position}`
  return family === 'flock' || family === 'lease' ? 'the file' : `[${start}, ${end ?? 'end'})`
}
