// What a scan finds is handed over soon, not when there is enough of it.

import { truncateSync } from 'node:fs'

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { fileWith, regionWith } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { hasLongFiles } from './helpers/system.ts'

const inLong = hasLongFiles ? test.serial : test.serial.skip
const TIB = 2 ** 40
/** So far behind its first position a batch of positions ends. */
const FAR = 16 * 2 ** 20

inLong('the first match of 9 TiB is given at once (skipped where no file can be so long)', async (t) => {
  const path = fileWith(t, 'an ERROR, and then nothing')
  truncateSync(path, 9 * TIB)
  const child = await runChild('search/soon.mjs', [path], { timeout: 20_000 })
  t.deepEqual(ending(child), WELL)
  const names = ['indexesOf', 'indexesOf of many', 'matchAll', 'matchAll of many']
  t.is(child.stdout, `${names.map((name) => `${name} 3\n${name}, for await 3\n`).join('')}3\n`)
})

test.serial('positions are right where a batch of them ends, here and in the background', async (t) => {
  const random = new Random(t)
  const bytes = Buffer.alloc(3 * FAR + 1000)
  for (let round = 0; round < 8; round++) {
    bytes.fill(0)
    const length = random.pick([1, 2, 3, 7])
    const needle = Buffer.alloc(length, 'ab')
    const first = random.integer(0, 100)
    // Around where the first batch ends, and the one that begins there.
    for (const place of [first, first + FAR, first + 2 * FAR]) {
      bytes.fill('ab', place, place + length)
      const near = Math.max(0, place + random.integer(-10, 10))
      bytes.fill('ab', near, near + random.integer(1, 30))
    }
    const expected: number[] = []
    for (let at = bytes.indexOf(needle); at !== -1; at = bytes.indexOf(needle, at + length)) expected.push(at)
    const region = regionWith(t, bytes)
    t.deepEqual([...region.indexesOf(needle)], expected)
    const found: number[] = []
    for await (const index of region.indexesOf(needle)) found.push(index)
    t.deepEqual(found, expected)
    region.close()
  }
})

test.serial('an empty needle is found between any two bytes, over the ends of batches', (t) => {
  const region = regionWith(t, Buffer.alloc(10_000))
  t.is([...region.indexesOf('')].length, 10_001)
})
