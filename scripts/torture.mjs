// The hunts with all their trials, one file after the other: the parts of them that are quick are in `npm test` too.
// With arguments: only those test files.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { build, buildTestHooks, npx, ROOT } from './steps.mjs'

const named = process.argv.slice(2)
const all = readdirSync(join(ROOT, '__test__'))
  .filter((name) => name.startsWith('torture-') && name.endsWith('.test.ts'))
  .map((name) => `__test__/${name}`)

build()
const hooks = buildTestHooks()
npx('ava', ['--serial', '--timeout=60m', ...(named.length > 0 ? named : all)], {
  env: { ...process.env, MEMMAP_TEST_HOOKS: hooks, MEMMAP_TORTURE: '1' },
})
