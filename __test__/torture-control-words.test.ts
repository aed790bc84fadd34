// Random bytes where a mutex or a semaphore was: no crash, no hang, nothing taken from a living owner.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { mutexProgram } from './helpers/owners.ts'
import { Random } from './helpers/random.ts'
import { trials } from './helpers/trials.ts'

const TRIALS = trials(6000, 100_000)

test(`random control words, ${TRIALS} times: an error with a code, or what the words say`, async (t) => {
  const { seed } = new Random(t)
  const child = await runChild(mutexProgram('control-words'), [TRIALS, seed], { timeout: 600_000 })
  t.deepEqual(ending(child), WELL)
  const { longest, found } = JSON.parse(child.stdout) as { longest: number; found: Record<string, number> }
  for (const [what, times] of Object.entries(found).toSorted()) t.log(`${what}: ${times}`)
  t.log(`the longest took ${longest.toFixed(1)} ms`)
  // What is hunted happens.
  const kinds = Object.keys(found)
  for (const kind of [
    'living: null',
    'other: taken, abandoned true',
    'invalid: ERR_SHARED_STATE_INVALID',
    'free: taken',
  ]) {
    t.true(kinds.some((one) => one.startsWith(`mutex: ${kind}`)), kind) // prettier-ignore
  }
})
