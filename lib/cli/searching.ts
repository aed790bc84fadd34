// What `count` and `find` have in common: options, files, and matches one by one.

import { askedOf } from '../background.ts'
import { Matches } from '../matches.ts'
import { MmapFile } from '../mmap-file.ts'
import { expressionPattern, linePattern } from '../pattern.ts'
import type { Pattern } from '../pattern.ts'
import { MEMORY } from '../scalar-access.ts'
import { OURS, Scan } from '../scan.ts'
import { FOUND, NOTHING, Trouble, TROUBLE } from './command.ts'
import type { Values } from './command.ts'
import type { Terminal } from './terminal.ts'

export const SEARCH_OPTIONS = {
  'ignore-case': { type: 'boolean', short: 'i' },
  'max-count': { type: 'string', short: 'm' },
  json: { type: 'boolean' },
} as const

/** How a search reports. */
export interface Reports {
  readonly onProgress: (done: number, total: number) => void
}

/** A match. */
export interface Place {
  readonly index: number
  readonly byteLength: number
  /** Which of the words, where they are words. */
  readonly needle: number
}

/** A regular expression, made ready. */
interface Expression {
  readonly expression: RegExp
  readonly pattern: Pattern
  /** A group for each word, none of them in another. */
  readonly ofWords: boolean
}

/** What is looked for: words as they are, or a regular expression. */
export type Sought = { readonly words: readonly string[] } | Expression

/** The words or patterns, and the files: without `-e` the first argument is what to look for. */
export function sortedOut(
  name: string,
  given: unknown,
  positionals: readonly string[],
): { readonly what: readonly string[]; readonly files: readonly string[] } {
  const named = Array.isArray(given) ? given.map(String) : []
  const what = named.length > 0 ? named : positionals.slice(0, 1)
  const files = named.length > 0 ? positionals : positionals.slice(1)
  if (what.length === 0) throw new Trouble(`it is not said what to look for. See memmap ${name} --help`)
  if (files.length === 0) throw new Trouble(`no file is given. See memmap ${name} --help`)
  return { what, files }
}

/** Words to be found as they are. */
export function wordsSought(words: readonly string[], { 'ignore-case': ignoreCase }: Values): Sought {
  if (words.includes('')) throw new Trouble('a word is empty')
  if (ignoreCase !== true) return { words }
  // A group for each, which tells them apart.
  const groups = words.map((word) => `(${word.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`)})`)
  return { ...compiled(groups.join('|'), 'i', false), ofWords: true }
}

/** Regular expressions, any of which may match: each within a line, or anything. */
export function expressionSought(patterns: readonly string[], values: Values, withinLines: boolean): Sought {
  const [only = ''] = patterns
  const flags = flagsOf(values)
  // Each by itself as well: two halves may make a whole.
  for (const pattern of patterns) compiled(pattern, flags, withinLines)
  const source = patterns.length === 1 ? only : patterns.map((pattern) => `(?:${pattern})`).join('|')
  return compiled(source, flags, withinLines)
}

function flagsOf(values: Values): string {
  return `m${values['ignore-case'] === true ? 'i' : ''}${values['unicode'] === true ? 'u' : ''}`
}

/** Read by V8 and made ready by our engine, before any file is opened. */
function compiled(source: string, flags: string, withinLines: boolean): Expression {
  try {
    const expression = new RegExp(source, flags)
    const pattern = (withinLines ? linePattern : expressionPattern)('PATTERN', expression)
    return { expression, pattern, ofWords: false }
  } catch (error) {
    throw new Trouble(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** After how many matches a file is left. */
export function mostOf({ 'max-count': given }: Values): number {
  if (given === undefined) return Number.POSITIVE_INFINITY
  const most = Number(given)
  if (!/^\d+$/.test(String(given)) || most < 1) throw new Trouble(`-m takes a number from 1 up, not '${String(given)}'`)
  return most
}

/** Matches from `start` on, one by one. */
export async function* placesOf(
  file: MmapFile,
  sought: Sought,
  start: number,
  reports: Reports,
): AsyncGenerator<Place, undefined, undefined> {
  if ('expression' in sought) {
    const matches = new Matches(file[MEMORY], start, file.byteLength, sought.pattern)
    for await (const match of new Scan(OURS, matches, askedOf(reports), start)) {
      const { index, end } = match
      yield { index, byteLength: end - index, needle: sought.ofWords ? groupOf(match) : 0 }
    }
    return
  }
  const options = { start, ...reports }
  const { words } = sought
  const lengths = words.map((word) => Buffer.byteLength(word))
  const [only = ''] = words
  const [length = 0] = lengths
  if (words.length === 1) {
    for await (const index of file.indexesOf(only, options)) yield { index, byteLength: length, needle: 0 }
    return
  }
  for await (const { index, needle } of file.indexesOf(words, options)) {
    yield { index, byteLength: lengths[needle] ?? 0, needle }
  }
}

/** The first group that has a part in a match, from 0. */
function groupOf({ indices }: { readonly indices: readonly unknown[] }): number {
  return indices.slice(1).findIndex((place) => place !== undefined)
}

/** Opens file after file and searches each; `search` says whether it found anything. */
export async function throughFiles(
  terminal: Terminal,
  paths: readonly string[],
  search: (file: MmapFile, path: string, reports: Reports) => Promise<boolean>,
): Promise<number> {
  let code = NOTHING
  let trouble = false
  for (const path of paths) {
    try {
      if (path === '-')
        throw new Trouble("'-': standard input cannot be mapped; name a file (a file of that name is ./-)")
      const file = MmapFile.open(path)
      try {
        if (await search(file, path, { onProgress: terminal.progressOf(path) })) code = FOUND
      } finally {
        terminal.endProgress()
        file.close()
      }
    } catch (error) {
      // In the order in which things happened.
      await terminal.flush()
      terminal.complain(error, path)
      trouble = true
    }
  }
  return trouble ? TROUBLE : code
}
