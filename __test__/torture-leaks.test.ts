// What fails, faults or ends in the middle leaves nothing behind. Opening and closing that works is in life-collection.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { isLinux } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'
import { trials } from './helpers/trials.ts'

// The system's own counts are in /proc.
const onLinux = isLinux ? test.serial : test.serial.skip

const CYCLES = trials(2000, 100_000)
const WORKERS = trials(10, 1000)
/** Node takes 20 to 40 ms of a core to start and end a worker that does nothing. */
const ISOLATES = trials(20, 100_000)
const HOUR = 60 * 60_000

const HUNTS = [
  ['failures', CYCLES, `${CYCLES} calls that fail, for 26 reasons, leave nothing behind`],
  ['faults', CYCLES, `${CYCLES} regions that have faulted and are closed leave nothing behind`],
  ['workers', WORKERS, `${WORKERS} workers that end with regions open leave nothing behind`],
  ['isolates', ISOLATES, `${ISOLATES} workers of the addon alone that end with regions open leave nothing behind`],
] as const

for (const [way, times, name] of HUNTS) {
  onLinux(`${name} (skipped where there is no /proc)`, async (t) => {
    t.timeout(3 * HOUR)
    const args = [tmpFolder(t), way, times]
    const child = await runChild('torture/leaks.mjs', args, { nodeArgs: ['--expose-gc'], timeout: 3 * HOUR })
    t.deepEqual(ending(child), WELL)
    t.log(child.stdout.trim())
  })
}
