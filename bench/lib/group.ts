// A group of rows: a file of the benchmark, run in a process of its own, so that no row meets what another left on
// the heap. It prints its rows and tells `main.ts` which targets hold.

import { startLimit, startPython } from './child.ts'
import type { Child } from './child.ts'
import { inTurns, median, quantile, ratios } from './measure.ts'
import type { Contender } from './measure.ts'

/**
 * Who does a row's work. `node` is Node without us, `npm` another package, `unguarded` ourselves with `guard: false`, `one`
 * ourselves on one thread, and the last ones are other programs, started for the row.
 */
export type Name = 'ours' | 'unguarded' | 'one' | 'node' | 'npm' | 'python' | 'limit' | Command
export type Command = 'grep' | 'rg' | 'wc'

/** A command of a child. */
type Words = readonly [string, ...(string | number)[]]

export interface Row {
  readonly what: string
  readonly ours: Contender
  readonly unguarded?: Contender
  readonly node?: Contender
  readonly npm?: Contender
  readonly python?: Words
  readonly limit?: Words
  readonly one?: Contender
  /** `undefined` where there is no such program here. */
  readonly commands?: Readonly<Partial<Record<Command, Contender | undefined>>>
  readonly target: Target
  /** How well the ratio must be known, where that is better than the usual 3 %. */
  readonly known?: number
  /** What keeps it from being faster. */
  readonly bound: string
}

/** A row that is no time. */
export interface Fact {
  readonly what: string
  readonly ours: number
  readonly node?: number
  readonly target: string
  readonly holds: boolean
  readonly bound: string
}

/** A row of times that somebody took already: nanoseconds, those of a turn at the same place. */
export interface Sample {
  readonly what: string
  readonly times: ReadonlyMap<Name, readonly number[]>
  /** What is shown of them; default the median. */
  readonly part?: number
  readonly target: Target
  readonly bound: string
}

export interface Group {
  row(row: Row): Promise<void>
  sample(sample: Sample): void
  fact(fact: Fact): void
  /** A row that there is nobody for. */
  skip(what: string, why: string): void
}

/** What `main.ts` hears of a row. */
export interface Verdict {
  readonly what: string
  readonly holds: boolean
  readonly found: string
}

interface Target {
  readonly text: string
  /** Whose times the ratio is of. */
  readonly to: Name | undefined
  /** None where nothing is promised. */
  readonly judge: ((ours: number, ratio: number) => boolean) | undefined
  found(ours: number, ratio: number): string
}

const times = (ratio: number): string => `${ratio.toFixed(2)} ×`

/** Ours takes at most so many times as long. */
export function atMost(limit: number, to: Name): Target {
  const found = (_ours: number, ratio: number): string => `${times(ratio)} ${NAMES[to]}`
  return { text: `≤ ${limit} × ${NAMES[to]}`, to, judge: (_ours, ratio) => ratio <= limit, found }
}

/** Ours is at least so many times as fast. */
export function faster(least: number, to: Name): Target {
  const found = (_ours: number, ratio: number): string => `${times(1 / ratio)} as fast as ${NAMES[to]}`
  return { text: `≥ ${least} × as fast as ${NAMES[to]}`, to, judge: (_ours, ratio) => 1 / ratio >= least, found }
}

/** Ours takes at most so many nanoseconds; the ratio is shown beside. */
export function within(nanoseconds: number, to?: Name): Target {
  const found = (ours: number, ratio: number): string =>
    to === undefined ? time(ours) : `${time(ours)} (${times(ratio)} ${NAMES[to]})`
  return { text: `≤ ${time(nanoseconds)}`, to, judge: (ours) => ours <= nanoseconds, found }
}

/** Nothing is promised; the ratio is shown. */
export function beside(to?: Name): Target {
  return { text: '', to, judge: undefined, found: time }
}

