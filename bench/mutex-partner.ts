// Another process that uses the same mutex: commands on standard input, as limit/src/main.rs takes them.

import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

import { Mutex, SharedMemory } from 'memmap'
import type { MutexGuard } from 'memmap'

const [, , name = ''] = process.argv
const memory = SharedMemory.open(name)
const words = memory.view(Int32Array)
const mutex = new Mutex(memory, 0)
let guard: MutexGuard | undefined

/** As in mutex.ts: the other one's word is beside. */
function sections(times: number): string {
  Atomics.add(words, 512, 1)
  while (Atomics.load(words, 512) % 2 !== 0);
  for (let done = 0; done < times; done++) {
    const inside = mutex.lockSync()
    words[256] = (words[256] ?? 0) + 1
    inside.release()
  }
  return 'done'
}

/** Releases after so many milliseconds; the result is when. The answer comes later, to be in nobody's way. */
async function release(milliseconds: number): Promise<string> {
  await sleep(milliseconds)
  const when = process.hrtime.bigint()
  guard?.release()
  await sleep(milliseconds)
  return String(when)
}

for await (const line of createInterface(process.stdin)) {
  const [command, word = ''] = line.split('\t')
  if (command === 'hold') {
    guard = mutex.lockSync()
    console.log('0\theld')
  } else {
    console.log(`0\t${command === 'sections' ? sections(Number(word)) : await release(Number(word))}`)
  }
}
