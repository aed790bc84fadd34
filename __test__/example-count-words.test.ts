// examples/count-words.ts, run as its users run it.

import { join } from 'node:path'

import test from 'ava'

import { ending, WELL } from './helpers/child.ts'
import { runExample } from './helpers/examples.ts'
import { fileWith } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { tmpFolder } from './helpers/tmp.ts'

/** Words in the order of their counts; of equal ones the first in the file first. */
function counted(words: readonly string[]): [string, number][] {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return [...counts].sort(([, one], [, other]) => other - one)
}

const lines = (counts: readonly [string, number][]): string =>
  counts.map(([word, count]) => `${count}\t${word}\n`).join('')

test('the most frequent words of a text, whatever their alphabet and case', async (t) => {
  const random = new Random(t)
  const known = ['the', 'der', 'bär', 'слово', 'λόγος', 'été', '語', 'a', 'and', 'of', 'error', 'warning', 'naïve']
  const words = Array.from({ length: 50_000 }, () => known[Math.floor(known.length * random.next() ** 2)] ?? '')
  const written = words.map((word) => (random.next() < 0.3 ? word.toUpperCase() : word))
  const text = written.map((word) => word + random.pick([' ', '\n', ', ', ' 17 ', '. '])).join('')
  const child = await runExample('count-words', [fileWith(t, text)])
  t.deepEqual(ending(child), WELL)
  t.is(child.stdout, lines(counted(words).slice(0, 10)))
})

test('named words are counted in one pass, also inside of others', async (t) => {
  const path = fileWith(t, 'error errors ERROR\nwarn: an error\n'.repeat(300_000))
  const child = await runExample('count-words', [path, 'error', 'warn', 'nowhere'])
  t.deepEqual(ending(child), WELL)
  t.is(child.stdout, '900000\terror\n300000\twarn\n0\tnowhere\n')
})

test('an empty file has no words', async (t) => {
  const child = await runExample('count-words', [fileWith(t, '')])
  t.deepEqual({ ...ending(child), stdout: child.stdout }, { ...WELL, stdout: '' })
})

test('bad arguments, and a file that is not there: a line on stderr', async (t) => {
  for (const args of [[], [fileWith(t, 'text'), '']]) {
    const { code, stdout, stderr } = await runExample('count-words', args)
    t.deepEqual([code, stdout, stderr], [2, '', 'usage: count-words.ts FILE [WORD…]\n'])
  }
  const path = join(tmpFolder(t), 'nowhere')
  const { code, stdout, stderr } = await runExample('count-words', [path])
  t.deepEqual([code, stdout, stderr.split('\n').length], [1, '', 2])
  t.true(stderr.startsWith(`count-words: ENOENT: no such file or directory, open '${path}'`), stderr)
})
