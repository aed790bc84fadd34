// Bytes that others change while a method looks at them, which no lock forbids.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { Random } from './helpers/random.ts'
import { tmpFile } from './helpers/tmp.ts'
import { trials } from './helpers/trials.ts'

// A raw window is not asked for its text here: V8 counts the characters of UTF-8 first and decodes then, into as much memory as
// it has counted. Regions decode a copy.
const TIMES = trials(20, 2000)
test(`text and searches while another thread writes: ${TIMES} times each, and nobody dies of it`, async (t) => {
  const seed = new Random(t).integer(1, 2 ** 31)
  const child = await runChild('torture/changing-bytes.mjs', [tmpFile(t), TIMES, seed], { timeout: 1_800_000 })
  t.deepEqual(ending(child), WELL)
  t.log(child.stdout.trim())
})
