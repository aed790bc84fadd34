// memmap count and memmap find, run as their users run them.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import test from 'ava'

import { ourThreads } from './helpers/background.ts'
import { COMMAND, complains, ended, hasTerminal, memmap, onScreen, says, started, typing } from './helpers/command.ts'
import { fileWith } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { asNobody, canBeNobody, hasLongFiles, hasPython, isLinux, isPosix, ROOT } from './helpers/system.ts'
import { tmpFile, tmpFolder } from './helpers/tmp.ts'

const TIB = 2 ** 40
const hasGrep = isPosix && spawnSync('grep', ['--version']).status === 0

function hole(path: string, byteLength: number, begin = ''): void {
  const file = openSync(path, 'w')
  writeSync(file, begin)
  closeSync(file)
  truncateSync(path, byteLength)
}

const withGrep = hasGrep ? test.serial : test.serial.skip
const asOther = canBeNobody ? test.serial : test.serial.skip
const onPosix = isPosix ? test.serial : test.serial.skip
const inHuge = hasLongFiles ? test.serial : test.serial.skip
const inTerminal = hasTerminal ? test.serial : test.serial.skip
const inTerminalAndHuge = hasPython ? inHuge : test.serial.skip

function occurrences(text: Buffer, word: string): number[] {
  const found: number[] = []
  for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + Buffer.byteLength(word))) found.push(at)
  return found
}

const TEXT = 'one\ntwo\r\nERROR three\n\nfoo ERROR bar error\nlast'

test.serial('count says how often a word stands in a file; 1 where it does not', async (t) => {
  const random = new Random(t)
  const words = Array.from({ length: 40_000 }, () => random.pick(['alpha', 'alphalpha', 'gämma', '\n', ' ', '\0']))
  const text = Buffer.from(words.join(''))
  const path = fileWith(t, text)
  for (const word of ['alphal', 'ä', ' ', 'alpha']) {
    const { length } = occurrences(text, word)
    t.true(length > 0)
    says(t, await memmap('count', word, path), `${length}\n`)
  }
  says(t, await memmap('count', 'nowhere', path), '0\n', 1)
})

test.serial('count of the running Node is what Buffer finds', async (t) => {
  const places = occurrences(readFileSync(process.execPath), 'node')
  says(t, await memmap('count', 'node', process.execPath), `${places.length}\n`)
})

test.serial('count of several files and words: a row for each, with its name', async (t) => {
  const [a, b] = [fileWith(t, TEXT), fileWith(t, 'error')]
  says(t, await memmap('count', 'ERROR', a, b), `${a}:2\n${b}:0\n`)
  says(t, await memmap('count', '-i', 'ERROR', a, b), `${a}:3\n${b}:1\n`)
  says(t, await memmap('count', '-e', 'ERROR', '-e', 'o', a), 'ERROR:2\no:5\n')
  says(
    t,
    await memmap('count', '-i', '-e', 'ERROR', '-e', 'O', a, b),
    `${a}:ERROR:3\n${a}:O:4\n${b}:ERROR:1\n${b}:O:0\n`,
  )
  const rows = [
    { word: 'ERROR', count: 2 },
    { word: 'nowhere', count: 0 },
  ].map((row) => ({ file: a, ...row }))
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('')
  says(t, await memmap('count', '--json', '-e', 'ERROR', '-e', 'nowhere', a), text)
})

test.serial('count -m leaves a file after so many', async (t) => {
  const path = fileWith(t, 'ab'.repeat(5000))
  says(t, await memmap('count', '-m', '3', 'ab', path), '3\n')
  says(t, await memmap('count', '-m4999', '-i', 'AB', path), '4999\n')
  says(t, await memmap('count', '--max-count=5', '-e', 'b', '-e', 'a', path), 'b:2\na:3\n')
  says(t, await memmap('count', '-m', '9999', 'ab', path), '5000\n')
})

test.serial('what a word is made of does not matter: all of a regular expression is plain, also with -i', async (t) => {
  const word = String.raw`a.b*c+?^$|()[]{}\/-d`
  const path = fileWith(t, `${word}axb${word.toUpperCase()}`)
  for (const command of [['count'], ['find', '-F', '-b']]) {
    const found = command[0] === 'count' ? ['1\n', '2\n'] : [`${path}:0\n`, `${path}:0\n${path}:${word.length + 3}\n`]
    says(t, await memmap(...command, word, path), found[0] ?? '')
    says(t, await memmap(...command, '-i', word, path), found[1] ?? '')
  }
})

