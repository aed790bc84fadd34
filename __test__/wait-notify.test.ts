// Waiting for words and calling who waits, inside of one process: arguments, results, and what ends a wait.

import { truncateSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import test from 'ava'
import { capabilities, MmapFile, PrivateMemory, SharedMemory } from 'memmap'
import type { Region } from 'memmap'

import { isInteger, isNumber, isOptions, LENGTH, optional, TYPED, VALUES } from './helpers/bad-values.ts'
import { ending, runChild, WELL } from './helpers/child.ts'
import { codeOf, fileWith, opened } from './helpers/files.ts'
import { eventually, outcome, soFar } from './helpers/lockers.ts'
import { kept } from './helpers/shared.ts'
import { hasPython, isLinux, isPosix } from './helpers/system.ts'
import { countsCalls } from './helpers/waits.ts'

const onPosix = isPosix ? test : test.skip
const withPython = isLinux && hasPython ? test : test.skip
const whereCallsCount = countsCalls ? test : test.skip

const isPlace = (value: unknown): boolean => isInteger(0, LENGTH - 4)(value) && Number(value) % 4 === 0

/** Stores, then calls: what ends every wait, everywhere. */
function change(region: Region, offset: number): void {
  region.writeInt32LE(region.readInt32LE(offset) + 1, offset)
  region.notify(offset)
}

test('a word that is another one is not waited for, and a wait takes no longer than its time', async (t) => {
  const memory = kept(t, SharedMemory.anonymous(4096))
  memory.writeInt32LE(-5, 8)
  t.is(memory.wait(8, 0), 'not-equal')
  t.is(await memory.waitAsync(8, 0), 'not-equal')
  for (const timeout of [0, 0.5, 30, 120]) {
    const begun = performance.now()
    t.is(memory.wait(8, -5, { timeout }), 'timed-out')
    t.true(performance.now() - begun >= timeout, `wait, ${timeout} ms`)
    const begunAsync = performance.now()
    t.is(await memory.waitAsync(8, -5, { timeout }), 'timed-out')
    t.true(performance.now() - begunAsync >= timeout - 1, `waitAsync, ${timeout} ms`)
  }
  t.is(memory.notify(8), 0, 'who has given up is not called')
})

test('a call ends the waits for its word, and no others', async (t) => {
  const memory = kept(t, SharedMemory.anonymous(4096))
  const [here, there] = [memory.waitAsync(0, 0), memory.waitAsync(4, 0)]
  change(memory, 0)
  t.is(await here, 'ok')
  t.is(await soFar(there, 30), 'pending')
  change(memory, 4)
  t.is(await there, 'ok')
})

whereCallsCount('each call is told to as many waits as it says (Linux with io_uring)', async (t) => {
  const memory = kept(t, SharedMemory.anonymous(4096))
  let ended = 0
  const waits = Array.from({ length: 1000 }, async () => {
    t.is(await memory.waitAsync(0, 0), 'ok')
    ended += 1
  })
  const all = Promise.all(waits)
  // If a number is wrong the test ends here, and its memory is closed under the waits.
  all.catch(() => undefined)
  t.is(memory.notify(0, 0), 0)
  for (const count of [10, 1, 100]) {
    const before = ended
    t.is(memory.notify(0, count), count)
    t.true(await eventually(() => ended >= before + count))
    await soFar(all, 30)
    t.is(ended, before + count)
  }
  t.is(memory.notify(0), 889)
  await all
  t.is(memory.notify(0, Infinity), 0)
})

test('a signal ends a wait with its reason, and takes no call away from others', async (t) => {
  const memory = kept(t, SharedMemory.anonymous(4096))
  const reason = new RangeError('enough')
  t.is(await memory.waitAsync(0, 0, { signal: AbortSignal.abort(reason) }).catch((error: unknown) => error), reason)
  const controller = new AbortController()
  const [given, other] = [memory.waitAsync(0, 0, { signal: controller.signal }), memory.waitAsync(0, 0)]
  controller.abort(reason)
  t.is(await given.catch((error: unknown) => error), reason)
  t.is(await soFar(other, 20), 'pending')
  change(memory, 0)
  t.is(await other, 'ok')
  const ended = memory.waitAsync(4, 0, { signal: controller.signal }).catch((error: unknown) => error)
  t.is(await ended, reason, 'and also when it was aborted before')
})

test('what nobody else has, what lies outside and what is no word is refused', async (t) => {
  const path = fileWith(t, Buffer.alloc(100))
  const forms = [
    (region: Region, offset: number, expected: number) => codeOf(() => region.wait(offset, expected, { timeout: 0 })),
    (region: Region, offset: number, expected: number) => outcome(region.waitAsync(offset, expected, { timeout: 0 })),
    (region: Region, offset: number) => codeOf(() => region.notify(offset)),
  ]
  const file = opened(t, path, { access: 'write' })
  const shifted = opened(t, path, { access: 'write', offset: 2 })
  for (const form of forms) {
    t.is(await form(kept(t, PrivateMemory.allocate(100)), 0, 0), 'ERR_INVALID_STATE')
    t.is(await form(opened(t, path, { access: 'copy' }), 0, 0), 'ERR_INVALID_STATE')
    for (const offset of [97, 100, 101, 2, 1, 2 ** 53 - 1]) t.is(await form(file, offset, 0), 'ERR_OUT_OF_RANGE')
    t.is(await form(shifted, 0, 0), 'ERR_OUT_OF_RANGE', 'aligned in memory, and not in the region')
    t.not(await form(shifted, 2, 0), 'ERR_OUT_OF_RANGE')
  }
  for (const expected of [2 ** 31, -(2 ** 31) - 1, 0.5]) {
    t.is(
      codeOf(() => file.wait(0, expected)),
      'ERR_OUT_OF_RANGE',
    )
    t.is(await outcome(file.waitAsync(0, expected)), 'ERR_OUT_OF_RANGE')
  }
  const closed = MmapFile.open(path)
  closed.close()
  for (const form of forms) t.is(await form(closed, 0, 0), 'ERR_REGION_CLOSED')
  t.is(
    codeOf(() => closed.wait(97, 2 ** 31)),
    'ERR_OUT_OF_RANGE',
    'arguments come first',
  )
})

test('values that no wait was made for are refused, and the memory stays as it is', async (t) => {
  const memory = kept(t, SharedMemory.anonymous(LENGTH))
  const before = memory.slice()
  const isWord = isInteger(-(2 ** 31), 2 ** 31 - 1)
  const isCount = optional((value) => isInteger(0, 2 ** 53 - 1)(value) || value === Infinity)
  const timeout = optional((value) => isNumber(value) && Number(value) >= 0)
  const signal = optional((value) => value instanceof AbortSignal)
  const refused = async (said: string, fine: boolean, call: () => unknown): Promise<void> => {
    let code: unknown
    try {
      await call()
    } catch (error) {
      code = Reflect.get(error as Error, 'code')
    }
    if (fine ? code !== undefined : !TYPED.has(String(code))) t.fail(`${said}: ${String(code)}`)
  }
  const at0 = { timeout: 0 }
  for (const [label, make] of VALUES) {
    const value = make()
    for (const form of ['wait', 'waitAsync'] as const) {
      await refused(`${form}(${label}, 0)`, isPlace(value), () => memory[form](make() as number, 0, at0))
      await refused(`${form}(0, ${label})`, isWord(value), () => memory[form](0, make() as number, at0))
      // The word is another one: a wait without an end ends.
      const keys = form === 'wait' ? { timeout } : { timeout, signal }
      await refused(`${form}(0, 1, ${label})`, isOptions(keys)(value), () => memory[form](0, 1, make() as object))
      await refused(`${form}(0, 1, { timeout: ${label} })`, timeout(value), () =>
        memory[form](0, 1, { timeout: make() as number }),
      )
    }
    const given = (): AbortSignal => make() as AbortSignal
    await refused(`waitAsync(0, 1, { signal: ${label} })`, signal(value), () =>
      memory.waitAsync(0, 1, { signal: given() }),
    )
    await refused(`notify(${label})`, isPlace(value), () => memory.notify(make() as number))
    await refused(`notify(0, ${label})`, isCount(value), () => memory.notify(0, make() as number))
  }
  t.deepEqual(memory.slice(), before)
})

test('a region opened for reading waits for what another one of the file writes, and may call', async (t) => {
  const path = fileWith(t, Buffer.alloc(20_000))
  const [reads, writes] = [opened(t, path), opened(t, path, { access: 'write' })]
  // In the last page, which is not whole.
  const waits = [reads.waitAsync(19_996, 0), writes.waitAsync(19_996, 0)]
  t.is(reads.wait(19_996, 0, { timeout: 10 }), 'timed-out')
  change(writes, 19_996)
  t.deepEqual(await Promise.all(waits), ['ok', 'ok'])
  const wait = writes.waitAsync(0, 0)
  opened(t, path, { access: 'write' }).writeInt32LE(1, 0)
  reads.notify(0)
  t.is(await wait, 'ok')
})

test('a wait is rejected when its region is closed, and others go on', async (t) => {
  const path = fileWith(t, Buffer.alloc(100))
  const [one, other] = [opened(t, path, { access: 'write' }), opened(t, path, { access: 'write' })]
  const [closed, open] = [one.waitAsync(0, 0), other.waitAsync(0, 0)]
  one.close()
  t.is(await outcome(closed), 'ERR_REGION_CLOSED')
  t.is(await soFar(open, 20), 'pending')
  change(other, 0)
  t.is(await open, 'ok')
})

onPosix('a wait goes on where its region is mapped anew, and is rejected where the word has gone', async (t) => {
  const path = fileWith(t, Buffer.alloc(20_000))
  const [region, other] = [opened(t, path, { access: 'write' }), opened(t, path, { access: 'write' })]
  const changes: readonly (() => void)[] = [
    () => region.resize(30_000),
    () => region.protect('read'),
    () => region.protect('write'),
    () => region.resize(10_000),
  ]
  for (const step of changes) {
    const wait = region.waitAsync(4096, 0)
    step()
    t.is(await soFar(wait, 20), 'pending')
    change(other, 4096)
    t.is(await wait, 'ok')
    other.writeInt32LE(0, 4096)
  }
  const wait = region.waitAsync(8192, 0)
  region.resize(4096)
  t.is(await outcome(wait), 'ERR_OUT_OF_RANGE')
  const hidden = region.waitAsync(0, 0)
  region.protect('none')
  t.is(await outcome(hidden), 'ERR_INVALID_STATE')
})

onPosix('a page that has vanished is an error of the wait', async (t) => {
  for (const access of ['read', 'write'] as const) {
    const path = fileWith(t, Buffer.alloc(20_000))
    const forms = [
      (region: Region) => codeOf(() => region.wait(16_384, 0, { timeout: 200 })),
      (region: Region) => outcome(region.waitAsync(16_384, 0, { timeout: 200 })),
      // Calling touches nothing where the system only looks up the page.
      ...(isLinux ? [(region: Region) => codeOf(() => region.notify(16_384))] : []),
    ]
    const regions = forms.map(() => opened(t, path, { access }))
    truncateSync(path, 100)
    for (const [at, form] of forms.entries()) {
      const region = regions[at]
      if (region === undefined) return t.fail()
      t.is(await form(region), 'ERR_REGION_FAULTED', `${access} ${at}`)
    }
  }
})

test('a wait keeps the process alive, until it ends', async (t) => {
  const { stdout, ...end } = await runChild('waits/alive.mjs')
  t.deepEqual(ending({ ...end, stdout }), WELL)
  t.is(stdout, 'timed-out\n')
})

/** What every way comes to: fixtures/waits/ways.mjs. */
const ENDS = { oneWord: 1000, ofWorker: 'ok', manyWords: 1000, rounds: 500, aborted: 500, others: 500 }

/** Each way, and how many threads it takes for all waits of all isolates. */
const WAYS: Readonly<Record<string, number>> = isLinux
  ? { own: countsCalls ? 0 : 1, ring: 1, vector: 1, looking: 1 }
  : { ring: 0 }

for (const [way, threads] of Object.entries(WAYS)) {
  test(`no wait is missed where its word changes, and one thread is enough, by the way '${way}'`, async (t) => {
    const result = await runChild('waits/ways.mjs', [], { env: { MEMMAP_WAITER: way } })
    t.deepEqual(ending(result), WELL)
    t.deepEqual(JSON.parse(result.stdout), { threads, ...ENDS })
  })
}

const [EPERM, ENOSYS] = [1, 38]
/** Numbers of calls, the same on all processors. */
const [IO_URING_SETUP, FUTEX_WAITV] = [425, 449]
/** What a kernel may refuse: as containers do, or an old one. */
const REFUSALS: Readonly<Record<string, readonly string[]>> = {
  io_uring: [`${IO_URING_SETUP}:${EPERM}`],
  'io_uring and futex_waitv': [`${IO_URING_SETUP}:${ENOSYS}`, `${FUTEX_WAITV}:${ENOSYS}`],
}

for (const [what, calls] of Object.entries(REFUSALS)) {
  withPython(
    `where the kernel refuses ${what}, one thread does for all waits, and none is missed (Linux)`,
    async (t) => {
      const forbid = fileURLToPath(new URL('fixtures/waits/forbid.py', import.meta.url))
      const result = await runChild('waits/ways.mjs', [], { under: ['python3', forbid, ...calls, '--'] })
      t.deepEqual(ending(result), WELL)
      t.deepEqual(JSON.parse(result.stdout), { threads: 1, ...ENDS })
    },
  )
}

test('capabilities tell how one waits', (t) => {
  const { wait, waitAsync } = capabilities()
  t.true(wait === 'native' || wait === 'emulated' || process.platform === 'darwin')
  if (isLinux) t.is(wait, 'native')
  t.is(typeof waitAsync, 'string')
})
