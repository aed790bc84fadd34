// The test suite on the other platforms that can be built and run here, compared with __test__/platforms.json, which says
// what is left out there and what fails, and why: `npm run test:platforms [-- PLATFORM…]`.

import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { crossBuild, crossTools, ELSEWHERE, hasPart } from './cross.mjs'
import { build, fail, ROOT } from './steps.mjs'
import { stageSuite } from './suite.mjs'

if (process.platform !== 'linux' || process.arch !== 'x64') fail('test:platforms runs on Linux x64')
const cross = crossTools() ?? fail('no cross tools: name their folder in MEMMAP_CROSS')

const listed = JSON.parse(readFileSync(join(ROOT, '__test__', 'platforms.json'), 'utf8'))
const named = process.argv.slice(2)
const platforms = named.length > 0 ? named : Object.keys(listed)
for (const platform of platforms) {
  const elsewhere = listed[platform] && ELSEWHERE[platform]
  if (elsewhere === undefined) fail(`${platform}: platforms.json has ${Object.keys(listed).join(', ')}`)
  if (!hasPart(cross, elsewhere.part)) fail(`no ${elsewhere.part} in the cross tools`)
}

const matches = (pattern, name) =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === `${pattern}.test.ts`

/** The files to run: a name ending in `*` leaves out all that begin so. One that leaves out nothing is wrong. */
function filesOf(platform) {
  const leftOut = listed[platform].leftOut.flatMap(({ files }) => files)
  const all = readdirSync(join(ROOT, '__test__')).filter((name) => name.endsWith('.test.ts'))
  for (const pattern of leftOut) {
    if (!all.some((name) => matches(pattern, name))) fail(`platforms.json, ${platform}: there is no ${pattern}`)
  }
  return all.filter((name) => !leftOut.some((pattern) => matches(pattern, name)))
}

/** What ava said of each test, by `file › title`; a file that crashed has no title. */
function resultsOf(tap) {
  const results = new Map()
  for (const [, not, name, skipped] of tap.matchAll(/^(not )?ok \d+ - (.*?)( # SKIP)?\r?$/gm)) {
    results.set(name, not ? 'failed' : skipped ? 'skipped' : 'passed')
  }
  return results
}

/** Runs the suite, and returns what is otherwise than listed. */
function tryPlatform(platform, folder) {
  const [[name, target]] = Object.entries(ELSEWHERE[platform].nodes)
  const files = filesOf(platform).map((file) => `__test__/${file.replace(/\.ts$/, '.js')}`)
  const ava = join(ROOT, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
  const from = Date.now()
  // Into files, to be looked at while it runs.
  const [out, err] = ['tap', 'stderr'].map((file) => join(folder, file))
  const stdio = ['ignore', openSync(out, 'w'), openSync(err, 'w')]
  const { status } = spawnSync(join(cross, 'cross'), ['node', target, ava, '--tap', ...files], {
    cwd: folder,
    stdio,
    env: { ...process.env, CROSS_TIMEOUT: '3600', MEMMAP_ADDON: '' },
  })
  for (const file of stdio.slice(1)) closeSync(file)
  const [stdout, stderr] = [out, err].map((path) => readFileSync(path, 'utf8'))
  const results = resultsOf(stdout)
  const count = (what) => [...results.values()].filter((result) => result === what).length
  const { failing } = listed[platform]
  console.log(
    `${name}: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} say that they do not run there; ` +
      `${files.length} files in ${Math.round((Date.now() - from) / 1000)} s`,
  )
  if (!/^1\.\.\d+\r?$/m.test(stdout)) return [`ended before all was said (exit code ${status}): ${stdout}${stderr}`]
  const known = new Map(failing.map((entry) => [entry.test, entry]))
  const wrong = []
  for (const [test, result] of results) if (result === 'failed' && !known.has(test)) wrong.push(`fails: ${test}`)
  for (const [test, { sometimes }] of known) {
    const result = results.get(test) ?? 'not there'
    if (result !== 'failed' && !(sometimes && result === 'passed'))
      wrong.push(`listed as failing, but ${result}: ${test}`)
  }
  if (wrong.length > 0) process.stderr.write(`${stdout}${stderr}`)
  return wrong
}

build()
const staged = stageSuite(
  Object.fromEntries(platforms.map((platform) => [platform, crossBuild(cross, ELSEWHERE[platform].target)])),
)
const wrong = Object.entries(staged).flatMap(([platform, folder]) =>
  tryPlatform(platform, folder).map((what) => `${platform}: ${what}`),
)
for (const what of wrong) console.log(what)
if (wrong.length > 0) process.exitCode = 1
