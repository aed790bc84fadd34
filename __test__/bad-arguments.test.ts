// Values that no method was made for, at every argument of every method: each is refused with a typed error that has
// a code, or taken as documented, and what is refused has changed nothing.

import { readFileSync } from 'node:fs'

import test from 'ava'
import { MmapFile, Scan } from 'memmap'

import { BYTES, trySystem, tryValue } from './helpers/bad-calls.ts'
import {
  anyInteger,
  anyOffset,
  background,
  BACKGROUND_SEARCHES,
  holdsBytes,
  isBytes,
  isRange,
  range,
  SEARCHES,
} from './helpers/bad-searches.ts'
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
import { codeOf, fileWith, HAS_READ_WINDOWS, opened, thrownBy } from './helpers/files.ts'
import { call, READERS, WRITERS } from './helpers/scalars.ts'

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

/** What needs a window, which regions for reading do not have everywhere. */
const HANDS_OUT = new Set(['subarray', 'view'])

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
          const isRefused = access === 'read' && !HAS_READ_WINDOWS && HANDS_OUT.has(name)
          if (isRefused && codeOf(work) === 'ERR_ZERO_COPY_UNAVAILABLE') continue
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
