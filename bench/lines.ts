// Going through the lines of a gigabyte of text.

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

import { MmapFile } from 'memmap'

import { textFile } from './lib/files.ts'
import { faster, group } from './lib/group.ts'
import { timed, timedAsync } from './lib/measure.ts'

const path = textFile()

// One loop for Buffers and one for strings: V8 specialises a loop for what it has met.
const overBuffers = (lines: Iterable<Buffer>): string => {
  let [count, bytes] = [0, 0]
  for (const line of lines) {
    count += 1
    bytes += line.length
  }
  return `${count} ${bytes}`
}
const overStrings = (lines: Iterable<string>): string => {
  let [count, bytes] = [0, 0]
  for (const line of lines) {
    count += 1
    bytes += line.length
  }
  return `${count} ${bytes}`
}

/** By its event: three times as fast as `for await`. */
function readline(): Promise<string> {
  return new Promise((resolve, reject) => {
    let [count, bytes] = [0, 0]
    const input = createReadStream(path).once('error', reject)
    createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })
      .on('line', (line) => {
        count += 1
        bytes += line.length
      })
      .once('close', () => resolve(`${count} ${bytes}`))
  })
}

await group('lines, 1 GiB (Node: readline)', async ({ row }) => {
  const file = MmapFile.open(path)
  const peers = { node: () => timedAsync(1, readline), python: ['lines', path], limit: ['lines', path] } as const
  await row({
    what: 'lines() as Buffers',
    ours: () => timed(1, () => overBuffers(file.lines())),
    ...peers,
    target: faster(4, 'node'),
    bound: 'V8 making Buffers',
  })
  await row({
    what: "lines({ encoding: 'utf8' })",
    ours: () => timed(1, () => overStrings(file.lines({ encoding: 'utf8' }))),
    ...peers,
    target: faster(3, 'node'),
    bound: 'V8 making strings',
  })
  file.close()
})
