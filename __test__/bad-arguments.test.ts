// Values that no method was made for, at every argument of every method: each is refused with a typed error that has
// a code, or taken as documented, and what is refused has changed nothing.

import { readFileSync, statSync } from 'node:fs'
import { isAnyArrayBuffer } from 'node:util/types'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { Cursor, Match, MmapFile, PrivateMemory, Region, Scan, SharedMemory } from 'memmap'

import {
  isBoolean,
  isInteger,
  isNumber,
  isOneOf,
  isOptions,
  LENGTH,
  offsetTo,
  optional,
  TYPED,
  VALUES,
} from './helpers/bad-values.ts'
import type { Takes } from './helpers/bad-values.ts'
import { codeOf, fileWith, opened, thrownBy } from './helpers/files.ts'
import { call, READERS, WRITERS } from './helpers/scalars.ts'
import { isLinux } from './helpers/system.ts'

const BYTES = Buffer.from(Array.from({ length: LENGTH }, (_, at) => (at * 7 + (at >> 8)) & 0xff))

const anyInteger = isInteger(-(2 ** 53) + 1, 2 ** 53 - 1)
const anyOffset = isInteger(0, 2 ** 53 - 1)
const isBytes: Takes = (value) => typeof value === 'string' || ArrayBuffer.isView(value) || isAnyArrayBuffer(value)
const isNeedle: Takes = (value) => isBytes(value) || (typeof value === 'number' && isInteger(0, 255)(value))
const holdsBytes: Takes = (value) =>
  isNeedle(value) && value !== '' && !(ArrayBuffer.isView(value) && value.byteLength === 0)
const isNeedles: Takes = (value) => Array.isArray(value) && value.length > 0 && value.every(holdsBytes)
const isExpression: Takes = (value) => value instanceof RegExp
const isFunction: Takes = (value) => typeof value === 'function'
const either =
  (...all: readonly Takes[]): Takes =>
  (value) =>
    all.some((takes) => takes(value))
const range = { start: optional(anyInteger), end: optional(anyInteger) }
const isRange = isOptions(range)
const background = {
  ...range,
  signal: isOneOf(undefined),
  threads: optional(isInteger(1, 256)),
  onProgress: optional(isFunction),
}
const isEncoding = isOneOf(undefined, 'utf8', 'hex', 'latin1')
const isType = isOneOf(Uint8Array, Float64Array, DataView)

interface Method {
  readonly name: string
  readonly good: readonly unknown[]
  readonly takes: readonly Takes[]
  /** The object to call it on; by default the region. */
  readonly on?: (region: MmapFile) => object
}

const inOptions = (name: string, first: readonly [unknown, Takes][], keys: Readonly<Record<string, Takes>>): Method[] =>
  // Each key by itself, as an argument of a method that puts it into the options.
  Object.keys(keys).map((key) => ({
    name: `${name} with ${key}`,
    good: [...first.map(([good]) => good), undefined],
    takes: [...first.map(([, takes]) => takes), keys[key] ?? (() => false)],
    on: (region) => ({
      [`${name} with ${key}`]: (...args: unknown[]) =>
        call(region, name, ...args.slice(0, first.length), { [key]: args[first.length] }),
    }),
  }))

const sizes = (size: number | undefined): number => size ?? 3

interface Search {
  readonly name: string
  readonly good: unknown
  readonly takes: Takes
  readonly options: Readonly<Record<string, Takes>>
}

const SEARCHES: readonly Search[] = [
  ...['indexOf', 'lastIndexOf', 'includes'].map((name) => ({ name, good: 'abc', takes: isNeedle, options: range })),
  ...['abc', ['a', 1], /a/].map((good) => ({
    name: 'count',
    good,
    takes: either(isNeedle, isNeedles, isExpression),
    options: range,
  })),
  ...['abc', ['a', 1]].map((good) => ({
    name: 'indexesOf',
    good,
    takes: either(isNeedle, isNeedles),
    options: background,
  })),
  { name: 'match', good: /a/, takes: isExpression, options: range },
  ...[/a/, ['a', 1]].map((good) => ({
    name: 'matchAll',
    good,
    takes: either(isNeedles, isExpression),
    options: background,
  })),
]

const BACKGROUND_SEARCHES: readonly Search[] = [
  { name: 'indexOfAsync', good: 'abc', takes: isNeedle, options: background },
  ...['abc', ['a', 1], /a/].map((good) => ({
    name: 'countAsync',
    good,
    takes: either(isNeedle, isNeedles, isExpression),
    options: background,
  })),
]

