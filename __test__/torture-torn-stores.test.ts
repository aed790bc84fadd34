// What another process or worker sees of a store of several bytes that is under way. Counted, since nothing is promised but `Atomics`.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { trials } from './helpers/trials.ts'

const READS = trials(200_000, 20_000_000)

for (const who of ['process', 'worker']) {
  test.serial(
    `no store of Atomics is ever seen by half, by another ${who}; others are counted, ${READS} reads each`,
    async (t) => {
      const child = await runChild('torture/torn.mjs', [who, READS], { timeout: 30 * 60_000 })
      t.deepEqual(ending(child), WELL)
      t.log(child.stdout.trim())
    },
  )
}
