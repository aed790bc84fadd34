// Run by `npm version`, which has just changed package.json: everything else that carries the version follows.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { fail, ROOT } from './steps.mjs'

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

const changelog = join(ROOT, 'CHANGELOG.md')
const changes = readFileSync(changelog, 'utf8')
if (!changes.includes(`\n## [${version}]`)) {
  const unreleased = /^## \[Unreleased\]\n(?=\n### )/m
  if (!unreleased.test(changes)) fail(`CHANGELOG.md has nothing under [Unreleased] to become ${version}`)
  const today = new Date().toISOString().slice(0, 10)
  writeFileSync(changelog, changes.replace(unreleased, `## [Unreleased]\n\n## [${version}] - ${today}\n`))
}

const workspace = join(ROOT, 'Cargo.toml')
const cargo = readFileSync(workspace, 'utf8')
writeFileSync(workspace, cargo.replace(/(\[workspace\.package\]\nversion = ")[^"]+/, `$1${version}`))

for (const platform of readdirSync(join(ROOT, 'npm'))) {
  const path = join(ROOT, 'npm', platform, 'package.json')
  const manifest = { ...JSON.parse(readFileSync(path, 'utf8')), version }
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`)
}

const options = { cwd: ROOT, stdio: 'inherit' }
execFileSync('cargo', ['update', '--workspace', '--offline', '--quiet'], options)
execFileSync('git', ['add', 'Cargo.toml', 'Cargo.lock', 'CHANGELOG.md', 'npm'], options)
