import test from 'ava'

import { ending } from './helpers/child.ts'
import { endsWell, run } from './helpers/life.ts'

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

const BUS = { code: null, signal: 'SIGBUS', stderr: '' } as const

for (const [way, name] of [
  ['listener-first', "process.on('SIGBUS') before the first map"],
  ['listener-after', "process.on('SIGBUS') after it"],
  ['listener-removed', 'a SIGBUS listener that is taken away again'],
]) {
  onLinux(`${name}: faults are still caught and sent signals are heard`, async (t) => {
    await endsWell(t, 'signals', [way ?? ''])
  })
}

for (const state of ['used', 'unused']) {
  onLinux(`kill -BUS from outside ends the process as without us (guard ${state})`, async (t) => {
    const result = await run(t, 'signals', ['wait', state], {
      timeout: 15_000,
      whenReady: (child) => child.kill('SIGBUS'),
    })
    t.deepEqual(ending(result), BUS)
  })
}

onLinux('SIGBUS that a process sends itself ends it as without us', async (t) => {
  t.deepEqual(ending(await run(t, 'signals', ['kill-self'])), BUS)
})

for (const way of ['no-guard', 'no-guard-beside-guarded', 'no-guard-method']) {
  onLinux(`guard: false, as documented: the access to a page that is gone ends the process (${way})`, async (t) => {
    const result = await run(t, 'signals', [way])
    t.deepEqual(ending(result), BUS)
    t.is(result.stdout, '')
  })
}

onLinux('MEMMAP_GUARD=off, as documented: the access to a page that is gone ends the process', async (t) => {
  t.deepEqual(ending(await run(t, 'signals', ['guard-off'], { env: { MEMMAP_GUARD: 'off' } })), BUS)
})

onLinux('guard: true goes before MEMMAP_GUARD=off', async (t) => {
  await endsWell(t, 'signals', ['guard-off-but-wanted'], { env: { MEMMAP_GUARD: 'off' } })
})

onLinux('closing without the guard harms nobody', async (t) => {
  await endsWell(t, 'signals', ['guard-off-closed'], { env: { MEMMAP_GUARD: 'off' } })
})
