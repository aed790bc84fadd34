// Sets up, builds, and runs the main job: counts a word in a real file, and shows where it stands first.
//
//   npm start                                  "function" in the running Node itself
//   npm start -- FILE [WORD [OPTION…]]         options of both `memmap count` and `memmap find`: -i, -m N, --json

import { spawnSync } from 'node:child_process'

import { build, ROOT } from './steps.mjs'

const MEMMAP = 'dist/lib/cli/memmap.js'
const [file = process.execPath, word = 'function', ...options] = process.argv.slice(2)

/** Runs the command, whose exit code 1 is an answer too: nothing was found. */
function memmap(...args) {
  console.log(`$ npx memmap ${args.join(' ')}`)
  const { status } = spawnSync(process.execPath, [MEMMAP, ...args], { cwd: ROOT, stdio: 'inherit' })
  if (status === null || status > 1) process.exit(status ?? 1)
}

build()
memmap('count', ...options, '--', word, file)
// A program has no lines to show.
const rows = file === process.execPath ? ['--byte-offset'] : []
memmap('find', '--fixed-strings', '--max-count=5', ...rows, ...options, '--', word, file)
