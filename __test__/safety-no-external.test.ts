import test from 'ava'

import { endsWell } from './helpers/life.ts'

const HOOKS = process.env['MEMMAP_TEST_HOOKS']
const withHooks = HOOKS !== undefined && process.platform === 'linux' ? test.serial : test.serial.skip

withHooks(
  'on a host that forbids external memory everything works but windows, which are refused (skipped without MEMMAP_TEST_HOOKS)',
  async (t) => {
    await endsWell(t, 'no-external', [], {
      env: { MEMMAP_ADDON: HOOKS, MEMMAP_TEST_NO_EXTERNAL: '1' },
    })
  },
)
