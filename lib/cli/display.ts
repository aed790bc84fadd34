// How things are written for people: sizes, ages, what a terminal may be shown, colours, rows in columns.

import { styleText } from 'node:util'

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
const AGES: readonly (readonly [seconds: number, unit: string])[] = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
]

/** `1.5 MiB`. */
export function size(bytes: number): string {
  let value = bytes
  let unit = 0
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

/** As `size`, for axes and tables: `4 MiB`, `0`. */
export function shortSize(bytes: number): string {
  return bytes === 0 ? '0' : size(bytes).replace('.0 ', ' ')
}

/** `3.2 d`, `41 s`. */
export function age(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds / 1000)
  const [length, unit] = AGES.find(([least]) => seconds >= least) ?? [1, 's']
  const value = seconds / length
  return `${value < 10 && unit !== 's' ? value.toFixed(1) : Math.floor(value)} ${unit}`
}

/** Rounded, but all and nothing are exact. */
export function percent(share: number): string {
  if (share === 0 || share === 1) return `${share * 100} %`
  return `${Math.min(99.9, Math.max(0.1, share * 100)).toFixed(1)} %`
}

/** `12,345`. */
export function whole(number: number): string {
  return number.toLocaleString('en')
}

/** Text as a terminal may have it: control characters would move the cursor or worse. */
export function shown(text: string): string {
  return text.replaceAll(/(?![\t\n])\p{Cc}/gu, '?')
}

/** As `shown`, in one line. */
export function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?')
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

/** In colour on a terminal, unless `NO_COLOR` is set. */
export function styled(style: Style, text: string): string {
  const wanted = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === ''
  return wanted ? styleText(style, text, { validateStream: false }) : text
}

/** Whether there is more than ASCII on the other side: a terminal that says so. */
export function drawsBlocks(): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = process.env
  const locale = [LC_ALL, LC_CTYPE, LANG].find((one) => one !== undefined && one !== '') ?? ''
  return process.stdout.isTTY && (process.platform === 'win32' || /utf-?8/i.test(locale))
}

/** A column: its title, and whether it has numbers, which stand to the right. */
export interface Column {
  readonly title: string
  readonly right?: boolean
}

/** Rows in columns with a line of titles. On a terminal the last column ends where the line does. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) => row.map(oneLine))
  const titles = columns.map(({ title }) => title)
  const widths = columns.map((_, at) => Math.max(...[titles, ...cells].map((row) => row[at]?.length ?? 0)))
  const room = process.stdout.isTTY ? process.stdout.columns || 80 : Number.POSITIVE_INFINITY
  const line = (row: readonly string[]): string => {
    const padded = columns.map(({ right }, at) => {
      const [text = '', width = 0] = [row[at], widths[at]]
      return right === true ? text.padStart(width) : at === columns.length - 1 ? text : text.padEnd(width)
    })
    const text = padded.join('  ').trimEnd()
    return text.length > room ? `${text.slice(0, room - 1)}…` : text
  }
  return [styled('bold', line(titles)), ...cells.map(line)]
}
