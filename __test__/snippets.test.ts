// Every example of README, docs and doc comments: compiled as strictly as the project itself, and run.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'

import {
  commandsOf,
  compileSnippets,
  examplesWithoutCode,
  makeCommandFolder,
  runCommand,
  runSnippets,
  snippetsOf,
} from '../scripts/snippets.mjs'
import type { Snippet } from '../scripts/snippets.mjs'
import { isLinux, isPosix, ROOT } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'

const onLinux = isLinux ? test : test.skip

function filesIn(folder: string, ending: string): string[] {
  if (!existsSync(join(ROOT, folder))) return []
  const names = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith(ending)).map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
}

const pages = ['README.md', ...filesIn('docs', '.md').filter((file) => !file.startsWith('docs/api/'))].sort()
const sources = ['index.ts', ...filesIn('lib', '.ts')].sort()
const snippets = [...pages, ...sources].flatMap((file) => snippetsOf(file))
const commands = pages.flatMap((file) => commandsOf(file))

interface Outcome {
  /** What the compiler has against each. */
  readonly complaints: readonly string[]
  /** Why each failed. */
  readonly failures: readonly string[]
}

async function tryAll(all: readonly Snippet[]): Promise<Outcome> {
  // Inside of the project: `memmap` is found there, and is what was built.
  mkdirSync(join(ROOT, 'target'), { recursive: true })
  const folder = mkdtempSync(join(ROOT, 'target', 'snippets-'))
  try {
    return { complaints: compileSnippets(all, folder), failures: await runSnippets(folder, all.length) }
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

let outcome: Outcome = { complaints: [], failures: [] }

test.before(async () => {
  outcome = await tryAll(snippets)
})

test('README and the doc comments have examples', (t) => {
  const withExamples = new Set(snippets.map(({ file }) => file))
  for (const file of ['README.md', 'lib/region.ts', 'lib/mmap-file.ts', 'lib/ring.ts']) t.true(withExamples.has(file))
})

for (const [number, { file, line }] of snippets.entries()) {
  test(`${file}:${line}`, (t) => {
    t.is(outcome.complaints[number], '', `${file}:${line} does not compile`)
    t.is(outcome.failures[number], '', `${file}:${line} fails`)
  })
}

test('a snippet that does not compile, throws, prints something else, leaves memory behind or ends the process is told', async (t) => {
  const wrong = [
    'const text: string = 1\nconsole.log(text) // → 1\n',
    "throw new Error('on purpose')\n",
    "console.log('one') // → one\nconsole.log('two') // → three\n",
    `import { SharedMemory } from 'memmap'\nSharedMemory.create('left-${process.pid}', 1)\n`,
    'process.abort()\n',
    "console.log('still run') // → still run\n",
  ]
  const { complaints, failures } = await tryAll(wrong.map((code, at) => ({ file: 'page.md', line: 10 * at + 1, code })))
  t.regex(complaints[0] ?? '', /^page\.md:1: error TS2322/)
  t.deepEqual(complaints.slice(1), ['', '', '', '', ''])
  const [ran, threw, printed, left, died, next] = failures
  t.is(ran, '')
  t.regex(threw ?? '', /on purpose/)
  t.regex(printed ?? '', /did not print: three/)
  if (isPosix) t.regex(left ?? '', /leaves shared memory behind: left-/)
  t.regex(died ?? '', /the process ended/)
  t.is(next, '')
})

test('an @example is a ts block, so that it is run', (t) => {
  const without = sources.flatMap((file) => examplesWithoutCode(file).map((line) => `${file}:${line}`))
  t.deepEqual(without, [])
})

// Some tell of what only Linux says.
onLinux('each npx memmap of README and docs ends well (Linux)', (t) => {
  t.true(commands.length > 0)
  const folder = tmpFolder(t)
  makeCommandFolder(folder)
  for (const command of commands) t.is(runCommand(command, folder), '', `${command.file}:${command.line}`)
})
