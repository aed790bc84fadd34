// The picture of `memmap residency --svg`: a panel for each file, with columns over an axis in bytes.

import { percent, shortSize, whole } from './display.ts'

/** A file. */
export interface Panel {
  readonly name: string
  readonly byteLength: number
  readonly pages: number
  /** Undefined where the system does not say. */
  readonly resident: number | undefined
  readonly columns: readonly {
    readonly start: number
    readonly end: number
    readonly pages: number
    readonly resident: number | undefined
  }[]
}

const WIDTH = 960
const LEFT = 70
const RIGHT = 30
const PLOT = WIDTH - LEFT - RIGHT
const TOP = 64
const HEIGHT = 150
const PANEL = TOP + HEIGHT + 66
const FOOT = 44
const TICKS = 8
/** Letters of a name that fit over a panel. */
const LONGEST = 90

const IN_MEMORY = '#1f77b4'
const ON_DISK = '#e3e6ea'
const NOT_KNOWN = '#f6d8ae'

export function pictureOf(panels: readonly Panel[]): string {
  const height = panels.length * PANEL + FOOT
  const title = panels.map(({ name }) => name).join(', ')
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif">`,
    `<title>Pages in memory: ${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    ...panels.map((panel, at) => `<g transform="translate(0 ${at * PANEL})">${panelOf(panel).join('\n')}</g>`),
    ...legend(height - FOOT + 14),
    '</svg>',
    '',
  ].join('\n')
}

function panelOf({ name, byteLength, pages, resident, columns }: Panel): string[] {
  const short = name.length > LONGEST ? `…${name.slice(1 - LONGEST)}` : name
  const share = resident === undefined || pages === 0 ? '' : `${percent(resident / pages)} in memory, `
  const said = resident === undefined ? 'the system does not say what is in memory, ' : share
  const count = resident === undefined ? whole(pages) : `${whole(resident)} of ${whole(pages)}`
  const about = pages === 0 ? 'empty' : `${shortSize(byteLength)}, ${said}${count} pages`
  const x = (byte: number): number => LEFT + (PLOT * byte) / Math.max(1, byteLength)
  return [
    text(LEFT, 28, short, 'font-size="18" font-weight="600" fill="#1a1a1a"'),
    text(LEFT, 49, about, 'font-size="13" fill="#555555"'),
    rect(LEFT, TOP, PLOT, HEIGHT, ON_DISK),
    ...columns.flatMap(({ start, end, pages: all, resident: there }) => {
      const width = x(end) - x(start)
      if (there === undefined) return [rect(x(start), TOP, width, HEIGHT, NOT_KNOWN)]
      const tall = (HEIGHT * there) / all
      return there === 0 ? [] : [rect(x(start), TOP + HEIGHT - tall, width, tall, IN_MEMORY)]
    }),
    ...[0, 50, 100].flatMap((part) => {
      const y = TOP + HEIGHT - (HEIGHT * part) / 100
      return [
        line(LEFT - 5, y, LEFT, y),
        text(LEFT - 9, y + 4, `${part} %`, 'font-size="12" text-anchor="end" fill="#333333"'),
      ]
    }),
    line(LEFT, TOP, LEFT, TOP + HEIGHT),
    line(LEFT, TOP + HEIGHT, LEFT + PLOT, TOP + HEIGHT),
    ...ticks(byteLength).flatMap((byte) => [
      line(x(byte), TOP + HEIGHT, x(byte), TOP + HEIGHT + 5),
      text(x(byte), TOP + HEIGHT + 20, shortSize(byte), 'font-size="12" text-anchor="middle" fill="#333333"'),
    ]),
    text(
      LEFT + PLOT / 2,
      TOP + HEIGHT + 40,
      'position in the file',
      'font-size="12" text-anchor="middle" fill="#555555"',
    ),
  ]
}

/** Round positions: a power of two apart, the first and no more than fit. */
function ticks(byteLength: number): number[] {
  let step = 1
  while (byteLength / step > TICKS) step *= 2
  return Array.from({ length: Math.floor(byteLength / step) + 1 }, (_, at) => at * step)
}

function legend(y: number): string[] {
  const entries = [
    [IN_MEMORY, 'in memory'],
    [ON_DISK, 'not in memory'],
    [NOT_KNOWN, 'not known'],
  ] as const
  return entries.flatMap(([colour, meaning], at) => {
    const x = LEFT + at * 150
    return [rect(x, y, 14, 14, colour), text(x + 21, y + 12, meaning, 'font-size="13" fill="#333333"')]
  })
}

const number = (value: number): string => String(Math.round(value * 100) / 100)

function rect(x: number, y: number, width: number, height: number, fill: string): string {
  return `<rect x="${number(x)}" y="${number(y)}" width="${number(width)}" height="${number(height)}" fill="${fill}" shape-rendering="crispEdges"/>`
}

function line(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${number(x1)}" y1="${number(y1)}" x2="${number(x2)}" y2="${number(y2)}" stroke="#333333"/>`
}

function text(x: number, y: number, what: string, how: string): string {
  return `<text x="${number(x)}" y="${number(y)}" ${how}>${escaped(what)}</text>`
}

const NAMES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** What XML cannot have, not even by its number, is shown as what is missing. */
function escaped(what: string): string {
  return what.replaceAll(/[&<>"]|[\p{Cc}\p{Cs}\ufffe\uffff]/gu, (letter) => NAMES[letter] ?? '\ufffd')
}