const lineOptions = {
  ...background,
  encoding: isEncoding,
  partial: optional(isBoolean),
  reverse: optional(isBoolean),
}

const METHODS: readonly Method[] = [
  { name: 'subarray', good: [1, 5], takes: [optional(anyInteger), optional(anyInteger)] },
  { name: 'slice', good: [1, 5], takes: [optional(anyInteger), optional(anyInteger)] },
  { name: 'at', good: [1], takes: [anyInteger] },
  {
    name: 'view',
    good: [Uint8Array, 0, 1],
    takes: [isType, optional(offsetTo(LENGTH - 1)), optional(offsetTo(LENGTH))],
  },
  {
    name: 'windows',
    good: [10, {}],
    takes: [isInteger(1, 2 ** 53 - 1), isOptions({ ...background, overlap: optional(offsetTo(9)) })],
  },
  ...inOptions('windows', [[10, isInteger(1, 2 ** 53 - 1)]], { ...background, overlap: optional(offsetTo(9)) }),
  { name: 'set', good: ['abc', 1], takes: [isBytes, optional(offsetTo(LENGTH - 3))] },
  { name: 'fill', good: ['abc', {}], takes: [holdsBytes, isRange] },
  ...inOptions('fill', [[1, holdsBytes]], range),
  { name: 'move', good: [1, 2, 3], takes: [offsetTo(LENGTH - 3), offsetTo(LENGTH - 3), offsetTo(LENGTH - 2)] },
  { name: 'equals', good: ['abc'], takes: [isBytes] },
  { name: 'toString', good: ['utf8', 0, 5], takes: [isEncoding, optional(anyInteger), optional(anyInteger)] },
  { name: 'cursor', good: [1], takes: [optional(offsetTo(LENGTH))] },
  ...SEARCHES.flatMap(({ name, good, takes, options }) => [
    { name, good: [good, {}], takes: [takes, isOptions(options)] },
    ...inOptions(name, [[good, takes]], options),
  ]),
  { name: 'lines', good: [{}], takes: [isOptions(lineOptions)] },
  ...inOptions('lines', [], lineOptions),
  { name: 'flushSync', good: [{}], takes: [isOptions({ ...range, wait: optional(isBoolean) })] },
  ...inOptions('flushSync', [], { ...range, wait: optional(isBoolean) }),
  ...READERS.map(({ name, size }): Method => {
    const fits = offsetTo(LENGTH - sizes(size))
    return size === undefined
      ? { name, good: [1, 3], takes: [fits, isInteger(1, 6)] }
      : { name, good: [1], takes: [optional(fits)] }
  }),
  ...WRITERS.map((scalar): Method => {
    const fits = offsetTo(LENGTH - sizes(scalar.size))
    const { name, value, takes } = writing(scalar)
    return scalar.size === undefined
      ? { name, good: [value, 1, 3], takes: [takes, fits, isInteger(1, 6)] }
      : { name, good: [value, 1], takes: [takes, optional(fits)] }
  }),
]

function writing({ name, kind, signed, size }: (typeof WRITERS)[number]): {
  name: string
  value: unknown
  takes: Takes
} {
  if (kind === 'float') return { name, value: 1, takes: isNumber }
  if (kind === 'bigint')
    return { name, value: 1n, takes: (value) => typeof value === 'bigint' && (signed || value >= 0n) }
  const bits = 8 * sizes(size)
  return {
    name,
    value: 1,
    takes: signed ? isInteger(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) : isInteger(0, 2 ** bits - 1),
  }
}

const CURSOR_METHODS: readonly Method[] = [
  { name: 'seek', good: [5, 'start'], takes: [offsetTo(LENGTH), isOneOf(undefined, 'start', 'current', 'end')] },
  { name: 'read', good: [2], takes: [optional(anyOffset)] },
  { name: 'write', good: ['abc'], takes: [isBytes] },
  { name: 'writeByte', good: [1], takes: [isInteger(0, 255)] },
  ...READERS.filter(({ size }) => size === undefined).map(({ name }) => ({
    name,
    good: [3],
    takes: [isInteger(1, 6)],
  })),
  ...WRITERS.map((scalar): Method => {
    const { name, value, takes } = writing(scalar)
    return scalar.size === undefined
      ? { name, good: [value, 3], takes: [takes, isInteger(1, 6)] }
      : { name, good: [value], takes: [takes] }
  }),
]

