// Checking arguments, in one place. All of it happens before anybody asks whether the region is still
// there: reading an option or converting a number can run code of the caller's, which may close it.

import { isAnyArrayBuffer, isUint8Array } from 'node:util/types'

import { invalidArgType, invalidArgValue, outOfRange, unknownEncoding } from './errors.ts'
import type { Bytes, Range } from './types.ts'

/** What an object stands for, where it says so. */
function valueOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  return typeof value.valueOf === 'function' ? value.valueOf() : value
}

/** A number as it is; of an object its value, as everywhere in JavaScript, but never of a string. */
function toNumber(name: string, value: unknown, expected = 'of type number'): number {
  const primitive = valueOf(value)
  if (typeof primitive !== 'number') throw invalidArgType(name, expected, value)
  return primitive
}

/** An integer in `[min, max]`. */
export function integer(name: string, value: unknown, min: number, max: number): number {
  const number = toNumber(name, value)
  if (!Number.isInteger(number)) throw outOfRange(name, 'an integer', number)
  if (number < min || number > max) throw outOfRange(name, `>= ${min} && <= ${max}`, number)
  return number
}

/** A position or length in bytes: an integer from 0 to 2^53 - 1. */
export function offset(name: string, value: unknown): number {
  return integer(name, value, 0, Number.MAX_SAFE_INTEGER)
}

/** An end of a range: an integer that may be negative. */
export function index(name: string, value: unknown, fallback: number): number {
  return value === undefined ? fallback : integer(name, value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
}

/** A float to be stored: any number. */
export function float(name: string, value: unknown): number {
  return toNumber(name, value)
}

/** A 64-bit integer in `[min, max]`. */
export function bigint(name: string, value: unknown, min: bigint, max: bigint): bigint {
  const primitive = valueOf(value)
  if (typeof primitive !== 'bigint') throw invalidArgType(name, 'of type bigint', value)
  if (primitive < min || primitive > max) throw outOfRange(name, `>= ${min}n && <= ${max}n`, primitive)
  return primitive
}

export function boolean(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback
  if (typeof value !== 'boolean') throw invalidArgType(name, 'of type boolean', value)
  return value
}

/** One of a few strings. */
export function oneOf<T extends string>(name: string, value: unknown, choices: readonly T[], fallback: T): T {
  if (value === undefined) return fallback
  const choice = choices.find((candidate) => candidate === value)
  if (choice !== undefined) return choice
  const expected = `must be one of: ${choices.map((candidate) => `'${candidate}'`).join(', ')}`
  if (typeof value !== 'string') throw invalidArgType(name, `one of: ${choices.join(', ')}`, value)
  throw invalidArgValue(name, value, expected)
}

const NONE = Object.freeze({})

/** An options object, or none. A key that nobody knows is a mistake of the caller's, and refused. */
export function options<K extends string>(
  value: unknown,
  known: readonly K[],
  name = 'options',
): Partial<Record<K, unknown>> {
  if (value === undefined) return NONE
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgType(name, 'of type object', value)
  }
  const found: Partial<Record<K, unknown>> = {}
  // Plain loops: this is in the way of calls that take a microsecond.
  const keys = Reflect.ownKeys(value)
  for (let i = 0; i < keys.length; i++) {
    const match = known[known.indexOf(keys[i] as K)]
    if (match === undefined) {
      const key = String(keys[i])
      throw invalidArgValue(`${name}.${key}`, keys[i], `is not an option; there are: ${known.join(', ')}`)
    }
    found[match] = (value as Partial<Record<K, unknown>>)[match]
  }
  return found
}

/** A range as the caller gave it, not yet clamped to a length. */
export interface GivenRange {
  readonly start: number
  readonly end: number
}

export function rangeOf(given: Partial<Record<'start' | 'end', unknown>>, name = 'options'): GivenRange {
  return {
    start: index(`${name}.start`, given.start, 0),
    end: index(`${name}.end`, given.end, Number.MAX_SAFE_INTEGER),
  }
}

export function range(value: Range | undefined, name = 'range'): GivenRange {
  return rangeOf(options(value, ['start', 'end'], name), name)
}

/** One end of a range inside a length: negative numbers count from the end, and what lies outside is clamped. */
export function clamp(position: number, length: number): number {
  return position < 0 ? Math.max(0, position + length) : Math.min(position, length)
}

const TRUE_LENGTH = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'byteLength')?.get

/** How many bytes there are, whatever a subclass says. */
export function lengthOf(array: Uint8Array): number {
  return TRUE_LENGTH?.call(array) as number
}

/** The bytes of whatever holds bytes, not copied but where they are a string. */
export function bytes(name: string, value: Bytes): Uint8Array {
  if (typeof value === 'string') return Buffer.from(value, 'utf8')
  // Not instanceof, which any object can be made to look like.
  if (isUint8Array(value)) return value
  try {
    if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    if (isAnyArrayBuffer(value)) return new Uint8Array(value)
  } catch {
    throw invalidArgType(name, 'bytes that were not transferred elsewhere', value)
  }
  throw invalidArgType(
    name,
    'of type string or an instance of Buffer, TypedArray, DataView, ArrayBuffer or SharedArrayBuffer',
    value,
  )
}

/** Bytes to look for or to fill with: also a single one, by its number. */
export function pattern(name: string, value: Bytes | number): Uint8Array {
  if (typeof value === 'number') return Uint8Array.of(integer(name, value, 0, 255))
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !isAnyArrayBuffer(value)) {
    throw invalidArgType(
      name,
      'of type number or string or an instance of Buffer, TypedArray, DataView, ArrayBuffer or SharedArrayBuffer',
      value,
    )
  }
  return bytes(name, value)
}

/** An encoding that Buffer knows; UTF-8 by default. */
export function encoding(name: string, value: unknown): BufferEncoding {
  if (value === undefined) return 'utf8'
  if (typeof value !== 'string') throw invalidArgType(name, 'of type string', value)
  if (!Buffer.isEncoding(value)) throw unknownEncoding(value)
  return value
}

/** Milliseconds, as many as one likes: by default for ever. */
export function timeout(name: string, value: unknown): number {
  if (value === undefined) return Infinity
  const number = toNumber(name, value)
  if (!(number >= 0)) throw outOfRange(name, '>= 0', number)
  return number
}

/** An AbortSignal, or none. */
export function signal(name: string, value: unknown): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value
  throw invalidArgType(name, 'an instance of AbortSignal', value)
}
