// What is searched may be written over, or go away, at any moment: that is an answer, or an error of a type.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'

test('expressions are searched for in a text that another thread changes: each form ends, and nothing is said on stderr', async (t) => {
  const result = await runChild('search/changed-meanwhile.mjs', [3])
  t.deepEqual(ending(result), WELL)
  t.log(result.stdout.trim())
})
