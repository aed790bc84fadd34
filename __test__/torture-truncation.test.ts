// A file is cut off under its map, at every size there is: what is left is told right, what is gone is an error.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { isMac, isPosix } from './helpers/system.ts'
import { tmpFile } from './helpers/tmp.ts'
import { isTorture } from './helpers/trials.ts'

// Windows refuses to shorten a file that is mapped.
const onPosix = isPosix ? test : test.skip
// In `npm test` every 97th, and all within 2 bytes of a page's border.
const sizes = isTorture ? 'all' : 'some'

// On macOS a region for reading has no windows, and a copy is a snapshot.
for (const access of isMac ? ['write'] : ['read', 'write', 'copy']) {
  onPosix(`cut off at ${sizes} of the sizes from 0 to 12,288: '${access}' (not on Windows)`, async (t) => {
    const child = await runChild('torture/truncation.mjs', [tmpFile(t), access, sizes], { timeout: 1_800_000 })
    t.deepEqual(ending(child), WELL)
    t.log(child.stdout.trim())
  })
}
