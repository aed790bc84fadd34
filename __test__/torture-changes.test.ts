// Regions close, change their length and protection, and are mapped anew, while others read the same memory in hot loops.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { Random } from './helpers/random.ts'
import { isPosix } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'
import { trials } from './helpers/trials.ts'

// Windows refuses to shorten a file that others have mapped.
const onPosix = isPosix ? test : test.skip

onPosix(
  'close, resize, refresh and protect under hot readers and tasks: right bytes or an error of a type',
  async (t) => {
    const rounds = trials(50, 1000)
    const seed = new Random(t).integer(1, 2 ** 31)
    const child = await runChild('torture/changes.mjs', [tmpFolder(t), rounds, seed], { timeout: 600_000 })
    t.deepEqual(ending(child), WELL)
    const counts = JSON.parse(child.stdout) as Record<string, number>
    const [right = 0, faulted = 0, closed = 0, other = 0] = ['right', 'faulted', 'closed', 'other'].map(
      (name) => counts[name] ?? Number.NaN,
    )
    t.true(right > rounds * 100)
    // Not in each run of a few rounds is a file cut off between two looks of a reader.
    if (rounds >= 1000) t.true(faulted > rounds / 20, `only ${faulted} faults`)
    t.log(
      `${rounds} trials, ${faulted + closed + other} errors (${faulted} faults, ${closed} closed), ${right} right, 0 wrong, 0 deaths`,
    )
    t.log(`tasks under way: ${counts['done']} done, ${counts['refused']} refused`)
  },
)
