// Whatever bytes stand in a ring's control words: a record, nothing, or an error with a code. No crash, and nobody hangs.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { Random } from './helpers/random.ts'
import { trials } from './helpers/trials.ts'

const TIMES = trials(3000, 100_000)

test(`random bytes in the control words, ${TIMES} times: every call ends, and well`, async (t) => {
  const seed = new Random(t).integer(1, 2 ** 31)
  const child = await runChild('ring/garbage.mjs', [TIMES, seed], { timeout: 30 * 60_000 })
  t.deepEqual(ending(child), WELL)
  t.log(child.stdout.trim())
})
