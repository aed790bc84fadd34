import test from 'ava'

import { endsWell } from './helpers/life.ts'

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

onLinux('on a host that forbids external memory everything works but windows, which are refused', async (t) => {
  const hooks = process.env['MEMMAP_TEST_HOOKS']
  if (hooks === undefined) {
    t.log('skipped: no MEMMAP_TEST_HOOKS; run it by npm test')
    t.pass()
    return
  }
  await endsWell(t, 'no-external', [], {
    env: { MEMMAP_ADDON: hooks, MEMMAP_TEST_NO_EXTERNAL: '1' },
  })
})
