// Every call of the system that we do fails once, and from then on for good: what comes of it is an answer that is right, or an
// error with a code, and nothing is left behind. See fixtures/torture/failing-calls.{c,mjs}.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import test from 'ava'
import type { ExecutionContext } from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import type { ChildResult } from './helpers/child.ts'
import { isLinux } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'
import { isTorture } from './helpers/trials.ts'

const SOURCE = fileURLToPath(new URL('./fixtures/torture/failing-calls.c', import.meta.url))
const HOOKS = process.env['MEMMAP_TEST_HOOKS']

/** Those of `npm test`. */
const QUICK = [
  'open read, huge pages, offset',
  'resize with windows',
  'create and open shared memory',
  'flush and write',
  'lock a region',
]
/** In a process that has done nothing before, so many of each call are tried: a process each. */
const COLD_MOST = 3

/** A trial as the program tells it; one where nothing failed says how often each call is done. */
interface Trial {
  readonly call?: string
  readonly failed?: number
  readonly outcome: string
  readonly problems: readonly string[]
  readonly counts?: Readonly<Record<string, number>>
}

function whyNot(): string | undefined {
  if (!isLinux) return 'Linux only'
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  if (header?.glibcVersionRuntime === undefined) return 'glibc only'
  if (spawnSync('cc', ['--version']).status !== 0) return 'no C compiler'
  return HOOKS === undefined ? 'no MEMMAP_TEST_HOOKS: run it by npm test' : undefined
}

const reason = whyNot()
const here = reason === undefined ? test.serial : test.serial.skip
const named = (title: string): string => (reason === undefined ? title : `${title} (skipped: ${reason})`)

/** Builds what makes calls fail; its path. */
function shim(t: ExecutionContext): string {
  const built = join(tmpFolder(t), 'failing-calls.so')
  const { status, stderr } = spawnSync('cc', ['-O1', '-shared', '-fPIC', '-o', built, SOURCE, '-ldl'], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return built
}

function run(t: ExecutionContext, preload: string, scenario: string, args: readonly string[]): Promise<ChildResult> {
  return runChild('torture/failing-calls.mjs', [tmpFolder(t), scenario, ...args], {
    env: { LD_PRELOAD: preload, MEMMAP_ADDON: HOOKS },
    nodeArgs: ['--expose-gc'],
    timeout: 600_000,
  })
}

/** What a child told; its last word is what it was doing where it died. */
function told({ stdout }: ChildResult): { trials: Trial[]; last: string } {
  const lines = stdout.trim().split('\n')
  const all = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Trial)
  return { trials: all.filter(({ outcome }) => outcome !== undefined), last: lines.at(-1) ?? '' }
}

/** `open: EMFILE 4, ok 2; …` */
function table(trials: readonly Trial[]): string {
  const calls = new Map<string, Map<string, number>>()
  for (const { call, outcome } of trials) {
    if (call === undefined) continue
    const outcomes = calls.get(call) ?? new Map<string, number>()
    calls.set(call, outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1))
  }
  return [...calls].map(([call, all]) => `${call}: ${[...all].map((pair) => pair.join(' ')).join(', ')}`).join('; ')
}

class Tally {
  trials = 0
  errors = 0
  right = 0
  wrong = 0
  deaths = 0
  failures = 0

  take(t: ExecutionContext, what: string, child: ChildResult): void {
    const { trials, last } = told(child)
    t.deepEqual(ending(child), WELL, `${what}: ${last}`)
    if (child.code !== 0) this.deaths += 1
    for (const trial of trials) {
      t.deepEqual(trial.problems, [], `${what}: ${JSON.stringify(trial)}`)
      if (trial.call === undefined) continue
      this.trials += 1
      this.failures += (trial.failed ?? 0) > 0 ? 1 : 0
      if (trial.problems.length > 0) this.wrong += 1
      else if (trial.outcome === 'ok') this.right += 1
      else this.errors += 1
    }
  }

  tell(t: ExecutionContext): void {
    const { trials, failures, errors, right, wrong, deaths } = this
    t.log(
      `${trials} trials, a call failed in ${failures}, ${errors} errors, ${right} right, ${wrong} wrong, ${deaths} deaths`,
    )
    // A few calls are done now and then only (of what is asked again after a second, by threads that come too late).
    t.true(failures > 0.85 * trials, 'what is hunted happens')
  }
}

async function scenarios(t: ExecutionContext, preload: string): Promise<string[]> {
  if (!isTorture) return QUICK
  const child = await run(t, preload, 'list', [])
  t.deepEqual(ending(child), WELL)
  return JSON.parse(child.stdout) as string[]
}

here(
  named('each call of the system fails in turn: a right answer or a typed error, and nothing is left behind'),
  async (t) => {
    t.timeout(3_600_000)
    const preload = shim(t)
    const tally = new Tally()
    for (const scenario of await scenarios(t, preload)) {
      const child = await run(t, preload, scenario, ['all'])
      tally.take(t, scenario, child)
      t.log(`${scenario} | ${table(told(child).trials)}`)
    }
    tally.tell(t)
  },
)

const inTorture = isTorture ? here : test.serial.skip
inTorture(named('the same for the first call of a process (npm run torture)'), async (t) => {
  t.timeout(3_600_000)
  const preload = shim(t)
  const tally = new Tally()
  for (const scenario of await scenarios(t, preload)) {
    const plain = told(await run(t, preload, scenario, ['count'])).trials[0]
    const counts = Object.entries(plain?.counts ?? {})
    t.true(counts.length > 0, scenario)
    for (const [call, count] of counts) {
      for (let nth = 1; nth <= Math.min(count, COLD_MOST); nth++) {
        tally.take(t, `${scenario}: ${call} ${nth}`, await run(t, preload, scenario, [call, String(nth)]))
      }
    }
  }
  tally.tell(t)
})
