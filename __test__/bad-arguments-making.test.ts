// Values that nothing can be made of: each is refused with a typed error that has a code, or taken as documented, and
// what is refused has made and changed nothing.

import { readFileSync, statSync } from 'node:fs'

import test from 'ava'
import { Cursor, Match, MmapFile, PrivateMemory, Region, Scan, SharedMemory } from 'memmap'

import { BYTES, trySystem, tryValue } from './helpers/bad-calls.ts'
import {
  isBoolean,
  isInteger,
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
import { call } from './helpers/scalars.ts'

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

const aLength = isInteger(1, 2 ** 53 - 1)
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