/** Calls with a value in the place of an argument, and looks at how it ended. */
function tryValue(t: ExecutionContext, said: string, takes: boolean, work: () => unknown): boolean {
  const error = thrownBy(work)
  if (takes) {
    if (error !== undefined) t.fail(`${said} should be taken: ${String(error)}`)
    return true
  }
  if (error === undefined) t.fail(`${said} was taken`)
  else if (typeof error.code !== 'string' || !TYPED.has(error.code))
    t.fail(`${said}: ${String(error.code)} ${error.stack}`)
  else if (!(error instanceof TypeError) && !(error instanceof RangeError)) t.fail(`${said}: ${error.name}`)
  return false
}

for (const access of ['write', 'copy', 'read'] as const) {
  test(`every method of a region refuses what it cannot take, and nothing has changed: access '${access}'`, (t) => {
    const path = fileWith(t, BYTES)
    const region = opened(t, path, { access })
    const names = new Set<string>()
    let calls = 0
    for (const { name, good, takes, on } of METHODS) {
      const mutates = /^(set|fill|move|write)/.test(name)
      names.add(name)
      for (const [place] of good.entries()) {
        for (const [label, make] of VALUES) {
          const value = make()
          const args = good.with(place, value)
          const said = `${name}(${args.map((_, at) => (at === place ? label : '…')).join(', ')})`
          const target = on?.(region) ?? region
          const work = () => call(target, name, ...args)
          const fine = takes[place]?.(value) ?? false
          calls += 1
          if (mutates && access === 'read') {
            const code = codeOf(work)
            if (fine && code !== 'ERR_REGION_READONLY') t.fail(`${said}: ${String(code)}`)
            if (!fine && code !== 'ERR_REGION_READONLY' && !TYPED.has(String(code))) t.fail(`${said}: ${String(code)}`)
          } else if (tryValue(t, said, fine, work) && mutates) region.set(BYTES)
          if (!region.equals(BYTES)) t.fail(`${said} changed the region`)
        }
      }
      if (!readFileSync(path).equals(BYTES)) t.fail(`${name} changed the file`)
    }
    t.log(`${calls} calls of ${names.size} methods, ${VALUES.length} values`)
    t.is(region.byteLength, LENGTH)
    t.true(VALUES.length >= 30)
  })
}

test('every method of a cursor refuses what it cannot take; the position stays and nothing has changed', (t) => {
  const path = fileWith(t, BYTES)
  const region = opened(t, path, { access: 'write' })
  let calls = 0
  for (const { name, good, takes } of CURSOR_METHODS) {
    for (const [place] of good.entries()) {
      for (const [label, make] of VALUES) {
        const value = make()
        const cursor = region.cursor(2)
        const said = `cursor.${name}(${good.map((_, at) => (at === place ? label : '…')).join(', ')})`
        calls += 1
        const taken = tryValue(t, said, takes[place]?.(value) ?? false, () =>
          call(cursor, name, ...good.with(place, value)),
        )
        if (taken) region.set(BYTES)
        else if (cursor.position !== 2) t.fail(`${said} moved the cursor`)
        if (!Number.isInteger(cursor.position)) t.fail(`${said}: the position is ${cursor.position}`)
        if (!region.equals(BYTES)) t.fail(`${said} changed the region`)
      }
    }
  }
  for (const [label, make] of VALUES) {
    const cursor = region.cursor(2)
    const value = make()
    const taken = tryValue(t, `cursor.position = ${label}`, offsetTo(LENGTH)(value), () =>
      Reflect.set(cursor, 'position', value),
    )
    if (!taken && cursor.position !== 2) t.fail(`cursor.position = ${label} moved the cursor`)
    if (typeof cursor.position !== 'number') t.fail(`cursor.position = ${label}: it is ${String(cursor.position)}`)
  }
  t.log(`${calls} calls`)
  t.true(readFileSync(path).equals(BYTES))
})

test('flush rejects, and does not throw, for what it cannot take', async (t) => {
  const region = opened(t, fileWith(t, BYTES), { access: 'write' })
  for (const [label, make] of VALUES) {
    for (const key of [undefined, 'start', 'end']) {
      const value = make()
      const given = key === undefined ? value : { [key]: value }
      const fine = isRange(given)
      const promise = call(region, 'flush', given)
      if (!(promise instanceof Promise)) return t.fail(`flush(${label}) gave no promise`)
      const error: unknown = await promise.then(
        () => undefined,
        (reason: unknown) => reason,
      )
      const code = error instanceof Error ? Reflect.get(error, 'code') : error
      if (fine ? error !== undefined : !TYPED.has(String(code))) t.fail(`flush(${label}): ${String(code)}`)
    }
  }
  t.true(region.equals(BYTES))
})

