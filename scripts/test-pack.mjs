// Packs the package and the binaries that can be built here, installs the tarballs offline in empty folders, and runs the
// README's examples there on every runtime that can be had. Ends with a table.

import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { crossBuild, crossTools, ELSEWHERE, hasPart } from './cross.mjs'
import { pack, PACK, PLATFORMS } from './pack.mjs'
import { installRuntimes } from './runtimes.mjs'
import { writeSnippets } from './snippets.mjs'
import { build, fail, npx, ROOT, run } from './steps.mjs'

const PUBLINT = 'publint@0.3.25'
const ATTW = '@arethetypeswrong/cli@0.18.5'
/** What a run may take: emulated ones are slow. */
const TIMEOUT = 10 * 60_000

if (process.platform !== 'linux' || process.arch !== 'x64') fail('test:pack runs on Linux x64')
const cross = crossTools()

/** As a release has one. */
const REPOSITORY = 'https://git.example/memmap/memmap'

const notPossible = []
const table = []

/** The binaries that can be built here. */
function buildAddons() {
  const addons = {}
  if (cross === undefined) {
    notPossible.push('other platforms, and the glibc 2.17 floor: no cross tools')
    return { 'linux-x64-gnu': join(ROOT, 'native', 'memmap.linux-x64-gnu.node') }
  }
  run(join(cross, 'setup'), ['zig'])
  addons['linux-x64-gnu'] = crossBuild(cross, PLATFORMS['linux-x64-gnu'])
  for (const [platform, { target, part }] of Object.entries(ELSEWHERE)) {
    if (hasPart(cross, part)) addons[platform] = crossBuild(cross, target)
    else notPossible.push(`${platform}: no ${part} in the cross tools`)
  }
  return addons
}

/** An empty folder with the package and a platform's binary installed in it, and the examples. */
function makeApp(platform, tarballs) {
  const app = join(PACK, platform)
  rmSync(app, { recursive: true, force: true })
  mkdirSync(app, { recursive: true })
  writeFileSync(join(app, 'package.json'), '{ "private": true }\n')
  const [os, cpu, abi] = platform.split('-')
  const libc = os === 'linux' ? [`--libc=${abi === 'gnu' ? 'glibc' : 'musl'}`] : []
  const flags = [
    '--offline',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    // npm believes neither --os nor --libc of a package that is named itself.
    ...(platform === 'linux-x64-gnu' ? [] : ['--force']),
    `--os=${os}`,
    `--cpu=${cpu}`,
    ...libc,
  ]
  run('npm', ['install', ...flags, tarballs.root, tarballs[platform]], { cwd: app })
  for (const name of ['memmap', `@memmap/binding-${platform}`]) {
    const { repository } = JSON.parse(readFileSync(join(app, 'node_modules', name, 'package.json'), 'utf8'))
    if (repository?.url !== `git+${REPOSITORY}.git`) fail(`${name} names the repository ${JSON.stringify(repository)}`)
  }
  const examples = writeSnippets('README.md', app)
  copyFileSync(join(ROOT, 'scripts', 'smoke.mjs'), join(app, 'smoke.mjs'))
  return { app, examples }
}

/** Without its binary the package says so. */
function checkWithoutBinary(tarballs) {
  const app = join(PACK, 'no-binary')
  mkdirSync(app, { recursive: true })
  writeFileSync(join(app, 'package.json'), '{ "private": true }\n')
  run(
    'npm',
    ['install', '--offline', '--omit=optional', '--no-audit', '--no-fund', '--loglevel=error', tarballs.root],
    { cwd: app },
  )
  const program =
    "import('memmap').catch((error) => console.log(error.code, error.message.includes('--omit=optional')))"
  const said = execFileSync(process.execPath, ['--eval', program], { cwd: app, encoding: 'utf8' }).trim()
  if (said !== 'ERR_MEMMAP_PLATFORM true') fail(`without its binary the package says: ${said}`)
}

/** One cell: what a command says of what passed and failed; its last such line. */
function cell(command, cwd) {
  const [program, ...args] = command
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    timeout: TIMEOUT,
    env: { ...process.env, MEMMAP_ADDON: '' },
  })
  const counts = /(?:passed )?(\d+)(?: passed, | \/ failed )(\d+)/.exec(stdout ?? '')
  if (error === undefined && counts !== null) {
    if (counts[2] !== '0' || status !== 0) process.stderr.write(stderr)
    return { passed: Number(counts[1]), failed: Number(counts[2]) + (status === 0 ? 0 : 1) }
  }
  process.stderr.write(`${error?.message ?? ''}${stdout}${stderr}`)
  return { passed: 0, failed: 1 }
}