const NAMES: Record<Name, string> = {
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
const WIDTHS = { what: 45, time: 9, ratio: 25, target: 27, holds: 6 }

function time(nanoseconds: number): string {
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

function print(what: string, cells: readonly string[], ratio: string, target: string, holds: string, bound: string) {
  const shown = [
    what.padEnd(WIDTHS.what),
    ...cells.map((cell) => cell.padStart(WIDTHS.time)),
    ` ${ratio.padEnd(WIDTHS.ratio)}`,
    target.padEnd(WIDTHS.target),
    holds.padEnd(WIDTHS.holds),
    bound,
  ]
  console.log(shown.join(' ').trimEnd())
}

function tell(what: string, holds: boolean, found: string): void {
  const verdict: Verdict = { what, holds, found }
  process.send?.(verdict)
}

/** Whose columns there are, where a group has no others. */
const COLUMNS: readonly Name[] = ['ours', 'node', 'python', 'limit']

/** Prints the title of a group, then its rows as they are measured. */
export async function group(
  title: string,
  measure: (group: Group) => Promise<void>,
  columns: readonly Name[] = COLUMNS,
): Promise<void> {
  const limit = await startLimit()
  const python = await startPython()
  print(title, columns.map((name) => NAMES[name]), 'ratio (quartiles)', 'target', 'holds', 'bound by') // prettier-ignore
  const show = (
    { what, times: all, part = 0.5, target, bound }: Sample,
    wanted: ReadonlySet<Name> = new Set(),
  ): void => {
    const { to } = target
    const ours = quantile(all.get('ours') ?? [], part)
    const turns = to === undefined ? [] : ratios(all.get('ours') ?? [], all.get(to) ?? [])
    const ratio = median(turns)
    const known = to !== undefined && all.has(to)
    const quartiles = `(${quantile(turns, 0.25).toFixed(2)}–${quantile(turns, 0.75).toFixed(2)})`
    const cells = columns.map((name) => {
      const found = all.get(name)
      return found === undefined ? (wanted.has(name) ? 'skipped' : '') : time(quantile(found, part))
    })
    const shown = known ? `${ratio.toFixed(2)} × ${NAMES[to]} ${quartiles}` : ''
    const holds = target.judge?.(ours, ratio)
    print(what, cells, shown, target.text, holds === undefined ? '' : holds ? 'yes' : 'NO', bound)
    if (holds !== undefined) tell(what, holds, `${target.found(ours, ratio)}, target ${target.text}`)
  }
  await measure({
    async row(row) {
      const contenders = contendersOf(row, limit, python)
      const { what, target, bound } = row
      const compared = target.to !== undefined && contenders.has(target.to) ? (['ours', target.to] as const) : undefined
      const all = await inTurns(contenders, compared, row.known)
      const commands = Object.keys(row.commands ?? {}) as Command[]
      show(
        { what, times: all, target, bound },
        new Set<Name>(row.python === undefined ? commands : [...commands, 'python']),
      )
    },
    sample(sample) {
      show(sample)
    },
    fact({ what, ours, node, target, holds, bound }) {
      const shown = new Map<Name, number | undefined>([
        ['ours', ours],
        ['node', node],
      ])
      const cells = columns.map((name) => String(shown.get(name) ?? ''))
      print(what, cells, '', target, holds ? 'yes' : 'NO', bound)
      tell(what, holds, `${ours}, target ${target}`)
    },
    skip(what, why) {
      const cells = columns.map((name) => (name === (columns.includes('npm') ? 'npm' : 'ours') ? 'skipped' : ''))
      print(what, cells, '', '', '', why)
    },
  })
  limit.end()
  python?.end()
}

function contendersOf(row: Row, limit: Child, python: Child | undefined): Map<Name, Contender> {
  const contenders = new Map<Name, Contender>([['ours', row.ours]])
  const { unguarded, one, node, npm, python: pythons, limit: limits, commands = {} } = row
  if (unguarded !== undefined) contenders.set('unguarded', unguarded)
  if (one !== undefined) contenders.set('one', one)
  if (node !== undefined) contenders.set('node', node)
  if (npm !== undefined) contenders.set('npm', npm)
  if (pythons !== undefined && python !== undefined) contenders.set('python', () => python.ask(...pythons))
  if (limits !== undefined) contenders.set('limit', () => limit.ask(...limits))
  for (const [name, command] of Object.entries(commands)) {
    if (command !== undefined) contenders.set(name as Command, command)
  }
  return contenders
}