test('indexOfAsync and countAsync reject, and do not throw, for what they cannot take', async (t) => {
  const region = opened(t, fileWith(t, BYTES), { access: 'write' })
  let calls = 0
  const attempt = async (said: string, name: string, fine: boolean, args: readonly unknown[]) => {
    calls += 1
    const promise = call(region, name, ...args)
    if (!(promise instanceof Promise)) return t.fail(`${said} gave no promise`)
    const error: unknown = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    if (fine) {
      if (error !== undefined) t.fail(`${said} should be taken: ${String(error)}`)
    } else if (!(error instanceof TypeError || error instanceof RangeError)) t.fail(`${said}: ${String(error)}`)
    else if (!TYPED.has(String(Reflect.get(error, 'code')))) t.fail(`${said}: ${error.stack}`)
  }
  for (const { name, good, takes, options } of BACKGROUND_SEARCHES) {
    for (const [label, make] of VALUES) {
      const value = make()
      await attempt(`${name}(${label})`, name, takes(value), [value])
      await attempt(`${name}(…, ${label})`, name, isOptions(options)(value), [good, value])
      for (const [key, allowed] of Object.entries(options)) {
        // A class is a function, and throws as soon as it is called: that is heard as the caller's own error.
        if (key === 'onProgress' && ['class', 'Uint8Array', 'DataView'].includes(label)) continue
        await attempt(`${name}(…, { ${key}: ${label} })`, name, allowed(value), [good, { [key]: value }])
      }
    }
  }
  t.log(`${calls} calls`)
  t.true(region.equals(BYTES))
})

test('a signal that is aborted is an argument like any other: what was given is what is thrown', async (t) => {
  const region = opened(t, fileWith(t, BYTES))
  const reason = new Error('enough')
  const signal = AbortSignal.abort(reason)
  for (const [name, ...args] of [
    ['indexOfAsync', 'x'],
    ['countAsync', 'x'],
    ['countAsync', /x/],
  ] as const) {
    const promise = call(region, name, ...args, { signal })
    t.is(await t.throwsAsync(async () => promise), reason)
  }
  for (const [name, ...args] of [['lines'], ['indexesOf', 'x'], ['matchAll', /x/], ['windows', 10]] as const) {
    const scan = call(region, name, ...args, { signal })
    if (!(scan instanceof Scan)) return t.fail(name)
    t.is(
      thrownBy(() => scan.next()),
      reason,
    )
    t.is(await t.throwsAsync(scan[Symbol.asyncIterator]().next()), reason)
  }
})

const OPTIONS: Readonly<Record<string, Takes>> = {
  access: isOneOf(undefined, 'read', 'write', 'copy'),
  offset: optional(offsetTo(LENGTH)),
  length: optional(offsetTo(LENGTH)),
  create: isOneOf(undefined, false),
  mode: optional(isInteger(0, 0o7777)),
  sparse: optional(isBoolean),
  keepOpen: optional(isBoolean),
  hugePages: optional(isBoolean),
  guard: optional(isBoolean),
}

// What the system says of arguments that are in order: no room, no such thing, no such descriptor; on some, that it has none.
const OF_THE_SYSTEM = isLinux ? /^E(?!RR_)[A-Z0-9]+$/ : /^(?:E(?!RR_)[A-Z0-9]+|ERR_FEATURE_UNAVAILABLE_ON_PLATFORM)$/

/** As tryValue, but a value that is in order may still be too much for the system. */
async function trySystem(t: ExecutionContext, said: string, takes: boolean, work: () => unknown): Promise<void> {
  let error: unknown
  try {
    await work()
  } catch (reason) {
    error = reason
  }
  const code = error instanceof Error ? String(Reflect.get(error, 'code')) : undefined
  if (takes) {
    if (error !== undefined && !OF_THE_SYSTEM.test(code ?? '')) t.fail(`${said} should be taken: ${String(error)}`)
  } else if (error === undefined) t.fail(`${said} was taken`)
  else if (!TYPED.has(code ?? '')) t.fail(`${said}: ${code} ${String(error)}`)
  else if (!(error instanceof TypeError) && !(error instanceof RangeError)) t.fail(`${said}: ${String(error)}`)
}

const aLength = isInteger(1, 2 ** 53 - 1)

