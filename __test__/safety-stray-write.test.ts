import test from 'ava'

import { endsWell } from './helpers/life.ts'

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

onLinux("a stray write through a 'read' window harms neither the file nor the process", async (t) => {
  await endsWell(t, 'stray-write')
})

onLinux('without memory for private pages everything works but windows, which are refused', async (t) => {
  await endsWell(t, 'read-only-fallback')
})
