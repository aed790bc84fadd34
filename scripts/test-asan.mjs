// The tests with an addon that AddressSanitizer watches: what reads or writes beside a block of memory is reported. Linux
// with gcc's runtime only. Node itself is not watched, but the addon's calls of malloc, memcpy and the like are.
// With arguments: only those test files.

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { build, fail, npx, ROOT, run } from './steps.mjs'

const TARGETS = { x64: 'x86_64-unknown-linux-gnu', arm64: 'aarch64-unknown-linux-gnu' }
const FOLDER = join(ROOT, 'target', 'asan')
const REPORTS = join(FOLDER, 'reports')
const ADDON = join(FOLDER, 'memmap.node')

/** Test files that prove nothing here, and why. */
const LEFT_OUT = {
  'life-collection': 'counts maps, of which the checker makes some',
  'life-workers': 'the same',
  'share-attach': 'the same',
  'life-gc-pressure': 'measures memory',
  'map-limit': 'a limit that the checker runs into before',
  'safety-stray-write': "limits that the checker's 16 TiB of addresses go beyond",
  'cli-doctor': 'the same',
  'cli-locks': 'the system does not see who waits: no signal is free, so that waits are polled',
  pin: "the checker's mlock does nothing",
  'private-memory': 'the same',
  'flush-failure': 'preloads a library itself',
  'torture-failing-calls': 'the same',
}

/** The same of the core's: loom goes through every order of the steps of algorithms that touch no memory but its own. */
const MODELS = new Set(['models.rs', 'ring_models.rs'])

const target = process.platform === 'linux' ? TARGETS[process.arch] : undefined
if (target === undefined) fail(`AddressSanitizer runs on ${Object.values(TARGETS).join(' and ')} only`)

const printed = spawnSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' })
if (printed.status !== 0)
  fail("no gcc, whose libasan is the runtime of AddressSanitizer: install gcc (Debian's package gcc)")
const runtime = printed.stdout.trim()
if (!existsSync(runtime))
  fail('no libasan.so beside gcc: install it (Debian: libasan8, or the one of your gcc; Fedora: libasan)')

// The fault guard has SIGBUS, and V8 SIGSEGV; leaks are what life-*.test.ts count.
const OPTIONS = {
  detect_leaks: 0,
  handle_sigbus: 0,
  handle_segv: 0,
  allow_user_segv_handler: 1,
  use_sigaltstack: 0,
  log_path: join(REPORTS, 'report'),
}
const watched = {
  ASAN_OPTIONS: Object.entries(OPTIONS)
    .map(([name, value]) => `${name}=${value}`)
    .join(':'),
  LD_PRELOAD: realpathSync(runtime),
  MEMMAP_TEST_HOOKS: ADDON,
  MEMMAP_ADDON: ADDON,
}

const reports = () => readdirSync(REPORTS).map((name) => readFileSync(join(REPORTS, name), 'utf8'))

function emptyReports() {
  rmSync(REPORTS, { recursive: true, force: true })
  mkdirSync(REPORTS, { recursive: true })
}

build()

// Sanitizers are not for the stable compiler, which must be told that this is meant. A stack of calls in the reports needs
// symbols.
const profile = ['lto=false', 'strip="none"', 'codegen-units=16', 'debug=1', 'debug-assertions=true']
const config = profile.flatMap((setting) => ['--config', `profile.release.${setting}`])
const compiler = { ...process.env, RUSTC_BOOTSTRAP: '1', RUSTFLAGS: '-Zsanitizer=address' }
const where = ['--release', '--target', target, '--target-dir', FOLDER, ...config]
run('cargo', ['build', '--quiet', '--package', 'memmap-node', '--features', 'test-hooks', ...where], { env: compiler })
copyFileSync(join(FOLDER, target, 'release', 'libmemmap_node.so'), ADDON)

// A checker that sees nothing would be content with everything.
emptyReports()
const wrong = `require(${JSON.stringify(ADDON)}).readOutOfBounds(100)`
const { status } = spawnSync(process.execPath, ['--eval', wrong], {
  env: { ...process.env, ...watched },
  encoding: 'utf8',
})
if (status === 0 || !reports().some((report) => report.includes('heap-buffer-overflow'))) {
  fail(
    `AddressSanitizer does not see a read behind the end of a block (exit code ${status}): wrong runtime ${runtime}?`,
  )
}
console.log('AddressSanitizer reports a read behind the end of a block, as it should')

emptyReports()
// Whatever fails first ends this program: the reports are told in any case.
process.on('exit', () => {
  const found = reports()
  for (const report of found) process.stderr.write(report)
  console.log(`AddressSanitizer: ${found.length} reports`)
  if (found.length > 0) process.exitCode = 1
})

const named = process.argv.slice(2)
if (named.length === 0) {
  const tests = readdirSync(join(ROOT, 'crates', 'core', 'tests')).flatMap((name) =>
    name.endsWith('.rs') && !MODELS.has(name) ? ['--test', name.replace('.rs', '')] : [],
  )
  // Counts maps of the process, of which the checker makes some of its own.
  const without = ['--', '--skip', 'the_addresses_go_with_the_last_holder']
  run('cargo', ['test', '--quiet', '--package', 'memmap-core', '--lib', ...tests, ...where, ...without], {
    env: { ...compiler, ASAN_OPTIONS: watched.ASAN_OPTIONS },
  })
}
const files = readdirSync(join(ROOT, '__test__'))
  .filter((name) => name.endsWith('.test.ts') && !Object.hasOwn(LEFT_OUT, name.replace('.test.ts', '')))
  .map((name) => `__test__/${name}`)
// Watching takes its time.
npx('ava', ['--timeout=20m', ...(named.length > 0 ? named : files)], { env: { ...process.env, ...watched } })
