// Values that no method was made for, and what of them a method may take all the same.

import { isDate, isNumberObject } from 'node:util/types'

import { MmapFile } from 'memmap'

/** Bytes in the files that are tried on. */
export const LENGTH = 5000

/** New each time: some calls may keep what they are given. */
export const VALUES: readonly [label: string, make: () => unknown][] = [
  ['undefined', () => undefined],
  ['null', () => null],
  ['NaN', () => Number.NaN],
  ['-1', () => -1],
  ['-0', () => -0],
  ['0', () => 0],
  ['1', () => 1],
  ['256', () => 256],
  ['the length', () => LENGTH],
  ['the length + 1', () => LENGTH + 1],
  ['1.5', () => 1.5],
  ['-0.5', () => -0.5],
  ['1e-300', () => 1e-300],
  ['2 ** 31', () => 2 ** 31],
  ['2 ** 32', () => 2 ** 32],
  ['2 ** 53 - 1', () => 2 ** 53 - 1],
  ['2 ** 53', () => 2 ** 53],
  ['-(2 ** 53)', () => -(2 ** 53)],
  ['Number.MAX_VALUE', () => Number.MAX_VALUE],
  ['Infinity', () => Number.POSITIVE_INFINITY],
  ['-Infinity', () => Number.NEGATIVE_INFINITY],
  ["''", () => ''],
  ["'1'", () => '1'],
  ["'utf8'", () => 'utf8'],
  ["'read'", () => 'read'],
  ["'write'", () => 'write'],
  ["'\\0'", () => '\0'],
  ['true', () => true],
  ['false', () => false],
  ['1n', () => 1n],
  ['-1n', () => -1n],
  ['Symbol()', () => Symbol('one')],
  ['() => {}', () => () => {}],
  ['async () => {}', () => async () => {}],
  ['class', () => MmapFile],
  ['{}', () => ({})],
  ['Object.create(null)', () => Object.create(null)],
  ['{ valueOf: 1 }', () => ({ valueOf: 1 })],
  ["{ valueOf: () => '1' }", () => ({ valueOf: () => '1' })],
  ['{ [Symbol.toPrimitive] }', () => ({ [Symbol.toPrimitive]: () => 1 })],
  ['{ nope: 1 }', () => ({ nope: 1 })],
  ['{ Start: 1 }', () => ({ Start: 1 })],
  ['{ [Symbol()]: 1 }', () => ({ [Symbol('start')]: 1 })],
  ['{ start: NaN }', () => ({ start: Number.NaN })],
  ["{ end: '1' }", () => ({ end: '1' })],
  ['{ length: 1 }', () => ({ length: 1 })],
  ['{ fd: NaN }', () => ({ fd: Number.NaN })],
  ['{ fd: 1.5 }', () => ({ fd: 1.5 })],
  ['{ fd: 2 ** 40 }', () => ({ fd: 2 ** 40 })],
  ['{ fd: -5 }', () => ({ fd: -5 })],
  ['{ fd: null }', () => ({ fd: null })],
  ['[]', () => []],
  ['[1]', () => [1]],
  ['new Date(2)', () => new Date(2)],
  ['new Date(NaN)', () => new Date(Number.NaN)],
  ['new Number(2)', () => Object(2) as unknown],
  ["new String('2')", () => Object('2') as unknown],
  ['/x/', () => /x/],
  ['new Map()', () => new Map()],
  ['new Error()', () => new Error('one')],
  ['Promise', () => Promise.resolve(1)],
  ['new Proxy({}, {})', () => new Proxy({}, {})],
  ['new Uint8Array(0)', () => new Uint8Array(0)],
  ["Buffer.from('1')", () => Buffer.from('1')],
  ['new ArrayBuffer(1)', () => new ArrayBuffer(1)],
  ['new Float64Array(1)', () => new Float64Array(1)],
  ['Uint8Array', () => Uint8Array],
  ['DataView', () => DataView],
  ['process.env', () => process.env],
]

export type Takes = (value: unknown) => boolean

/** A number, or what stands for one. Strings never do. */
function numberOf(value: unknown): number | undefined {
  const primitive = isNumberObject(value) || isDate(value) ? value.valueOf() : value
  return typeof primitive === 'number' ? primitive : undefined
}

export const isInteger =
  (min: number, max: number): Takes =>
  (value) => {
    const number = numberOf(value)
    return number !== undefined && Number.isInteger(number) && number >= min && number <= max
  }
export const isNumber: Takes = (value) => numberOf(value) !== undefined
export const offsetTo = (max: number): Takes => isInteger(0, max)
export const optional =
  (takes: Takes): Takes =>
  (value) =>
    value === undefined || takes(value)
export const isBoolean: Takes = (value) => typeof value === 'boolean'
export const isOneOf =
  (...choices: unknown[]): Takes =>
  (value) =>
    choices.includes(value)
/** An options object, as Node sees one: no array, and here also nothing with a key that is not known. */
export const isOptions =
  (takes: Readonly<Record<string, Takes>>): Takes =>
  (value) => {
    if (value === undefined) return true
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    return Reflect.ownKeys(value).every((key) => {
      const known = typeof key === 'string' && Object.hasOwn(takes, key) ? takes[key] : undefined
      return known !== undefined && known(Reflect.get(value, key))
    })
  }

/** Codes of errors that say which argument is wrong. */
export const TYPED = new Set([
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_ARG_VALUE',
  'ERR_OUT_OF_RANGE',
  'ERR_UNKNOWN_ENCODING',
])
