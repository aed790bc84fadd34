// Shared memory: making and dropping a segment, and two processes that answer each other through a word of it.

import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { EventEmitter } from 'node:events'
import { join } from 'node:path'
import { isMainThread, Worker, workerData } from 'node:worker_threads'

import { SharedMemory } from 'memmap'

import { LIMIT } from './lib/child.ts'
import { atMost, group } from './lib/group.ts'
import { timed } from './lib/measure.ts'
import type { Run } from './lib/measure.ts'

const SEGMENTS = 2000
const BYTES = 65_536
// Many, since the answering process is a new one each time, and V8 needs some to compile its function.
const ROUNDS = 5_000_000
/** Rounds at a call: the code that V8 makes for a loop it is caught in is another than a function's that is called often. */
const PART = 1000
/** Of the words two processes share: whose turn it is, and whether the other has come. */
const [TURN, READY] = [0, 16]

const SELF = join(import.meta.dirname, 'shared-memory.ts')
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

/** The answering side, in a process or a worker of its own. */
function answer(words: Int32Array): void {
  Atomics.store(words, READY, 1)
  for (let round = 0; round < ROUNDS; round += PART) answerPart(words, round)
}

function answerPart(words: Int32Array, from: number): void {
  for (let round = from; round < from + PART; round++) {
    while (Atomics.load(words, TURN) !== 2 * round + 1);
    Atomics.store(words, TURN, 2 * round + 2)
  }
}

function ask(words: Int32Array): number {
  for (let round = 0; round < ROUNDS; round += PART) askPart(words, round)
  return ROUNDS
}

function askPart(words: Int32Array, from: number): void {
  for (let round = from; round < from + PART; round++) {
    Atomics.store(words, TURN, 2 * round + 1)
    while (Atomics.load(words, TURN) !== 2 * round + 2);
  }
}

/** Asks until all is answered. `ended` is when the other side has gone. */
async function pingPong(words: Int32Array, ended: Promise<unknown>): Promise<Run> {
  while (Atomics.load(words, READY) === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  const run = timed(ROUNDS, () => ask(words))
  await ended
  return run
}

async function withProcess(start: () => EventEmitter): Promise<Run> {
  const memory = SharedMemory.create(name, BYTES)
  try {
    return await pingPong(memory.view(Int32Array), once(start(), 'exit'))
  } finally {
    memory.close()
    SharedMemory.unlink(name)
  }
}

const withNode = (): Promise<Run> => withProcess(() => fork(SELF, ['--answer', name]))
const withRust = (): Promise<Run> =>
  withProcess(() => spawn(LIMIT, ['--answer', `/dev/shm/${name}`, String(ROUNDS)], { stdio: 'inherit' }))

/** The same by Node alone: two threads, and memory that V8 has made. */
function withWorker(): Promise<Run> {
  const words = new Int32Array(new SharedArrayBuffer(BYTES))
  return pingPong(words, once(new Worker(SELF, { workerData: words }), 'exit'))
}

if (!isMainThread) {
  answer(workerData as Int32Array)
} else if (process.argv[2] === '--answer') {
  const memory = SharedMemory.open(process.argv[3] ?? '')
  answer(memory.view(Int32Array))
  memory.close()
} else {
  await group('shared memory', async ({ row }) => {
    await row({
      what: 'create + map + touch + close + unlink, 64 KiB',
      ours: () => timed(SEGMENTS, segments),
      limit: ['segments', `/${name}-raw`, SEGMENTS, BYTES],
      // Two calls more than the raw ones: a segment gets its name when it is whole (O_TMPFILE and linkat).
      target: atMost(1.75, 'limit'),
      bound: 'system calls',
    })
    const limit = ['ping-pong', `/dev/shm/${name}-raw`, ROUNDS] as const
    await row({
      what: 'ping-pong, spinning; Rust at the other end',
      ours: withRust,
      limit,
      target: atMost(1.1, 'limit'),
      bound: 'a cache line between two cores',
    })
    await row({
      what: 'ping-pong of two Nodes (Node: two workers)',
      ours: withNode,
      node: withWorker,
      limit,
      target: atMost(1.1, 'limit'),
      bound: "V8's loops at both ends: two workers are no faster",
    })
  })
}
