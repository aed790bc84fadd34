// The test suite on the other platforms that can be built and run here, compared with __test__/platforms.json, which says
// what is left out there and what fails, and why: `npm run test:platforms [-- PLATFORM… TEST…]`, where a test is named by
// its file, without `.test.ts`; without any, all are run.

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
const [namedPlatforms, namedTests] = [true, false].map((known) => named.filter((name) => name in listed === known))
const platforms = namedPlatforms.length > 0 ? namedPlatforms : Object.keys(listed)
for (const platform of platforms) {
  const elsewhere = ELSEWHERE[platform]
  if (!hasPart(cross, elsewhere.part)) fail(`no ${elsewhere.part} in the cross tools`)
}

const matches = (pattern, name) =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === `${pattern}.test.ts`

const nameOf = (file) => file.replace(/\.test\.ts$/, '')
/** All that ava says where the process of a file does not come up: seen under wine, once in 88 files, and not when it was run again. */
const NOT_STARTED = 'AggregateError'

/** The files to run: a name ending in `*` leaves out all that begin so. One that leaves out nothing is wrong. */
function filesOf(platform) {
  const leftOut = listed[platform].leftOut.flatMap(({ files }) => files)
  const all = readdirSync(join(ROOT, '__test__')).filter((name) => name.endsWith('.test.ts'))
  for (const pattern of leftOut) {
    if (!all.some((name) => matches(pattern, name))) fail(`platforms.json, ${platform}: there is no ${pattern}`)
  }
  const there = all.filter((name) => !leftOut.some((pattern) => matches(pattern, name)))
  for (const test of namedTests) if (!there.includes(`${test}.test.ts`)) fail(`${platform}: ${test} does not run there`)
  return namedTests.length > 0 ? there.filter((name) => namedTests.includes(nameOf(name))) : there
}

/** What ava said of each test, by `file › title`, which it shortens where there is one file only; a file that crashed has no title. */
function resultsOf(tap, files) {
  const prefix = files.length === 1 ? `${nameOf(files[0])} › ` : ''
  const results = new Map()
  for (const [, not, name, skipped] of tap.matchAll(/^(not )?ok \d+ - (.*?)( # SKIP)?\r?$/gm)) {
    results.set(prefix + name, not ? 'failed' : skipped ? 'skipped' : 'passed')
  }
  return results
}

/** Runs these files there, and returns what was said of their tests, and whether that was all. */
function runFiles(platform, folder, files) {
  const [target] = Object.values(ELSEWHERE[platform].nodes)
  const ava = join(ROOT, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
  // Into files, to be looked at while it runs.
  const [out, err] = ['tap', 'stderr'].map((file) => join(folder, file))
  const stdio = ['ignore', openSync(out, 'w'), openSync(err, 'w')]
  const paths = files.map((file) => `__test__/${file.replace(/\.ts$/, '.js')}`)
  const { status } = spawnSync(join(cross, 'cross'), ['node', target, ava, '--tap', ...paths], {
    cwd: folder,
    stdio,
    env: { ...process.env, ...ELSEWHERE[platform].env, CROSS_TIMEOUT: '3600', MEMMAP_ADDON: '' },
  })
  for (const file of stdio.slice(1)) closeSync(file)
  const [stdout, stderr] = [out, err].map((path) => readFileSync(path, 'utf8'))
  const ended = /^1\.\.\d+\r?$/m.test(stdout)
  return { status, ended, output: stdout + stderr, results: resultsOf(stdout, files) }
}

/** Runs the suite, and returns what is otherwise than listed. */
function tryPlatform(platform, folder) {
  const [name] = Object.keys(ELSEWHERE[platform].nodes)
  const files = filesOf(platform)
  const from = Date.now()
  const first = runFiles(platform, folder, files)
  if (!first.ended) return [`ended before all was said (exit code ${first.status}): ${first.output}`]
  const { results } = first
  let { output } = first
  const unheard = () =>
    files.filter((file) => ![...results.keys()].some((test) => test.startsWith(`${nameOf(file)} › `)))
  const again = unheard()
  if (again.length > 0 && results.delete(NOT_STARTED)) {
    console.log(`${name}: the process of a file could not be started, once more: ${again.join(', ')}`)
    const second = runFiles(platform, folder, again)
    output += second.output
    for (const [test, result] of second.results) results.set(test, result)
  }
  const count = (what) => [...results.values()].filter((result) => result === what).length
  console.log(
    `${name}: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} say that they do not run there; ` +
      `${files.length} files in ${Math.round((Date.now() - from) / 1000)} s`,
  )
  const failing = listed[platform].failing.filter(({ test }) =>
    files.some((file) => test.startsWith(`${nameOf(file)} › `)),
  )
  const known = new Map(failing.map((entry) => [entry.test, entry]))
  const wrong = unheard().map((file) => `says nothing: ${file}`)
  for (const [test, result] of results) if (result === 'failed' && !known.has(test)) wrong.push(`fails: ${test}`)
  for (const [test, { sometimes }] of known) {
    const result = results.get(test) ?? 'not there'
    if (result !== 'failed' && !(sometimes && result === 'passed'))
      wrong.push(`listed as failing, but ${result}: ${test}`)
  }
  if (wrong.length > 0) process.stderr.write(output)
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
