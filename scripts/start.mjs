// Sets up, builds, and runs the main job: counts and finds a word in a real file.

import { build, run } from './steps.mjs'

build()
run(process.execPath, ['--import=@oxc-node/core/register', 'examples/count-word.ts', ...process.argv.slice(2)], {
  quiet: true, // the program says itself what is wrong, in one line
})