const SYSTEM_METHODS: readonly Method[] = [
  { name: 'resize', good: [LENGTH], takes: [aLength] },
  { name: 'advise', good: ['normal', {}], takes: [isOneOf('normal'), isRange] },
  ...inOptions('advise', [['normal', isOneOf('normal')]], range),
  ...['residency', 'pin', 'unpin'].flatMap((name) => [
    { name, good: [{}], takes: [isRange] },
    ...inOptions(name, [], range),
  ]),
  { name: 'prefetch', good: [{}], takes: [isOptions({ ...range, signal: isOneOf(undefined) })] },
  ...inOptions('prefetch', [], { ...range, signal: isOneOf(undefined) }),
  { name: 'protect', good: ['read'], takes: [isOneOf('read', 'write')] },
  // These take nothing, and ask nobody what they are given.
  { name: 'share', good: [undefined], takes: [() => true] },
]

test('resize, advise, prefetch, residency, pin, unpin, protect, share: what they cannot take changes nothing', async (t) => {
  let calls = 0
  for (const { name, good, takes, on } of SYSTEM_METHODS) {
    for (const [place] of good.entries()) {
      for (const [label, make] of VALUES) {
        const path = fileWith(t, BYTES)
        const region = MmapFile.open(path, { access: 'write', sparse: true })
        const value = make()
        const said = `${name}(${good.map((_, at) => (at === place ? label : '…')).join(', ')})`
        const fine = takes[place]?.(value) ?? false
        calls += 1
        await trySystem(t, said, fine, () => call(on?.(region) ?? region, name, ...good.with(place, value)))
        if (!(fine && name === 'resize') && !region.equals(BYTES)) t.fail(`${said} changed the region`)
        if (!fine && region.byteLength !== LENGTH) t.fail(`${said} changed the length`)
        if (!fine && !readFileSync(path).equals(BYTES)) t.fail(`${said} changed the file`)
        if (!fine) region.set(BYTES)
        region.close()
      }
    }
  }
  t.log(`${calls} calls`)
  t.pass()
})

test('a SharedArrayBuffer takes no arguments: it is had, or refused with a code, whatever is given', (t) => {
  const region = opened(t, fileWith(t, BYTES), { access: 'write' })
  const plain = codeOf(() => region.sharedArrayBuffer())
  for (const [label, make] of VALUES) {
    t.is(
      codeOf(() => call(region, 'sharedArrayBuffer', make())),
      plain,
      label,
    )
  }
})

const isName: Takes = (value) => typeof value === 'string' && /^[A-Za-z0-9._-]{1,30}$/.test(value)
const NAME = `memmap-bad-${process.pid}`

interface Maker {
  readonly on: object
  readonly name: string
  readonly good: readonly unknown[]
  readonly takes: readonly Takes[]
  readonly options?: Readonly<Record<string, Takes>>
}

const nameOptions = { mode: optional(isInteger(0, 0o777)), unlinkOnClose: optional(isBoolean) }
const accessOption = { access: isOneOf(undefined, 'read', 'write', 'copy') }
const MAKERS: readonly Maker[] = [
  { on: SharedMemory, name: 'create', good: [NAME, 64], takes: [isName, aLength], options: nameOptions },
  { on: SharedMemory, name: 'openOrCreate', good: [NAME, 64], takes: [isName, aLength], options: nameOptions },
  {
    on: SharedMemory,
    name: 'open',
    good: [NAME],
    takes: [isName],
    options: { ...accessOption, byteLength: optional(aLength) },
  },
  { on: SharedMemory, name: 'unlink', good: [NAME], takes: [isName] },
  { on: SharedMemory, name: 'anonymous', good: [64], takes: [aLength], options: { growable: optional(isBoolean) } },
  { on: SharedMemory, name: 'fromFd', good: [99_999], takes: [isInteger(0, 2 ** 31 - 1)], options: accessOption },
  {
    on: PrivateMemory,
    name: 'allocate',
    good: [64],
    takes: [aLength],
    options: { hugePages: optional(isBoolean), pin: optional(isBoolean), wipe: optional(isBoolean) },
  },
  { on: SharedMemory, name: 'attach', good: [{}], takes: [() => false] },
  { on: MmapFile, name: 'attach', good: [{}], takes: [() => false] },
]
// In order, but gigabytes of memory.
const TOO_MUCH = new Set(['2 ** 31', '2 ** 32'])

