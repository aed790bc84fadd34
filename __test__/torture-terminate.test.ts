// Workers are terminated at any moment of anything they may be doing.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { Random } from './helpers/random.ts'
import { isLinux } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'
import { trials } from './helpers/trials.ts'

const onLinux = isLinux ? test : test.skip

interface Facts {
  readonly workers: number
  readonly early: number
  readonly faults: number
  readonly waits: number
  readonly did: Readonly<Record<string, number>>
  readonly before: object
  readonly after: object
}

onLinux('workers terminated amid opens, scans, faults, views, tasks and locks leave nothing behind', async (t) => {
  const times = trials(20, 1000)
  const seed = new Random(t).integer(1, 2 ** 31)
  const child = await runChild('torture/terminated.mjs', [tmpFolder(t), times, seed], {
    nodeArgs: ['--expose-gc'],
    timeout: 900_000,
  })
  t.deepEqual(ending(child), WELL)
  const { workers, early, faults, waits, did, before, after } = JSON.parse(child.stdout) as Facts
  t.true(workers >= times)
  t.true(waits > 0)
  if (times >= 1000) t.true(faults > 0 && Math.min(did['opens'] ?? 0, did['scans'] ?? 0, did['flushes'] ?? 0) > 0)
  t.log(
    `${workers} workers, ${early} of them while they were loading, ${faults} faults, ${waits} waits for locks, 0 deaths`,
  )
  t.log(`did ${JSON.stringify(did)}`)
  t.log(`before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`)
})
