// What the command says: rows on standard output, complaints and the progress bar on standard error.

import { once } from 'node:events'

import { FOUND, INTERRUPTED, TROUBLE } from './command.ts'
import { oneLine, shown, size } from './display.ts'

/** So many bytes of rows go out together; sooner when a report of progress comes. */
const CHUNK = 64 * 1024
const BAR = 24
const CLEAR = '\r\x1b[K'

/** What an error says, without the advice for who writes a program: its options are not those of the command. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message, syscall, path }: NodeJS.ErrnoException = error
  const call = path === undefined ? `, ${syscall}` : `, ${syscall} '${path}'`
  const at = message.indexOf(call)
  return at === -1 ? message : message.slice(0, at + call.length)
}

export class Terminal {
  /** What is written and not sent. */
  #chunk = Buffer.allocUnsafeSlow(CHUNK)
  #used = 0
  /** Whether the bar stands on the line. */
  #drawn = false

  constructor() {
    // At once, wherever the work is: threads that search end with the process.
    process.once('SIGINT', () => {
      this.#clear()
      process.exit(INTERRUPTED)
    })
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      this.#clear()
      // Whoever read this has enough, as `head` does.
      if (error.code === 'EPIPE') process.exit(FOUND)
      this.complain(error)
      process.exit(TROUBLE)
    })
    // There is nobody to tell.
    process.stderr.on('error', () => {})
  }

  /** Writes a text, and that is all: the exit code of `--help`. */
  say(text: string): number {
    process.stdout.write(text)
    return FOUND
  }

  /** A row. Wait for it where it gives a promise: who reads is slower than we are. */
  row(text: string): Promise<void> | undefined {
    return this.text(`${text}\n`)
  }

  /** A part of a row. */
  text(text: string): Promise<void> | undefined {
    return this.#write(Buffer.from(process.stdout.isTTY ? shown(text) : text))
  }

  /** Rows made by `display.ts`, with their colours. */
  async drawn(rows: readonly string[]): Promise<void> {
    for (const row of rows) await this.#write(Buffer.from(`${row}\n`))
  }

  /** A question that is answered by yes or no at the terminal; undefined where there is none. Nothing is no. */
  async asks(question: string): Promise<boolean | undefined> {
    if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined
    await this.flush()
    process.stderr.write(`${question} [y/N] `)
    const answer = await new Promise<string>((resolve) => {
      process.stdin.once('data', (bytes: Buffer) => resolve(bytes.toString()))
      process.stdin.once('end', () => resolve(''))
    })
    process.stdin.pause()
    return /^\s*y(es)?\s*$/i.test(answer)
  }

  /** A part of a row, the bytes as they are; to a terminal only what does not command it. */
  bytes(bytes: Buffer): Promise<void> | undefined {
    return process.stdout.isTTY ? this.text(bytes.toString()) : this.#write(bytes)
  }

  #write(bytes: Buffer): Promise<void> | undefined {
    const sent = bytes.byteLength > CHUNK - this.#used ? this.flush() : undefined
    if (bytes.byteLength <= CHUNK) {
      this.#used += bytes.copy(this.#chunk, this.#used)
      return sent
    }
    return process.stdout.write(bytes) ? undefined : drained()
  }

  /** Sends what was written. */
  flush(): Promise<void> | undefined {
    if (this.#used === 0) return undefined
    if (process.stdout.isTTY) this.#clear()
    const whole = process.stdout.write(this.#chunk.subarray(0, this.#used))
    this.#chunk = Buffer.allocUnsafeSlow(CHUNK)
    this.#used = 0
    return whole ? undefined : drained()
  }

  /** Something is wrong; told in one line. */
  complain(error: unknown, path = ''): void {
    const message = messageOf(error)
    this.#clear()
    const where = path === '' || message.includes(path) ? '' : `${path}: `
    process.stderr.write(`memmap: ${shown(`${where}${message}`).replaceAll('\n', ' ')}\n`)
  }

  /** Hears how far a search is: to be given as `onProgress`. */
  progressOf(path: string): (done: number, total: number) => void {
    const from = performance.now()
    return (done, total) => {
      void this.flush()
      if (process.stderr.isTTY && done < total)
        this.#draw(path, done, total, done / ((performance.now() - from) / 1000))
    }
  }

  /** The work that a bar was shown for is done. */
  endProgress(): void {
    this.#clear()
  }

  #draw(path: string, done: number, total: number, speed: number): void {
    const full = Math.floor((BAR * done) / total)
    const bar = `${'#'.repeat(full)}${'.'.repeat(BAR - full)}`
    const text = `[${bar}] ${Math.floor((100 * done) / total)} %, ${size(done)} of ${size(total)}, ${size(speed)}/s  ${oneLine(path)}`
    // What does not fit into the line would begin another, and stay there.
    process.stderr.write(CLEAR + text.slice(0, (process.stderr.columns || 80) - 1))
    this.#drawn = true
  }

  #clear(): void {
    if (this.#drawn) process.stderr.write(CLEAR)
    this.#drawn = false
  }
}

async function drained(): Promise<void> {
  await once(process.stdout, 'drain')
}
