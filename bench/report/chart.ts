// A table as a picture: for each row how long the others take, as a multiple of what we take. Plain SVG without scripts
// and fonts of its own; it is the same whenever it is drawn of the same figures.

import { NAMES, time } from '../lib/result.ts'
import type { Name, RowResult, Table } from '../lib/result.ts'

const WIDTH = 860
/** Where the scale begins and ends; names stand before it, and figures after the bars. */
const [LEFT, RIGHT] = [110, 690]
const MARGIN = 16
const [TOP, ROW_TITLE, BAR, BAR_GAP, ROW_GAP, BOTTOM] = [84, 24, 16, 6, 16, 44]
/** Letters of a reason. */
const LONGEST = 60
/** The scale reaches so far at least, or two per cent would look like a triumph. */
const LEAST_REACH = 2

// The ground is drawn, too: what a page has behind it need not be what the reader's system asks for.
const LIGHT = {
  ground: '#ffffff',
  text: '#1f2328',
  faint: '#59636e',
  grid: '#d1d9e0',
  one: '#1f2328',
  slower: '#4f8fdd',
  faster: '#e09b3d',
  missed: '#c4222e',
}
const DARK: typeof LIGHT = {
  ground: '#0d1117',
  text: '#e6edf3',
  faint: '#9198a1',
  grid: '#30363d',
  one: '#e6edf3',
  slower: '#3f7fd0',
  faster: '#c78428',
  missed: '#ff7b72',
}

