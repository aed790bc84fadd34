// What the guides say of each other and of the rest: links lead somewhere, each guide is in the list, no cell of a table is empty,
// each table whose rows are to be tested is, and the programs in Python run. Those of numpy are with its arrays.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

import test from 'ava'

import { GUIDES, tablesOf } from './helpers/guide.ts'
import { PYTHON } from './helpers/lockers.ts'
import { isPosix, ROOT } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'

const guides = readdirSync(GUIDES).filter((name) => name.endsWith('.md'))

/** The anchors of a document, as GitHub makes them. */
function anchorsOf(path: string): Set<string> {
  const text = readFileSync(path, 'utf8').replace(/^```.*?^```/gms, '')
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading)
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

for (const guide of guides) {
  test(`each link of ${guide} leads to a document, and to a heading in it`, (t) => {
    const path = join(GUIDES, guide)
    const text = readFileSync(path, 'utf8').replace(/^```.*?^```/gms, '')
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link)
    for (const link of links) {
      if (/^https?:/.test(link)) continue
      const [file = '', anchor] = link.split('#')
      const target = file === '' ? path : join(dirname(path), file)
      if (!existsSync(target)) {
        t.fail(`${link} leads nowhere`)
        continue
      }
      if (anchor !== undefined) t.true(anchorsOf(target).has(anchor), `no heading for ${link}`)
    }
    t.pass()
  })

  test(`each file of the project that ${guide} names is there`, (t) => {
    const text = readFileSync(join(GUIDES, guide), 'utf8')
    const named = [...text.matchAll(/`(__test__\/[\w./-]+|[\w-]+\.test\.ts)`/g)].map(([, name = '']) => name)
    for (const name of named) {
      const path = name.startsWith('__test__/') ? join(ROOT, name) : join(ROOT, '__test__', name)
      t.true(existsSync(path), name)
    }
    t.pass()
  })

  test(`each row of each table of ${guide} has as many cells as the table, and none of them empty`, (t) => {
    for (const { heading, columns, rows } of tablesOf(guide)) {
      for (const cells of rows) {
        t.is(cells.length, columns.length, `${heading}: ${cells[0]}`)
        t.false(cells.includes(''), `${heading}: ${cells[0]}`)
      }
    }
    t.pass()
  })
}

test('each guide is in the list of guides, and the README leads there', (t) => {
  const list = readFileSync(join(GUIDES, 'README.md'), 'utf8')
  for (const guide of guides) if (guide !== 'README.md') t.true(list.includes(`](${guide})`), guide)
  t.true(readFileSync(join(ROOT, 'README.md'), 'utf8').includes(`](${relative(ROOT, GUIDES).replaceAll('\\', '/')}/`))
})

test('each table whose last column says what holds is tested row by row', (t) => {
  const tests = readdirSync(join(ROOT, '__test__')).filter((name) => name.endsWith('.test.ts'))
  const text = tests.map((name) => readFileSync(join(ROOT, '__test__', name), 'utf8')).join('\n')
  const tested = guides.flatMap((guide) =>
    tablesOf(guide)
      .filter(({ columns }) => columns.at(-1) === 'what holds')
      .map(({ heading }) => ({ guide, heading })),
  )
  t.true(tested.length > 0)
  for (const { guide, heading } of tested) {
    t.true(text.includes(`'${guide}'`) && text.includes(`, '${heading}')`), `${guide}, "${heading}"`)
  }
})

const withPython = isPosix && PYTHON !== undefined ? test : test.skip

for (const guide of guides) {
  const text = readFileSync(join(GUIDES, guide), 'utf8')
  const programs = [...text.matchAll(/^```python\n(.*?)^```$/gms)].map(([, code = '']) => code)
  for (const [at, code] of programs.entries()) {
    if (code.includes('import numpy')) continue
    withPython(`program ${at + 1} in Python of ${guide} runs (skipped without python3)`, (t) => {
      const cwd = tmpFolder(t)
      writeFileSync(join(cwd, 'access.log'), 'GET / 200\nGET /x 503 ERROR\n')
      const { status, stderr } = spawnSync(PYTHON ?? '', ['-c', code], { cwd, encoding: 'utf8', timeout: 60_000 })
      t.deepEqual({ status, stderr }, { status: 0, stderr: '' })
    })
  }
}
