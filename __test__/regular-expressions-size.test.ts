// Regular expressions and matches that are long, many or slow elsewhere.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { regionWith, thrownBy } from './helpers/files.ts'
import { found } from './helpers/matches.ts'

const MIB = 2 ** 20

test('an expression that is as long as can be is refused, or found', (t) => {
  const region = regionWith(t, 'xaby')
  t.is(region.count(new RegExp(`a${'b?'.repeat(1000)}y`)), 1)
  t.is(region.count(new RegExp(`a|${'b'.repeat(5000)}`)), 1)
  // As many ranges as there may be in a class.
  const every = Array.from({ length: 20_000 }, (_, index) => String.fromCodePoint(0x3400 + index * 2)).join('')
  t.is(region.count(new RegExp(`[${every}a]`, 'i')), 1)
  t.is(region.count(new RegExp(`[^${every}a]`, 'iu')), 3)
  t.is(region.count(new RegExp(`a{${'0'.repeat(100)}1}`)), 1)
  t.is(region.count(new RegExp(`a{0,${'9'.repeat(30)}}b`)), 1)
  for (const source of ['\\p{L}'.repeat(5000), 'b?'.repeat(50_000), 'ab'.repeat(1_000_000)]) {
    const error = thrownBy(() => region.count(new RegExp(source, 'u')))
    t.is(error?.code, 'ERR_INVALID_ARG_VALUE')
    t.regex(error?.message ?? '', /a pattern (that|too) long|needs more than 64 MiB/)
  }
})

test('expressions that are the end of a backtracking engine are done in seconds', async (t) => {
  const sources = [
    '(a+)+b',
    '(a|a)*b',
    '(.*)*x',
    '(a*)*b',
    '(?:a?){50}a{50}c',
    '(x+x+)+y',
    '^(([a-z])+.)+[A-Z]$',
    '(a+)+',
  ]
  const child = await runChild('search/expressions.mjs', sources)
  t.deepEqual(ending(child), WELL)
  const none = [0, -1, 0]
  t.deepEqual(JSON.parse(child.stdout), [none, none, none, none, none, none, none, [1, 1_000_000, 1]])
})

// AddressSanitizer keeps what was freed for a while.
const measuring = process.env['ASAN_OPTIONS'] === undefined ? test : test.skip

for (const what of ['expression', 'needles', 'places']) {
  measuring(
    `a loop over millions of matches gives memory back as it goes: ${what} (skipped if ASAN_OPTIONS)`,
    async (t) => {
      const child = await runChild('search/many-matches.mjs', [what])
      t.deepEqual(ending(child), WELL)
      const answer = JSON.parse(child.stdout) as { found: number; more: number }
      t.is(answer.found, 3 * 2 * MIB)
      t.true(answer.more < 64, `${answer.more} MiB more`)
    },
  )
}

test('a match of 20 MiB is found whole: here, in the background, by one thread and by more', async (t) => {
  const length = 20 * MIB
  const bytes = Buffer.alloc(length + 2000, 'x')
  bytes.fill('-\n', 0, 1000).fill('\n-', length + 1000)
  bytes.write('<', 1000)
  bytes.write('>', length + 999)
  const region = regionWith(t, bytes)
  const place = [1000, length + 1000]
  t.deepEqual(region.match(/<([^]*)>/)?.indices[1], [1001, length + 999])
  for (const pattern of [/<x+>/, /<[^]*>/u]) {
    const said = String(pattern)
    const match = region.match(pattern)
    t.deepEqual(match?.indices[0], place, said)
    t.true(match?.[0]?.equals(bytes.subarray(1000, length + 1000)), said)
    t.is(region.count(pattern), 1, said)
    for (const threads of [1, 2, 4]) t.is(await region.countAsync(pattern, { threads }), 1, said)
    t.deepEqual(found(region, pattern)[0]?.[0], place, said)
    const later: (readonly [number, number] | undefined)[] = []
    for await (const one of region.matchAll(pattern)) {
      later.push(one.indices[0])
      t.is(one[0]?.byteLength, length)
    }
    t.deepEqual(later, [place], said)
  }
})

test('more matches than a batch has, and matches across the borders of slices, are each found once', async (t) => {
  const bytes = Buffer.alloc(9 * MIB, '.\n')
  for (let border = 4 * MIB; border < bytes.length; border += 4 * MIB) bytes.write('<needle>', border - 4)
  bytes.fill('ab', 0, 10_000)
  const region = regionWith(t, bytes)
  for (const [pattern, count] of [
    [/<\w+>/, 2],
    [/<[a-z]{6}>/, 2],
    [/<[^]{6}>/, 2],
    [/ab/, 5000],
    [/b(?:)/, 5000],
    [/\n/, (9 * MIB - 10_000) / 2 - 8],
  ] as const) {
    t.is(region.count(pattern), count, String(pattern))
    for (const threads of [1, 3]) t.is(await region.countAsync(pattern, { threads }), count, String(pattern))
    if (count > 10_000) continue
    t.is(found(region, pattern).length, count)
    let later = 0
    for await (const match of region.matchAll(pattern)) later += match.length
    t.is(later, count)
  }
})
