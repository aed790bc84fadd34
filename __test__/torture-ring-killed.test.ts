// Producers and consumers of a ring are killed at any moment: nobody is held up, nothing that was pushed is lost, nothing comes
// twice or by half.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { Ring, SharedMemory } from 'memmap'

import { readRecord, recordOf } from './fixtures/ring/common.mjs'
import { Random } from './helpers/random.ts'
import { freeName, kept } from './helpers/shared.ts'
import { trials } from './helpers/trials.ts'

const TIMES = trials(8, 1000)
const CAPACITY = 2 ** 18
/** Bytes of records: so long that a kill often meets the copying. */
const LONG = 60_000
/** Behind the ring: how many records a child has pushed or popped. */
const COUNT = Ring.byteLengthFor(CAPACITY)
/** So long the others may be held up; a loose bound, since the machine may be busy. */
const PATIENCE = { timeout: 10_000 }

interface Hunt {
  readonly name: string
  readonly ring: Ring
  readonly count: Int32Array
}

function hunt(t: ExecutionContext): Hunt {
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, COUNT + 8))
  return { name, ring: new Ring(memory, 0, CAPACITY), count: memory.view(Int32Array, COUNT, 1) }
}

/** Starts a child, does something until it is killed at a random moment, and waits for its end. */
async function killing(
  { name }: Hunt,
  role: 'producer' | 'consumer',
  number: number,
  after: number,
  meanwhile: () => void,
): Promise<void> {
  const program = fileURLToPath(new URL('fixtures/ring/endless.mjs', import.meta.url))
  const child = spawn(process.execPath, [program, name, String(CAPACITY), role, String(number), String(LONG)], {
    env: { ...process.env, NODE_OPTIONS: undefined },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  await once(child.stdout, 'data')
  const deadline = performance.now() + after
  while (performance.now() < deadline) meanwhile()
  child.kill('SIGKILL')
  await ended
}

/** Pops all that is there, however its producer ended: the milliseconds that took. */
function drain(ring: Ring, look: (record: Buffer) => void): number {
  const from = performance.now()
  let isMarked = false
  for (;;) {
    // Behind the last one.
    isMarked ||= ring.tryPush('')
    const record = ring.tryPop()
    if (record?.length === 0) return performance.now() - from
    if (record !== null) look(record)
    else if (performance.now() - from > PATIENCE.timeout) throw new Error('held up for too long')
  }
}

/** All of the ring can be used, and soon. */
function isWhole(t: ExecutionContext, ring: Ring): void {
  ring.pushSync(Buffer.alloc(CAPACITY, 5), PATIENCE)
  t.is(ring.popSync(PATIENCE)?.length, CAPACITY)
  t.is(ring.tryPop(), null)
}

test.serial(`producers killed ${TIMES} times: what was pushed comes, and the rest is dropped`, async (t) => {
  const random = new Random(t)
  const hunted = hunt(t)
  const { ring, count } = hunted
  let came = 0
  let longest = 0
  for (let producer = 0; producer < TIMES; producer++) {
    Atomics.store(count, 0, 0)
    let next = 0
    const look = (record: Buffer | null): void => {
      if (record === null) return
      const found = readRecord(record)
      if (found.producer !== producer || found.number !== next)
        t.fail(`${found.producer}: ${found.number}, not ${next}`)
      next += 1
    }
    // Popped here, or left until the ring is full.
    const isPopping = random.next() < 0.7
    await killing(hunted, 'producer', producer, random.integer(1, 40), () => {
      if (isPopping) look(ring.tryPop())
    })
    longest = Math.max(longest, drain(ring, look))
    const pushed = Atomics.load(count, 0)
    if (next !== pushed && next !== pushed + 1) t.fail(`${next} of ${pushed} came`)
    came += next
    isWhole(t, ring)
  }
  t.log(`${came} records came, ${ring.dropped} dropped, held up ${longest.toFixed(0)} ms at most`)
  t.true(came > TIMES)
})

test.serial(
  `consumers killed ${TIMES} times: at most one record is lost with each, and none comes twice`,
  async (t) => {
    const random = new Random(t)
    const hunted = hunt(t)
    const { ring, count } = hunted
    let [lost, longest] = [0, 0]
    for (let consumer = 0; consumer < TIMES; consumer++) {
      Atomics.store(count, 0, 0)
      let number = 0
      const push = (): void => {
        if (ring.tryPush(recordOf(consumer, number, random.integer(0, LONG)))) number += 1
      }
      await killing(hunted, 'consumer', consumer, random.integer(1, 40), push)
      const popped = Atomics.load(count, 0)
      // What is left comes in order, behind what the dead one has popped.
      let next: number | undefined
      let left = 0
      const took = drain(ring, (record) => {
        const found = readRecord(record)
        if (found.producer !== consumer || found.number !== (next ?? found.number))
          t.fail(`${found.number}, not ${next}`)
        next = found.number + 1
        left += 1
      })
      longest = Math.max(longest, took)
      if (left > 0 && next !== number) t.fail(`the last was ${next} of ${number}`)
      const gone = number - popped - left
      if (gone < 0 || gone > 1) t.fail(`${gone} lost: ${number} pushed, ${popped} popped, ${left} left`)
      lost += gone
      isWhole(t, ring)
    }
    t.log(`${lost} lost, held up ${longest.toFixed(0)} ms at most`)
    t.is(ring.dropped, 0)
  },
)
