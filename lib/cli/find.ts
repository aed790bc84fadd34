// memmap find PATTERN FILE…

import { isUtf8 } from 'node:buffer'
import { setImmediate as turn } from 'node:timers/promises'

import type { MmapFile } from '../mmap-file.ts'
import type { Command, Values } from './command.ts'
import {
  expressionSought,
  mostOf,
  placesOf,
  SEARCH_OPTIONS,
  sortedOut,
  throughFiles,
  wordsSought,
} from './searching.ts'
import type { Reports, Sought } from './searching.ts'
import type { Terminal } from './terminal.ts'

const HELP = `usage: memmap find [OPTION]… PATTERN FILE…
       memmap find [OPTION]… -e PATTERN [-e PATTERN]… FILE…

Shows the lines that PATTERN matches a part of, each once: FILE:LINE NUMBER:LINE. PATTERN is a regular expression in
the syntax of JavaScript (without look-around and back-references), over bytes; ^ and $ match at the ends of lines.

  -e, --regexp PATTERN   a pattern to find; may be given several times
  -F, --fixed-strings    patterns are words, as they are
  -i, --ignore-case      upper and lower case are the same
  -u, --unicode          the files are UTF-8: . and [^a] stand for characters (the flag u of JavaScript)
  -b, --byte-offset      a row for each match instead of each line, FILE:POSITION; it may go over the ends of lines
  -m, --max-count N      leave a file after N rows
      --json             a row is {"file": string, "line": number, "offset": number, "text": string}, where offset is
                         the position of the line's first match; a line that is not UTF-8 is "base64" instead of "text".
                         With -b it is {"file": string, "offset": number, "length": number}
  -h, --help             this
  -V, --version          which memmap this is

Exit code: 0 found, 1 nothing found, 2 trouble (with other files it goes on), 130 ended by Ctrl-C.
`

const NEWLINE = 0x0a
const RETURN = 0x0d
/** What is looked through without asking a thread: less than a millisecond. */
const AT_ONCE = 2 ** 20
/** Copied at a time. */
const BLOCK = 16 * 1024
/** Part of a line that is written at a time. */
const PIECE = 2 ** 20
/** Matches in a line that was shown already, before the scan is begun anew behind that line. */
const TOO_MANY = 4096

export const find: Command = {
  summary: 'finds a pattern in files, line by line or by byte',
  help: HELP,
  options: {
    ...SEARCH_OPTIONS,
    regexp: { type: 'string', short: 'e', multiple: true },
    'fixed-strings': { type: 'boolean', short: 'F' },
    unicode: { type: 'boolean', short: 'u' },
    'byte-offset': { type: 'boolean', short: 'b' },
  },
  run,
}

async function run(terminal: Terminal, values: Values, positionals: readonly string[]): Promise<number> {
  const { what, files } = sortedOut('find', values['regexp'], positionals)
  const byLine = values['byte-offset'] !== true
  const sought = values['fixed-strings'] === true ? wordsSought(what, values) : expressionSought(what, values, byLine)
  const most = mostOf(values)
  const json = values['json'] === true
  const show = byLine ? showLines : showPlaces
  return throughFiles(terminal, files, async (file, path, reports) => {
    return (await show({ file, path, sought, most, json, terminal, reports })) > 0
  })
}

interface Job {
  readonly file: MmapFile
  readonly path: string
  readonly sought: Sought
  readonly most: number
  readonly json: boolean
  readonly terminal: Terminal
  readonly reports: Reports
}

/** A row for each match; how many. */
async function showPlaces({ file, path, sought, most, json, terminal, reports }: Job): Promise<number> {
  let rows = 0
  for await (const { index, byteLength } of placesOf(file, sought, 0, reports)) {
    const row = json ? JSON.stringify({ file: path, offset: index, length: byteLength }) : `${path}:${index}`
    await terminal.row(row)
    if (++rows === most) break
  }
  return rows
}

