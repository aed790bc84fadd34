// The test suite as plain JavaScript beside an addon of another platform, where it runs without this clone's tools:
// what reads TypeScript for ava is a program of one platform, and slow where that is emulated.

import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

import { npx, ROOT } from './steps.mjs'

const FOLDER = join(ROOT, 'target', 'platforms')

/** Compiles the tests, and returns the folder where they are, with what they import of bench/ and lib/. */
function compileTests() {
  const out = join(FOLDER, 'compiled')
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(FOLDER, { recursive: true })
  const config = {
    extends: '../../tsconfig.json',
    compilerOptions: { rootDir: '../..', outDir: out, declaration: false, typeRoots: ['../../node_modules/@types'] },
    files: [],
    include: ['../../__test__'],
  }
  writeFileSync(join(FOLDER, 'tsconfig.json'), JSON.stringify(config))
  npx('typescript', ['--project', join(FOLDER, 'tsconfig.json')])
  cpSync(join(ROOT, '__test__', 'fixtures'), join(out, '__test__', 'fixtures'), { recursive: true })
  return out
}

/** What tests import, run or read of this clone; some compare its texts with what they see. */
const PARTS =
  'dist native/binding.js examples bench lib index.ts scripts __test__ crates/core/src crates/node/src docs README.md ' +
  'CHANGELOG.md CONTRIBUTING.md SECURITY.md'
/** What the benchmarks keep are files of up to 40 GiB, whose holes a copy would fill. */
const isNotData = (path) => basename(path) !== '.data'
const COMPILED = ['__test__', 'bench', 'examples', 'lib']

/**
 * A folder for each of some platforms, of which `addons` names the binaries, with all that the tests need of this clone.
 * They find the packages that they import in a folder above.
 */
export function stageSuite(addons) {
  const tests = compileTests()
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const { timeout, workerThreads } = manifest.ava
  manifest.ava = { files: ['__test__/*.test.js'], nodeArguments: ['--expose-gc'], timeout, workerThreads }
  return Object.fromEntries(
    Object.entries(addons).map(([platform, addon]) => {
      const folder = join(FOLDER, platform)
      mkdirSync(join(folder, 'native'), { recursive: true })
      for (const part of PARTS.split(' ')) {
        cpSync(join(ROOT, part), join(folder, part), { recursive: true, filter: isNotData })
      }
      for (const part of COMPILED) cpSync(join(tests, part), join(folder, part), { recursive: true })
      copyFileSync(addon, join(folder, 'native', `memmap.${platform}.node`))
      writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest, null, 2))
      return [platform, folder]
    }),
  )
}
