// examples/tail.ts, run as its users run it.

import { spawn } from 'node:child_process'
import { appendFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import test from 'ava'
import type { ExecutionContext } from 'ava'

import { LOADER } from './helpers/examples.ts'
import { fileWith } from './helpers/files.ts'
import { isPosix, ROOT } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'

// Windows cuts off no file that is mapped, and renames over none.
const onPosix = isPosix ? test.serial : test.serial.skip

const TAIL = [...LOADER, join('examples', 'tail.ts')]
const INTERVAL = 20

class Tail {
  readonly path: string
  stdout = ''
  stderr = ''
  readonly ended: Promise<number | null>

  constructor(t: ExecutionContext, args: readonly string[]) {
    this.path = args[0] ?? ''
    const child = spawn(process.execPath, [...TAIL, ...args], {
      cwd: ROOT,
      env: { ...process.env, NODE_OPTIONS: undefined },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    t.teardown(() => void child.kill('SIGKILL'))
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.ended = new Promise((resolve) => child.on('close', resolve))
  }

  /** Started on a file, once it has shown a line that was appended. */
  static async follow(t: ExecutionContext, path: string): Promise<Tail> {
    const tail = new Tail(t, [path, String(INTERVAL)])
    await eventually(t, () => {
      appendFileSync(path, 'ready\n')
      return tail.stdout.includes('ready\n')
    })
    await sleep(5 * INTERVAL)
    tail.stdout = ''
    return tail
  }

  async shows(t: ExecutionContext, text: string): Promise<void> {
    await eventually(t, () => this.stdout.length >= text.length || this.stderr !== '')
    // And nothing behind it.
    await sleep(5 * INTERVAL)
    t.is(this.stdout, text)
    t.is(this.stderr, '')
    this.stdout = ''
  }
}

async function eventually(t: ExecutionContext, done: () => boolean): Promise<void> {
  for (let round = 0; round < 2000; round++) {
    if (done()) return
    await sleep(50)
  }
  t.fail('it never came')
}

test.serial('lines that are appended are shown, once, when they are whole', async (t) => {
  const path = fileWith(t, 'what was there before\n')
  const tail = await Tail.follow(t, path)
  appendFileSync(path, 'one\ntwo\r\n\n')
  await tail.shows(t, 'one\ntwo\n\n')
  appendFileSync(path, 'a line that is ')
  await sleep(5 * INTERVAL)
  t.is(tail.stdout, '', 'not before it has its end')
  appendFileSync(path, 'still being written\nnext')
  await tail.shows(t, 'a line that is still being written\n')
  appendFileSync(path, '\n')
  await tail.shows(t, 'next\n')
  const many = Array.from({ length: 20_000 }, (_, number) => `line ${number} é\n`).join('')
  appendFileSync(path, many)
  await tail.shows(t, many)
})

onPosix('a file that is cut off and begun anew is followed from its start', async (t) => {
  const path = fileWith(t, `${'x'.repeat(100)}\n`)
  const tail = await Tail.follow(t, path)
  truncateSync(path, 0)
  await sleep(5 * INTERVAL)
  appendFileSync(path, 'new one\n')
  await tail.shows(t, 'new one\n')
  writeFileSync(path, 'other\n')
  await tail.shows(t, 'other\n')
})

onPosix('a file that another is renamed over is followed by its name, from its start', async (t) => {
  const path = fileWith(t, 'old\n')
  const tail = await Tail.follow(t, path)
  for (const round of [1, 2, 3]) {
    writeFileSync(`${path}.new`, `rotated ${round}\n`)
    renameSync(`${path}.new`, path)
    await tail.shows(t, `rotated ${round}\n`)
    appendFileSync(path, `and on ${round}\n`)
    await tail.shows(t, `and on ${round}\n`)
  }
})

// As logrotate does it: for a moment there is no file of that name.
test.serial('a file that is renamed away and made anew a moment later is followed by its name', async (t) => {
  const path = fileWith(t, 'old\n')
  const tail = await Tail.follow(t, path)
  renameSync(path, `${path}.1`)
  await sleep(5 * INTERVAL)
  writeFileSync(path, 'rotated\n')
  await tail.shows(t, 'rotated\n')
})

test.serial('without a file, or with one that is not there, it ends with one line on stderr', async (t) => {
  const usage = new Tail(t, [])
  t.is(await usage.ended, 2)
  t.regex(usage.stderr, /^usage: .*\n$/)
  const path = join(tmpFolder(t), 'nowhere')
  const missing = new Tail(t, [path])
  t.is(await missing.ended, 1)
  t.true(missing.stderr.startsWith(`tail: ENOENT: no such file or directory, open '${path}'`), missing.stderr)
  t.is(missing.stderr.split('\n').length, 2)
  t.is(missing.stdout, '')
})
