// The other end of what bench/ring.ts measures: takes so many records, and answers with their bytes.

import { isMainThread, parentPort, workerData } from 'node:worker_threads'

import { Ring, SharedMemory } from 'memmap'

/** Counts what comes until it is all, again and again. */
function counting(records: number, answer: (bytes: number) => void): (bytes: number) => void {
  let [count, sum] = [0, 0]
  return (bytes) => {
    count += 1
    sum += bytes
    if (count < records) return
    answer(sum)
    count = sum = 0
  }
}

const [way = '', size = '', records = '', name = ''] = isMainThread
  ? process.argv.slice(2)
  : (workerData as readonly string[])

if (way.startsWith('ring')) {
  const memory = SharedMemory.open(name)
  const [capacity, short] = [2 ** 22, 4096]
  const ring = new Ring(memory, 0, capacity)
  const back = new Ring(memory, Ring.byteLengthFor(capacity), short)
  const count = counting(Number(records), (bytes) => back.pushSync(String(bytes)))
  // Looking at options takes longer than memory for a short record.
  const options = Number(size) > short ? { into: Buffer.allocUnsafeSlow(Number(size)) } : undefined
  if (way === 'ring awaited') for await (const record of ring) count(record.length)
  else for (let record = ring.popSync(options); record !== null; record = ring.popSync(options)) count(record.length)
  memory.close()
} else if (way === 'send') {
  const count = counting(Number(records), (bytes) => process.send?.(bytes))
  process.on('message', (record: string | Uint8Array) => count(record.length))
  process.send?.('ready')
} else if (way === 'pipe') {
  let sum = 0
  process.stdin.on('data', (chunk: Buffer) => {
    sum += chunk.length
    if (sum < Number(size) * Number(records)) return
    console.log(String(sum))
    sum = 0
  })
} else if (parentPort !== null) {
  const port = parentPort
  const count = counting(Number(records), (bytes) => port.postMessage(bytes))
  port.on('message', (record: Uint8Array) => count(record.length))
}
