import test from 'ava'

import { endsWell } from './helpers/life.ts'

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

onLinux('200 workers that map files and end leave neither descriptors nor maps', async (t) => {
  await endsWell(t, 'worker-ends')
})

onLinux('loaded in workers that end and then in the main thread, the fault guard works in each', async (t) => {
  await endsWell(t, 'worker-first')
})

onLinux('closing a region in one worker takes nothing from another that reads the same file', async (t) => {
  await endsWell(t, 'worker-close')
})
