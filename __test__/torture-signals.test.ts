// SIGBUS wanted by others too: listeners and native handlers, before and after the guard, and signals that are sent.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import type { ChildOptions, ChildResult } from './helpers/child.ts'
import { Random } from './helpers/random.ts'
import { isLinux } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'
import { trials } from './helpers/trials.ts'

const onLinux = isLinux ? test : test.skip
const HOOKS = process.env['MEMMAP_TEST_HOOKS']
const withHooks = isLinux && HOOKS !== undefined ? test : test.skip
const BUS = { code: null, signal: 'SIGBUS', stderr: '' } as const

const run = (
  t: Parameters<typeof tmpFolder>[0],
  way: string,
  args: readonly (string | number)[] = [],
  options: ChildOptions = {},
): Promise<ChildResult> => runChild('torture/signals.mjs', [tmpFolder(t), way, ...args], options)

const sendBus: ChildOptions = { timeout: 15_000, whenReady: (child) => child.kill('SIGBUS') }

onLinux(
  'listeners that come and go in any order: faults of regions open all along are caught, signals heard',
  async (t) => {
    const times = trials(300, 5000)
    const seed = new Random(t).integer(1, 2 ** 31)
    const child = await run(t, 'random', [times, seed], { timeout: 300_000 })
    t.deepEqual(ending(child), WELL)
    const { faults, sent } = JSON.parse(child.stdout) as { faults: number; sent: number }
    t.is(faults, times)
    t.true(sent > times / 10, `only ${sent} signals were sent`)
    t.log(`${times} trials, ${faults} errors, ${sent} signals heard, 0 deaths`)
  },
)

onLinux(
  'kill -BUS from outside is heard by a listener, the process lives, and a fault after it is caught',
  async (t) => {
    for (let i = 0; i < 3; i++) t.deepEqual(ending(await run(t, 'heard', [], sendBus)), WELL)
  },
)

onLinux('kill -BUS from outside ends the process as without us when the last listener is gone', async (t) => {
  for (let i = 0; i < 3; i++) t.deepEqual(ending(await run(t, 'unheard-again', [], sendBus)), BUS)
})

for (const when of ['before', 'after']) {
  for (const handsOn of [false, true]) {
    const what = handsOn ? 'hands on what is not its own' : 'keeps what it gets'
    withHooks(
      `a native handler set ${when} our first open that ${what}: faults are ours, other signals its (skipped without MEMMAP_TEST_HOOKS)`,
      async (t) => {
        const child = await run(t, 'native', [when, String(handsOn)], { env: { MEMMAP_ADDON: HOOKS } })
        t.deepEqual(ending(child), WELL)
        t.log(child.stdout.trim())
      },
    )
  }
}

onLinux('loaded only by 20 workers that end: a listener in the main thread, and the next worker, work', async (t) => {
  const child = await run(t, 'workers-only', [20, 'listener'])
  t.deepEqual(ending(child), WELL)
  t.log(child.stdout.trim())
})

onLinux('loaded only by 20 workers that end: kill -BUS ends the process as without us', async (t) => {
  t.deepEqual(ending(await run(t, 'workers-only', [20, 'kill'], { ...sendBus, timeout: 30_000 })), BUS)
})
