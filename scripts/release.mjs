// Publishes the package and its binaries, which lie in native/, from a workflow of GitHub, which says what they were made
// from; with --dry-run all but that, with what was built here where not all are there.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { pack, PLATFORMS } from './pack.mjs'
import { build, buildTypeScript, fail, install, ROOT, run } from './steps.mjs'

const dry = process.argv.includes('--dry-run')
const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: path } = process.env
const repository = server && path ? `${server}/${path}` : undefined
if (repository === undefined && !dry)
  fail('a release is made by its workflow: nobody else can say what it was made from')

const addonOf = (platform) => join(ROOT, 'native', `memmap.${platform}.node`)
const isThere = (platform) => existsSync(addonOf(platform))
const all = Object.keys(PLATFORMS)
const isComplete = all.every(isThere)
if (isComplete) {
  install()
  buildTypeScript()
} else if (dry) {
  build()
} else {
  fail(`no binary for ${all.filter((platform) => !isThere(platform)).join(', ')}: nothing is published`)
}
const there = all.filter(isThere)

const { root, ...binaries } = pack(Object.fromEntries(there.map((platform) => [platform, addonOf(platform)])), {
  // What was built for this machine only may need its glibc.
  anyGlibc: !isComplete,
  repository,
})
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
/** Whether it is there, of a release that broke off: nothing can be published twice. */
function isPublished(name) {
  const options = { encoding: 'utf8', shell: process.platform === 'win32' }
  return spawnSync('npm', ['view', `${name}@${version}`, 'version'], options).stdout.trim() === version
}

// The binaries first: whoever installs the package in between finds them.
const names = Object.entries(binaries).map(([platform, tarball]) => [`@memmap/binding-${platform}`, tarball])
for (const [name, tarball] of [...names, ['memmap', root]]) {
  if (!dry && isPublished(name)) {
    console.log(`${name} ${version} is published`)
    continue
  }
  // npm publishes what is no release under a tag only.
  const tag = version.includes('-') ? ['--tag', 'next'] : []
  run('npm', ['publish', tarball, '--access', 'public', ...tag, dry ? '--dry-run' : '--provenance'])
}
if (!isComplete)
  console.log(`a dry run; a release also needs ${all.filter((platform) => !isThere(platform)).join(', ')}`)
