// Shared memory: making and dropping a segment, and two processes that answer each other through a word of it.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

import { SharedMemory } from 'memmap'

import { atMost, group } from './lib/group.ts'
import { timed } from './lib/measure.ts'
import type { Run } from './lib/measure.ts'

const SEGMENTS = 2000
const BYTES = 65_536
// Many, since the answering process is a new one each time, and V8 needs some to compile its loop.
const ROUNDS = 5_000_000
/** Of the words two processes share: whose turn it is, and whether the other has come. */
const [TURN, READY] = [0, 16]

const name = `mm-bench-${process.pid}`

function segments(): number {
  let sum = 0
  for (let at = 0; at < SEGMENTS; at++) {
    const memory = SharedMemory.create(name, BYTES)
    sum += memory.readUInt8(0) + 1
    memory.close()
    SharedMemory.unlink(name)
  }
  return sum
}

/** The answering side, in a process of its own. */
function answer(memoryName: string): void {
  const memory = SharedMemory.open(memoryName)
  const words = memory.view(Int32Array)
  Atomics.store(words, READY, 1)
  for (let turn = 1; turn < 2 * ROUNDS; turn += 2) {
    while (Atomics.load(words, TURN) !== turn);
    Atomics.store(words, TURN, turn + 1)
  }
  memory.close()
}

function ask(words: Int32Array): number {
  for (let turn = 1; turn < 2 * ROUNDS; turn += 2) {
    Atomics.store(words, TURN, turn)
    while (Atomics.load(words, TURN) !== turn + 1);
  }
  return ROUNDS
}

async function pingPong(): Promise<Run> {
  const memory = SharedMemory.create(name, BYTES)
  const words = memory.view(Int32Array)
  const partner = fork(join(import.meta.dirname, 'shared-memory.ts'), ['--answer', name])
  const ended = once(partner, 'exit')
  while (Atomics.load(words, READY) === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  const run = timed(ROUNDS, () => ask(words))
  await ended
  memory.close()
  SharedMemory.unlink(name)
  return run
}

if (process.argv[2] === '--answer') {
  answer(process.argv[3] ?? '')
} else {
  await group('shared memory', async ({ row }) => {
    await row({
      what: 'create + map + touch + close + unlink, 64 KiB',
      ours: () => timed(SEGMENTS, segments),
      limit: ['segments', `/${name}-raw`, SEGMENTS, BYTES],
      target: atMost(1.5, 'limit'),
      bound: 'system calls',
    })
    await row({
      what: 'ping-pong of two processes, spinning',
      ours: pingPong,
      limit: ['ping-pong', `/dev/shm/${name}-raw`, ROUNDS],
      target: atMost(1.1, 'limit'),
      bound: 'a cache line between two cores',
    })
  })
}
