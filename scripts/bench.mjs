// Sets up, builds, and measures: `npm run bench`, or `npm run bench -- search lines` for some rows only.

import { build, fail, run, step } from './steps.mjs'

if (process.platform === 'win32')
  fail('the benchmark compares with system calls of Linux and macOS, and runs there only')
build()
step('bench-limit', { inputs: ['bench/limit'], outputs: ['bench/limit/target/release/memmap-bench-limit'] }, () => {
  run('cargo', ['build', '--quiet', '--release', '--locked', '--manifest-path', 'bench/limit/Cargo.toml'])
})
run(process.execPath, ['--import=@oxc-node/core/register', 'bench/main.ts', ...process.argv.slice(2)])
