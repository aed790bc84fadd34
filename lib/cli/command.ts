import type { ParseArgsConfig } from 'node:util'

import type { Terminal } from './terminal.ts'

/** Exit codes, those of grep: something was found or shown, nothing was there, … */
export const FOUND = 0
export const NOTHING = 1
export const TROUBLE = 2
export const INTERRUPTED = 130

/** What the command line gave for options. */
export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

/** What one can say behind `memmap`. */
export interface Command {
  /** In one line. */
  readonly summary: string
  /** The whole text of `--help`. */
  readonly help: string
  readonly options: NonNullable<ParseArgsConfig['options']>
  /** Does it; its exit code. */
  run(terminal: Terminal, values: Values, positionals: readonly string[]): Promise<number>
}

/** What the user did wrong or cannot have, in one line: the command ends with 2. */
export class Trouble extends Error {}
