// Waiting for words of shared memory: two processes that answer each other, there and back, standing still and not; beside
// a pipe, which is what Node has for it.

import { fork, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'

import { SharedMemory } from 'memmap'

import { beside, group, within } from './lib/group.ts'
import { timed, timedAsync } from './lib/measure.ts'
import type { Contender } from './lib/measure.ts'

const BYTES = 65_536
const ROUNDS = 2000
/** What the two say, each in a cache line of its own. */
const [ASKED, ANSWERED] = [0, 64]

const SELF = join(import.meta.dirname, 'waiting.ts')
const LOADER = '--import=@oxc-node/core/register'
const name = `mm-wait-${process.pid}`

function answerStanding(memory: SharedMemory): void {
  for (let last = 0; ;) {
    while (memory.readInt32LE(ASKED) === last) memory.wait(ASKED, last)
    last = memory.readInt32LE(ASKED)
    memory.writeInt32LE(last, ANSWERED)
    memory.notify(ANSWERED)
  }
}

async function answerAwaiting(memory: SharedMemory): Promise<void> {
  for (let last = 0; ;) {
    while (memory.readInt32LE(ASKED) === last) await memory.waitAsync(ASKED, last)
    last = memory.readInt32LE(ASKED)
    memory.writeInt32LE(last, ANSWERED)
    memory.notify(ANSWERED)
  }
}

const ROLES: Readonly<Record<string, () => unknown>> = {
  standing: () => answerStanding(SharedMemory.open(process.argv[3] ?? '')),
  awaiting: () => answerAwaiting(SharedMemory.open(process.argv[3] ?? '')),
  pipe: () => process.stdin.on('data', (bytes) => process.stdout.write(bytes)),
  messages: () => process.on('message', (message) => process.send?.(message)),
}

const children: ChildProcess[] = []

function partner(role: string, ...args: readonly string[]): ChildProcess {
  const child =
    role === 'messages'
      ? fork(SELF, [role], { execArgv: [LOADER] })
      : spawn(process.execPath, [LOADER, SELF, role, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  return child
}

/** Memory of its own for each pair. */
function pair(role: 'standing' | 'awaiting'): SharedMemory {
  const memory = SharedMemory.create(`${name}-${role}`, BYTES, { unlinkOnClose: true })
  partner(role, `${name}-${role}`)
  return memory
}

function askStanding(memory: SharedMemory): number {
  const from = memory.readInt32LE(ASKED)
  for (let round = from; round < from + ROUNDS; round++) {
    memory.writeInt32LE(round + 1, ASKED)
    memory.notify(ASKED)
    while (memory.readInt32LE(ANSWERED) === round) memory.wait(ANSWERED, round)
  }
  return ROUNDS
}

async function askAwaiting(memory: SharedMemory): Promise<number> {
  const from = memory.readInt32LE(ASKED)
  for (let round = from; round < from + ROUNDS; round++) {
    memory.writeInt32LE(round + 1, ASKED)
    memory.notify(ASKED)
    while (memory.readInt32LE(ANSWERED) === round) await memory.waitAsync(ANSWERED, round)
  }
  return ROUNDS
}

/** Calls `send` so often, each time when the answer to the last one has come. */
function inTurn(hear: (heard: () => void) => void, send: () => void): Contender {
  let heard = (): void => {}
  hear(() => heard())
  return () =>
    timedAsync(ROUNDS, () => {
      let left = ROUNDS
      return new Promise((resolve) => {
        heard = () => {
          left -= 1
          if (left === 0) resolve(ROUNDS)
          else send()
        }
        send()
      })
    })
}

function byPipe(): Contender {
  const { stdin, stdout } = partner('pipe')
  const byte = Buffer.alloc(1)
  return inTurn(
    (heard) => stdout?.on('data', heard),
    () => stdin?.write(byte),
  )
}

function byMessages(): Contender {
  const child = partner('messages')
  return inTurn(
    (heard) => child.on('message', heard),
    () => child.send(1),
  )
}

const role = ROLES[process.argv[2] ?? '']
if (role !== undefined) {
  await role()
} else {
  await group('waiting', async ({ row }) => {
    const limit = ['waiting-ping-pong', `/dev/shm/${name}-raw`, ROUNDS] as const
    const standing = pair('standing')
    await row({
      what: 'ping-pong of two processes, wait + notify',
      ours: () => timed(ROUNDS, () => askStanding(standing)),
      ...(process.platform === 'linux' && { limit }),
      target: within(15_000, process.platform === 'linux' ? 'limit' : undefined),
      bound: 'waking a thread, twice',
    })
    const awaiting = pair('awaiting')
    const ours = (): ReturnType<Contender> => timedAsync(ROUNDS, () => askAwaiting(awaiting))
    const bound = 'waking two threads, twice'
    await row({
      what: 'ping-pong, waitAsync + notify (Node: a pipe)',
      ours,
      node: byPipe(),
      target: beside('node'),
      bound,
    })
    await row({
      what: 'ping-pong, waitAsync + notify (Node: process.send)',
      ours,
      node: byMessages(),
      target: beside('node'),
      bound,
    })
    standing.close()
    awaiting.close()
  })
  for (const child of children) child.kill()
}