test.serial('find shows the lines with a match, each once, with its number', async (t) => {
  const path = fileWith(t, TEXT)
  says(t, await memmap('find', 'ERROR', path), `${path}:3:ERROR three\n${path}:5:foo ERROR bar error\n`)
  says(
    t,
    await memmap('find', '-i', 'error|^T', path),
    `${path}:2:two\n${path}:3:ERROR three\n${path}:5:foo ERROR bar error\n`,
  )
  says(t, await memmap('find', '^$', path), `${path}:4:\n`)
  says(t, await memmap('find', '-m', '1', 'foo|last', path), `${path}:5:foo ERROR bar error\n`)
  says(t, await memmap('find', '-e', 'last$', '-e', 'o$', path), `${path}:2:two\n${path}:6:last\n`)
  says(t, await memmap('find', 'nowhere', path), '', 1)
  const all = 'one,two,ERROR three,,foo ERROR bar error,last'.split(',')
  for (const every of ['', '^', '$', 'x*']) {
    says(t, await memmap('find', every, path), all.map((line, index) => `${path}:${index + 1}:${line}\n`).join(''))
  }
  const ends = fileWith(t, '\n\n')
  says(t, await memmap('find', '', ends), `${ends}:1:\n${ends}:2:\n`)
})

test.serial('a match of find lies in one line; of find -b it goes over their ends', async (t) => {
  const path = fileWith(t, 'a x\n\nb y\r\nERROR\n')
  says(t, await memmap('find', '[^x]ERROR', path), '', 1)
  says(t, await memmap('find', String.raw`y?\s*ERROR|x\W*b`, path), `${path}:4:ERROR\n`)
  says(t, await memmap('find', 'x[^]*|[^]b|b[^a]*$', path), `${path}:1:a x\n${path}:3:b y\n`)
  says(t, await memmap('find', '-u', String.raw`^\P{Lu}+$`, path), `${path}:1:a x\n${path}:3:b y\n`)
  for (const end of [String.raw`x\n`, String.raw`\x0ab`, 'x\n']) {
    complains(
      t,
      await memmap('find', end, path),
      /^memmap: .* cannot do: a line end where lines are searched one by one/,
    )
    says(t, await memmap('find', '-b', end, path), `${path}:${end === String.raw`\x0ab` ? 4 : 2}\n`)
  }
})

test.serial('find shows the lines that JavaScript finds, in texts with lines of any length', async (t) => {
  const random = new Random(t)
  for (let round = 0; round < 6; round++) {
    const lines = Array.from({ length: random.integer(1, 60) }, () => {
      const length = random.pick([0, 1, 20, 20, 200, 16_383, 16_384, 16_385, 40_000])
      const filler = random.pick(['x', 'e', ' '])
      return filler.repeat(length) + random.pick(['', 'ERROR', 'error 17', 'ERRORERROR', 'e\xe9'])
    })
    const ends = lines.map(() => random.pick(['\n', '\n', '\r\n']))
    const text = lines.map((line, index) => line + (ends[index] ?? '')).join('')
    const whole = random.integer(0, 1) === 0 ? text : text.replace(/\r?\n$/, '')
    const path = fileWith(t, Buffer.from(whole, 'latin1'))
    for (const pattern of ['[^x]{0,9}ERROR', '^e', String.raw`\s\d+$`, 'x?e', '^', 'R']) {
      const kept = whole.split('\n')
      if (kept.at(-1) === '') kept.pop()
      const rows = kept.flatMap((line, index) => {
        const shown = index < kept.length - 1 || whole.endsWith('\n') ? line.replace(/\r$/, '') : line
        return new RegExp(pattern).test(shown) ? [`${index + 1}:${shown}\n`] : []
      })
      const { code, stdout, stderr } = await memmap('find', pattern, path)
      const expected = Buffer.from(rows.map((row) => `${path}:${row}`).join(''), 'latin1')
      t.true(stdout.equals(expected), `${pattern}: ${rows.length} rows`)
      t.deepEqual([code, stderr], [rows.length > 0 ? 0 : 1, ''])
    }
  }
})

function grep(...args: string[]): Buffer {
  return spawnSync('grep', args, { env: { ...process.env, LC_ALL: 'C' }, maxBuffer: 2 ** 30 }).stdout
}

