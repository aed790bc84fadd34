// Moving a part of a file inside it.

import { closeSync, openSync, readSync, writeSync } from 'node:fs'

import { MmapFile } from 'memmap'

import { GIB, scratchFile } from './lib/files.ts'
import { atMost, group } from './lib/group.ts'
import { timed } from './lib/measure.ts'

const MIB = 2 ** 20
const LENGTH = 256 * MIB
const TO = GIB - LENGTH

const chunk = Buffer.alloc(MIB)

function moveThroughFs(descriptor: number): number {
  for (let at = 0; at < LENGTH; at += MIB) {
    readSync(descriptor, chunk, 0, MIB, at)
    writeSync(descriptor, chunk, 0, MIB, TO + at)
  }
  return LENGTH
}

await group('move', async ({ row }) => {
  const scratch = scratchFile()
  const file = MmapFile.open(scratch.path, { access: 'write' })
  const descriptor = openSync(scratch.path, 'r+')
  await row({
    what: 'move 256 MiB (Node: read and write)',
    ours: () =>
      timed(1, () => {
        file.move(TO, 0, LENGTH)
        return LENGTH
      }),
    node: () => timed(1, () => moveThroughFs(descriptor)),
    python: ['move', scratch.path, LENGTH],
    limit: ['move', scratch.path, LENGTH],
    target: atMost(1.15, 'limit'),
    bound: 'memory bandwidth',
  })
  file.close()
  closeSync(descriptor)
  scratch.remove()
})
