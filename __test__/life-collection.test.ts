import test from 'ava'

import { endsWell, number } from './helpers/life.ts'

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

for (const access of ['read', 'write', 'copy']) {
  onLinux(`a Buffer outlives its collected region and goes on working ('${access}')`, async (t) => {
    await endsWell(t, 'outlive', [access])
  })
}

onLinux('2,000 regions that nobody closed are given back when they are collected', async (t) => {
  await endsWell(t, 'collected')
})

onLinux('100,000 times opened and closed, half with a window: descriptors and maps are as before', async (t) => {
  const facts = await endsWell(t, 'open-close', ['turning'])
  // Closed ranges wait for the collector, not for the end of the program.
  t.true(number(facts, 'most') < 50_000, JSON.stringify(facts))
})

onLinux('20,000 times opened and closed with a window and no turn of the event loop: it works', async (t) => {
  const facts = await endsWell(t, 'open-close', ['synchronous'])
  // Every closed range is still held, but neighbours have merged: far from the system's limit on maps.
  t.true(number(facts, 'maps') < 5000, JSON.stringify(facts))
})
