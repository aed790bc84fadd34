// A device that fails: what cannot be read is a fault with cause 'io', what cannot be written is a flush that failed.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { canLoop, failing } from './helpers/loop.ts'
import { Random } from './helpers/random.ts'
import { trials } from './helpers/trials.ts'

const whereLooped = canLoop ? test : test.skip
const TRIALS = trials(10, 300)

for (const access of ['read', 'write', 'copy']) {
  whereLooped(
    `pages that the device cannot read: '${access}', ${TRIALS} times (skipped without root and loop devices)`,
    async (t) => {
      const { folder, image } = failing(t)
      const seed = new Random(t).integer(1, 2 ** 31)
      const child = await runChild('torture/io-error.mjs', [folder, image, access, TRIALS, seed], { timeout: 600_000 })
      t.deepEqual(ending(child), WELL)
      t.log(child.stdout.trim())
    },
  )
}

whereLooped(
  'pages that the device cannot write: flush says so and stays failed (skipped without root and loop devices)',
  async (t) => {
    const { folder, image } = failing(t)
    const child = await runChild('torture/io-error-flush.mjs', [folder, image])
    t.deepEqual(ending(child), WELL)
    t.log(child.stdout.trim())
  },
)
