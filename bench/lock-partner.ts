// Another process that has a lock, and gives it back: commands on standard input, as limit/src/main.rs takes them.

import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

import { FileLock } from 'memmap'

let lock: FileLock | undefined

async function hold(path: string): Promise<string> {
  lock = await FileLock.acquire(path)
  return 'held'
}

/** Releases after so many milliseconds; the result is when. The answer comes later, to be in nobody's way. */
async function release(milliseconds: number): Promise<string> {
  await sleep(milliseconds)
  const when = process.hrtime.bigint()
  lock?.release()
  await sleep(milliseconds)
  return String(when)
}

for await (const line of createInterface(process.stdin)) {
  const [command, word = ''] = line.split('\t')
  const result = command === 'hold' ? await hold(word) : await release(Number(word))
  console.log(`0\t${result}`)
}
