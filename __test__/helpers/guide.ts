// The tables of the guides, whose rows are tested one by one: a row that has no test fails, and so does a test of a row
// that is not there.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'
import type { ExecutionContext } from 'ava'

import { ROOT } from './system.ts'

export const GUIDES = join(ROOT, 'docs', 'guides')

/** A table of Markdown: the plain text of its cells, and the heading it stands under. */
export interface Table {
  readonly heading: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

const RULE = /^\|(?: *:?-+:? *\|)+$/

/** All tables of a guide. */
export function tablesOf(guide: string): Table[] {
  const lines = readFileSync(join(GUIDES, guide), 'utf8').split('\n')
  let heading = ''
  return lines.flatMap((line, at) => {
    if (line.startsWith('#')) heading = line.replace(/^#+ /, '')
    if (!RULE.test(line)) return []
    const behind = lines.slice(at + 1)
    const length = behind.findIndex((one) => !one.startsWith('|'))
    const rows = behind.slice(0, length < 0 ? undefined : length).map(cellsOf)
    return [{ heading, columns: cellsOf(lines[at - 1] ?? ''), rows }]
  })
}

function cellsOf(line: string): string[] {
  const cells = line.slice(1, -1).split(/(?<!\\)\|/)
  return cells.map((cell) => plain(cell.replaceAll('\\|', '|').trim()))
}

/** Without the marks of code, stress and links. */
function plain(text: string): string {
  return text
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(
      /`([^`]*)`|\*\*([^*]*)\*\*/g,
      (_, code: string | undefined, strong: string | undefined) => code ?? strong ?? '',
    )
}

type Implementation = (t: ExecutionContext) => void | Promise<void>

/** The table of a guide under a heading, and what its rows are tested by. */
export class TestedTable {
  readonly table: Table
  readonly #name: string
  readonly #tested = new Set<string>()

  constructor(guide: string, heading: string) {
    const table = tablesOf(guide).find((one) => one.heading === heading)
    if (table === undefined) throw new Error(`${guide} has no table under "${heading}"`)
    this.#name = `${guide}, "${heading}"`
    this.table = table
  }

  /** A test of the row whose first cell says this. */
  row(name: string, what: string, implementation: Implementation): void {
    this.rowWhere(true, name, what, implementation)
  }

  /** As `row`; where the condition does not hold it is skipped, and its name says so. */
  rowWhere(condition: boolean, name: string, what: string, implementation: Implementation): void {
    this.#tested.add(name)
    const declare = condition ? test : test.skip
    declare(`${name}: ${what}`, implementation)
  }

  /** To be called after all rows. */
  end(): void {
    test(`each row of ${this.#name} has a test, and each test a row`, (t) => {
      const names = this.table.rows.map(([first]) => first)
      t.true(names.length > 0)
      t.deepEqual([...this.#tested].sort(), names.sort())
      for (const cells of this.table.rows) {
        t.is(cells.length, this.table.columns.length)
        for (const cell of cells) t.not(cell, '', cells[0])
      }
    })
  }
}
