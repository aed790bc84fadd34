// Values that no lock was made for, at every argument and option of every call: each is refused with a typed error that has
// a code, or taken as documented, and of what is refused nothing is locked.

import { closeSync, openSync, readFileSync } from 'node:fs'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { FileLock } from 'memmap'

import {
  isBoolean,
  isInteger,
  isNumber,
  isOneOf,
  isOptions,
  LENGTH,
  optional,
  TYPED,
  VALUES,
} from './helpers/bad-values.ts'
import type { Takes } from './helpers/bad-values.ts'
import { codeOf, fileWith, opened, thrownBy } from './helpers/files.ts'
import { call } from './helpers/scalars.ts'

const BYTES = Buffer.alloc(LENGTH, 'content')
const LAST = Number.MAX_SAFE_INTEGER
const KINDS = ['range', 'file'] as const

const isMilliseconds: Takes = (value) => isNumber(value) && Number(value) >= 0
const REGION = {
  mode: isOneOf(undefined, 'shared', 'exclusive'),
  start: optional(isInteger(0, LAST)),
  end: (value: unknown) => value === undefined || value === Infinity || isInteger(1, LAST)(value),
  kind: isOneOf(undefined, 'range', 'file'),
}
const FILE = { ...REGION, create: optional(isBoolean) }
const timeout = optional(isMilliseconds)
const signal = optional((value) => value instanceof AbortSignal)

/** Each call that locks, and its options. */
const CALLS: Readonly<Record<'tryAcquire' | 'acquireSync' | 'acquire', Readonly<Record<string, Takes>>>> = {
  tryAcquire: FILE,
  acquireSync: { ...FILE, timeout },
  acquire: { ...FILE, timeout, signal },
}
const REGION_CALLS: Readonly<Record<'tryLock' | 'lockSync' | 'lock', Readonly<Record<string, Takes>>>> = {
  tryLock: REGION,
  lockSync: { ...REGION, timeout },
  lock: { ...REGION, timeout, signal },
}

function isFree(file: string | number): boolean {
  return KINDS.every((kind) => {
    const lock = FileLock.tryAcquire(file, { kind })
    lock?.release()
    return lock !== null
  })
}

/** Calls, and looks at how it ended. What is to wait gives a promise, whatever it was given. */
async function attempt(t: ExecutionContext, said: string, fine: boolean, work: () => unknown): Promise<void> {
  let given: unknown
  const thrown = thrownBy(() => (given = work()))
  const waits = /^(acquire|lock)\(/.test(said)
  if (waits !== given instanceof Promise) t.fail(`${said} ${waits ? 'threw, and gave no promise' : 'gave a promise'}`)
  let error: unknown = thrown
  try {
    const lock = await given
    if (lock instanceof FileLock) lock.release()
    else if (thrown === undefined) t.fail(`${said} gave ${String(lock)}`)
  } catch (reason) {
    error = reason
  }
  if (fine) {
    if (error !== undefined) t.fail(`${said} should be taken: ${String(error)}`)
    return
  }
  const code = error instanceof Error ? String(Reflect.get(error, 'code')) : undefined
  if (error === undefined) t.fail(`${said} was taken`)
  else if (!TYPED.has(code ?? '')) t.fail(`${said}: ${code} ${String(error)}`)
  else if (!(error instanceof TypeError) && !(error instanceof RangeError)) t.fail(`${said}: ${String(error)}`)
}

for (const by of ['path', 'descriptor', 'region'] as const) {
  test(`every call that locks refuses the options it cannot take, and nothing is locked: by ${by}`, async (t) => {
    const path = fileWith(t, BYTES)
    const descriptor = openSync(path, 'r+')
    t.teardown(() => closeSync(descriptor))
    const region = opened(t, path, { access: 'write' })
    const [target, first] = { path: [FileLock, [path]], descriptor: [FileLock, [descriptor]], region: [region, []] }[by]
    let calls = 0
    for (const [name, options] of Object.entries(by === 'region' ? REGION_CALLS : CALLS)) {
      const tries = async (said: string, fine: boolean, given: unknown) => {
        calls += 1
        await attempt(t, `${name}(${said})`, fine, () => call(target as object, name, ...(first as unknown[]), given))
        if (!fine && !isFree(path)) t.fail(`${name}(${said}) has locked it`)
      }
      // Where something is there already, there is nothing to create.
      const allowed = by === 'descriptor' ? { ...options, create: isOneOf(undefined, false) } : options
      for (const [label, make] of VALUES) {
        const whole = make()
        await tries(label, isOptions(allowed)(whole), whole)
        for (const key of new Set([...Object.keys(FILE), 'timeout', 'signal'])) {
          const value = make()
          const fine = allowed[key]?.(value) ?? false
          await tries(`{ ${key}: ${label} }`, fine, { [key]: value })
          if (key === 'start' || key === 'end') {
            const one = make()
            await tries(`{ kind: 'file', ${key}: ${label} }`, one === undefined, { kind: 'file', [key]: one })
            const two = make()
            const other = key === 'start' ? { end: 1 } : { start: LAST }
            const both =
              key === 'start' ? isInteger(0, 0)(two) || two === undefined : two === undefined || two === Infinity
            await tries(`{ ${key}: ${label}, ${Object.keys(other).join()} }`, both, { ...other, [key]: two })
          }
        }
      }
    }
    t.log(`${calls} calls, ${VALUES.length} values`)
    t.true(VALUES.length >= 30)
    t.true(isFree(path) && isFree(descriptor))
    t.true(readFileSync(path).equals(BYTES))
  })
}

test('every call that locks refuses each file it cannot take', async (t) => {
  for (const name of Object.keys(CALLS)) {
    for (const [label, make] of VALUES) {
      const value = make()
      let given: unknown
      const thrown = thrownBy(
        () => (given = call(FileLock, name, value, name === 'tryAcquire' ? {} : { timeout: 100 })),
      )
      let error: unknown = thrown
      if (name === 'acquire') t.true(given instanceof Promise, label)
      try {
        const lock = await given
        if (lock instanceof FileLock) lock.release()
      } catch (reason) {
        error = reason
      }
      const code = String(error instanceof Error ? Reflect.get(error, 'code') : error)
      const isPath = typeof value === 'string' || value instanceof Uint8Array
      if (isPath && value !== '\0') {
        t.is(code, 'ENOENT', `${name}(${label})`)
      } else if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31) {
        // A number is a descriptor, and these may be one of the test's own: a pipe, a file, or none.
        if (error !== undefined) t.regex(code, /^(EBADF|ENODEV|EISDIR|ERR_LOCK_TIMEOUT)$/, `${name}(${label})`)
      } else {
        t.true(error instanceof TypeError || error instanceof RangeError, `${name}(${label}): ${String(error)}`)
        t.true(TYPED.has(code), `${name}(${label}): ${String(error)}`)
      }
    }
  }
})

