// Sets up, builds and tests everything. With arguments: only those test files, without the linters.

import { build, buildTestHooks, npx, run } from './steps.mjs'

const files = process.argv.slice(2)

build()
const hooks = buildTestHooks()
if (files.length === 0) {
  await import('./lint.mjs')
  run('cargo', ['test', '--quiet', '--workspace'])
}
npx('ava', files, { env: { ...process.env, MEMMAP_TEST_HOOKS: hooks } })
