import test from 'ava'

import { endsWell, number } from './helpers/life.ts'

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

onLinux('a window over 40 GiB costs a mark-sweep when it is made, and no storm of them later', async (t) => {
  const control = await endsWell(t, 'gc-pressure', ['control'])
  const view = await endsWell(t, 'gc-pressure', ['view'])
  const facts = JSON.stringify({ control, view })
  // One for each ArrayBuffer: a single one, but on Node 20, whose longest is 4 GiB.
  t.true(number(view, 'buffers') >= 1, facts)
  t.true(number(view, 'major') <= number(control, 'major') + number(view, 'buffers') + 1, facts)
})

onLinux('opening 1 GiB, one scalar read and close, 200 times: no mark-sweep', async (t) => {
  t.is(number(await endsWell(t, 'gc-pressure', ['open']), 'major'), 0)
})
