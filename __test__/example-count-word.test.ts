// examples/count-word.ts, run as its users run it.

import { chmodSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import test from 'ava'
import type { ExecutionContext } from 'ava'

import { runChild } from './helpers/child.ts'
import type { ChildResult } from './helpers/child.ts'
import { fileWith } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { asNobody, canBeNobody } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'

const asOther = canBeNobody ? test.serial : test.serial.skip

const EXAMPLE = new URL('../examples/count-word.ts', import.meta.url)
const nodeArgs = ['--import=@oxc-node/core/register']
const run = (...args: string[]): Promise<ChildResult> => runChild(EXAMPLE, args, { nodeArgs })

/** Matches and lines, as one row of the table says. */
function row(stdout: string, name: string): readonly [matches: number, lines: number] {
  const found = new RegExp(`^${name.replaceAll('.', '\\.')} +(\\d+) +(\\d+) +[\\d.]+ ms +[\\d.]+ GB/s$`, 'm').exec(
    stdout,
  )
  return [Number(found?.[1]), Number(found?.[2])]
}

function counts(t: ExecutionContext, { code, stdout, stderr }: ChildResult, matches: number, lines: number): void {
  t.is(stderr, '')
  t.is(code, 0)
  t.deepEqual(row(stdout, 'memmap'), [matches, lines])
  t.deepEqual(row(stdout, 'fs.createReadStream'), [matches, lines])
}

function fails(t: ExecutionContext, { code, stdout, stderr }: ChildResult, message: string): void {
  t.is(stderr, `count-word: ${message}\n`)
  t.is(stdout, '')
  t.is(code, 1)
}

function occurrences(text: Buffer, word: string): number[] {
  const found: number[] = []
  for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + Buffer.byteLength(word))) found.push(at)
  return found
}

test.serial('by default it looks into the running Node for "function"', async (t) => {
  const child = await run()
  const node = readFileSync(process.execPath)
  counts(t, child, occurrences(node, 'function').length, occurrences(node, '\n').length)
  t.true(child.stdout.startsWith(`${process.execPath}, ${node.length} bytes, "function"\n`))
})

test.serial('with FILE and WORD it counts, and shows the first five places', async (t) => {
  const random = new Random(t)
  const words = Array.from({ length: 40_000 }, () => random.pick(['alpha', 'beta', 'alphalpha', 'gämma', '\n', ' ']))
  const text = Buffer.from(words.join(''))
  const path = fileWith(t, text)
  for (const word of ['alphal', 'ä', ' ', 'nowhere']) {
    const child = await run(path, word)
    const places = occurrences(text, word)
    counts(t, child, places.length, occurrences(text, '\n').length)
    const shown = child.stdout.split('\n\n')[0]?.split('\n').slice(1) ?? []
    t.deepEqual(
      shown.filter((line) => line !== '').map((line) => Number.parseInt(line, 10)),
      places.slice(0, 5),
    )
  }
})

test.serial('with FILE alone the word is "function"; matches at both ends of a file count', async (t) => {
  counts(t, await run(fileWith(t, 'function\nfunction')), 2, 1)
})

test.serial('an empty file has no matches', async (t) => {
  counts(t, await run(fileWith(t, ''), 'x'), 0, 0)
})

test.serial('a file that is not there, a folder, and an empty word: one line on stderr, exit code 1', async (t) => {
  const folder = tmpFolder(t)
  const path = join(folder, 'nowhere')
  fails(t, await run(path, 'x'), `ENOENT: no such file or directory, open '${path}'`)
  const opened = await run(folder, 'x')
  t.regex(opened.stderr, /^count-word: EISDIR: illegal operation on a directory, \w+ '[^'\n]+'\n$/)
  t.true(opened.stderr.includes(`'${folder}'`))
  t.deepEqual([opened.code, opened.stdout], [1, ''])
  fails(t, await run(fileWith(t, 'x'), ''), 'the word is empty')
})

asOther(
  'a file one may not read, as another user: one line, exit code 1 (skipped where we are not root)',
  async (t) => {
    const path = fileWith(t, 'content')
    chmodSync(dirname(path), 0o755)
    chmodSync(path, 0o600)
    fails(
      t,
      await asNobody([...nodeArgs, join('examples', 'count-word.ts'), path, 'x']),
      `EACCES: permission denied, open '${path}'`,
    )
  },
)
