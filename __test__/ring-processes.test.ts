// The ring between real processes and workers: every record arrives once, whole and in its producer's order; who is killed in the
// middle takes nobody with it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { Ring, SharedMemory } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { freeName, kept } from './helpers/shared.ts'
import { trials } from './helpers/trials.ts'

const EACH = trials(5000, 50_000)

function named(t: ExecutionContext, capacity: number): { name: string; ring: Ring } {
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, Ring.byteLengthFor(capacity)))
  return { name, ring: new Ring(memory, 0, capacity) }
}

/** How often each record arrived, by what the consumers saw. */
function counts(answers: readonly (readonly string[])[], producer: number, count: number): number[] {
  const bitmaps = answers.map((answer) => Buffer.from(answer[producer] ?? '', 'base64'))
  return Array.from({ length: count }, (_, number) =>
    bitmaps.reduce((sum, bitmap) => sum + (((bitmap[number >> 3] ?? 0) >> (number & 7)) & 1), 0),
  )
}

const others = (numbers: readonly number[], value: number): number => numbers.filter((one) => one !== value).length

interface Setting {
  readonly producers: readonly string[]
  readonly consumers: readonly string[]
  readonly capacity: number
}

const SETTINGS: readonly Setting[] = [
  { producers: ['pushSync'], consumers: ['popSync'], capacity: 65_536 },
  { producers: ['push'], consumers: ['for await'], capacity: 8192 },
  {
    producers: ['pushSync', 'push', 'tryPush', 'push'],
    consumers: ['popSync', 'for await', 'pop', 'for await'],
    capacity: 65_536,
  },
  {
    producers: ['push', 'pushSync', 'push', 'push'],
    consumers: ['for await', 'for await', 'popSync', 'pop'],
    capacity: 4096,
  },
]

for (const { producers, consumers, capacity } of SETTINGS) {
  const title = `${producers.join(', ')} to ${consumers.join(', ')} in ${capacity} bytes`
  test.serial(`processes, ${title}: ${EACH} records of each arrive once, whole and in order`, async (t) => {
    const { name, ring } = named(t, capacity)
    const options = { timeout: 20 * 60_000 }
    const receiving = consumers.map((way) =>
      runChild('ring/consume.mjs', [name, capacity, producers.length, EACH, way], options),
    )
    const pushing = producers.map((way, at) => runChild('ring/produce.mjs', [name, capacity, at, EACH, way], options))
    for (const child of await Promise.all(pushing)) t.deepEqual(ending(child), WELL)
    ring.end()
    const ended = await Promise.all(receiving)
    for (const child of ended) t.deepEqual(ending(child), WELL)
    const answers = ended.map(({ stdout }) => JSON.parse(stdout.split('\n')[1] ?? '') as string[])
    for (let producer = 0; producer < producers.length; producer++) {
      t.is(others(counts(answers, producer, EACH), 1), 0, `lost or twice, of producer ${producer}`)
    }
    t.is(ring.dropped, 0)
    t.is(ring.tryPop(), null)
  })
}

test.serial(`workers of one process: ${EACH} records of each of two arrive once`, async (t) => {
  const capacity = 16_384
  const memory = kept(t, SharedMemory.anonymous(Ring.byteLengthFor(capacity)))
  const ring = new Ring(memory, 0, capacity)
  const start = (file: string, ...rest: unknown[]): Worker =>
    new Worker(new URL(`fixtures/ring/${file}.mjs`, import.meta.url), {
      workerData: [memory.share(), capacity, ...rest],
      stdout: true,
      execArgv: [],
    })
  const receiving = ['popSync', 'for await'].map(async (way) => {
    const [answer] = (await once(start('consume', 2, EACH, way), 'message')) as [string[]]
    return answer
  })
  await Promise.all(['push', 'pushSync'].map((way, at) => once(start('produce', at, EACH, way), 'exit')))
  ring.end()
  const answers = await Promise.all(receiving)
  for (const producer of [0, 1]) t.is(others(counts(answers, producer, EACH), 1), 0)
})

test.serial('a worker that stands still in popSync or pushSync can be terminated', async (t) => {
  const capacity = 4096
  const memory = kept(t, SharedMemory.anonymous(Ring.byteLengthFor(capacity)))
  const ring = new Ring(memory, 0, capacity)
  for (const file of ['consume', 'produce']) {
    if (file === 'produce') t.true(ring.tryPush(Buffer.alloc(capacity)))
    const way = file === 'consume' ? [1, 8, 'popSync'] : [0, 8, 'pushSync']
    const worker = new Worker(new URL(`fixtures/ring/${file}.mjs`, import.meta.url), {
      workerData: [memory.share(), capacity, ...way],
      stdout: true,
      execArgv: [],
    })
    await once(worker, 'online')
    await sleep(200)
    t.is(await worker.terminate(), 1)
  }
  t.is(ring.tryPop()?.length, capacity)
  t.true(ring.tryPush('free again'))
})

test.serial('who sleeps is woken from another process, and not only by the clock', async (t) => {
  const { name, ring } = named(t, 4096)
  const program = fileURLToPath(new URL('fixtures/ring/echo.mjs', import.meta.url))
  const child = spawn(process.execPath, [program, name, '4096'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  await once(child.stdout, 'data')
  const times: number[] = []
  for (let round = 0; round < 100; round++) {
    // Time for the other side to fall asleep.
    await sleep(2)
    const from = performance.now()
    await ring.push('ping')
    t.is(String(await new Ring(kept(t, SharedMemory.open(`${name}.back`)), 0, 4096).pop()), 'pong')
    times.push(performance.now() - from)
  }
  ring.end()
  t.deepEqual(await ended, [0, null])
  times.sort((a, b) => a - b)
  t.log(`there and back: p50 ${times[50]?.toFixed(2)} ms, max ${times[99]?.toFixed(2)} ms`)
  // By the clock alone it would be up to 25 ms there, and 200 back.
  t.true((times[50] ?? Infinity) < 100)
})