withGrep('find and count say what grep says (skipped where there is no grep)', async (t) => {
  const random = new Random(t)
  const words = ['ERROR', 'a', '\n', '\n', ' ', '\0', '\xff', 'warn 12', 'x'.repeat(30_000)]
  const path = fileWith(
    t,
    Array.from({ length: 30_000 }, () => random.pick(words))
      .join('')
      .slice(0, 20_000_000),
  )
  for (const [pattern, options] of [
    ['ERROR', ['-F']],
    ['[^x]ERROR', []],
    ['a[^b]?$', []],
    ['WARN [0-9]+', ['-i']],
  ] as const) {
    const { code, stdout } = await memmap('find', ...options, pattern, path)
    const theirs = grep('-anH', ...(options[0] === '-F' ? options : ['-E', ...options]), pattern, path)
    t.true(theirs.byteLength > 0)
    t.true(stdout.equals(theirs), pattern)
    t.is(code, 0)
  }
  const counted = grep('-aoF', 'ERROR', path).toString().split('\n').length - 1
  says(t, await memmap('count', 'ERROR', path), `${counted}\n`)
  const places = grep('-aobF', 'ERROR', path)
    .toString()
    .replaceAll(/^(\d+):.*$/gm, `${path}:$1`)
  says(t, await memmap('find', '-b', 'ERROR', path), places)
})

test.serial('find -b shows where matches begin, without looking at lines', async (t) => {
  const text = Buffer.from(`xx\0yy xx\xff\nxx`, 'latin1')
  const path = fileWith(t, text)
  says(t, await memmap('find', '-b', 'xx', path), `${path}:0\n${path}:6\n${path}:10\n`)
  says(t, await memmap('find', '-bF', '-e', 'yy', '-e', 'xx', '-m', '2', path), `${path}:0\n${path}:3\n`)
  says(t, await memmap('find', '-b', String.raw`\xff`, path), `${path}:8\n`)
  const json = [3, 8].map((offset) => `${JSON.stringify({ file: path, offset, length: 2 })}\n`)
  says(t, await memmap('find', '-b', '--json', String.raw`yy|\xff[^]`, path), json.join(''))
})

test.serial('find --json: an object a line; bytes that are no UTF-8 are base64', async (t) => {
  const path = fileWith(t, Buffer.concat([Buffer.from('é "x"\n'), Buffer.of(0x78, 0xff, 0x0a)]))
  const { code, stdout, stderr } = await memmap('find', '--json', 'x', path)
  const rows = stdout.toString().trimEnd().split('\n').map((row): unknown => JSON.parse(row)) // prettier-ignore
  t.deepEqual(rows, [
    { file: path, line: 1, offset: 4, text: 'é "x"' },
    { file: path, line: 2, offset: 7, base64: Buffer.of(0x78, 0xff).toString('base64') },
  ])
  t.deepEqual([code, stderr], [0, ''])
})

test.serial('find -u takes the text as characters', async (t) => {
  const path = fileWith(t, 'é\n')
  says(t, await memmap('find', '^.$', path), '', 1)
  says(t, await memmap('find', '-u', '^.$', path), `${path}:1:é\n`)
  says(t, await memmap('find', '-iF', 'É', path), `${path}:1:é\n`)
})

test.serial('lines go out as the bytes they are', async (t) => {
  const bytes = new Random(t).bytes(300_000).filter((byte) => byte !== 0x0a && byte !== 0x0d)
  const path = fileWith(t, Buffer.concat([Buffer.from('needle'), bytes, Buffer.from('\nno\n')]))
  const { code, stdout } = await memmap('find', 'needle', path)
  t.true(stdout.equals(Buffer.concat([Buffer.from(`${path}:1:needle`), bytes, Buffer.from('\n')])))
  t.is(code, 0)
})

test.serial('a line with more matches than it is looked at for is left, and the next one found', async (t) => {
  const path = fileWith(t, `${'x'.repeat(100_000)}\n${'x'.repeat(50_000)}\ny\nx`)
  const { stdout } = await memmap('find', 'x', path)
  t.deepEqual(
    stdout.toString().trimEnd().split('\n').map((row) => [row.slice(path.length, path.length + 4), row.length - path.length]), // prettier-ignore
    [[':1:x', 100_003], [':2:x', 50_003], [':4:x', 4]], // prettier-ignore
  )
})

test.serial('an empty file holds nothing', async (t) => {
  const path = fileWith(t, '')
  says(t, await memmap('count', 'x', path), '0\n', 1)
  for (const pattern of ['x', '', '$']) says(t, await memmap('find', pattern, path), '', 1)
})