test.serial(
  'SharedMemory and PrivateMemory refuse each argument and option they cannot take, and make nothing',
  async (t) => {
    let calls = 0
    const attempt = async (said: string, { on, name }: Maker, fine: boolean, args: readonly unknown[]) => {
      calls += 1
      await trySystem(t, `${name}(${said})`, fine, () => {
        const region = call(on, name, ...args)
        if (region instanceof Region) region.close()
      })
      const [first] = args
      if (typeof first !== 'string' || !isName(first) || name === 'unlink') return
      const left = codeOf(() => SharedMemory.unlink(first))
      if (!fine && left === undefined) t.fail(`${name}(${said}) made something`)
    }
    for (const maker of MAKERS) {
      const { good, takes, options = {} } = maker
      for (const [label, make] of VALUES) {
        for (const [place] of good.entries()) {
          const value = make()
          const fine = takes[place]?.(value) ?? false
          if (fine && TOO_MUCH.has(label)) continue
          await attempt(
            good.map((_, at) => (at === place ? label : '…')).join(', '),
            maker,
            fine,
            good.with(place, value),
          )
        }
        if (maker.options === undefined) continue
        const whole = make()
        await attempt(`…, ${label}`, maker, isOptions(options)(whole), [...good, whole])
        for (const [key, allowed] of Object.entries(options)) {
          const value = make()
          await attempt(`…, { ${key}: ${label} }`, maker, allowed(value), [...good, { [key]: value }])
        }
      }
    }
    for (const what of [SharedMemory, MmapFile]) {
      for (const id of ['', 'x', '0-0', '1-0000000000000000', '-', 'ffffffffffffffffffff-1', '1-1-1']) {
        const handle = { kind: what.name, id, byteLength: 5 }
        t.is(
          codeOf(() => what.attach(handle)),
          'ERR_REGION_CLOSED',
          id,
        )
      }
    }
    t.log(`${calls} calls`)
  },
)

test('open refuses each option it cannot take, and the file stays as it was', (t) => {
  const path = fileWith(t, BYTES)
  const open = (options: unknown) => {
    const region: unknown = Reflect.apply(MmapFile.open, MmapFile, [path, options])
    if (region instanceof MmapFile) region.close()
  }
  for (const [label, make] of VALUES) {
    const value = make()
    tryValue(t, `open(path, ${label})`, isOptions(OPTIONS)(value), () => open(value))
    for (const [key, takes] of Object.entries(OPTIONS)) {
      tryValue(t, `open(path, { ${key}: ${label} })`, takes(value), () => open({ [key]: value }))
    }
    for (const access of ['write', 'copy']) {
      if (access === 'write' && isOneOf(true)(value)) continue
      tryValue(t, `open(path, { access: '${access}', create: ${label} })`, isOneOf(undefined, false)(value), () =>
        open({ access, create: value }),
      )
    }
  }
  t.true(readFileSync(path).equals(BYTES))
  t.is(statSync(path).size, LENGTH)
})

test('open refuses each file it cannot take', (t) => {
  for (const [label, make] of VALUES) {
    const value = make()
    const error = thrownBy(() => {
      const region: unknown = Reflect.apply(MmapFile.open, MmapFile, [value])
      if (region instanceof MmapFile) region.close()
    })
    const isPath = typeof value === 'string' || value instanceof Uint8Array
    if (isPath && value !== '\0') {
      t.is(error?.code, 'ENOENT', label)
    } else if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31) {
      // A number is a descriptor, and these may be one of the test's own: a pipe, a file, or none.
      if (error !== undefined) t.regex(String(error.code), /^(EBADF|ENODEV|EACCES|EISDIR)$/, label)
    } else {
      t.true(error instanceof TypeError || error instanceof RangeError, `open(${label}): ${String(error)}`)
      t.true(TYPED.has(String(error?.code)), `open(${label}): ${String(error)}`)
    }
  }
})

