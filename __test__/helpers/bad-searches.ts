// What the searches of a region take, by name.

import { isAnyArrayBuffer } from 'node:util/types'

import { isInteger, isOneOf, isOptions, optional } from './bad-values.ts'
import type { Takes } from './bad-values.ts'

export const anyInteger = isInteger(-(2 ** 53) + 1, 2 ** 53 - 1)
export const anyOffset = isInteger(0, 2 ** 53 - 1)
export const isBytes: Takes = (value) =>
  typeof value === 'string' || ArrayBuffer.isView(value) || isAnyArrayBuffer(value)
const isNeedle: Takes = (value) => isBytes(value) || (typeof value === 'number' && isInteger(0, 255)(value))
export const holdsBytes: Takes = (value) =>
  isNeedle(value) && value !== '' && !(ArrayBuffer.isView(value) && value.byteLength === 0)
const isNeedles: Takes = (value) => Array.isArray(value) && value.length > 0 && value.every(holdsBytes)
const isExpression: Takes = (value) => value instanceof RegExp
const isFunction: Takes = (value) => typeof value === 'function'
const either =
  (...all: readonly Takes[]): Takes =>
  (value) =>
    all.some((takes) => takes(value))
export const range = { start: optional(anyInteger), end: optional(anyInteger) }
export const isRange = isOptions(range)
export const background = {
  ...range,
  signal: isOneOf(undefined),
  threads: optional(isInteger(1, 256)),
  onProgress: optional(isFunction),
}

interface Search {
  readonly name: string
  readonly good: unknown
  readonly takes: Takes
  readonly options: Readonly<Record<string, Takes>>
}

export const SEARCHES: readonly Search[] = [
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

export const BACKGROUND_SEARCHES: readonly Search[] = [
  { name: 'indexOfAsync', good: 'abc', takes: isNeedle, options: background },
  ...['abc', ['a', 1], /a/].map((good) => ({
    name: 'countAsync',
    good,
    takes: either(isNeedle, isNeedles, isExpression),
    options: background,
  })),
]
