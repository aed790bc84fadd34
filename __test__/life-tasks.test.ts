import { existsSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { endsWell, number, run } from './helpers/life.ts'
import { tmpFolder } from './helpers/tmp.ts'

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

onLinux('a region closed under its flushes: each has done its work or says that the region is closed', async (t) => {
  const facts = await endsWell(t, 'flush-close')
  t.true(number(facts, 'rejected') > 0, JSON.stringify(facts))
})

onLinux('workers terminated under their flushes leave nothing behind', async (t) => {
  await endsWell(t, 'flush-terminate')
})

for (const how of ['exit', 'turn-exit']) {
  test.serial(`process.exit under flushes ends the process at once with its code (${how})`, async (t) => {
    for (let round = 0; round < 5; round++) {
      t.deepEqual(ending(await run(t, 'flush-exit', [how])), { code: 7, signal: null, stderr: '' })
    }
  })
}

test.serial('an uncaught error under flushes ends the process as it always does', async (t) => {
  const { code, signal, stderr } = await run(t, 'flush-exit', ['throw'])
  t.deepEqual({ code, signal }, { code: 1, signal: null })
  t.regex(stderr, /thrown on purpose/)
})

test.serial('a flush that is awaited keeps the process alive', async (t) => {
  const folder = tmpFolder(t)
  t.deepEqual(ending(await runChild('life/flush-exit.mjs', [folder, 'end'])), WELL)
  t.true(existsSync(join(folder, 'reached')))
})