test.serial(
  'a file that is not there, a folder and standard input: a line each, 2, and the others are searched',
  async (t) => {
    const path = fileWith(t, TEXT)
    const folder = tmpFolder(t)
    const nowhere = join(folder, 'nowhere')
    const wrong = [nowhere, folder, '-']
    for (const [args, row] of [
      [['count', 'ERROR'], `${path}:2\n`],
      [['find', 'three'], `${path}:3:ERROR three\n`],
    ] as const) {
      const child = await memmap(...args, ...wrong, path)
      t.is(child.stdout.toString(), row)
      const [first, second, third] = child.stderr.split('\n')
      t.is(first, `memmap: ENOENT: no such file or directory, open '${nowhere}'`)
      t.regex(second ?? '', /^memmap: EISDIR: /)
      t.true(second?.includes(folder))
      t.regex(third ?? '', /^memmap: '-': standard input cannot be mapped/)
      t.is(child.stderr.split('\n').length, 4)
      t.is(child.code, 2)
    }
  },
)

asOther('a file one may not read, as another user: one line, and 2 (skipped where we are not root)', async (t) => {
  const path = fileWith(t, TEXT)
  chmodSync(dirname(path), 0o755)
  chmodSync(path, 0o600)
  const { code, stdout, stderr } = await asNobody([COMMAND, 'count', 'x', path])
  t.deepEqual([code, stdout, stderr], [2, '', `memmap: EACCES: permission denied, open '${path}'\n`])
})

test.serial('what cannot be understood or done is told in one line, with 2, before any file is opened', async (t) => {
  const nowhere = tmpFile(t)
  complains(t, await memmap(), /^memmap: no command is given; there are: count, find/)
  complains(t, await memmap('constructor'), /^memmap: there is no command 'constructor'; there are: count, find/)
  for (const command of ['count', 'find']) {
    complains(t, await memmap(command), /^memmap: it is not said what to look for/)
    complains(t, await memmap(command, 'x'), /^memmap: no file is given/)
    complains(t, await memmap(command, '--bogus', 'x', nowhere), /^memmap: Unknown option '--bogus'.*See memmap/)
    for (const most of ['0', '-1', '1.5', 'x', '']) {
      complains(t, await memmap(command, `--max-count=${most}`, 'x', nowhere), /^memmap: -m takes a number from 1 up/)
    }
  }
  complains(t, await memmap('count', '', nowhere), /^memmap: a word is empty/)
  complains(t, await memmap('find', '-F', '-e', 'x', '-e', '', nowhere), /^memmap: a word is empty/)
  complains(t, await memmap('find', '(', nowhere), /^memmap: Invalid regular expression/)
  complains(t, await memmap('find', '-e', 'a)', '-e', '(b', nowhere), /^memmap: Invalid regular expression/)
  complains(t, await memmap('find', '(?=x)', nowhere), /^memmap: .* cannot do: look-ahead/)
  complains(t, await memmap('find', String.raw`(x)\1`, nowhere), /^memmap: .* cannot do: back-references/)
})

test.serial('--help and --version, of all and of each', async (t) => {
  const { version } = createRequire(import.meta.url)('memmap/package.json') as { version: string }
  for (const args of [['--version'], ['-V'], ['count', '--version'], ['find', '-V']]) {
    says(t, await memmap(...args), `memmap ${version}\n`)
  }
  for (const args of [['--help'], ['-h'], ['count', '--help'], ['find', '-h']]) {
    const { code, stdout, stderr } = await memmap(...args)
    t.deepEqual([code, stderr], [0, ''])
    t.regex(stdout.toString(), /^usage: memmap /)
    t.true(stdout.toString().split('\n').every((line) => line.length <= 120)) // prettier-ignore
  }
})

test.serial('the package brings the command along', (t) => {
  const { bin, files } = createRequire(import.meta.url)('memmap/package.json') as {
    bin: Record<string, string>
    files: string[]
  }
  t.is(join(ROOT, bin['memmap'] ?? ''), COMMAND)
  t.true(files.includes('dist'))
  t.true(readFileSync(COMMAND, 'utf8').startsWith('#!/usr/bin/env node\n'))
})

