// Views and their buffers are moved and cloned in any order, while regions close, change, and are collected.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { HAS_TRANSFER } from './helpers/life.ts'
import { Random } from './helpers/random.ts'
import { isLinux } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'
import { trials } from './helpers/trials.ts'

const onLinux = isLinux ? test : test.skip
const how = HAS_TRANSFER
  ? 'transfer, structuredClone and postMessage'
  : 'structuredClone and postMessage (transfer needs Node 22)'

onLinux(`views by ${how} in random orders with close, resize, refresh, protect and collection`, async (t) => {
  const sequences = trials(50, 1000)
  const seed = new Random(t).integer(1, 2 ** 31)
  const child = await runChild('torture/moved.mjs', [tmpFolder(t), sequences, seed], {
    nodeArgs: ['--expose-gc'],
    timeout: 300_000,
  })
  t.deepEqual(ending(child), WELL)
  const counts = JSON.parse(child.stdout) as Record<string, number>
  t.is(counts['sequences'], sequences)
  t.true((counts['sent'] ?? 0) > sequences)
  if (HAS_TRANSFER) t.true((counts['moved'] ?? 0) > sequences)
  t.log(`${sequences} trials, 0 foreign bytes changed, 0 deaths: ${child.stdout.trim()}`)
})
