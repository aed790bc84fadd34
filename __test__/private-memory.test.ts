import { readFileSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'

import test from 'ava'
import { PrivateMemory } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { codeOf, thrownBy } from './helpers/files.ts'
import { kept, program } from './helpers/shared.ts'
import { isLinux } from './helpers/system.ts'
import { tmpFile } from './helpers/tmp.ts'

const onLinux = isLinux ? test.serial : test.serial.skip

/**
 * How many KiB the system says are locked in memory, and how many are left out of core dumps and of children, of all
 * maps together: the runtime may have a map just as long, and the system joins neighbours that are alike.
 */
function said(): { locked: number; leftOut: number } {
  const blocks = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
  let [locked, leftOut] = [0, 0]
  for (const block of blocks) {
    const number = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(block)?.[1] ?? 0)
    const flags = (/^VmFlags: (.*)$/m.exec(block)?.[1] ?? '').trim().split(' ')
    locked += number('Locked')
    if (flags.includes('dd') && flags.includes('dc')) leftOut += number('Size')
  }
  return { locked, leftOut }
}

test('it is zeroed, writable, of just its length, and of no descriptor', (t) => {
  for (const length of [1, 4096, 4097, 3_000_001]) {
    const memory = kept(t, PrivateMemory.allocate(length))
    t.deepEqual([memory.byteLength, memory.access, memory.closed], [length, 'write', false])
    t.is(memory.count(0), length)
    memory.fill(0xff)
    t.is(memory.view(Uint8Array)[length - 1], 0xff)
    t.false('fd' in memory)
    t.false(memory.refresh())
    t.is(memory.count(0xff), length, 'refresh has changed nothing')
    memory.close()
    t.deepEqual([memory.byteLength, memory.closed], [0, true])
  }
})

test('a length that is none is refused', (t) => {
  for (const length of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    const error = thrownBy(() => PrivateMemory.allocate(length))
    t.true(error instanceof RangeError, String(length))
    t.is(error?.code, 'ERR_OUT_OF_RANGE')
  }
  for (const length of ['1', null, undefined, 1n]) {
    t.is(
      codeOf(() => PrivateMemory.allocate(length as unknown as number)),
      'ERR_INVALID_ARG_TYPE',
    )
  }
  t.is(
    codeOf(() => PrivateMemory.allocate(Number.MAX_SAFE_INTEGER)),
    'ENOMEM',
  )
  t.is(
    codeOf(() => PrivateMemory.allocate(10, { huge: true } as object)),
    'ERR_INVALID_ARG_VALUE',
  )
  t.is(
    codeOf(() => PrivateMemory.allocate(10, { pin: 1 as unknown as boolean })),
    'ERR_INVALID_ARG_TYPE',
  )
})

test('asked for huge pages it does with what there is', (t) => {
  const memory = kept(t, PrivateMemory.allocate(2 ** 23 + 1, { hugePages: true }))
  t.is(memory.count(0), 2 ** 23 + 1)
  memory.fill(1)
  t.is(memory.count(1), 2 ** 23 + 1)
})

test('two have nothing in common', (t) => {
  const [one, other] = [kept(t, PrivateMemory.allocate(4096)), kept(t, PrivateMemory.allocate(4096))]
  one.fill(1)
  t.is(other.count(0), 4096)
})

onLinux('pinned it is locked, from the first byte to the last, until it is closed', (t) => {
  const kib = 1236
  const before = said().locked
  const memory = kept(t, PrivateMemory.allocate(kib * 1024, { pin: true }))
  t.is(said().locked - before, kib)
  memory.close()
  t.is(said().locked, before)
  kept(t, PrivateMemory.allocate(kib * 1024))
  t.is(said().locked, before)
})

const canBind =
  isLinux && spawnSync('setpriv', ['--bounding-set=-ipc_lock', '--inh-caps=-ipc_lock', 'true']).status === 0
const whereBound = canBind ? test.serial : test.serial.skip

whereBound('more than may be pinned is refused, and nothing is left of it (skipped without setpriv)', async (t) => {
  const script = tmpFile(t, 'pin.mjs')
  const entry = new URL('../dist/index.js', import.meta.url).href
  writeFileSync(
    script,
    `import { PrivateMemory } from '${entry}'
try { PrivateMemory.allocate(1 << 24, { pin: true }); console.log('pinned') } catch (error) { console.log(error.code) }`,
  )
  // Root may pin without limit; nobody else may.
  const dropped = ['setpriv', '--bounding-set=-ipc_lock', '--inh-caps=-ipc_lock', 'prlimit', '--memlock=65536']
  const child = await runChild(script, [], { under: dropped })
  t.deepEqual(ending(child), WELL)
  t.regex(child.stdout, /^(?:ENOMEM|EPERM|EAGAIN)\n$/)
})

onLinux('to be wiped, it is left out of core dumps and of children', (t) => {
  const kib = 1244
  const before = said().leftOut
  const memory = kept(t, PrivateMemory.allocate(kib * 1024, { wipe: true }))
  t.is(said().leftOut - before, kib)
  memory.close()
  t.is(said().leftOut, before)
  kept(t, PrivateMemory.allocate(kib * 1024))
  t.is(said().leftOut, before)
})

onLinux('its bytes are zero before they are given back where that was asked for, and only there', async (t) => {
  const wiped = await runChild(program('wipe'), ['wipe'])
  t.deepEqual(ending(wiped), WELL)
  t.is(wiped.stdout, 'zeros\n')
  const plain = await runChild(program('wipe'), ['plain'])
  t.deepEqual(ending(plain), WELL)
  t.is(plain.stdout, 'never zeros\n')
})