test('an option that is not known is named, with those that are', (t) => {
  const path = fileWith(t, BYTES)
  const region = opened(t, path)
  const cases: [RegExp, () => unknown][] = [
    [
      /options\.acess.*access, offset, length/,
      () => Reflect.apply(MmapFile.open, MmapFile, [path, { acess: 'write' }]),
    ],
    [/range\.from.*start, end/, () => call(region, 'indexOf', 'x', { from: 1 })],
    [
      /options\.backwards.*start, end, signal, threads, onProgress, encoding, partial, reverse/,
      () => call(region, 'lines', { backwards: true }),
    ],
    [/options\.from.*start, end, signal, threads, onProgress/, () => call(region, 'indexesOf', 'x', { from: 1 })],
    [/options\.flags.*start, end, signal, threads, onProgress/, () => call(region, 'matchAll', /x/, { flags: 'i' })],
    [/range\.signal.*start, end/, () => call(region, 'match', /x/, { signal: undefined })],
    [/range\.threads.*start, end/, () => call(region, 'count', /x/, { threads: 1 })],
    [/options\.step.*start, end, overlap/, () => call(region, 'windows', 10, { step: 1 })],
    [/range\.sync.*start, end, wait/, () => call(region, 'flushSync', { sync: true })],
    [/Symbol\(start\)/, () => call(region, 'count', 'x', { [Symbol('start')]: 1 })],
  ]
  for (const [message, work] of cases) {
    const error = thrownBy(work)
    t.is(error?.code, 'ERR_INVALID_ARG_VALUE')
    t.regex(error?.message ?? '', message)
  }
})

test('a message says what was expected and what was given', (t) => {
  const region = opened(t, fileWith(t, BYTES), { access: 'write' })
  const cases: [string, () => unknown][] = [
    [
      'The "offset" argument must be of type number. Received type string (\'1\')',
      () => call(region, 'readUInt8', '1'),
    ],
    ['The value of "offset" is out of range. It must be an integer. Received 1.5', () => region.readUInt8(1.5)],
    [
      'The value of "offset" is out of range. It must be >= 0 && <= 4996. Received 4997',
      () => region.readUInt32LE(4997),
    ],
    ['The value of "value" is out of range. It must be >= 0 && <= 255. Received 256', () => region.writeUInt8(256, 0)],
    ['The "value" argument must be of type bigint. Received type number (1)', () => call(region, 'writeBigInt64LE', 1)],
    ['The "range" argument must be of type object. Received type number (5)', () => call(region, 'indexOf', 'x', 5)],
    [
      'The "range.start" property must be of type number. Received null',
      () => call(region, 'indexOf', 'x', { start: null }),
    ],
    ['Unknown encoding: utf9', () => call(region, 'toString', 'utf9')],
    [
      'The value of "offset" is out of range. It must be <= 4997, so that the bytes fit. Received 4998',
      () => region.set('abc', 4998),
    ],
    [
      'The value of "source.byteLength" is out of range. It must be <= 5000, the length of the region. Received 5001',
      () => region.set(Buffer.alloc(5001)),
    ],
  ]
  for (const [message, work] of cases) t.is(thrownBy(work)?.message, message)
})

test('what only the package makes cannot be made with new', (t) => {
  const region = opened(t, fileWith(t, BYTES))
  for (const [what, args] of [
    [MmapFile, []],
    [MmapFile, [Symbol('memmap.region'), {}]],
    [Region, []],
    [SharedMemory, []],
    [SharedMemory, [Symbol('memmap.region'), {}, 'name', true]],
    [PrivateMemory, []],
    [PrivateMemory, [64]],
    [Scan, []],
    [Match, []],
    [Match, [Symbol('memmap.match'), { spans: new Float64Array(3), bytes: new Uint8Array(0) }, 0, 0, 1, new Map()]],
    [Cursor, []],
    [Cursor, [{}, 0]],
    [Cursor, [region, 0]],
    [Cursor, [region, Number.NaN]],
  ] as const) {
    t.is(
      codeOf(() => Reflect.construct(what, args)),
      'ERR_ILLEGAL_CONSTRUCTOR',
      what.name,
    )
  }
})

const number = (region: MmapFile) => ({
  valueOf: () => {
    region.close()
    return 1
  },
})
const options = (region: MmapFile) => ({
  get start() {
    region.close()
    return 1
  },
})

