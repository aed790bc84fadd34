// The report that the benchmark writes, of made-up figures.

import { readFileSync, writeFileSync } from 'node:fs'

import test from 'ava'

import type { Found, RowResult } from '../bench/lib/result.ts'
import { chart } from '../bench/report/chart.ts'
import { escapeMarkdown, files, page } from '../bench/report/page.ts'
import { merge, NOTHING, readResults, saveResults } from '../bench/report/results.ts'
import type { GroupResult, Results } from '../bench/report/results.ts'
import { tmpFile } from './helpers/tmp.ts'

const ORDER = ['open', 'search', 'locks']

function row(what: string, more: Partial<RowResult> = {}): RowResult {
  return { what, unit: 'ns', found: {}, skipped: [], target: '', verdict: '', bound: '', ...more }
}

function beside(value: number, ratio: number): Found {
  return { value, turns: 9, ratio: { median: ratio, low: ratio * 0.9, high: ratio * 1.1 } }
}

const HELD = row('read', {
  found: { ours: { value: 100, turns: 9 }, node: beside(400, 0.25) },
  to: 'node',
  target: '≤ 1 × Node',
  holds: true,
  verdict: '0.25 × Node',
})
const MISSED = row('write | <b>a & b</b>', {
  found: { ours: { value: 3000, turns: 9 }, node: beside(1000, 3) },
  to: 'node',
  target: '≤ 1.1 × Node',
  holds: false,
  verdict: '3.00 × Node',
  bound: 'a * b',
})
const ALONE = row('hand-over', { found: { ours: { value: 20_000, turns: 300 } } })
const COUNTED = row('mark-sweeps', {
  unit: 'count',
  found: { ours: { value: 7, turns: 1 }, node: { value: 5, turns: 1 } },
  target: '≤ 3',
  holds: true,
  verdict: '7',
})
const SKIPPED = row("as npm's x", { skipped: ['npm'], bound: 'could not be installed here' })

function group(name: string, rows: readonly RowResult[], more: Partial<GroupResult> = {}): GroupResult {
  return {
    group: name,
    date: '2024-03-01T12:00:00.000Z',
    seconds: 12.3,
    load: 0.5,
    commit: 'abc123',
    command: `npm run bench -- --report ${name}`,
    conditions: { machine: 'A_CPU, 2 cores', Node: 'v20.19.0' },
    peers: {},
    tables: [{ title: `${name} <1 GiB>`, columns: ['ours', 'node', 'npm'], rows }],
    ...more,
  }
}

function resultsOf(...groups: GroupResult[]): Results {
  return groups.reduce((results, each) => merge(results, each, ORDER), NOTHING)
}

/** The line of the page that begins so. */
function lineOf(text: string, start: string): string {
  return text.split('\n').find((each) => each.startsWith(start)) ?? ''
}

/** The picture of one row with this ratio. */
function pictureOf(ratio: number): string {
  const found = { ours: { value: 100, turns: 9 }, node: beside(100 / ratio, ratio) }
  return chart({ title: 'x', columns: ['ours', 'node'], rows: [row('y', { found })] })
}

/** Where the line is that stands for us. */
function lineIn(picture: string): number {
  return Number(/d="M([\d.]+) [\d.]+V[\d.]+" class="one"/.exec(picture)?.[1])
}

function barIn(picture: string): { x: number; width: number; kind: string } {
  const bar = /<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="16" class="(\w+)"/
  const [, x, width, kind = ''] = bar.exec(picture) ?? []
  return { x: Number(x), width: Number(width), kind }
}

test('every row is in the table: who wins, who loses, who is alone, counted or skipped', (t) => {
  const text = page(resultsOf(group('open', [HELD, MISSED, ALONE, COUNTED, SKIPPED])), ORDER)
  t.regex(lineOf(text, '| read |'), /100 ns \| 400 ns \|.*\| 0\.25 × Node \(0\.23–0\.28\) \|.*\| yes \| 9 \|/)
  t.regex(lineOf(text, '| write '), /3\.00 µs \| 1\.00 µs/)
  t.regex(lineOf(text, '| hand-over |'), /20\.0 µs \| +\|/)
  t.regex(lineOf(text, '| mark-sweeps |'), /\| 7 \| 5 \|/)
  t.regex(lineOf(text, "| as npm's x |"), /\| skipped \|.*could not be installed here/)
})

test('a missed target stands at the top, in its row and in the picture', (t) => {
  const all = files(resultsOf(group('open', [HELD, MISSED])), ORDER)
  const text = all.get('README.md') ?? ''
  const [top = ''] = text.split('## Where')
  t.true(top.includes('1 of 2 targets hold. Missed:'))
  t.true(top.includes('[open](#open)') && top.includes('3.00 × Node, target ≤ 1.1 × Node'))
  t.true(lineOf(text, '| write ').includes('**✗ MISSED**: 3.00 × Node'))
  t.false(lineOf(text, '| read ').includes('MISSED'))
  const picture = all.get('open.svg') ?? ''
  t.true(picture.includes('✗ misses ≤ 1.1 × Node: 3.00 × Node'))
  t.true(picture.includes('✓ ≤ 1 × Node'))
})

