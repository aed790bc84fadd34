// What a group finds, as data: its process sends it to `main.ts`, which prints it and may make a report of it.

/**
 * Who does a row's work. `node` is Node without us, `npm` another package, `unguarded` ourselves with `guard: false`, `one`
 * ourselves on one thread, and the last ones are other programs, started for the row.
 */
export type Name = 'ours' | 'unguarded' | 'one' | 'node' | 'npm' | 'python' | 'limit' | Command
export type Command = 'grep' | 'rg' | 'wc'

/** As tables and charts call them. */
export const NAMES: Record<Name, string> = {
  ours: 'ours',
  unguarded: 'unguarded',
  node: 'Node',
  npm: 'npm',
  python: 'Python',
  limit: 'limit',
  one: 'one thread',
  grep: 'grep',
  rg: 'rg',
  wc: 'wc -l',
}

/** The middle of many values, and where the quarters next to it end. */
export interface Middle {
  readonly median: number
  readonly low: number
  readonly high: number
}

export interface Found {
  /** Nanoseconds an operation, or a number of whatever the row counts. */
  readonly value: number
  /** How often it was measured. */
  readonly turns: number
  /** Ours by this one's, turn by turn. None where there was no turn of both, or something else than medians is shown. */
  readonly ratio?: Middle
}

export interface RowResult {
  readonly what: string
  readonly unit: 'ns' | 'count'
  readonly found: Partial<Record<Name, Found>>
  /** Who should be there, and is not on this machine. */
  readonly skipped: readonly Name[]
  /** Whose ratio the target is about, or is shown where nothing is promised. */
  readonly to?: Name
  /** Empty where nothing is promised. */
  readonly target: string
  /** None where nothing is promised or measured. */
  readonly holds?: boolean
  /** What was found, in the words of the target. */
  readonly verdict: string
  /** What keeps it from being faster, or why the row was skipped. */
  readonly bound: string
}

export interface Title {
  readonly title: string
  readonly columns: readonly Name[]
}

export interface Table extends Title {
  readonly rows: readonly RowResult[]
}

/** What `main.ts` hears: a table begins, or has one row more. */
export type Message = { readonly table: Title } | { readonly row: RowResult }

export function time(nanoseconds: number): string {
  const [value, unit] =
    nanoseconds < 1000
      ? [nanoseconds, 'ns']
      : nanoseconds < 1e6
        ? [nanoseconds / 1e3, 'µs']
        : nanoseconds < 1e9
          ? [nanoseconds / 1e6, 'ms']
          : [nanoseconds / 1e9, 's']
  return `${value < 99.95 ? value.toPrecision(3) : value.toFixed(0)} ${unit}`
}

/** What a cell of the table says of somebody. */
export function cell({ unit, found, skipped }: RowResult, name: Name): string {
  const value = found[name]?.value
  if (value === undefined) return skipped.includes(name) ? 'skipped' : ''
  return unit === 'ns' ? time(value) : String(value)
}

/** The ratio, with its quartiles. */
export function ratioCell({ found, to }: RowResult): string {
  const ratio = to === undefined ? undefined : found[to]?.ratio
  if (to === undefined || ratio === undefined) return ''
  return `${ratio.median.toFixed(2)} × ${NAMES[to]} (${ratio.low.toFixed(2)}–${ratio.high.toFixed(2)})`
}
