// A loop over the matches of a file that is read: the next batch is looked for on another thread meanwhile, and nobody can
// tell but by the time it takes.

import { appendFileSync, truncateSync, writeFileSync } from 'node:fs'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { mappings, MmapFile } from 'memmap'

import { ourThreads, threadsGone } from './helpers/background.ts'
import { codeOf } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { isLinux, isPosix } from './helpers/system.ts'
import { tmpFile } from './helpers/tmp.ts'

/** Far more than the two batches that are taken before any is read ahead. */
const LINES = 60_000
const PATTERN = /[0-9]+ms/

/** Lines with a match in most of them, and the positions of those. */
function makeText(random: Random): { text: string; places: number[] } {
  const lines: string[] = []
  const places: number[] = []
  let at = 0
  for (let i = 0; i < LINES; i++) {
    const before = 'x'.repeat(random.integer(0, 40))
    const has = random.next() < 0.9
    if (has) places.push(at + before.length)
    const line = `${before}${has ? `${random.integer(0, 100_000)}ms` : ''}\n`
    lines.push(line)
    at += line.length
  }
  return { text: lines.join(''), places }
}

function openText(t: ExecutionContext) {
  const { text, places } = makeText(new Random(t))
  const path = tmpFile(t)
  writeFileSync(path, text)
  return { path, file: MmapFile.open(path), text, places }
}

test('every match is found once and in its place, with its bytes', (t) => {
  const { file, text, places } = openText(t)
  const found: number[] = []
  let wrong = 0
  for (const match of file.matchAll(PATTERN)) {
    found.push(match.index)
    if (String(match[0]) !== text.slice(match.index, match.end)) wrong += 1
  }
  t.deepEqual(found, places)
  t.is(wrong, 0)
  t.deepEqual(
    Array.from(file.indexesOf(['ms', '\n']), ({ index, needle }) => (needle === 0 ? index : -1)).filter(
      (one) => one >= 0,
    ),
    places.map((place) => text.indexOf('ms', place)),
  )
  file.close()
})

test('two scans in turns, and one that goes on after a break, miss nothing', (t) => {
  const { file, places } = openText(t)
  const [one, other] = [file.matchAll(PATTERN), file.matchAll(PATTERN)]
  const found: number[] = []
  const theirs: number[] = []
  for (const { index } of one) {
    found.push(index)
    if (found.length % 10_000 === 0) break
  }
  for (let step = 0; step < places.length; step++) {
    const next = other.next()
    if (next.done !== true) theirs.push(next.value.index)
    if (step % 3 === 0) {
      const mine = one.next()
      if (mine.done !== true) found.push(mine.value.index)
    }
  }
  for (const { index } of one) found.push(index)
  t.deepEqual(found, places)
  t.deepEqual(theirs, places)
  file.close()
})

// Where the system shows threads: elsewhere nobody could see it fail.
const onLinux = isLinux ? test.serial : test.serial.skip

onLinux('a scan that is left as it is keeps no thread, and goes on later where it was (Linux)', async (t) => {
  const { file, places } = openText(t)
  const scan = file.matchAll(PATTERN)
  let count = 0
  for (const { index } of scan) {
    if (index !== places[count++]) t.fail(`match ${count} is at ${index}`)
    // Each pause is met by batches that are ready, by one that is under way, and by none.
    if (count % 15_000 === 0) await threadsGone()
  }
  t.is(count, places.length)
  await threadsGone()
  t.is(ourThreads(), 0)
  file.close()
})

for (const how of ['close', 'refresh', 'cut off'] as const) {
  // Windows does not shorten a file that is mapped.
  const where = how === 'cut off' && !isPosix ? test.serial.skip : test.serial
  where(`in the middle of a loop: ${how}${how === 'cut off' ? ' (not on Windows)' : ''}`, async (t) => {
    const { path, file, places } = openText(t)
    const scan = file.matchAll(PATTERN)
    let count = 0
    const rest = () => {
      for (const { index } of scan) if (index !== places[count++]) throw new Error(`match ${count} is at ${index}`)
    }
    for (let i = 0; i < 20_000; i++) if (scan.next().value?.index !== places[count++]) t.fail(`match ${count}`)
    if (how === 'close') {
      file.close()
      // At once: nobody holds the memory any more.
      t.false(mappings().some((one) => one.path === path))
      t.is(codeOf(rest), 'ERR_REGION_CLOSED')
    } else if (how === 'refresh') {
      appendFileSync(path, '1ms\n')
      t.true(file.refresh())
      rest()
      t.is(count, places.length)
    } else {
      truncateSync(path, 4096)
      t.is(codeOf(rest), 'ERR_REGION_FAULTED')
    }
    file.close()
    await threadsGone()
    t.is(ourThreads(), 0)
  })
}