/** A row for each line with a match; how many. */
async function showLines(job: Job): Promise<number> {
  const { file, sought, most, reports } = job
  const lines = new Lines(file)
  let rows = 0
  let skipped = 0
  do {
    const begun = lines.next
    const onProgress = (done: number): void => reports.onProgress(begun + done, file.byteLength)
    skipped = 0
    for await (const { index } of placesOf(file, sought, begun, { onProgress })) {
      if (index < lines.next) {
        if (++skipped === TOO_MANY) break
        continue
      }
      skipped = 0
      // Behind the last line's end there is no line.
      if (index === file.byteLength && (index === 0 || file.at(-1) === NEWLINE)) break
      await lines.goTo(index)
      await showLine(job, lines, index)
      if (++rows === most) return rows
    }
  } while (skipped === TOO_MANY && lines.next < file.byteLength)
  return rows
}

async function showLine({ path, json, terminal }: Job, lines: Lines, offset: number): Promise<void> {
  const { number, start, end } = lines
  if (json) {
    const bytes = lines.copy(start, end)
    const text = isUtf8(bytes) ? { text: bytes.toString() } : { base64: bytes.toString('base64') }
    await terminal.row(JSON.stringify({ file: path, line: number, offset, ...text }))
    return
  }
  await terminal.text(`${path}:${number}:`)
  for (let at = start; at < end; at += PIECE) await terminal.bytes(lines.copy(at, Math.min(at + PIECE, end)))
  await terminal.text('\n')
}

/** Goes from line to line of a file, any of which may be as long as the file. */
class Lines {
  readonly #file: MmapFile
  /** The line it is at, without its end. */
  number = 1
  start = 0
  end = 0
  /** First byte of the line behind it. */
  next = 0

  /** What was copied last: a call of the addon for each line would take longer than the lines. */
  #block: Buffer = Buffer.alloc(0)
  #blockStart = 0

  constructor(file: MmapFile) {
    this.#file = file
  }

  copy(start: number, end: number): Buffer {
    if (start < this.#blockStart || end > this.#blockStart + this.#block.byteLength) {
      this.#block = this.#file.slice(start, Math.max(end, start + BLOCK))
      this.#blockStart = start
    }
    return this.#block.subarray(start - this.#blockStart, end - this.#blockStart)
  }

  /** To the line that holds this byte, which is none that was passed. */
  async goTo(index: number): Promise<void> {
    if (this.next > 0) this.number++
    let start = this.next
    if (index - start > BLOCK) {
      const passed = await this.#ends(start, index)
      if (passed > 0) start = await this.#startOf(index)
      this.number += passed
    }
    let end = this.#endNear(start)
    for (; end !== -1 && end < index; end = this.#endNear(start)) {
      start = end + 1
      this.number++
    }
    if (end === -1) end = await this.#endFar(Math.max(start, index))
    this.start = start
    this.next = end + 1
    const returned = end > start && end < this.#file.byteLength && this.copy(end - 1, end)[0] === RETURN
    this.end = returned ? end - 1 : end
  }

  /** The first line end from there on, if it is in the next block. */
  #endNear(start: number): number {
    const inBlock = start - this.#blockStart
    const found = inBlock >= 0 && inBlock < this.#block.byteLength ? this.#block.indexOf(NEWLINE, inBlock) : -1
    if (found !== -1) return this.#blockStart + found
    this.#block = this.#file.slice(start, start + BLOCK)
    this.#blockStart = start
    const first = this.#block.indexOf(NEWLINE)
    return first === -1 ? -1 : start + first
  }

  /** How many lines end there. */
  async #ends(start: number, end: number): Promise<number> {
    const range = { start, end }
    return end - start <= AT_ONCE ? this.#file.count(NEWLINE, range) : this.#file.countAsync(NEWLINE, range)
  }

  /** There is a line end before it. */
  async #startOf(index: number): Promise<number> {
    for (let end = index; end > 0; end -= AT_ONCE) {
      const found = this.#file.lastIndexOf(NEWLINE, { start: Math.max(0, end - AT_ONCE), end })
      if (found !== -1) return found + 1
      await turn()
    }
    return 0
  }

  async #endFar(start: number): Promise<number> {
    const near = this.#file.indexOf(NEWLINE, { start, end: start + AT_ONCE })
    const found = near === -1 ? await this.#file.indexOfAsync(NEWLINE, { start }) : near
    return found === -1 ? this.#file.byteLength : found
  }
}