function rules(colours: typeof LIGHT): string {
  const { ground, faint, grid, one, slower, faster, missed } = colours
  return (
    `.ground{fill:${ground}}.label{stroke:${ground}}.text{fill:${colours.text}}.faint{fill:${faint}}.missed{fill:${missed}}` +
    `.slower{fill:${slower}}.faster{fill:${faster}}.grid{stroke:${grid}}.one{stroke:${one}}.spread{stroke:${colours.text}}`
  )
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** Text as XML has it; what XML cannot have at all is left out. */
export function escapeXml(words: string): string {
  const allowed = [...words].filter((character) => character >= ' ' || '\t\n\r'.includes(character)).join('')
  return allowed.replaceAll(/[&<>"]/g, (character) => ESCAPES[character] ?? '')
}

interface Bar {
  readonly name: Name
  /** Theirs by ours. */
  readonly middle: number
  readonly low: number
  readonly high: number
  readonly label: string
}

function multiple(value: number): string {
  return `${value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0)} ×`
}

/** The others of a row beside us. */
function barsOf(row: RowResult, columns: readonly Name[]): Bar[] {
  const ours = row.found.ours
  if (row.unit !== 'ns' || ours === undefined) return []
  return columns.flatMap((name) => {
    const found = row.found[name]
    if (name === 'ours' || found === undefined) return []
    const { ratio, value } = found
    const middle = ratio === undefined ? value / ours.value : 1 / ratio.median
    const [low, high] = ratio === undefined ? [middle, middle] : [1 / ratio.high, 1 / ratio.low]
    return [{ name, middle, low, high, label: `${multiple(middle)}  (${time(value)})` }]
  })
}

/** Marks of a scale: 1, 2, 5, 10 … where it is short, powers of ten where it is long. */
function marks(reach: number): number[] {
  const decades = Math.ceil(Math.log10(reach))
  const steps = decades > 2 ? [1] : [1, 2, 5]
  const above = Array.from({ length: decades + 1 }, (_, decade) => steps.map((step) => step * 10 ** decade)).flat()
  const all = [...above.filter((mark) => mark > 1).map((mark) => 1 / mark), ...above]
  return all.toSorted((a, b) => a - b)
}

const point = (value: number): string => value.toFixed(1)

function text(x: number, y: number, kind: string, words: string, more = ''): string {
  return `<text x="${point(x)}" y="${point(y)}" class="${kind}"${more}>${escapeXml(words)}</text>`
}

/** So that it does not meet the row's name; the page has it whole. */
function shortened(words: string): string {
  return words.length <= LONGEST ? words : `${words.slice(0, LONGEST - 1)}…`
}

function verdictOf({ holds, verdict, target, skipped, bound }: RowResult, bars: readonly Bar[]): string {
  if (holds === false) return `✗ misses ${target}: ${verdict}`
  if (holds === true) return `✓ ${target}`
  return bars.length === 0 && skipped.length > 0 ? shortened(`skipped: ${bound}`) : ''
}

/** Our own figure. */
function own(row: RowResult): string {
  const ours = row.found.ours
  if (ours === undefined) return ''
  const without = row.found.node === undefined ? '' : `; without: ${row.found.node.value}`
  return row.unit === 'ns' ? `ours: ${time(ours.value)}` : `found: ${ours.value}${without}`
}

/** The picture of a table, as text. `theme` leaves only one of the two, for whoever cannot choose. */
export function chart({ title, columns, rows }: Table, theme: 'both' | 'light' | 'dark' = 'both'): string {
  const all = rows.map((row) => ({ row, bars: barsOf(row, columns) }))
  const reached = all.flatMap(({ bars }) => bars.flatMap(({ low, middle, high }) => [low, middle, high]))
  const least = Math.min(1 / LEAST_REACH, ...reached) / 1.05
  const most = Math.max(LEAST_REACH, ...reached) * 1.05
  const across = (value: number): number =>
    LEFT + ((Math.log(value) - Math.log(least)) / (Math.log(most) - Math.log(least))) * (RIGHT - LEFT)

  const compared = reached.length > 0
  const scale = compared ? marks(Math.max(most, 1 / least)).filter((mark) => mark >= least && mark <= most) : []

  const body: string[] = []
  let y = TOP
  for (const { row, bars } of all) {
    const colour = row.holds === false ? 'missed' : 'text'
    const figure = `<tspan class="faint figure" dx="10">${escapeXml(own(row))}</tspan>`
    body.push(`<text x="${MARGIN}" y="${y + 14}" class="${colour} name">${escapeXml(row.what.trim())}${figure}</text>`)
    const verdict = verdictOf(row, bars)
    if (verdict !== '') {
      body.push(text(WIDTH - MARGIN, y + 14, row.holds === false ? 'missed' : 'faint', verdict, ' text-anchor="end"'))
    }
    y += ROW_TITLE
    for (const mark of bars.length === 0 ? [] : scale) {
      const to = y + bars.length * (BAR + BAR_GAP)
      const kind = mark === 1 ? 'one' : 'grid'
      body.push(`<path d="M${point(across(mark))} ${y - BAR_GAP / 2}V${to}" class="${kind}"/>`)
    }
    for (const { name, middle, low, high, label } of bars) {
      const [from, to] = [Math.min(across(1), across(middle)), Math.max(across(1), across(middle))]
      const kind = middle < 1 ? 'faster' : 'slower'
      const centre = y + BAR / 2
      body.push(
        text(LEFT - 8, y + 12, 'text', NAMES[name], ' text-anchor="end"'),
        `<rect x="${point(from)}" y="${point(y)}" width="${point(Math.max(1, to - from))}" height="${BAR}" class="${kind}"/>`,
        `<path d="M${point(across(low))} ${point(centre)}H${point(across(high))}" class="spread"/>`,
        text(Math.max(to, across(high)) + 6, y + 12, 'text label', label),
      )
      y += BAR + BAR_GAP
    }
    y += ROW_GAP
  }
  const height = y + BOTTOM - ROW_GAP

  for (const mark of scale) {
    const shown = `${mark < 1 ? Number(mark.toPrecision(2)) : mark} ×`
    body.push(text(across(mark), height - BOTTOM + 22, 'faint', shown, ' text-anchor="middle"'))
  }
  const legend = compared
    ? 'Time of the others by ours, logarithmic: right of 1 × they take longer (blue), left of it less (orange). Thin lines: quartiles.'
    : 'Nobody to compare with.'
  const styles = {
    both: `${rules(LIGHT)}@media (prefers-color-scheme:dark){${rules(DARK)}}`,
    light: rules(LIGHT),
    dark: rules(DARK),
  }
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="12">`,
    `<title id="title">${escapeXml(title)}</title>`,
    `<style>.name{font-weight:600}.figure{font-weight:400}.label{paint-order:stroke;stroke-width:4}.head{font-size:16px;font-weight:600}.one{stroke-width:1.5}.spread{stroke-width:1.5}${styles[theme]}</style>`,
    `<rect width="${WIDTH}" height="${height}" class="ground"/>`,
    text(MARGIN, 30, 'text head', title),
    text(MARGIN, 52, 'faint', legend),
    ...body,
    '</svg>',
  ].join('\n')}\n`
}
