// Going through the lines of a gigabyte of text.

import { MmapFile } from 'memmap'

import { startNode } from './lib/child.ts'
import { textFile } from './lib/files.ts'
import { faster, group } from './lib/group.ts'
import { timed } from './lib/measure.ts'
import type { Run } from './lib/measure.ts'

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

await group('lines, 1 GiB (Node: readline)', async ({ row }) => {
  const file = MmapFile.open(path)
  const readline = await startNode('readline.ts')
  const others = { python: ['lines', path], limit: ['lines', path] } as const
  // Readline twice: by a loop like ours, and by its event, which a newer Node serves faster.
  for (const [how, command] of [
    ['for await', 'iterate'],
    ["on('line')", 'listen'],
  ] as const) {
    const node = (): Run | Promise<Run> => readline.ask(command)
    await row({
      what: `lines() as Buffers / ${how}`,
      ours: () => timed(1, () => overBuffers(file.lines())),
      node,
      ...others,
      target: faster(4, 'node'),
      bound: 'V8 making Buffers',
    })
    await row({
      what: `lines as strings / ${how}`,
      ours: () => timed(1, () => overStrings(file.lines({ encoding: 'utf8' }))),
      node,
      ...others,
      target: faster(4, 'node'),
      bound: 'V8 making strings',
    })
  }
  file.close()
  readline.end()
})