test('create goes with a path only, and start and end with a range only: the error says so', (t) => {
  const path = fileWith(t, BYTES)
  const descriptor = openSync(path, 'r+')
  t.teardown(() => closeSync(descriptor))
  const region = opened(t, path, { access: 'write' })
  const cases: [RegExp, string, () => unknown][] = [
    [/options\.create.*path/, 'ERR_INVALID_ARG_VALUE', () => FileLock.tryAcquire(descriptor, { create: true })],
    [
      /options\.create' is not an option; there are: mode, start, end, kind\./,
      'ERR_INVALID_ARG_VALUE',
      () => call(region, 'tryLock', { create: true }),
    ],
    [/options\.start.*'range'/, 'ERR_INVALID_ARG_VALUE', () => FileLock.tryAcquire(path, { kind: 'file', start: 0 })],
    [
      /options\.end.*'range'/,
      'ERR_INVALID_ARG_VALUE',
      () => FileLock.tryAcquire(path, { kind: 'file', end: Infinity }),
    ],
    [/options\.end.*> 5, so that/, 'ERR_OUT_OF_RANGE', () => FileLock.tryAcquire(path, { start: 5, end: 5 })],
    [/options\.mode.*'shared', 'exclusive'/, 'ERR_INVALID_ARG_VALUE', () => call(region, 'tryLock', { mode: 'write' })],
    [/options\.kind.*'range', 'file'/, 'ERR_INVALID_ARG_VALUE', () => call(region, 'lockSync', { kind: 'flock' })],
    [/options\.timeout.*>= 0.*NaN/, 'ERR_OUT_OF_RANGE', () => region.lockSync({ timeout: Number.NaN })],
    [
      /options\.signal.*is not an option/,
      'ERR_INVALID_ARG_VALUE',
      () => call(region, 'lockSync', { signal: undefined }),
    ],
    [/options\.timeout.*is not an option/, 'ERR_INVALID_ARG_VALUE', () => call(region, 'tryLock', { timeout: 1 })],
    [
      /options\.lenght.*mode, start, end, kind, create/,
      'ERR_INVALID_ARG_VALUE',
      () => call(FileLock, 'tryAcquire', path, { lenght: 1 }),
    ],
  ]
  for (const [message, code, work] of cases) {
    const error = thrownBy(work)
    t.is(error?.code, code)
    t.regex(error?.message ?? '', message)
  }
  t.true(isFree(path))
})

test('an option whose reading closes the region, or the descriptor, is read first, and the call then finds it closed', async (t) => {
  for (const name of Object.keys(REGION_CALLS)) {
    for (const key of ['mode', 'start', 'end', 'kind']) {
      const region = opened(t, fileWith(t, BYTES), { access: 'write' })
      const options = {
        get [key]() {
          region.close()
          return undefined
        },
      }
      const error: unknown = await Promise.resolve()
        .then(() => call(region, name, options))
        .catch((reason: unknown) => reason)
      t.is(error instanceof Error ? Reflect.get(error, 'code') : error, 'ERR_REGION_CLOSED', `${name}: ${key}`)
    }
    const region = opened(t, fileWith(t, BYTES), { access: 'write' })
    const start = {
      valueOf: () => {
        region.close()
        return 1
      },
    }
    const error: unknown = await Promise.resolve()
      .then(() => call(region, name, { start }))
      .catch((reason: unknown) => reason)
    t.is(error instanceof Error ? Reflect.get(error, 'code') : error, 'ERR_REGION_CLOSED')
  }
  const path = fileWith(t, BYTES)
  const descriptor = openSync(path, 'r+')
  const options = {
    get start() {
      closeSync(descriptor)
      return 0
    },
  }
  t.is(
    codeOf(() => FileLock.tryAcquire(descriptor, options)),
    'EBADF',
  )
  const failure = new Error('of the caller')
  const failing = {
    get end(): number {
      throw failure
    },
  }
  t.is(
    thrownBy(() => FileLock.tryAcquire(path, failing)),
    failure,
  )
  t.is(await FileLock.acquire(path, failing).catch((reason: unknown) => reason), failure)
  t.true(isFree(path))
})
