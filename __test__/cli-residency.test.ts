// memmap residency, run as its users run it: what it says is what region.residency() says.

import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import test from 'ava'
import { limits } from 'memmap'

import { dropCache } from './helpers/cache.ts'
import { COMMAND, complains, hasTerminal, inTerminal, memmap, plain, rowsOf, says } from './helpers/command.ts'
import { fileWith, opened } from './helpers/files.ts'
import { asNobody, canBeNobody, hasLongFiles, hasPython, isLinux } from './helpers/system.ts'
import { tmpFile, tmpFolder } from './helpers/tmp.ts'

const PAGE = limits().pageSize
const LEGEND = '# all in memory   + half or more   - less than half   . nothing\n'
const onLinux = isLinux ? test.serial : test.serial.skip
const withPython = isLinux && hasPython ? test.serial : test.serial.skip
const asOther = isLinux && canBeNobody ? test.serial : test.serial.skip
const onTerminal = isLinux && hasTerminal ? test.serial : test.serial.skip
const withXml =
  isLinux && hasPython && spawnSync('python3', ['-c', 'import xml.dom.minidom']).status === 0
    ? test.serial
    : test.serial.skip

interface Row {
  readonly file: string
  readonly start: number
  readonly end: number
  readonly pages: number
  readonly resident: number | null
}

