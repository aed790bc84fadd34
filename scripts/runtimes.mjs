// Other runtimes than the one at hand: Nodes, Bun and Deno, by their npm packages.

import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { fail, ROOT, run, step } from './steps.mjs'

/** Installs those that scripts/runtimes names, and returns the folder with a folder for each. */
export function installRuntimes() {
  if (process.platform !== 'linux' || process.arch !== 'x64') fail('the other runtimes are had on Linux x64 only')
  const folder = join(ROOT, 'target', 'runtimes')
  step('runtimes', { inputs: ['scripts/runtimes'], outputs: ['target/runtimes/node_modules'] }, () => {
    mkdirSync(folder, { recursive: true })
    copyFileSync(join(ROOT, 'scripts', 'runtimes', 'package.json'), join(folder, 'package.json'))
    run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder })
  })
  return join(folder, 'node_modules')
}
