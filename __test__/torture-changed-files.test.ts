// What happens to a file under its map: cut off and grown back, written, renamed over, removed, in any order.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { Random } from './helpers/random.ts'
import { isMac, isPosix } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'
import { trials } from './helpers/trials.ts'

// Windows refuses to shorten or to remove a file that is mapped.
const onPosix = isPosix ? test : test.skip
const SEQUENCES = trials(500, 30_000)

// On macOS a region for reading has no windows, and a copy is a snapshot.
for (const access of isMac ? ['write'] : ['read', 'write', 'copy']) {
  onPosix(
    `a file changes under its map as a model says: '${access}', ${SEQUENCES} sequences (not on Windows)`,
    async (t) => {
      const seed = new Random(t).integer(1, 2 ** 31)
      const args = [tmpFolder(t), access, SEQUENCES, seed]
      const child = await runChild('torture/changed-files.mjs', args, { timeout: 1_800_000 })
      t.deepEqual(ending(child), WELL)
      t.log(child.stdout.trim())
    },
  )
}
