// More maps than the system has: a typed error in time, not the death of V8.

import test from 'ava'

import { endsWell, number } from './helpers/life.ts'
import { ending, runChild, WELL } from './helpers/child.ts'
import { tmpFolder } from './helpers/tmp.ts'

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

onLinux('opening is refused with ENOMEM before the process runs out of maps, and all maps come back', async (t) => {
  await endsWell(t, 'open-close', ['exhausting'])
})

onLinux(
  '70,000 regions kept open: ENOMEM with what to do, a living process, and work goes on once they are closed',
  async (t) => {
    const result = await runChild('system/map-limit.mjs', [tmpFolder(t)])
    t.deepEqual(ending(result), WELL)
    const facts: unknown = JSON.parse(result.stdout)
    t.log(result.stdout.trim())
    t.true(number(facts, 'opened') > 10_000)
  },
)
