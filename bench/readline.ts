// Goes through the lines of a file by `node:readline` each time a line arrives on standard input, as limit/src/main.rs
// does: in a process of its own, since what it leaves on the heap would slow the others down.

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

import { textFile } from './lib/files.ts'
import { timedAsync } from './lib/measure.ts'

/** By its event, which is about as fast as `for await` on Node 20, and faster on Node 24. */
function readLines(): Promise<string> {
  return new Promise((resolve, reject) => {
    let [count, bytes] = [0, 0]
    const input = createReadStream(textFile()).once('error', reject)
    createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })
      .on('line', (line) => {
        count += 1
        bytes += line.length
      })
      .once('close', () => resolve(`${count} ${bytes}`))
  })
}

for await (const command of createInterface(process.stdin)) {
  if (command !== 'lines') throw new Error(`no such command: ${command}`)
  const { nanoseconds, result } = await timedAsync(1, readLines)
  console.log(`${nanoseconds}\t${result}`)
}
