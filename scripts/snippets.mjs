// The examples of the README as programs: as ES modules, as CommonJS, and as the TypeScript they are.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { ROOT } from './steps.mjs'

const BLOCK = /^```ts\n(.*?)^```$/gms
const IMPORT = /^import (\{.*?\}) from ('[^']+')$/gm

/** Each ts block of a Markdown file. */
export function snippetsOf(file) {
  return [...readFileSync(join(ROOT, file), 'utf8').matchAll(BLOCK)].map(([, code]) => code)
}

/** The same program for `require`. */
function asCommonJs(code) {
  const heads = [...code.matchAll(IMPORT)].map(
    ([, names, from]) => `const ${names.replace(/ as /g, ': ')} = require(${from})`,
  )
  const body = code.replace(IMPORT, '')
  return `${heads.join('\n')}\nmodule.exports = (async () => {\n${body}\n})()\n`
}

/** What the examples find where they run. */
function makeFiles(folder) {
  const words = ['GET / 200 user=ann', 'GET /x 503 user=bob ERROR', 'WARN slow', 'POST /y 500 user=eve ERROR']
  const log = Array.from({ length: 5000 }, (_, line) => `${line} ${words[line % words.length]}`).join('\n')
  for (const name of ['access.log', 'access.log.1', 'core.dump']) writeFileSync(join(folder, name), `${log}\n`)
}

/** Writes a folder with all examples of a file, and `run.mjs` and `run.cjs`, which run them all and tell how that went. */
export function writeSnippets(file, folder) {
  mkdirSync(join(folder, 'esm'), { recursive: true })
  mkdirSync(join(folder, 'cjs'), { recursive: true })
  mkdirSync(join(folder, 'ts'), { recursive: true })
  makeFiles(folder)
  const snippets = snippetsOf(file)
  for (const [number, code] of snippets.entries()) {
    writeFileSync(join(folder, 'esm', `${number}.mjs`), code)
    writeFileSync(join(folder, 'cjs', `${number}.cjs`), asCommonJs(code))
    writeFileSync(join(folder, 'ts', `${number}.mts`), code)
  }
  for (const kind of ['mjs', 'cjs'])
    copyFileSync(join(ROOT, 'scripts', `run-snippets.${kind}`), join(folder, `run.${kind}`))
  return snippets.length
}
