// Regions come and go in four threads while others fault: memory that is no region's stays as it is.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { Random } from './helpers/random.ts'
import { isLinux } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'
import { trials } from './helpers/trials.ts'

const onLinux = isLinux ? test : test.skip

onLinux(
  'regions opened and closed by four threads while two others fault: no foreign page is ever replaced',
  async (t) => {
    const regions = trials(2000, 10_000)
    const seed = new Random(t).integer(1, 2 ** 31)
    const child = await runChild('torture/regions.mjs', [tmpFolder(t), regions, seed], { timeout: 300_000 })
    t.deepEqual(ending(child), WELL)
    const { opened, faulted, zeros, looked } = JSON.parse(child.stdout) as Record<string, number>
    t.is(opened, regions)
    t.true((faulted ?? 0) > regions / 100, `only ${faulted} faults`)
    t.log(
      `${opened} regions, ${faulted} errors, ${zeros} zeros in windows, ${looked} foreign pages right, 0 wrong, 0 deaths`,
    )
  },
)
