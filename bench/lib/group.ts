// A group of rows: a file of the benchmark, run in a process of its own, so that no row meets what another left on
// the heap. It sends its rows to `main.ts`, which prints them.

import { startLimit, startPython } from './child.ts'
import type { Child } from './child.ts'
import { inTurns, median, quantile, ratios } from './measure.ts'
import type { Contender } from './measure.ts'
import { NAMES, time } from './result.ts'
import type { Command, Found, Message, Name, RowResult } from './result.ts'

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

function send(message: Message): void {
  if (process.send === undefined) throw new Error('a group is run by bench/main.ts, which prints what it sends')
  process.send(message)
}

/** Whose columns there are, where a group has no others. */
const COLUMNS: readonly Name[] = ['ours', 'node', 'python', 'limit']

/** Sends the title of a group, then its rows as they are measured. */
export async function group(
  title: string,
  measure: (group: Group) => Promise<void>,
  columns: readonly Name[] = COLUMNS,
): Promise<void> {
  const limit = await startLimit()
  const python = await startPython()
  send({ table: { title, columns } })
  await measure({
    async row(row) {
      const contenders = contendersOf(row, limit, python)
      const { what, target, bound, commands = {} } = row
      const compared = target.to !== undefined && contenders.has(target.to) ? (['ours', target.to] as const) : undefined
      const all = await inTurns(contenders, compared, row.known)
      const wanted = [...(row.python === undefined ? [] : ['python' as const]), ...(Object.keys(commands) as Command[])]
      const skipped = wanted.filter((name) => !contenders.has(name))
      send({ row: resultOf({ what, times: all, target, bound }, skipped) })
    },
    sample(sample) {
      send({ row: resultOf(sample, []) })
    },
    fact({ what, ours, node, target, holds, bound }) {
      const found: RowResult['found'] = {
        ours: { value: ours, turns: 1 },
        ...(node !== undefined && { node: { value: node, turns: 1 } }),
      }
      send({ row: { what, unit: 'count', found, skipped: [], target, holds, verdict: String(ours), bound } })
    },
    skip(what, why) {
      const skipped = [columns.includes('npm') ? ('npm' as const) : ('ours' as const)]
      send({ row: { what, unit: 'ns', found: {}, skipped, target: '', verdict: '', bound: why } })
    },
  })
  limit.end()
  python?.end()
}

function resultOf({ what, times: all, part, target, bound }: Sample, skipped: readonly Name[]): RowResult {
  const ours = all.get('ours') ?? []
  const found: Partial<Record<Name, Found>> = {}
  for (const [name, own] of all) {
    const turns = ratios(ours, own)
    const ratio = { median: median(turns), low: quantile(turns, 0.25), high: quantile(turns, 0.75) }
    const value = quantile(own, part ?? 0.5)
    found[name] = { value, turns: own.length, ...(part === undefined && name !== 'ours' && { ratio }) }
  }
  const { to, judge, text } = target
  const value = quantile(ours, part ?? 0.5)
  const ratio = (to === undefined ? undefined : found[to]?.ratio?.median) ?? Number.NaN
  const holds = judge?.(value, ratio)
  const verdict = holds === undefined ? '' : target.found(value, ratio)
  return {
    what,
    unit: 'ns',
    found,
    skipped,
    ...(to !== undefined && { to }),
    target: text,
    ...(holds !== undefined && { holds }),
    verdict,
    bound,
  }
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
