// Finding and counting in a gigabyte of text.

import { closeSync, openSync, readSync } from 'node:fs'

import { MmapFile } from 'memmap'

import { LAST_BYTE, LAST_WORD, textFile, WORD } from './lib/files.ts'
import { atMost, group } from './lib/group.ts'
import { timed } from './lib/measure.ts'

const CHUNK = 2 ** 20

const path = textFile()
const chunk = Buffer.alloc(CHUNK)

/** The file in pieces that repeat so many bytes of the one before; `visit` ends it by returning true. */
function pieces(descriptor: number, overlap: number, visit: (piece: Buffer, position: number) => boolean): void {
  for (let position = 0; ; position += CHUNK - overlap) {
    const length = readSync(descriptor, chunk, 0, CHUNK, position)
    if (length <= overlap || visit(chunk.subarray(0, length), position)) return
  }
}

function find(descriptor: number, needle: Buffer): number {
  let found = -1
  pieces(descriptor, needle.length - 1, (piece, position) => {
    const index = piece.indexOf(needle)
    if (index !== -1) found = position + index
    return index !== -1
  })
  return found
}

function count(descriptor: number, needle: Buffer): number {
  let found = 0
  pieces(descriptor, needle.length - 1, (piece) => {
    for (let at = piece.indexOf(needle); at !== -1; at = piece.indexOf(needle, at + needle.length)) found += 1
    return false
  })
  return found
}

const finds = { 'one byte': LAST_BYTE, [`${LAST_WORD.length} bytes`]: LAST_WORD }
const counts = { newlines: '\n', 'a word': WORD }

await group('search, 1 GiB', async ({ row }) => {
  const file = MmapFile.open(path)
  const descriptor = openSync(path, 'r')
  for (const [what, needle] of Object.entries(finds)) {
    const bytes = Buffer.from(needle)
    await row({
      what: `indexOf, ${what}, near the end`,
      ours: () => timed(1, () => file.indexOf(bytes)),
      node: () => timed(1, () => find(descriptor, bytes)),
      python: ['find', path, needle],
      limit: ['find', path, needle],
      target: atMost(1.1, 'limit'),
      bound: 'memory bandwidth',
    })
  }
  for (const [what, needle] of Object.entries(counts)) {
    const bytes = Buffer.from(needle)
    const spelled = needle === '\n' ? '\\n' : needle
    await row({
      what: `count, ${what}`,
      ours: () => timed(1, () => file.count(bytes)),
      node: () => timed(1, () => count(descriptor, bytes)),
      python: ['count', path, spelled],
      limit: ['count', path, spelled],
      target: atMost(1.1, 'limit'),
      bound: needle === '\n' ? 'memory bandwidth' : 'memory bandwidth, matches',
    })
  }
  file.close()
  closeSync(descriptor)
})
