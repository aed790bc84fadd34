// The examples of README, docs and doc comments as programs: as ES modules, as CommonJS, and as the TypeScript they are.

import { fork, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { binOf, ROOT } from './steps.mjs'

const IMPORT = /^import (\{.*?\}) from ('[^']+')$/gm
/** A snippet that has said nothing for so long hangs. */
const LONGEST_MS = 60_000

/** The lines of a file that may hold snippets: all of Markdown, of TypeScript what its doc comments say. */
function linesOf(file) {
  const lines = readFileSync(join(ROOT, file), 'utf8').split('\n')
  return file.endsWith('.ts') ? lines.map((line) => /^ *\* ?(.*)$/.exec(line)?.[1] ?? '') : lines
}

/** The blocks of a language, each with the line of its file at which it begins. */
function blocksOf(file, language) {
  const blocks = []
  let open
  for (const [index, line] of linesOf(file).entries()) {
    if (open === undefined) {
      const indent = line.indexOf('`')
      if (line.trim() === `\`\`\`${language}`) open = { file, line: index + 2, indent, lines: [] }
    } else if (line.trim() === '```') {
      blocks.push({ file, line: open.line, code: `${open.lines.join('\n')}\n` })
      open = undefined
    } else open.lines.push(line.slice(open.indent))
  }
  if (open !== undefined) throw new Error(`${file}:${open.line}: a block that does not end`)
  return blocks
}

/** Each ts block of a file. */
export function snippetsOf(file) {
  return blocksOf(file, 'ts')
}

/** Lines at which an `@example` has no ts block, and would not be run. */
export function examplesWithoutCode(file) {
  const lines = linesOf(file)
  return lines.flatMap((line, index) =>
    line.startsWith('@example') && lines[index + 1] !== '```ts' ? [index + 1] : [],
  )
}

/** The commands of a file's sh blocks that begin with `npx memmap`, but for those with a word that stands for another. */
export function commandsOf(file) {
  return blocksOf(file, 'sh').flatMap(({ line, code }) =>
    code
      .split('\n')
      .map((command, index) => ({ file, line: line + index, code: command.replace(/ +# .*$/, '') }))
      .filter(({ code: command }) => command.startsWith('npx memmap ') && !/\b(?:FILE|NAME|PID|WORD)\b/.test(command)),
  )
}

/** The same program for `require`. */
function asCommonJs(code) {
  const heads = [...code.matchAll(IMPORT)].map(
    ([, names, from]) => `const ${names.replace(/ as /g, ': ')} = require(${from})`,
  )
  const body = code.replace(IMPORT, '')
  return `${heads.join('\n')}\nmodule.exports = (async () => {\n${body}\n})()\n`
}

function logOf(...more) {
  const words = ['GET / 200 user=ann', 'GET /x 503 user=bob ERROR', 'WARN slow', 'POST /y 500 user=eve ERROR', ...more]
  const lines = Array.from({ length: 5000 }, (_, line) => `${line} ${words[line % words.length]}`)
  return `${lines.join('\n')}\n`
}

/** Records as they are read with a cursor: how many there are, then each with its length before it. */
function recordsOf(...texts) {
  const count = Buffer.alloc(4)
  count.writeUInt32LE(texts.length)
  const records = texts.map((text) => {
    const length = Buffer.alloc(2)
    length.writeUInt16LE(text.length)
    return Buffer.concat([length, Buffer.from(text)])
  })
  return Buffer.concat([count, ...records])
}

/** What the examples find where they run. */
const FILES = {
  'access.log': () => logOf(),
  'access.log.1': () => logOf(),
  'core.dump': () => logOf('FATAL'),
  'data.bin': () => Buffer.alloc(2 ** 20, 'some data '),
  'matrix.f64': () => Buffer.from(Float64Array.from({ length: 10_000 }, (_, i) => i / 100).buffer),
  'records.bin': () => recordsOf('first', 'second', 'third'),
}

function makeFiles(folder, names = Object.keys(FILES)) {
  for (const name of names) writeFileSync(join(folder, name), FILES[name]())
}

/** Writes a folder with all examples of a file, and `run.mjs` and `run.cjs`, which run them all and tell how that went. */
export function writeSnippets(file, folder) {
  mkdirSync(join(folder, 'esm'), { recursive: true })
  mkdirSync(join(folder, 'cjs'), { recursive: true })
  mkdirSync(join(folder, 'ts'), { recursive: true })
  makeFiles(folder)
  const snippets = snippetsOf(file)
  for (const [number, { code }] of snippets.entries()) {
    writeFileSync(join(folder, 'esm', `${number}.mjs`), code)
    writeFileSync(join(folder, 'cjs', `${number}.cjs`), asCommonJs(code))
    writeFileSync(join(folder, 'ts', `${number}.mts`), code)
  }
  for (const kind of ['mjs', 'cjs'])
    copyFileSync(join(ROOT, 'scripts', `run-snippets.${kind}`), join(folder, `run.${kind}`))
  return snippets.length
}

const quiet = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }

/**
 * Writes each snippet into a folder of its own, with the files that it names, and compiles them there: the folder must be inside of
 * the project, so that `memmap` is found. Returns what the compiler has against each.
 */
export function compileSnippets(snippets, folder) {
  for (const [number, { code }] of snippets.entries()) {
    const own = join(folder, String(number))
    mkdirSync(own, { recursive: true })
    writeFileSync(join(own, 'snippet.mts'), code)
    const names = Object.keys(FILES).filter((name) => code.includes(`'${name}'`))
    makeFiles(own, names)
  }
  const compilerOptions = {
    rootDir: '.',
    outDir: '.',
    declaration: false,
    noUnusedLocals: false,
    // What is allowed to our own code only: users write `groups.name`.
    noPropertyAccessFromIndexSignature: false,
  }
  const files = snippets.map((_, number) => `${number}/snippet.mts`)
  const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, files }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const { stdout, stderr } = spawnSync(process.execPath, [binOf('typescript'), '--pretty', 'false'], {
    ...quiet,
    cwd: folder,
  })
  const complaints = snippets.map(() => [])
  for (const line of `${stdout}${stderr}`.split('\n').filter((text) => text !== '')) {
    const [, number, row, rest] = /^(\d+)[\\/]snippet\.mts\((\d+),\d+\): (.*)$/.exec(line) ?? []
    if (number === undefined) {
      // A complaint that goes on, or one about none of them alone.
      const last = complaints.findLast((of) => of.length > 0)
      for (const of of last === undefined ? complaints : [last]) of.push(line)
    } else complaints[number].push(`${snippets[number].file}:${snippets[number].line + Number(row) - 1}: ${rest}`)
  }
  return complaints.map((of) => of.join('\n'))
}

/** Runs some of the compiled snippets in one process, as many as it survives, and tells of each that ended: why it failed, or ''. */
function runSome(folder, numbers) {
  return new Promise((resolve) => {
    const results = new Map()
    const child = fork(join(ROOT, 'scripts', 'run-snippet-folders.mjs'), [folder, ...numbers.map(String)], {
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    let running
    let stderr = ''
    let timer
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
    child.on('message', ({ began, ended, failure }) => {
      clearTimeout(timer)
      running = began
      if (ended !== undefined) results.set(ended, failure)
      else timer = setTimeout(() => child.kill('SIGKILL'), LONGEST_MS)
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      const lost = running ?? numbers.find((number) => !results.has(number))
      if (lost !== undefined && !results.has(lost)) {
        results.set(lost, `the process ended: ${signal ?? `exit code ${code}`}\n${stderr.slice(-2000)}`)
      }
      resolve(results)
    })
  })
}

/** Runs all of the compiled snippets, one after another; why each failed, or ''. */
export async function runSnippets(folder, count) {
  const numbers = Array.from({ length: count }, (_, number) => number)
  const results = new Map()
  while (results.size < count) {
    const left = numbers.filter((number) => !results.has(number))
    for (const [number, failure] of await runSome(folder, left)) results.set(number, failure)
  }
  return numbers.map((number) => results.get(number))
}

/** Makes a folder in which `npx memmap` is the command as it was built, with all files; what is to be given to `runCommand`. */
export function makeCommandFolder(folder) {
  makeFiles(folder)
  mkdirSync(join(folder, 'bin'))
  const cli = join(ROOT, 'dist', 'lib', 'cli', 'memmap.js')
  writeFileSync(join(folder, 'bin', 'npx'), `#!/bin/sh\nshift\nexec "${process.execPath}" "${cli}" "$@"\n`)
  chmodSync(join(folder, 'bin', 'npx'), 0o755)
}

/** Runs a line of a shell there; why it failed, or ''. */
export function runCommand({ code }, folder) {
  const env = { ...process.env, NODE_OPTIONS: '', PATH: `${join(folder, 'bin')}:${process.env.PATH}` }
  const { status, stderr } = spawnSync('sh', ['-c', code], { ...quiet, cwd: folder, env })
  return status === 0 ? '' : `exit code ${status}\n${stderr}`
}
