// Sets up, builds, and measures: `npm run bench`, or `npm run bench -- search lines` for some rows only; with `--report`
// for docs/benchmarks, too. See bench/main.ts.

import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { build, fail, has, install, ROOT, run, step } from './steps.mjs'

const PEERS = 'bench/peers'
/** Some are compiled while they are installed, or download something. */
const INSTALL_MS = 300_000
const RIPGREP = '14.1.1'

/**
 * Other packages that do what a group measures. They are optional: npm leaves out what cannot be built here, and the
 * benchmark says so. No lock file, which would name what is right for one platform only.
 */
function installPeers() {
  const { optionalDependencies } = JSON.parse(readFileSync(join(ROOT, PEERS, 'package.json'), 'utf8'))
  const outputs = Object.keys(optionalDependencies).map((name) => `${PEERS}/node_modules/${name}`)
  // What is compiled goes with one version of Node's interface.
  step('bench-peers', { inputs: [`${PEERS}/package.json`], outputs, salt: process.versions.modules }, () => {
    rmSync(join(ROOT, PEERS, 'node_modules'), { recursive: true, force: true })
    const args = ['install', '--no-package-lock', '--no-fund', '--no-audit', '--loglevel=error']
    const cwd = join(ROOT, PEERS)
    const { error } = spawnSync('npm', args, { cwd, stdio: ['ignore', 'ignore', 'inherit'], timeout: INSTALL_MS })
    // What was interrupted may be there by half. The benchmark tells what is missing, and the next one tries again.
    if (error !== undefined) rmSync(join(cwd, 'node_modules'), { recursive: true, force: true })
  })
}

/** ripgrep, which the searches stand beside: optional, too. */
function installRipgrep() {
  const root = 'bench/.data/ripgrep'
  if (has('rg')) return
  step('bench-ripgrep', { inputs: [], outputs: [`${root}/bin/rg`], salt: RIPGREP }, () => {
    const args = ['install', '--quiet', '--locked', '--root', root, 'ripgrep', '--version', RIPGREP]
    spawnSync('cargo', args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'], timeout: INSTALL_MS })
  })
}

const args = process.argv.slice(2)
const groups = args.filter((arg) => !arg.startsWith('-'))

function setUp() {
  if (process.platform === 'win32')
    fail('the benchmark compares with system calls of Linux and macOS, and runs there only')
  build()
  step('bench-limit', { inputs: ['bench/limit'], outputs: ['bench/limit/target/release/memmap-bench-limit'] }, () => {
    run('cargo', ['build', '--quiet', '--release', '--locked', '--manifest-path', 'bench/limit/Cargo.toml'])
  })
  if (groups.length === 0 || groups.includes('locks')) installPeers()
  if (groups.length === 0 || groups.includes('search')) installRipgrep()
}

// Nothing is measured to draw.
if (args.includes('--draw')) install()
else setUp()
run(process.execPath, ['--import=@oxc-node/core/register', 'bench/main.ts', ...args])
