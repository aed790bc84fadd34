// The test suite as plain JavaScript beside an addon of another platform, where it runs without this clone's tools:
// what reads TypeScript for ava is a program of one platform, and slow where that is emulated.

import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { npx, ROOT } from './steps.mjs'

const FOLDER = join(ROOT, 'target', 'platforms')

/** Compiles the tests, and returns the folder where they are. */
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
  return join(out, '__test__')
}

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
      cpSync(tests, join(folder, '__test__'), { recursive: true })
      for (const part of ['dist', 'examples', 'native/binding.js'])
        cpSync(join(ROOT, part), join(folder, part), { recursive: true })
      copyFileSync(addon, join(folder, 'native', `memmap.${platform}.node`))
      writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest, null, 2))
      return [platform, folder]
    }),
  )
}