const shown = ({ passed, failed }) => `passed ${passed} / failed ${failed}`

/** All there is to run on one runtime. */
function tryRuntime(name, command, { app, examples }) {
  const row = { runtime: name }
  for (const [column, file] of [
    ['ESM', 'run.mjs'],
    ['require', 'run.cjs'],
    ['smoke', 'smoke.mjs'],
  ]) {
    const result = cell([...command, file], app)
    if (column !== 'smoke' && result.passed + result.failed !== examples) result.failed += 1
    row[column] = result
  }
  const [program, ...args] = command
  const cli = join('node_modules', 'memmap', 'dist', 'lib', 'cli', 'memmap.js')
  const { stdout } = spawnSync(program, [...args, cli, 'count', 'ERROR', 'access.log'], {
    cwd: app,
    encoding: 'utf8',
    timeout: TIMEOUT,
  })
  const right = /^(?:access\.log:)?2500$/m.test((stdout ?? '').trim())
  row.CLI = { passed: right ? 1 : 0, failed: right ? 0 : 1 }
  table.push(row)
  console.log(
    `${name}: ${['ESM', 'require', 'smoke', 'CLI'].map((column) => `${column} ${shown(row[column])}`).join(', ')}`,
  )
}

/** The examples as TypeScript, by both ways of finding modules. */
function tryTypeScript({ app }) {
  for (const [module, moduleResolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ]) {
    const config = {
      compilerOptions: {
        module,
        moduleResolution,
        target: 'es2022',
        lib: ['es2023', 'esnext.disposable'],
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
        types: ['node'],
        typeRoots: [join(ROOT, 'node_modules', '@types')],
      },
      include: ['ts'],
    }
    const file = join(app, `tsconfig.${moduleResolution}.json`)
    writeFileSync(file, JSON.stringify(config))
    npx('typescript', ['--project', file])
    console.log(`TypeScript, ${moduleResolution}: all examples pass`)
  }
}

/** What looks at how packages are made. */
function checkShape(tarball) {
  const quiet = ['--yes', '--loglevel=error']
  run('npx', [...quiet, PUBLINT, tarball, '--strict'], { cwd: PACK })
  run('npx', [...quiet, ATTW, tarball, '--profile', 'esm-only'], { cwd: PACK })
}

build()
const tarballs = pack(buildAddons(), { anyGlibc: cross === undefined, repository: REPOSITORY })
checkWithoutBinary(tarballs)
const here = makeApp('linux-x64-gnu', tarballs)
tryTypeScript(here)
checkShape(tarballs.root)

const runtimes = installRuntimes()
for (const version of [20, 22, 24, 26])
  tryRuntime(`Node ${version}`, [join(runtimes, `node${version}`, 'bin', 'node')], here)
tryRuntime('Bun', [join(runtimes, 'bun', 'bin', 'bun')], here)
tryRuntime('Deno', [join(runtimes, 'deno', 'deno'), 'run', '--allow-all', '--quiet'], here)
for (const [platform, { nodes }] of Object.entries(ELSEWHERE)) {
  if (tarballs[platform] === undefined) continue
  const app = makeApp(platform, tarballs)
  for (const [name, target] of Object.entries(nodes)) tryRuntime(name, [join(cross, 'cross'), 'node', target], app)
}

for (const platform of Object.keys(PLATFORMS)) {
  if (tarballs[platform] === undefined && ELSEWHERE[platform] === undefined)
    notPossible.push(`${platform}: none of the cross tools' targets, and nothing here runs it`)
}
notPossible.push('Electron: its package downloads it from elsewhere than npm')

console.log()
const columns = ['runtime', 'ESM', 'require', 'smoke', 'CLI']
const cells = table.map((row) => columns.map((column) => (column === 'runtime' ? row.runtime : shown(row[column]))))
const widths = columns.map((column, at) => Math.max(column.length, ...cells.map((line) => line[at].length)))
for (const line of [columns, ...cells]) console.log(line.map((text, at) => text.padEnd(widths[at])).join('  '))
for (const why of notPossible) console.log(`not possible here: ${why}`)
if (table.some((row) => columns.slice(1).some((column) => row[column].failed > 0))) process.exitCode = 1
