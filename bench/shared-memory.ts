// Shared memory: making and dropping a segment, and two processes that answer each other through a word of it.

import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { EventEmitter } from 'node:events'
import { join } from 'node:path'
import { isMainThread, Worker, workerData } from 'node:worker_threads'

import { SharedMemory } from 'memmap'

import { LIMIT } from './lib/child.ts'
import { atMost, beside, group } from './lib/group.ts'
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

/**
 * Two ways to spin. By load and store, a core first asks for a copy of the line and then for the line itself, two
 * ways for each turn. By compareExchange it asks for the line at once, and who gets it has had its turn.
 */
type Way = 'load and store' | 'compareExchange'
type Part = (words: Int32Array, from: number) => void

const ANSWERS: Record<Way, Part> = {
  'load and store': (words, from) => {
    for (let round = from; round < from + PART; round++) {
      while (Atomics.load(words, TURN) !== 2 * round + 1);
      Atomics.store(words, TURN, 2 * round + 2)
    }
  },
  compareExchange: (words, from) => {
    for (let round = from; round < from + PART; round++) {
      while (Atomics.compareExchange(words, TURN, 2 * round + 1, 2 * round + 2) !== 2 * round + 1);
    }
  },
}

const ASKS: Record<Way, Part> = {
  'load and store': (words, from) => {
    for (let round = from; round < from + PART; round++) {
      Atomics.store(words, TURN, 2 * round + 1)
      while (Atomics.load(words, TURN) !== 2 * round + 2);
    }
  },
  compareExchange: (words, from) => {
    for (let round = from; round < from + PART; round++) {
      while (Atomics.compareExchange(words, TURN, 2 * round, 2 * round + 1) !== 2 * round);
    }
  },
}

/** The answering side, in a process or a worker of its own. */
function answer(words: Int32Array, way: Way): void {
  Atomics.store(words, READY, 1)
  for (let round = 0; round < ROUNDS; round += PART) ANSWERS[way](words, round)
}

function ask(words: Int32Array, way: Way): number {
  for (let round = 0; round < ROUNDS; round += PART) ASKS[way](words, round)
  while (Atomics.load(words, TURN) !== 2 * ROUNDS);
  return ROUNDS
}

/** Asks until all is answered. `ended` is when the other side has gone. */
async function pingPong(words: Int32Array, way: Way, ended: Promise<unknown>): Promise<Run> {
  while (Atomics.load(words, READY) === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  const run = timed(ROUNDS, () => ask(words, way))
  await ended
  return run
}

async function withProcess(way: Way, start: () => EventEmitter): Promise<Run> {
  const memory = SharedMemory.create(name, BYTES)
  try {
    return await pingPong(memory.view(Int32Array), way, once(start(), 'exit'))
  } finally {
    memory.close()
    SharedMemory.unlink(name)
  }
}

const withNode = (way: Way): Promise<Run> => withProcess(way, () => fork(SELF, ['--answer', name, way]))
const withRust = (way: Way): Promise<Run> =>
  withProcess(way, () => spawn(LIMIT, ['--answer', `/dev/shm/${name}`, String(ROUNDS), way], { stdio: 'inherit' }))

/** The same by Node alone: two threads, and memory that V8 has made. */
function withWorker(way: Way): Promise<Run> {
  const words = new Int32Array(new SharedArrayBuffer(BYTES))
  return pingPong(words, way, once(new Worker(SELF, { workerData: { words, way } }), 'exit'))
}

if (!isMainThread) {
  const { words, way } = workerData as { words: Int32Array; way: Way }
  answer(words, way)
} else if (process.argv[2] === '--answer') {
  const memory = SharedMemory.open(process.argv[3] ?? '')
  answer(memory.view(Int32Array), process.argv[4] as Way)
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
    const limit = (way: Way) => ['ping-pong', `/dev/shm/${name}-raw`, ROUNDS, way] as const
    const bound = 'a cache line between two cores'
    await row({
      what: 'ping-pong, compareExchange; Rust at one end',
      ours: () => withRust('compareExchange'),
      limit: limit('compareExchange'),
      target: atMost(1.1, 'limit'),
      bound,
    })
    await row({
      what: 'ping-pong, compareExchange (Node: two workers)',
      ours: () => withNode('compareExchange'),
      node: () => withWorker('compareExchange'),
      limit: limit('compareExchange'),
      target: atMost(1.1, 'limit'),
      bound,
    })
    await row({
      what: 'ping-pong, load and store; Rust at one end',
      ours: () => withRust('load and store'),
      limit: limit('load and store'),
      target: atMost(1.1, 'limit'),
      bound,
    })
    await row({
      what: 'ping-pong, load and store (Node: two workers)',
      ours: () => withNode('load and store'),
      node: () => withWorker('load and store'),
      limit: limit('load and store'),
      // Two workers are no faster: how V8's two loops fall into step decides it, 60 or 118 ns.
      target: beside('limit'),
      bound: `${bound}, twice a turn`,
    })
  })
}
