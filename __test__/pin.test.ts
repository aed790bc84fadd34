// Keeping pages in memory. What the system makes of it is looked at in processes of their own.

import { chmodSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import test from 'ava'
import { limits } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { codeOf } from './helpers/files.ts'
import { kinds, made, pattern } from './helpers/kinds.ts'
import { asNobody, canBeNobody, isLinux } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'

const onLinux = isLinux ? test.serial : test.serial.skip
const whereNobody = isLinux && canBeNobody ? test.serial : test.serial.skip
const LENGTH = 20_000
const wherePinnable = limits().pinnable >= 10 * LENGTH ? test.serial : test.serial.skip

for (const kind of kinds()) {
  const title = `${kind}: pinned, let go, twice and by ranges: the bytes stay, and all of it is allowed`
  wherePinnable(`${title} (skipped where hardly anything may be pinned)`, (t) => {
    const { region } = made(t, kind, pattern(LENGTH))
    const before = limits().pinnable
    region.pin()
    region.pin()
    if (isLinux && Number.isFinite(before)) t.true(limits().pinnable < before)
    for (const range of [{ start: 1, end: 2 }, { start: -5 }, { start: 9, end: 5 }, { end: 2 ** 53 - 1 }]) {
      region.unpin(range)
      region.pin(range)
    }
    t.true(region.equals(pattern(LENGTH)))
    region.unpin()
    region.unpin()
    t.is(limits().pinnable, before)
    region.pin()
    region.close()
    t.is(limits().pinnable, before, 'close lets go')
    for (const call of [() => region.pin(), () => region.unpin()]) t.is(codeOf(call), 'ERR_REGION_CLOSED')
  })

  test.serial(`${kind}: protected 'none' there is nothing to pin, and nobody dies of it`, (t) => {
    const { region } = made(t, kind, pattern(LENGTH))
    region.protect('none')
    t.is(
      codeOf(() => region.pin()),
      'ERR_INVALID_STATE',
    )
    region.unpin()
    region.protect('read')
    t.true(region.equals(pattern(LENGTH)))
  })
}

onLinux(
  "Locked in /proc/self/smaps; of a map for reading nothing is copied, and others' writes are seen",
  async (t) => {
    const result = await runChild('system/pin.mjs', [tmpFolder(t)])
    t.deepEqual(ending(result), WELL)
    t.log(result.stdout.trim())
  },
)

whereNobody('root may pin as much as it likes, whatever it has pinned already (skipped but for root)', (t) => {
  const { region } = made(t, 'private memory', pattern(LENGTH))
  t.is(limits().pinnable, Infinity)
  region.pin()
  t.is(limits().pinnable, Infinity)
})

whereNobody('beyond RLIMIT_MEMLOCK: refused with advice, nothing is pinned (skipped but for root)', async (t) => {
  const folder = tmpFolder(t)
  chmodSync(folder, 0o755)
  writeFileSync(`${folder}/data.bin`, Buffer.alloc(2 ** 20, 5), { mode: 0o644 })
  const fixture = fileURLToPath(new URL('fixtures/system/pin-too-much.mjs', import.meta.url))
  const result = await asNobody([fixture, folder])
  t.deepEqual(ending(result), WELL)
  t.log(result.stdout.trim())
})

onLinux('a page that vanished under the file: ERR_REGION_FAULTED, and the process lives', async (t) => {
  const result = await runChild('system/pin-faults.mjs', [tmpFolder(t)])
  t.deepEqual(ending(result), WELL)
})
