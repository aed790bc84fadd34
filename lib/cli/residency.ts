// memmap residency FILE…

import { writeFileSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'

import type { MmapFile } from '../mmap-file.ts'
import { Trouble } from './command.ts'
import type { Command, Values } from './command.ts'
import { drawsBlocks, oneLine, percent, shortSize, styled, whole } from './display.ts'
import type { Style } from './display.ts'
import { pictureOf } from './residency-picture.ts'
import type { Panel } from './residency-picture.ts'
import { throughFiles } from './searching.ts'
import type { Reports } from './searching.ts'
import type { Terminal } from './terminal.ts'

const HELP = `usage: memmap residency [OPTION]… FILE…

Draws which pages of each FILE are in memory: a row for each part of the file, with its first byte, a bar in which each
mark stands for a piece of the part, and how much of the part is in memory. Looking brings nothing in.

  -p, --parts N        rows for each file; by default up to 16
      --svg OUT.svg    writes a picture of all files, too
      --json           a row is {"file": string, "start": number, "end": number, "pages": number, "resident": number}
                       for each part; "resident" is null where the system does not say
  -h, --help           this
  -V, --version        which memmap this is

Linux does not say it of a file of another owner's that one may not write.
Exit code: 0 shown, 1 the system does not say, 2 trouble (with other files it goes on), 130 ended by Ctrl-C.
`

/** Rows, and marks in a row, where there is room. */
const PARTS = 16
const MARKS = 48
/** What stands beside a bar. */
const BESIDE = 24
/** Columns of a panel of the picture. */
const COLUMNS = 160
/** Looked at before others have their turn: a few hundredths of a second. */
const AT_ONCE = 2 ** 30

export const residency: Command = {
  summary: 'which pages of a file are in memory, drawn',
  help: HELP,
  options: { parts: { type: 'string', short: 'p' }, svg: { type: 'string' }, json: { type: 'boolean' } },
  run,
}

/** A stretch of a file, and how much of it is in memory. */
interface Stretch {
  readonly start: number
  readonly end: number
  readonly pages: number
  /** Undefined where the system does not say. */
  readonly resident: number | undefined
}

async function run(terminal: Terminal, values: Values, files: readonly string[]): Promise<number> {
  if (files.length === 0) throw new Trouble('no file is given. See memmap residency --help')
  const { json, svg } = values
  const parts = partsOf(values)
  const panels: Panel[] = []
  const code = await throughFiles(terminal, files, async (file, path, reports) => {
    const pages = Math.ceil(file.byteLength / pageSize(file))
    const rows = Math.min(parts ?? Math.min(PARTS, Math.ceil(pages / MARKS)), pages)
    const marks = rows === 0 ? 0 : Math.min(marksInRow(), Math.floor(pages / rows))
    const known = file.residency({ start: 0, end: 1 }).known
    const stretches = await measured(file, rows * marks, reports)
    const drawn = Array.from({ length: rows }, (_, at) => stretches.slice(at * marks, (at + 1) * marks))
    if (json === true) for (const row of drawn) await terminal.row(rowOf(path, joined(row)))
    else
      await terminal.drawn([headline(path, file.byteLength, joined(stretches)), ...drawn.map(barOf(file.byteLength))])
    if (typeof svg === 'string') {
      const columns = await measured(file, Math.min(COLUMNS, pages), reports)
      panels.push({ name: path, byteLength: file.byteLength, ...joined(columns), columns })
    }
    return known
  })
  if (json !== true && panels.length + files.length > 0 && code !== 2) await terminal.drawn([legend()])
  if (typeof svg === 'string') written(svg, pictureOf(panels))
  return code
}

function rowOf(file: string, { start, end, pages, resident }: Stretch): string {
  return JSON.stringify({ file, start, end, pages, resident: resident ?? null })
}

function pageSize(file: MmapFile): number {
  return file.residency({ start: 0, end: 0 }).pageSize
}

function partsOf({ parts }: Values): number | undefined {
  if (parts === undefined) return undefined
  const number = Number(parts)
  if (!/^\d+$/.test(String(parts)) || number < 1 || number > 10_000) {
    throw new Trouble(`-p takes a number from 1 to 10000, not '${String(parts)}'`)
  }
  return number
}

function marksInRow(): number {
  return process.stdout.isTTY ? Math.max(8, Math.min(MARKS, (process.stdout.columns || 80) - BESIDE)) : MARKS
}

/** The file in so many stretches of whole pages, none of them empty. */
async function measured(file: MmapFile, count: number, { onProgress }: Reports): Promise<Stretch[]> {
  const page = pageSize(file)
  const pages = Math.ceil(file.byteLength / page)
  const border = (at: number): number => Math.min(Math.floor((at * pages) / count) * page, file.byteLength)
  const found: Stretch[] = []
  let since = 0
  for (let at = 0; at < count; at++) {
    const slices: Stretch[] = []
    for (let start = border(at); start < border(at + 1); start += AT_ONCE) {
      const end = Math.min(start + AT_ONCE, border(at + 1))
      const { known, resident, pages: all } = file.residency({ start, end })
      slices.push({ start, end, pages: all, resident: known ? resident : undefined })
      if (end - since < AT_ONCE) continue
      since = end
      onProgress(end, file.byteLength)
      await turn()
    }
    found.push(joined(slices))
  }
  return found
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((one, other) => one + other, 0)
}

function joined(row: readonly Stretch[]): Stretch {
  return {
    start: row[0]?.start ?? 0,
    end: row.at(-1)?.end ?? 0,
    pages: sum(row.map(({ pages }) => pages)),
    resident: row.every(({ resident }) => resident !== undefined)
      ? sum(row.map(({ resident }) => resident ?? 0))
      : undefined,
  }
}

function headline(path: string, byteLength: number, { pages, resident }: Stretch): string {
  const name = styled('bold', oneLine(path))
  if (pages === 0) return `${name}: empty`
  if (resident === undefined) return `${name}: ${shortSize(byteLength)}, and the system does not say what is in memory`
  return `${name}: ${shortSize(byteLength)}, ${percent(resident / pages)} in memory (${whole(resident)} of ${whole(pages)} pages)`
}

interface Mark {
  readonly block: string
  readonly letter: string
  readonly style: Style
  readonly meaning: string
}

const ALL: Mark = { block: '█', letter: '#', style: 'green', meaning: 'all in memory' }
const MOST: Mark = { block: '▓', letter: '+', style: 'green', meaning: 'half or more' }
const SOME: Mark = { block: '░', letter: '-', style: 'yellow', meaning: 'less than half' }
const NONE: Mark = { block: '·', letter: '.', style: 'dim', meaning: 'nothing' }
const UNKNOWN: Mark = { block: '?', letter: '?', style: 'dim', meaning: 'not known' }

function markOf({ pages, resident }: Stretch): Mark {
  if (resident === undefined) return UNKNOWN
  if (resident === pages) return ALL
  return resident === 0 ? NONE : resident * 2 >= pages ? MOST : SOME
}

const glyph = ({ block, letter }: Mark): string => (drawsBlocks() ? block : letter)

function barOf(byteLength: number): (row: readonly Stretch[]) => string {
  const width = Math.max(10, shortSize(byteLength).length + 2)
  return (row) => {
    const { start, pages, resident } = joined(row)
    const share = resident === undefined ? '-' : percent(resident / pages)
    return `${shortSize(start).padStart(width)}  ${bar(row)}  ${share.padStart(7)}`
  }
}

/** Marks of a kind that stand side by side are coloured at once. */
function bar(row: readonly Stretch[]): string {
  const runs: { mark: Mark; length: number }[] = []
  for (const mark of row.map(markOf)) {
    const last = runs.at(-1)
    if (last?.mark === mark) last.length++
    else runs.push({ mark, length: 1 })
  }
  return runs.map(({ mark, length }) => styled(mark.style, glyph(mark).repeat(length))).join('')
}

function legend(): string {
  return [ALL, MOST, SOME, NONE].map((mark) => `${styled(mark.style, glyph(mark))} ${mark.meaning}`).join('   ')
}

function written(path: string, picture: string): void {
  try {
    writeFileSync(path, picture)
  } catch (error) {
    throw new Trouble(error instanceof Error ? error.message : String(error), { cause: error })
  }
}
