// The reference, docs/api: from the doc comments, and whatever they lack is an error. TypeDoc does not know the project's
// TypeScript yet, so it is in a folder of its own, with one that it knows.

import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { buildNative, install, ROOT, run, step } from './steps.mjs'

const folder = join(ROOT, 'target', 'typedoc')

install()
// Its typings are all that is needed of the addon, which may have been built elsewhere.
if (!existsSync(join(ROOT, 'native', 'binding.d.ts'))) buildNative()
step('typedoc', { inputs: ['scripts/typedoc/package.json'], outputs: ['target/typedoc/node_modules'] }, () => {
  rmSync(join(folder, 'node_modules'), { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  copyFileSync(join(ROOT, 'scripts', 'typedoc', 'package.json'), join(folder, 'package.json'))
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder })
})
const typedoc = join(folder, 'node_modules', 'typedoc', 'bin', 'typedoc')
run(process.execPath, [typedoc, '--options', join(ROOT, 'scripts', 'typedoc', 'typedoc.config.mjs')])
