// What a process has stored is there when it is killed: the memory is the system's.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { Random } from './helpers/random.ts'
import { tmpFolder } from './helpers/tmp.ts'
import { trials } from './helpers/trials.ts'

const TIMES = trials(20, 1000)

for (const kind of ['file', 'memory']) {
  test.serial(`a writer of a ${kind} is killed ${TIMES} times, and no completed store is lost`, async (t) => {
    const seed = new Random(t).integer(1, 2 ** 31)
    const args = ['hunt', kind, tmpFolder(t), TIMES, seed]
    const child = await runChild('torture/kill.mjs', args, { timeout: 30 * 60_000 })
    t.deepEqual(ending(child), WELL)
    t.log(child.stdout.trim())
  })
}
