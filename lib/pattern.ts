// What searches look for, made ready by the addon: a needle, many needles at once, or a regular expression.

import * as native from '#binding'

import * as args from './arguments.ts'
import { invalidArgType, invalidArgValue } from './errors.ts'
import { translate } from './expression.ts'
import type { Expression } from './expression.ts'
import type { Bytes } from './types.ts'

/**
 * Bytes to look for: also a single one, by its number.
 *
 * @group Options and arguments
 * @example
 * ```ts
 * import { MmapFile } from 'memmap'
 * import type { Needle } from 'memmap'
 *
 * using log = MmapFile.open('access.log')
 * const newline: Needle = 0x0a
 * console.log(log.count(newline)) // → 5000
 * ```
 */
export type Needle = Bytes | number

/** What the addon has made ready. */
export interface Pattern {
  readonly handle: object
  /** Groups of an expression, the whole match included; 1 for needles. */
  readonly groups: number
  /** Names of the groups that have one, by their number. */
  readonly names: ReadonlyMap<number, string>
}

const NO_NAMES: ReadonlyMap<number, string> = new Map()
/** By the object, since compiling takes far longer than a short search. */
const compiled = new WeakMap<RegExp, { readonly source: string; readonly flags: string; readonly pattern: Pattern }>()

export function isExpression(value: unknown): value is RegExp {
  return value instanceof RegExp
}

export function isNeedles(value: unknown): value is readonly Needle[] {
  return Array.isArray(value)
}

/** One needle, copied: the caller may change theirs while it is looked for. */
export function needlePattern(bytes: Uint8Array): Pattern {
  return { handle: native.compileNeedles([bytes]), groups: 1, names: NO_NAMES }
}

/** Many needles. */
export function needlesPattern(name: string, needles: readonly Needle[]): Pattern {
  if (needles.length === 0) throw invalidArgValue(name, needles, 'must hold a needle at least')
  const bytes = Array.from(needles, (needle, index) => args.pattern(`${name}[${index}]`, needle))
  const empty = bytes.findIndex((needle) => needle.byteLength === 0)
  if (empty !== -1) throw invalidArgValue(`${name}[${empty}]`, needles[empty], 'must hold a byte at least')
  return { handle: native.compileNeedles(bytes), groups: 1, names: NO_NAMES }
}

/** A regular expression. */
export function expressionPattern(name: string, value: unknown): Pattern {
  if (!isExpression(value)) throw invalidArgType(name, 'an instance of RegExp', value)
  const { source, flags } = value
  const known = compiled.get(value)
  if (known?.source === source && known.flags === flags) return known.pattern
  const pattern = compile(name, value, translate(value))
  compiled.set(value, { source, flags, pattern })
  return pattern
}

/** A regular expression no match of which goes over the end of a line. */
export function linePattern(name: string, value: RegExp): Pattern {
  return compile(name, value, translate(value, true))
}

function compile(name: string, value: RegExp, expression: Expression): Pattern {
  const { tree, characters, sticky, groups, names } = expression
  try {
    return { handle: native.compileExpression(tree, characters, sticky), groups, names }
  } catch (error) {
    const why = error instanceof Error ? error.message : ''
    throw invalidArgValue(name, value, `has what this engine cannot do: ${why}`)
  }
}
