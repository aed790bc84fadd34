// The ring beside what Node has to send records by: from this process to another one, or to a worker. The other end takes
// so many records and then answers once.

import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Worker } from 'node:worker_threads'

import { Ring, SharedMemory } from 'memmap'

import { beside, faster, group } from './lib/group.ts'
import type { Row } from './lib/group.ts'
import { timedAsync } from './lib/measure.ts'
import type { Contender, Run } from './lib/measure.ts'

const PARTNER = join(import.meta.dirname, 'ring-partner.ts')
const EXEC = ['--import=@oxc-node/core/register']
const [CAPACITY, SHORT] = [2 ** 22, 4096]
/** Bytes of a record, and how many are sent at a time. */
const SIZES = [
  { bytes: 64, records: 20_000, shown: '64 B' },
  { bytes: 4096, records: 5000, shown: '4 KiB' },
  { bytes: 262_144, records: 200, shown: '256 KiB' },
] as const
type Size = (typeof SIZES)[number]

/** One end, which sends all records and hears of it when they have come. */
interface Way {
  run: Contender
  end(): unknown
}

const wordsOf = (way: string, { bytes, records }: Size): string[] => [way, String(bytes), String(records)]

/** Both ends stand still where they wait (`pushSync`, `popSync`), or neither does (`push`, `for await`). */
function throughRing(size: Size, way: 'ring' | 'ring awaited'): Way {
  const name = `mm-ring-${process.pid}-${size.bytes}-${way.length}`
  const back = Ring.byteLengthFor(CAPACITY)
  const memory = SharedMemory.create(name, back + Ring.byteLengthFor(SHORT), { unlinkOnClose: true })
  const [ring, answers] = [new Ring(memory, 0, CAPACITY), new Ring(memory, back, SHORT)]
  spawn(process.execPath, [...EXEC, PARTNER, ...wordsOf(way, size), name], { stdio: 'inherit' })
  const record = Buffer.alloc(size.bytes, 'record')
  return {
    run: () =>
      timedAsync(size.records, async () => {
        if (way === 'ring') {
          for (let at = 0; at < size.records; at++) ring.pushSync(record)
          return String(answers.popSync())
        }
        for (let at = 0; at < size.records; at++) await ring.push(record)
        return String(await answers.pop())
      }),
    end() {
      ring.end()
      memory.close()
    },
  }
}

async function bySend(size: Size, serialization: 'json' | 'advanced'): Promise<Way> {
  const child = fork(PARTNER, wordsOf('send', size), { execArgv: EXEC, serialization })
  await once(child, 'message')
  // JSON has no bytes: a text of that length is the least it can do.
  const record = serialization === 'json' ? 'r'.repeat(size.bytes) : Buffer.alloc(size.bytes, 'record')
  return {
    run: () =>
      timedAsync(size.records, async () => {
        const answered = once(child, 'message')
        for (let at = 0; at < size.records; at++) child.send(record)
        const [answer] = (await answered) as [number]
        return answer
      }),
    end: () => child.kill(),
  }
}

function byPipe(size: Size): Way {
  const child = spawn(process.execPath, [...EXEC, PARTNER, ...wordsOf('pipe', size)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface(child.stdout)
  const record = Buffer.alloc(size.bytes, 'record')
  return {
    run: () =>
      timedAsync(size.records, async () => {
        const answered = once(lines, 'line')
        for (let at = 0; at < size.records; at++) {
          if (!child.stdin.write(record)) await once(child.stdin, 'drain')
        }
        const [answer] = (await answered) as [string]
        return answer
      }),
    end: () => child.stdin.end(),
  }
}

function byPostMessage(size: Size): Way {
  const worker = new Worker(PARTNER, { workerData: wordsOf('worker', size) })
  const record = new Uint8Array(size.bytes).fill(7)
  return {
    run: (): Promise<Run> =>
      timedAsync(size.records, async () => {
        const answered = once(worker, 'message')
        for (let at = 0; at < size.records; at++) worker.postMessage(record)
        const [answer] = (await answered) as [number]
        return answer
      }),
    end: () => worker.terminate(),
  }
}

await group('ring', async ({ row }) => {
  for (const size of SIZES) {
    const ours = throughRing(size, 'ring')
    const peers: readonly (readonly [string, () => Way | Promise<Way>])[] = [
      ['process.send', () => bySend(size, 'json')],
      ['process.send, advanced', () => bySend(size, 'advanced')],
      ['pipe', () => byPipe(size)],
      ['postMessage to a worker', () => byPostMessage(size)],
    ]
    for (const [name, start] of peers) {
      const peer = await start()
      const least = size.bytes === 64 && name === 'process.send'
      const base: Row = {
        what: `a record of ${size.shown} (Node: ${name})`,
        ours: ours.run,
        node: peer.run,
        target: least ? faster(5, 'node') : beside('node'),
        bound: size.bytes === 64 ? 'calls of the addon, and a cache line between cores' : 'copies',
      }
      await row(base)
      await peer.end()
    }
    const awaited = throughRing(size, 'ring awaited')
    const sent = await bySend(size, 'json')
    await row({
      what: `${size.shown}, push + for await (Node: process.send)`,
      ours: awaited.run,
      node: sent.run,
      target: beside('node'),
      bound: size.bytes === 64 ? 'promises' : 'copies',
    })
    await sent.end()
    awaited.end()
    if (size.bytes > 4096) {
      await row({
        what: `a record of ${size.shown} (limit: two copies, one thread)`,
        ours: ours.run,
        limit: ['copies', size.bytes, size.records],
        // Through two cores' caches, and not from one's own.
        target: beside('limit'),
        bound: 'memory',
      })
    }
    ours.end()
  }
})