onPosix('who reads only the beginning ends it quietly', async (t) => {
  const path = fileWith(t, 'a line with ERROR in it\n'.repeat(200_000))
  for (const args of [
    ['find', 'ERROR', path],
    ['find', '-b', 'ERROR', path],
    ['find', '--json', 'ERROR', path],
  ]) {
    const child = started(args)
    const stderr = child.stderr.toArray()
    await once(child.stdout, 'data')
    child.stdout.destroy()
    const [code] = (await once(child, 'exit')) as [number | null]
    t.deepEqual([code, await stderr], [0, []])
  }
})

inHuge('SIGINT ends it at once with 130, in the middle of 9 TiB (skipped where no file can be so long)', async (t) => {
  const path = tmpFile(t)
  hole(path, 9 * TIB, 'ERROR\n')
  for (const args of [
    ['count', 'ERROR', path, path],
    ['count', '-i', '-e', 'ERROR', '-e', 'x', path],
    ['find', '-b', 'ERROR', path],
    ['find', 'ERROR', path],
    ['find', String.raw`\0`, path], // the line goes to the end of the file
  ]) {
    const child = started(args)
    const rows = ended(child)
    // A row comes long before the end of the file; who says nothing before is seen to search, or given some time.
    const hasRow = args[0] === 'find' && args.includes('ERROR')
    if (hasRow) await once(child.stdout, 'data')
    else if (isLinux) while (child.exitCode === null && ourThreads(child.pid) === 0) await sleep(10)
    else await sleep(1500)
    const from = performance.now()
    t.true(child.kill('SIGINT'))
    const { code, stdout, stderr } = await rows
    t.deepEqual([code, stderr], [130, ''])
    t.true(performance.now() - from < 5000)
    if (hasRow) t.true(stdout.toString().startsWith(`${path}:`))
  }
})

inHuge('a word in a file of 9 TiB is shown at once with -m (skipped where no file can be so long)', async (t) => {
  const path = tmpFile(t)
  hole(path, 9 * TIB, 'first\nERROR\n')
  says(t, await memmap('find', '-m', '1', 'ERROR', path), `${path}:2:ERROR\n`)
  says(t, await memmap('find', '-b', '-m', '1', 'ERROR', path), `${path}:6\n`)
  says(t, await memmap('count', '-m', '1', 'ERROR', path), '1\n')
})

// It looks for what commands a terminal: the escape is what is tested.
const BAR = /\r\x1b\[K\[[#.]{24}\] \d+ %, [\d.]+ \w+ of [\d.]+ \w+, [\d.]+ \w+\/s/ // eslint-disable-line no-control-regex -- a terminal's own

/** What is left on the screen, as far as the bar goes: a line that is cleared is not. */
function left(shown: string): string {
  return shown.split('\n').map((line) => line.slice(line.lastIndexOf('\x1b[K') + 1).replace(/^\[K/, '')).join('\n') // prettier-ignore
}

inTerminal('on a terminal a bar shows how far it is, and is gone at the end (skipped without python3)', async (t) => {
  const path = tmpFile(t)
  // Long enough on any machine: a regular expression that goes through a state after the other.
  hole(path, 2 ** 30, 'ERROR one\n')
  for (const [args, rows] of [
    [['count', '-i', '-e', 'ERROR', '-e', 'x', path], 'ERROR:1\r\nx:0\r\n'],
    [['find', '(E|R)+OR', path], `${path}:1:ERROR one\r\n`],
  ] as const) {
    const { shown, code } = await onScreen(...args)
    t.regex(shown, BAR)
    t.is(left(shown), rows)
    t.is(code, 0)
  }
})

inTerminalAndHuge('Ctrl-C in a terminal, and the bar is gone (skipped without python3 or long files)', async (t) => {
  const path = tmpFile(t)
  hole(path, 9 * TIB)
  for (const args of [
    ['count', 'ERROR'],
    ['find', 'ERROR'],
  ]) {
    const { shown, code, seconds } = await typing(String.raw`\x03`, '%', ...args, path)
    t.regex(shown, BAR)
    t.regex(left(shown), /^(\^C)?$/)
    t.is(code, 130)
    t.true((seconds ?? 9) < 5)
  }
})

inTerminal(
  'a terminal is not commanded by what is found; a pipe gets it as it is (skipped without python3)',
  async (t) => {
    const path = fileWith(t, 'x\x1b[31m\x9b\x07é\ty\n')
    t.is((await onScreen('find', 'x', path)).shown, `${path}:1:x?[31m??é\ty\r\n`)
    says(t, await memmap('find', 'x', path), `${path}:1:x\x1b[31m\x9b\x07é\ty\n`)
  },
)
