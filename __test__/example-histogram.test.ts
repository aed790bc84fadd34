// examples/histogram.ts, run as its users run it.

import { join } from 'node:path'

import test from 'ava'

import { ending, WELL } from './helpers/child.ts'
import { runExample } from './helpers/examples.ts'
import { fileWith } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { tmpFolder } from './helpers/tmp.ts'

/** What a histogram says: how often each byte occurs, of those that do. */
function countsIn(stdout: string): Record<number, number> {
  const rows = stdout.matchAll(/^([0-9a-f]{2}) . +(\d+) #+$/gm)
  return Object.fromEntries([...rows].map(([, byte = '', count]) => [parseInt(byte, 16), Number(count)]))
}

function countsOf(bytes: Uint8Array): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const byte of bytes) counts[byte] = (counts[byte] ?? 0) + 1
  return counts
}

/** Of an uneven spread, and much longer than a worker takes at a time. */
function sample(random: Random, length: number): Buffer {
  const piece = Buffer.from(Array.from({ length: 40_009 }, () => Math.floor(256 * random.next() ** 3)))
  return Buffer.alloc(length, piece)
}

for (const workers of [1, 4, 7]) {
  test.serial(`${workers} workers count every byte of a file once`, async (t) => {
    const random = new Random(t)
    const bytes = sample(random, 30 * 2 ** 20 + random.integer(1, 2 ** 20))
    const child = await runExample('histogram', [fileWith(t, bytes), workers])
    t.deepEqual(ending(child), WELL)
    t.deepEqual(countsIn(child.stdout), countsOf(bytes))
  })
}

test.serial('more workers than there are pieces, and an empty file', async (t) => {
  const child = await runExample('histogram', [fileWith(t, 'aab\n'), 4])
  t.deepEqual(ending(child), WELL)
  t.deepEqual(countsIn(child.stdout), countsOf(Buffer.from('aab\n')))
  const empty = await runExample('histogram', [fileWith(t, '')])
  t.deepEqual({ ...ending(empty), stdout: empty.stdout }, { ...WELL, stdout: '' })
})

test.serial('bad arguments, and a file that is not there: a line on stderr', async (t) => {
  for (const args of [[], [fileWith(t, 'text'), 0], [fileWith(t, 'text'), 65], [fileWith(t, 'text'), 'many']]) {
    const { code, stdout, stderr } = await runExample('histogram', args)
    t.deepEqual([code, stdout, stderr], [2, '', 'usage: histogram.ts FILE [WORKERS, 1 to 64]\n'])
  }
  const path = join(tmpFolder(t), 'nowhere')
  const { code, stderr } = await runExample('histogram', [path])
  t.deepEqual([code, stderr.split('\n').length], [1, 2])
  t.true(stderr.startsWith(`histogram: ENOENT: no such file or directory, open '${path}'`), stderr)
})
