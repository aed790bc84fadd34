// Buffer's read and write family, by name, with values at the limits of each.

import type { Region } from 'memmap'

export interface Scalar {
  readonly name: string
  readonly kind: 'int' | 'bigint' | 'float'
  readonly signed: boolean
  /** Bytes; undefined where the caller says how many. */
  readonly size: number | undefined
}

const FAMILY = /^(read|write)(?:(Big)?(U)?[Ii]nt(\d*)|(Float)|(Double))(?:LE|BE)?$/

function scalarsOf(verb: 'read' | 'write'): Scalar[] {
  const found: Scalar[] = []
  for (const name of Object.getOwnPropertyNames(Buffer.prototype)) {
    const parts = FAMILY.exec(name)
    if (parts === null || parts[1] !== verb) continue
    const float = parts[5] !== undefined || parts[6] !== undefined
    const bits = parts[4] === undefined || parts[4] === '' ? undefined : Number(parts[4]) / 8
    found.push({
      name,
      kind: float ? 'float' : parts[2] === undefined ? 'int' : 'bigint',
      signed: parts[3] === undefined,
      size: parts[5] !== undefined ? 4 : parts[6] !== undefined ? 8 : bits,
    })
  }
  return found
}

export const READERS = scalarsOf('read')
export const WRITERS = scalarsOf('write')

/** A method by its name, called on `target`. */
export function call(target: Region | Buffer | object, name: string, ...args: readonly unknown[]): unknown {
  const method: unknown = Reflect.get(target, name)
  if (typeof method !== 'function') throw new TypeError(`no method ${name}`)
  return Reflect.apply(method, target, args)
}

/** The smallest and the largest value. */
export function limits({ kind, signed }: Scalar, size: number): readonly [number | bigint, number | bigint] {
  if (kind === 'bigint') return signed ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n]
  if (kind === 'float') return [-Number.MAX_VALUE, Number.MAX_VALUE]
  return signed ? [-(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1] : [0, 2 ** (8 * size) - 1]
}

const SMALL = [0, -0, 1, -1, 0.1, -1.5, Math.PI, 1e-45, 1.17549435e-38, Number.MIN_VALUE, Number.EPSILON]
const LARGE = [2 ** 24 + 1, 2 ** 53, 3.4028234663852886e38, 3.4028236e38, 1e300, Number.MAX_VALUE, -Number.MAX_VALUE]
const SPECIAL = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]

export const FLOATS: readonly number[] = [...SMALL, ...LARGE, ...SPECIAL]

/** Values around the limits, those that do not fit among them. */
export function edges(scalar: Scalar, size: number): readonly (number | bigint)[] {
  if (scalar.kind === 'float') return FLOATS
  const [min, max] = limits(scalar, size)
  if (typeof min === 'bigint' && typeof max === 'bigint') {
    return [min - 1n, min, min + 1n, -1n, 0n, 1n, max - 1n, max, max + 1n, 2n ** 70n]
  }
  const [low, high] = [Number(min), Number(max)]
  return [low - 1, low, low + 1, -1, -0, 0, 1, high - 1, high, high + 1, 2 ** 53 - 1, -(2 ** 53)]
}

/** Whether two results are the same: NaN is NaN, and 0 is not -0. */
export function same(a: unknown, b: unknown): boolean {
  return Object.is(a, b)
}
