// Setting up and building, each step only when what it is made from has changed.

import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const STAMPS = join(ROOT, '.stamps')
const NODE_AT_LEAST = [20, 19]
const RUST_AT_LEAST = [1, 88]

/** Ends with one clear line. */
export function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}

/** Runs a command in the root, its output to ours; ends with its exit code if it fails. */
export function run(command, args, { quiet = false, ...options } = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: ROOT,
    stdio: 'inherit',
    // There npm is no program, but a script; a shell takes a path with a blank for two words.
    shell: process.platform === 'win32' && ['npm', 'npx'].includes(command),
    ...options,
  })
  if (error !== undefined) fail(`cannot run ${command}: ${error.message}`)
  if (status !== 0) {
    if (!quiet) process.stderr.write(`failed: ${command} ${args.join(' ')}\n`)
    process.exit(status ?? 1)
  }
}

/** The program of a package. */
export function binOf(name) {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8'))
  const bin = typeof manifest.bin === 'string' ? manifest.bin : Object.values(manifest.bin)[0]
  return join(ROOT, 'node_modules', name, bin)
}

/** Runs a program of a package. */
export function npx(name, args, options) {
  run(process.execPath, [binOf(name), ...args], options)
}

/** All files of some files and folders. */
function* filesOf(paths) {
  for (const path of paths) {
    const whole = join(ROOT, path)
    if (!existsSync(whole)) continue
    if (!statSync(whole).isDirectory()) yield whole
    else {
      const names = readdirSync(whole).filter((name) => name !== 'target' && name !== 'node_modules')
      yield* filesOf(names.sort().map((name) => join(path, name)))
    }
  }
}

/** Does `work` unless it was done with just these inputs and its outputs are there. */
export function step(name, { inputs, outputs, salt = '' }, work) {
  const hash = createHash('sha256').update(salt)
  for (const file of filesOf(inputs))
    hash.update(relative(ROOT, file)).update('\0').update(readFileSync(file)).update('\0')
  const now = hash.digest('hex')
  const stamp = join(STAMPS, name)
  const done = existsSync(stamp) && readFileSync(stamp, 'utf8') === now
  if (done && outputs.every((output) => existsSync(join(ROOT, output)))) return
  rmSync(stamp, { force: true })
  work()
  mkdirSync(STAMPS, { recursive: true })
  writeFileSync(stamp, now)
}

const older = ([major, minor], [wantedMajor, wantedMinor]) =>
  major < wantedMajor || (major === wantedMajor && minor < wantedMinor)

/** Versions of the tools nobody can install for the user. */
function requireTools() {
  if (older(process.versions.node.split('.').map(Number), NODE_AT_LEAST)) {
    fail(`memmap needs Node ${NODE_AT_LEAST.join('.')} or newer; this is ${process.version}`)
  }
  const rustc = spawnSync('rustc', ['--version'], { encoding: 'utf8' })
  const version = /rustc (\d+)\.(\d+)/.exec(rustc.stdout ?? '')
  if (version === null) fail('memmap is built from Rust: install it with rustup (https://rustup.rs) and try again')
  if (older([Number(version[1]), Number(version[2])], RUST_AT_LEAST)) {
    fail(`memmap needs Rust ${RUST_AT_LEAST.join('.')} or newer; this is ${version[1]}.${version[2]}: rustup update`)
  }
}

/** npm's packages. `npm install`, not `npm ci`: a mirror may lag behind with the packages of other platforms. */
export function install() {
  step('install', { inputs: ['package.json', 'package-lock.json'], outputs: ['node_modules'] }, () => {
    run('npm', ['install', '--no-fund', '--no-audit', '--loglevel=error'])
  })
}

const RUST = ['.cargo', 'Cargo.toml', 'Cargo.lock', 'crates']

/** The compiler's flags, for builds that set some themselves: those hide the ones in Cargo's file. */
export function rustFlags() {
  const [, flags] = /rustflags = \["(.*)"\]/.exec(readFileSync(join(ROOT, '.cargo', 'config.toml'), 'utf8'))
  return { RUSTFLAGS: flags }
}

export const isMusl = () =>
  process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined

/** Name of the addon for this platform, as the generated loader looks for it. */
function addonName() {
  const abi = { linux: isMusl() ? '-musl' : '-gnu', win32: '-msvc' }[process.platform] ?? ''
  return `memmap.${process.platform}-${process.arch}${abi}.node`
}

/** The addon, and its generated loader and typings. */
export function buildNative() {
  const outputs = [`native/${addonName()}`, 'native/binding.js', 'native/binding.d.ts']
  step('native', { inputs: RUST, outputs, salt: `${addonName()}, loaded by lib/addon.ts` }, () => {
    buildAddon()
  })
}

/** The same without asking whether anything has changed, and for other platforms. */
export function buildAddon(how = [], options = {}) {
  requireTools()
  const names = ['--js', 'binding.js', '--dts', 'binding.d.ts', '--output-dir', 'native']
  const where = ['--manifest-path', 'crates/node/Cargo.toml', '--package', 'memmap-node', '--cwd', '.']
  // Relative to crates/node without --cwd; the napi section of package.json is in the root.
  npx('@napi-rs/cli', ['build', '--platform', '--release', '--esm', ...names, ...where, ...how], options)
  writeBinding()
}

/** native/binding.js: what the generated one exports, loaded by lib/addon.ts. */
function writeBinding() {
  const binding = join(ROOT, 'native', 'binding.js')
  const names = [...readFileSync(binding, 'utf8').matchAll(/^export \{ (\w+) \}$/gm)].map(([, name]) => name)
  if (names.length === 0) fail('no exports found in what napi generated as native/binding.js')
  const lines = [
    "import { loadAddon } from '../dist/lib/addon.js'",
    '',
    'export const {',
    ...names.map((name) => `  ${name},`),
    '} = loadAddon()',
    '',
  ]
  writeFileSync(binding, lines.join('\n'))
}

/** The addon that simulates other hosts, for tests only; where it lies. */
export function buildTestHooks() {
  const addon = join('target', 'test-hooks', 'memmap.node')
  step('test-hooks', { inputs: RUST, outputs: [addon] }, () => {
    const features = ['--features', 'test-hooks,through-libc']
    run('cargo', ['build', '--quiet', '--release', '--package', 'memmap-node', ...features])
    const built = { win32: 'memmap_node.dll', darwin: 'libmemmap_node.dylib' }[process.platform] ?? 'libmemmap_node.so'
    mkdirSync(join(ROOT, dirname(addon)), { recursive: true })
    copyFileSync(join(ROOT, 'target', 'release', built), join(ROOT, addon))
  })
  return join(ROOT, addon)
}

/** dist/: what users import. */
export function buildTypeScript() {
  const inputs = ['tsconfig.json', 'index.ts', 'lib', 'native/binding.d.ts', 'package-lock.json']
  step('typescript', { inputs, outputs: ['dist/index.js', 'dist/index.d.ts'] }, () => {
    // Beside, and then in its place: what runs meanwhile finds a whole dist/ at almost any moment.
    const fresh = join(ROOT, 'target', 'dist')
    rmSync(fresh, { recursive: true, force: true })
    npx('typescript', ['--project', 'tsconfig.json', '--outDir', fresh])
    rmSync(join(ROOT, 'dist'), { recursive: true, force: true })
    renameSync(fresh, join(ROOT, 'dist'))
  })
}

export function build() {
  install()
  buildNative()
  buildTypeScript()
}

/** Whether a program can be run. */
export function has(command) {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
