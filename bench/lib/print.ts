// A group's table on the terminal, a row as soon as it is known.

import { cell, NAMES, ratioCell } from './result.ts'
import type { RowResult, Title } from './result.ts'

const WIDTHS = { what: 45, time: 9, ratio: 25, target: 27, holds: 6 }

function print(what: string, cells: readonly string[], ratio: string, target: string, holds: string, bound: string) {
  const shown = [
    what.padEnd(WIDTHS.what),
    ...cells.map((text) => text.padStart(WIDTHS.time)),
    ` ${ratio.padEnd(WIDTHS.ratio)}`,
    target.padEnd(WIDTHS.target),
    holds.padEnd(WIDTHS.holds),
    bound,
  ]
  console.log(shown.join(' ').trimEnd())
}

export function printTitle({ title, columns }: Title): void {
  print(title, columns.map((name) => NAMES[name]), 'ratio (quartiles)', 'target', 'holds', 'bound by') // prettier-ignore
}

export function printRow({ columns }: Title, row: RowResult): void {
  const { what, target, holds, bound } = row
  const cells = columns.map((name) => cell(row, name))
  print(what, cells, ratioCell(row), target, holds === undefined ? '' : holds ? 'yes' : 'NO', bound)
}
