// The test suite with an addon that was built elsewhere and lies in native/. With arguments: only those test files.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { buildTypeScript, install, isMusl, npx, ROOT } from './steps.mjs'

/** On musl, what is known to fail there is left out; platforms.json says why. Its other platforms are emulated ones. */
function leftOut() {
  if (!isMusl()) return []
  const { 'linux-x64-musl': musl } = JSON.parse(readFileSync(join(ROOT, '__test__', 'platforms.json'), 'utf8'))
  return musl.failing.map(({ test }) => `--match=!${test.slice(test.indexOf(' › ') + 3)}`)
}

install()
buildTypeScript()
npx('ava', [...leftOut(), ...process.argv.slice(2)])
