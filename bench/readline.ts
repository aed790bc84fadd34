// Goes through the lines of a file by `node:readline` each time a line arrives on standard input, as limit/src/main.rs
// does: in a process of its own, since what it leaves on the heap would slow the others down.

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

import { textFile, WORD } from './lib/files.ts'
import { timedAsync } from './lib/measure.ts'

/** By a loop, as our own lines are gone through. */
async function iterate(): Promise<string> {
  let [count, bytes] = [0, 0]
  const input = createReadStream(textFile())
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    count += 1
    bytes += line.length
  }
  return `${count} ${bytes}`
}

/** By its event: about as fast on Node 20, and faster on Node 24. */
function listen(): Promise<string> {
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

/** How many lines have the word in them. */
async function countLines(): Promise<string> {
  let found = 0
  const input = createReadStream(textFile())
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.includes(WORD)) found += 1
  }
  return String(found)
}

const COMMANDS = new Map([
  ['count', countLines],
  ['iterate', iterate],
  ['listen', listen],
])

for await (const command of createInterface(process.stdin)) {
  const work = COMMANDS.get(command)
  if (work === undefined) throw new Error(`no such command: ${command}`)
  const { nanoseconds, result } = await timedAsync(1, work)
  console.log(`${nanoseconds}\t${result}`)
}
