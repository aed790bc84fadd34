// A private map of a file is a snapshot on macOS, so a region for reading is mapped truly read-only there, and a view of it,
// which anybody may store through, is not handed out. Simulated here.

import test from 'ava'

import { endsWell } from './helpers/life.ts'

const HOOKS = process.env['MEMMAP_TEST_HOOKS']
const withHooks = HOOKS !== undefined && process.platform === 'linux' ? test.serial : test.serial.skip

withHooks(
  'where regions for reading have no windows everything else works (skipped without MEMMAP_TEST_HOOKS)',
  async (t) => {
    await endsWell(t, 'no-read-windows', [], {
      env: { MEMMAP_ADDON: HOOKS, MEMMAP_TEST_NO_READ_WINDOWS: '1' },
    })
  },
)