test('an option whose reading closes the region is read first, and the call then finds it closed', async (t) => {
  const closing = (make: (region: MmapFile) => unknown) => {
    const region = opened(t, fileWith(t, BYTES), { access: 'write' })
    t.is(
      codeOf(() => make(region)),
      'ERR_REGION_CLOSED',
    )
    t.is(region.byteLength, 0)
  }
  for (const { name, good } of SEARCHES) {
    closing((region) => call(region, name, good, options(region)))
    closing((region) => call(region, name, good, { end: number(region) }))
  }
  for (const { name, good } of SEARCHES.filter((search) => search.options === background)) {
    closing((region) => call(region, name, good, { threads: number(region) }))
  }
  for (const { name, good } of BACKGROUND_SEARCHES) {
    for (const given of [
      options,
      (region: MmapFile) => ({ end: number(region) }),
      (region: MmapFile) => ({ threads: number(region) }),
    ]) {
      const region = opened(t, fileWith(t, BYTES))
      const promise = call(region, name, good, given(region))
      const error: unknown = await t.throwsAsync(async () => promise)
      t.is(error instanceof Error && Reflect.get(error, 'code'), 'ERR_REGION_CLOSED', name)
    }
  }
  for (const name of ['slice', 'subarray', 'at', 'readUInt8', 'cursor'])
    closing((region) => call(region, name, number(region)))
  closing((region) => call(region, 'toString', 'utf8', number(region)))
  closing((region) => call(region, 'view', Uint8Array, number(region)))
  closing((region) => call(region, 'set', 'abc', number(region)))
  closing((region) => call(region, 'move', 0, 1, number(region)))
  closing((region) => call(region, 'move', number(region), 1, 1))
  closing((region) => call(region, 'fill', 1, options(region)))
  closing((region) => call(region, 'lines', options(region)))
  closing((region) => call(region, 'windows', 10, options(region)))
  closing((region) => call(region, 'flushSync', options(region)))
  for (const { name, size, kind } of WRITERS) {
    const value = kind === 'bigint' ? 1n : 1
    const rest = size === undefined ? [3] : []
    closing((region) => call(region, name, value, number(region), ...rest))
    if (kind !== 'bigint') closing((region) => call(region, name, number(region), 0, ...rest))
  }
  for (const { name, size } of READERS)
    closing((region) => call(region, name, number(region), ...(size === undefined ? [3] : [])))
})

/** A buffer whose memory has gone elsewhere. */
function detached(): ArrayBuffer {
  const buffer = new ArrayBuffer(8)
  structuredClone(buffer, { transfer: [buffer] })
  return buffer
}

test('bytes whose memory was transferred elsewhere are none, or refused with a code; nothing is written', async (t) => {
  const region = opened(t, fileWith(t, BYTES), { access: 'write' })
  const view = new DataView(new ArrayBuffer(8), 2)
  structuredClone(view.buffer, { transfer: [view.buffer] })
  for (const gone of [detached(), view]) {
    for (const name of ['set', 'fill', 'equals', 'indexOf', 'lastIndexOf', 'includes', 'count', 'indexesOf']) {
      t.is(
        codeOf(() => call(region, name, gone)),
        'ERR_INVALID_ARG_TYPE',
        name,
      )
    }
    for (const name of ['count', 'indexesOf', 'matchAll']) {
      t.is(
        codeOf(() => call(region, name, ['x', gone])),
        'ERR_INVALID_ARG_TYPE',
        name,
      )
    }
  }
  const bytes = new Uint8Array(8)
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  t.is(region.set(bytes, 3), 0)
  t.is(
    codeOf(() => call(region, 'fill', bytes)),
    'ERR_INVALID_ARG_VALUE',
  )
  t.false(region.equals(bytes))
  // A needle that is gone finds as one that is empty.
  t.is(region.indexOf(bytes), 0)
  t.is(await region.indexOfAsync(bytes), 0)
  t.is(await region.countAsync(bytes), region.count(''))
  for await (const index of region.indexesOf(bytes, { start: 2, end: 3 })) t.true(index === 2 || index === 3)
  const window = opened(t, fileWith(t, BYTES))
  const closed = window.subarray()
  window.close()
  t.is(region.set(closed), 0)
  t.true(region.equals(BYTES))
})

test('a buffer that can be resized gives the bytes it has now', (t) => {
  const region = opened(t, fileWith(t, BYTES), { access: 'copy' })
  const buffer: unknown = Reflect.construct(ArrayBuffer, [4, { maxByteLength: 16 }])
  if (!(buffer instanceof ArrayBuffer)) return t.fail()
  const [all, part] = [new Uint8Array(buffer), new Uint8Array(buffer, 2, 2)]
  all.set(Buffer.from('ABCD'))
  t.is(region.set(all), 4)
  t.is(region.set(part, 4), 2)
  t.is(region.toString('latin1', 0, 6), 'ABCDCD')
  call(buffer, 'resize', 16)
  t.is(region.set(all, 0), 16)
  t.is(region.toString('latin1', 0, 6), 'ABCD\0\0')
  call(buffer, 'resize', 1)
  t.is(region.set(part, 0), 0)
  t.is(region.set(all, 1), 1)
  t.is(region.toString('latin1', 0, 4), 'AACD')
})
