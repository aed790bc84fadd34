// The test suite on the other supported Nodes: `npm run test:nodes [-- VERSION…]`.

import { join } from 'node:path'

import { installRuntimes } from './runtimes.mjs'
import { build, buildTestHooks, ROOT, run } from './steps.mjs'

const named = process.argv.slice(2)
const versions =
  named.length > 0 ? named : ['20', '22', '24', '26'].filter((version) => !process.version.startsWith(`v${version}.`))

build()
const env = { ...process.env, MEMMAP_TEST_HOOKS: buildTestHooks() }
const runtimes = installRuntimes()
for (const version of versions) {
  const node = join(runtimes, `node${version}`, 'bin', 'node')
  console.log(`\nNode ${version}`)
  run(node, [join(ROOT, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')], { env })
}
