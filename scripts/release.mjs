// Publishes the package and its binaries, which lie in native/; with --dry-run all but that, with what was built here.

import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { pack, PLATFORMS } from './pack.mjs'
import { build, buildTypeScript, fail, install, ROOT, run } from './steps.mjs'

const dry = process.argv.includes('--dry-run')
if (dry) {
  build()
} else {
  install()
  buildTypeScript()
}

const addonOf = (platform) => join(ROOT, 'native', `memmap.${platform}.node`)
const there = Object.keys(PLATFORMS).filter((platform) => existsSync(addonOf(platform)))
const missing = Object.keys(PLATFORMS).filter((platform) => !there.includes(platform))
if (missing.length > 0 && !dry) fail(`no binary for ${missing.join(', ')}: nothing is published`)

const { root, ...binaries } = pack(Object.fromEntries(there.map((platform) => [platform, addonOf(platform)])), {
  anyGlibc: dry,
})
// The binaries first: whoever installs the package in between finds them.
for (const tarball of [...Object.values(binaries), root]) {
  run('npm', ['publish', tarball, '--access', 'public', ...(dry ? ['--dry-run'] : ['--provenance'])])
}
if (dry && missing.length > 0) console.log(`a dry run; a release also needs ${missing.join(', ')}`)
