// The model test of locks, with fifty times as many sequences as in the suite.

import { build, npx } from './steps.mjs'

build()
npx('ava', ['__test__/lock-model.test.ts'], { env: { MEMMAP_LOCK_SEQUENCES: '100000', ...process.env } })