test('what Markdown and SVG would take for theirs is escaped', (t) => {
  const all = files(resultsOf(group('open', [MISSED])), ORDER)
  const text = all.get('README.md') ?? ''
  t.true(lineOf(text, '| write ').startsWith('| write \\| \\<b\\>a \\& b\\</b\\> |'))
  t.true(lineOf(text, '| write ').endsWith('| a \\* b |'))
  t.is(escapeMarkdown('a`b\n# c'), 'a\\`b \\# c')
  const picture = all.get('open.svg') ?? ''
  t.true(picture.includes('write | &lt;b&gt;a &amp; b&lt;/b&gt;'))
  t.true(picture.includes('<title id="title">open &lt;1 GiB&gt;</title>'))
  const odd = chart({ title: 'a\u0000"b"', columns: ['ours'], rows: [] })
  t.true(odd.includes('>a&quot;b&quot;</title>'))
})

test('a bar reaches to the right of the line for who is slower, and to the left for who is faster', (t) => {
  const [slower, faster] = [pictureOf(0.1), pictureOf(4)]
  t.is(barIn(slower).kind, 'slower')
  t.is(barIn(slower).x, lineIn(slower))
  t.true(slower.includes('10.0 ×  (1.00 µs)'))
  t.is(barIn(faster).kind, 'faster')
  t.true(Math.abs(barIn(faster).x + barIn(faster).width - lineIn(faster)) < 0.2)
  t.true(faster.includes('0.25 ×  (25.0 ns)'))
})

test('rows without anybody beside make a picture, too', (t) => {
  const picture = chart({ title: 'alone', columns: ['ours'], rows: [ALONE, COUNTED, SKIPPED] })
  t.true(picture.includes('ours: 20.0 µs'))
  t.true(picture.includes('found: 7; without: 5'))
  t.false(picture.includes('class="one"'))
  t.true(picture.includes('skipped: could not be installed here'))
  t.notRegex(picture, /NaN|Infinity|undefined|<script/)
})

test('the same figures make the same files, also when they come from results.json', (t) => {
  const results = resultsOf(group('locks', [SKIPPED]), group('open', [HELD, MISSED, ALONE, COUNTED]))
  const path = tmpFile(t, 'results.json')
  saveResults(path, results)
  t.deepEqual([...files(readResults(path), ORDER)], [...files(results, ORDER)])
  saveResults(`${path}.again`, readResults(path))
  t.is(readFileSync(`${path}.again`, 'utf8'), readFileSync(path, 'utf8'))
})

test('a group that is measured again takes the place of what it was; the others stay, in their order', (t) => {
  const first = resultsOf(group('locks', [ALONE]), group('open', [MISSED]), group('gone', [ALONE]))
  const again = merge(first, group('open', [HELD], { date: '2024-04-01T00:00:00.000Z', commit: 'def456' }), ORDER)
  t.deepEqual(again.groups.map((each) => each.group), ['open', 'locks']) // prettier-ignore
  const text = page(again, ORDER)
  t.false(text.includes('MISSED'))
  t.true(text.includes('Measured 2024-04-01T00:00:00.000Z, in 12 s, at def456'))
  t.true(text.includes('Measured 2024-03-01T12:00:00.000Z, in 12 s, at abc123'))
  t.true(text.includes('different commits'))
  t.true(text.includes('**Not measured yet:** search'))
})

test('the machine and the peers are stated, for each group if they differ', (t) => {
  const same = page(resultsOf(group('open', [HELD]), group('locks', [ALONE], { peers: { "npm's x": '1.2.3' } })), ORDER)
  t.is(same.split('A\\_CPU').length, 2)
  t.true(same.includes("- **npm's x**: 1.2.3"))
  t.false(same.includes('Groups open'))
  const others = page(
    resultsOf(group('open', [HELD]), group('locks', [ALONE], { conditions: { machine: 'B' } })),
    ORDER,
  )
  t.true(others.includes('Groups open:\n\n- **machine**: A\\_CPU'))
  t.true(others.includes('Groups locks:\n\n- **machine**: B'))
})

test('several tables of a group have a picture each, and the page shows all pictures there are', (t) => {
  const [table] = group('search', [HELD]).tables
  t.assert(table !== undefined)
  const tables = table === undefined ? [] : [table, table]
  const all = files(resultsOf(group('search', [], { tables }), group('open', [HELD])), ORDER)
  t.deepEqual([...all.keys()], ['README.md', 'open.svg', 'search-1.svg', 'search-2.svg'])
  for (const name of [...all.keys()].slice(1)) t.true(all.get('README.md')?.includes(`](${name})`), name)
})

test('figures of another form are refused', (t) => {
  const path = tmpFile(t, 'results.json')
  t.deepEqual(readResults(path), NOTHING)
  writeFileSync(path, '{"version":2,"groups":[]}')
  t.throws(() => readResults(path), { message: /another form/ })
})
