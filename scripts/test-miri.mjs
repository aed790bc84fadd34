// Miri interprets the part of the core that needs no files, signals or shared memory, and reports every access of memory that
// Rust does not allow. Needs a nightly toolchain: rustup toolchain install nightly --component miri --component rust-src

import { spawnSync } from 'node:child_process'

import { fail, run } from './steps.mjs'

const { status } = spawnSync('cargo', ['+nightly', 'miri', '--version'], { stdio: 'ignore' })
if (status !== 0) fail('no Miri: rustup toolchain install nightly --component miri --component rust-src')

// Files are opened and the clock is read for real. Its own folder, since everything is compiled in another way.
const env = { ...process.env, MIRIFLAGS: '-Zmiri-disable-isolation' }
const where = ['--target-dir', 'target/miri', '--package', 'memmap-core']
run('cargo', ['+nightly', 'miri', 'test', '--quiet', ...where, '--lib', '--test', 'anonymous'], { env })
