// The figures of a report. Groups may be measured at different times: each says when, and keeps what it was measured under.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

import type { Conditions } from '../lib/conditions.ts'
import type { Table } from '../lib/result.ts'

export interface GroupResult {
  readonly group: string
  /** When it began, as ISO 8601 has it. */
  readonly date: string
  readonly seconds: number
  /** Of the machine in the minute before: who else was at work. */
  readonly load: number
  readonly commit: string
  readonly command: string
  readonly conditions: Conditions
  /** Versions of those who are only in this group. */
  readonly peers: Conditions
  readonly tables: readonly Table[]
}

export interface Results {
  /** Of the file's form. */
  readonly version: 1
  readonly groups: readonly GroupResult[]
}

export const NOTHING: Results = { version: 1, groups: [] }

export function readResults(path: string): Results {
  if (!existsSync(path)) return NOTHING
  const results = JSON.parse(readFileSync(path, 'utf8')) as Results
  if (results.version !== 1) throw new Error(`${path} has another form than this report: measure all groups again`)
  return results
}

/** Puts a group in the place of what it was before; the order is that of `order`. */
export function merge(results: Results, fresh: GroupResult, order: readonly string[]): Results {
  const groups = [...results.groups.filter(({ group }) => group !== fresh.group), fresh]
  const place = ({ group }: GroupResult): number => order.indexOf(group)
  // A group that there is no more has no place.
  return {
    version: 1,
    groups: groups.filter((group) => place(group) !== -1).toSorted((a, b) => place(a) - place(b)),
  }
}

export function saveResults(path: string, results: Results): void {
  mkdirSync(dirname(path), { recursive: true })
  // Whole or not at all: it may be hours of measuring.
  writeFileSync(`${path}.new`, `${JSON.stringify(results, undefined, 2)}\n`)
  renameSync(`${path}.new`, path)
}