onLinux('of a file that was just written all is in memory: a row a part', async (t) => {
  const path = fileWith(t, Buffer.alloc(96 * PAGE + 1, 1))
  const size = `${(96 * PAGE) / 1024} KiB`
  const { code, stdout } = await memmap('residency', '-p', '2', path)
  const rows = stdout.toString().split('\n')
  t.true(rows[0]?.startsWith(`${path}: ${size}, 100 % in memory (97 of 97 pages)`), rows[0])
  t.regex(rows[1] ?? '', /^ +0 {2}#{48} {4}100 %$/)
  t.regex(rows[2] ?? '', /KiB {2}#{48} {4}100 %$/)
  t.deepEqual([`${rows[3]}\n`, rows.length, code], [LEGEND, 5, 0])
})

withPython(
  'each part says what of it is in memory, and looking brings nothing in (skipped without python3)',
  async (t) => {
    const path = fileWith(t, Buffer.alloc(96 * PAGE, 1))
    const region = opened(t, path, { access: 'write' })
    region.advise('random')
    dropCache(path)
    // A file system in memory (tmpfs) has nowhere else to put them.
    if (region.residency().resident > 0) return t.pass('the file system keeps its pages')
    for (const page of [0, 1, 50, 95]) region.readUInt8(page * PAGE)
    for (let time = 0; time < 2; time++) {
      const { rows, code } = await rowsOf<Row>('residency', '-p', '4', path)
      t.is(code, 0)
      t.deepEqual(
        rows.map(({ resident }) => resident),
        [2, 0, 1, 1],
      )
      t.deepEqual(
        rows.map(({ file, start, end, pages }) => [file, start / PAGE, end / PAGE, pages]),
        [0, 24, 48, 72].map((start) => [path, start, start + 24, 24]),
      )
    }
    const { stdout } = await memmap('residency', '--parts=2', path)
    const [head = '', first = '', second = ''] = stdout.toString().split('\n')
    t.true(head.endsWith('4.2 % in memory (4 of 96 pages)'), head)
    t.true(first.endsWith(`  ##${'.'.repeat(46)}    4.2 %`), first)
    t.true(second.endsWith(`  ..#${'.'.repeat(44)}#    4.2 %`), second)
  },
)

test.serial('parts cover a file of any length once, in whole pages, and none is empty', async (t) => {
  for (const [pages, parts] of [
    [1, '16'],
    [47, undefined],
    [49, undefined],
    [97, '3'],
    [1000, undefined],
    [1000, '7'],
    [5, '10000'],
  ] as const) {
    const length = pages * PAGE - 1
    const path = fileWith(t, Buffer.alloc(length))
    const { rows, code } = await rowsOf<Row>('residency', path, ...(parts === undefined ? [] : ['-p', parts]))
    t.true(code === 0 || !isLinux)
    t.is(rows[0]?.start, 0)
    t.is(rows.at(-1)?.end, length)
    t.true(rows.length <= Number(parts ?? 16), `${rows.length} rows`)
    for (const [at, { start, end, pages: of, resident }] of rows.entries()) {
      t.is(start, at === 0 ? 0 : (rows[at - 1]?.end ?? -1))
      t.is(start % PAGE, 0)
      t.is(of, Math.ceil((end - start) / PAGE))
      t.true(of > 0 && (resident === null || (resident >= 0 && resident <= of)))
    }
    t.is(rows.reduce((sum, row) => sum + row.pages, 0), pages) // prettier-ignore
  }
})

asOther("another user's file is not known, which is 1 (skipped where we are not root)", async (t) => {
  const path = fileWith(t, Buffer.alloc(3 * PAGE))
  chmodSync(dirname(path), 0o755)
  chmodSync(path, 0o644)
  const { code, stdout, stderr } = await asNobody([COMMAND, 'residency', path])
  t.deepEqual([code, stderr], [1, ''])
  t.regex(stdout, /: 12 KiB, and the system does not say what is in memory\n +0 {2}\?\?\? {8}-\n/)
  const json = await asNobody([COMMAND, 'residency', '--json', path])
  t.deepEqual(JSON.parse(json.stdout), { file: path, start: 0, end: 3 * PAGE, pages: 3, resident: null })
  t.is(json.code, 1)
})

test.serial('an empty file, and what cannot be looked at: a line each, and the others are shown', async (t) => {
  const empty = fileWith(t, '')
  const folder = tmpFolder(t)
  const nowhere = join(folder, 'no\nwhere')
  const { code, stdout, stderr } = await memmap('residency', nowhere, folder, '-', empty)
  t.is(code, 2)
  t.true(stdout.toString().startsWith(`${empty}: empty\n`), stdout.toString())
  const [first = '', second = '', third = '', ...rest] = stderr.split('\n')
  t.regex(first, /^memmap: ENOENT: .*no where'$/)
  t.regex(second, /^memmap: EISDIR: /)
  t.regex(third, /^memmap: '-': standard input cannot be mapped/)
  t.deepEqual(rest, [''])
  says(t, await memmap('residency', '--json', empty), '')
})

asOther('a file one may not read, as another user: one line, and 2 (skipped where we are not root)', async (t) => {
  const path = fileWith(t, 'x')
  chmodSync(dirname(path), 0o755)
  chmodSync(path, 0o600)
  const { code, stdout, stderr } = await asNobody([COMMAND, 'residency', path])
  t.deepEqual([code, stdout, stderr], [2, '', `memmap: EACCES: permission denied, open '${path}'\n`])
})

test.serial('what cannot be understood is told in one line, with 2', async (t) => {
  const path = fileWith(t, 'x')
  complains(t, await memmap('residency'), /^memmap: no file is given. See memmap residency --help/)
  complains(t, await memmap('residency', '--bogus', path), /^memmap: Unknown option '--bogus'/)
  for (const parts of ['0', '-1', 'x', '', '1.5', '10001']) {
    complains(t, await memmap('residency', `--parts=${parts}`, path), /^memmap: -p takes a number from 1 to 10000/)
  }
  const { code, stderr } = await memmap('residency', path, '--svg', join(path, 'out.svg'))
  t.is(code, 2)
  t.regex(stderr, /^memmap: (ENOTDIR|ENOENT): .*\n$/)
})

withXml('--svg writes a picture with a title, axes in bytes and a legend, of names of any letters', async (t) => {
  const path = fileWith(t, Buffer.alloc(64 * PAGE, 1), 'a<b>&"é\n\x01.bin')
  const out = tmpFile(t, 'out.svg')
  const { code, stderr } = await memmap('residency', '--svg', out, path, fileWith(t, ''))
  t.deepEqual([code, stderr], [0, ''])
  const program = `
import sys, xml.dom.minidom as m, json
d = m.parse(sys.argv[1])
texts = [''.join(n.data for n in e.childNodes) for e in d.getElementsByTagName('text')]
blue = [r for r in d.getElementsByTagName('rect') if r.getAttribute('fill') == '#1f77b4']
print(json.dumps([texts, len(blue), d.documentElement.getAttribute('viewBox')]))`
  const { stdout } = spawnSync('python3', ['-c', program, out], { encoding: 'utf8' })
  const [texts, blue, box] = JSON.parse(stdout) as [string[], number, string]
  for (const wanted of ['0', '32 KiB', '256 KiB', '0 %', '100 %', 'position in the file', 'in memory', 'not known']) {
    t.true(texts.includes(wanted), `${wanted} in ${texts.join('|')}`)
  }
  t.true(texts.some((text) => text.endsWith('a<b>&"é\ufffd\ufffd.bin')))
  t.true(texts.includes('256 KiB, 100 % in memory, 64 of 64 pages'))
  t.is(blue, 64 + 1, 'a column for each page, and the legend')
  t.regex(box, /^0 0 960 \d+$/)
  t.true(readFileSync(out, 'utf8').startsWith('<svg xmlns="http://www.w3.org/2000/svg"'))
})

onTerminal('a terminal gets colours and blocks, and its width; NO_COLOR none (skipped without python3)', async (t) => {
  const path = fileWith(t, Buffer.alloc(64 * PAGE, 1))
  const utf8 = { LC_ALL: 'C.UTF-8' }
  const { shown, code } = await inTerminal(utf8, '-', '', 'residency', '-p', '1', path)
  t.true(shown.includes('\x1b[32m█'), shown)
  t.regex(plain(shown), /\n +0 {2}█{48} {4}100 %\n█ all in memory/)
  t.is(code, 0)
  const bare = await inTerminal({ ...utf8, NO_COLOR: '1' }, '-', '', 'residency', '-p', '1', path)
  t.false(bare.shown.includes('\x1b[3'))
  t.true(bare.shown.includes('█'))
  const ascii = await inTerminal({ LC_ALL: 'C' }, '-', '', 'residency', '-p', '1', path)
  t.true(ascii.shown.includes('\x1b[32m####'))
  const strange = fileWith(t, 'x', 'a\x1b[31mb\n.bin')
  t.true(plain((await inTerminal({}, '-', '', 'residency', strange)).shown).includes('a?[31mb?.bin: 1 bytes'))
})

const inHuge = hasLongFiles && hasTerminal && isLinux ? test.serial : test.serial.skip

inHuge('Ctrl-C ends it with 130 in the middle of 9 TiB (skipped without long files or python3)', async (t) => {
  const path = tmpFile(t)
  writeFileSync(path, '')
  truncateSync(path, 9 * 2 ** 40)
  const { code, seconds, shown } = await inTerminal({}, String.raw`\x03`, '%', 'residency', path)
  t.is(code, 130, shown)
  t.true((seconds ?? 99) < 10)
})
