// A file is cut off while something works on its map: our own methods, JavaScript's loops over views, and what Node does with
// them, here, in its pool of threads and in the kernel.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { Random } from './helpers/random.ts'
import { isLinux } from './helpers/system.ts'
import { tmpFile } from './helpers/tmp.ts'
import { trials } from './helpers/trials.ts'

// Windows refuses to shorten a file that is mapped; much of it is done by windows of regions for reading, which macOS has not.
const onLinux = isLinux ? test : test.skip

const MIB = 2 ** 20
const GROUPS: readonly [group: string, name: string, bytes: number][] = [
  ['methods', "a region's methods", trials(MIB / 4, MIB / 2)],
  ['scans', 'scans of native code', trials(4 * MIB, 32 * MIB)],
  ['views', 'hot loops over views', MIB],
  ['storing', 'stores and writes', MIB],
  ['node', "Node's Buffer and clones", MIB],
  ['crypto', 'crypto', MIB],
  ['zlib', 'zlib', MIB / 2],
  ['files', 'fs.read and fs.write', 2 * MIB],
  ['tasks', 'flush and prefetch', MIB],
]
const TRIALS = trials(4, 200)

for (const [group, name, bytes] of GROUPS) {
  onLinux(`${name} while the file is cut off, and grows again: ${TRIALS} times each (Linux)`, async (t) => {
    const seed = new Random(t).integer(1, 2 ** 31)
    const args = [tmpFile(t), group, bytes, TRIALS, seed]
    const child = await runChild('torture/cut-while-running.mjs', args, { timeout: 1_800_000 })
    t.deepEqual(ending(child), WELL)
    t.log(child.stdout.trim())
  })
}

onLinux(`six workers read a file that is cut off: ${trials(20, 1000)} times (Linux)`, async (t) => {
  const seed = new Random(t).integer(1, 2 ** 31)
  const child = await runChild('torture/six-workers.mjs', [tmpFile(t), trials(20, 1000), seed], { timeout: 1_800_000 })
  t.deepEqual(ending(child), WELL)
  t.log(child.stdout.trim())
})
