// countAsync and indexOfAsync: what the synchronous forms answer, off the event loop, and ended whenever that is wanted.

import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import test from 'ava'
import * as fc from 'fast-check'
import type { Background, MmapFile, Range } from 'memmap'

import {
  ENDLESS,
  GIB,
  listening,
  MIB,
  reasonOf,
  Reports,
  SLICE,
  sparseFile,
  threadsGone,
  underWay,
} from './helpers/background.ts'
import { ending, runChild, WELL } from './helpers/child.ts'
import { opened, regionWith } from './helpers/files.ts'
import { kinds, made } from './helpers/kinds.ts'
import { holdsLater, Random } from './helpers/random.ts'
import { call } from './helpers/scalars.ts'
import { canBeNobody, isLinux } from './helpers/system.ts'
import { tmpFile, tmpFolder } from './helpers/tmp.ts'

type Needle = Parameters<MmapFile['indexOf']>[0]
type Sought = Needle | readonly Needle[] | RegExp

const onLinux = isLinux ? test.serial : test.serial.skip
const asAnother = canBeNobody && isLinux ? test.serial : test.serial.skip

/** Every overload at once. */
function countAsync(region: MmapFile, sought: Sought, options: Range & Background): Promise<number | number[]> {
  return call(region, 'countAsync', sought, options) as Promise<number | number[]>
}

const count = (region: MmapFile, sought: Sought, range: Range): unknown => call(region, 'count', sought, range)

/** The plainest count there is. */
function plainCount(data: Buffer, needle: Buffer, { start = 0, end = data.length }: Range): number {
  const part = data.subarray(start, end)
  let found = 0
  for (let at = part.indexOf(needle); at !== -1; at = part.indexOf(needle, at + needle.length)) found++
  return found
}

function plainIndexOf(data: Buffer, needle: Buffer, { start = 0, end = data.length }: Range): number {
  const index = data.subarray(start, end).indexOf(needle)
  return index === -1 ? -1 : start + index
}

/** Matches of JavaScript's own engine, of bytes as characters: for each alternative, which is a group of its own. */
function plainMatches(data: Buffer, source: string, groups: number, { start = 0, end = data.length }: Range): number[] {
  const counts = Array.from({ length: groups }, () => 0)
  for (const match of data.toString('latin1', start, end).matchAll(new RegExp(source, 'gs'))) {
    const which = groups === 1 ? 0 : match.slice(1).findIndex((group: string | undefined) => group !== undefined)
    counts[which] = (counts[which] ?? 0) + 1
  }
  return counts
}

/** Nothing but dots, and around each multiple of the size of a slice a few thousand letters. */
function withBusyBorders(random: Random, length: number, alphabet: string, around = 3000): Buffer {
  const data = Buffer.alloc(length, '.')
  for (let border = SLICE; border < length; border += SLICE) {
    random.bytes(2 * around, alphabet).copy(data, border - around)
  }
  return data
}

test('the answers are those of the synchronous forms, for every kind of region, needle and range', async (t) => {
  const random = new Random(t)
  const data = random.bytes(3000, 'abc\n')
  const needles: Sought[] = [
    'a',
    0x61,
    'ab',
    '',
    Buffer.from('aa'),
    Uint16Array.of(0x6161),
    ['a', 'b'],
    ['ab', 'a', 0x62],
  ]
  const sought: Sought[] = [...needles, /a+/, /(a)|b/g, /^[ab]*$/m, /$/, /a/y]
  for (const kind of kinds()) {
    const region = made(t, kind, data).region as MmapFile
    for (let round = 0; round < 4; round++) {
      const range = { start: random.index(data.length), end: random.index(data.length) }
      const options = { ...range, threads: random.integer(1, 8) }
      for (const one of sought) {
        t.deepEqual(await countAsync(region, one, options), count(region, one, range), `${kind}, ${String(one)}`)
        if (one instanceof RegExp || Array.isArray(one)) continue
        t.is(await region.indexOfAsync(one as Needle, options), region.indexOf(one as Needle, range))
      }
    }
  }
})

test('nothing at all is searched, too: an empty file, and ranges that hold nothing', async (t) => {
  const empty = regionWith(t, '')
  t.is(await empty.countAsync('a'), 0)
  t.is(await empty.countAsync(''), 1)
  t.deepEqual(await empty.countAsync(['a', 'b']), [0, 0])
  t.is(await empty.countAsync(/$/), 1)
  t.is(await empty.indexOfAsync('a'), -1)
  t.is(await empty.indexOfAsync(''), 0)
  const region = regionWith(t, 'abc')
  t.is(await region.countAsync('', { start: 2, end: 1 }), 0)
  t.is(await region.indexOfAsync('', { start: 2, end: 1 }), -1)
  t.is(await region.indexOfAsync('', { start: 5 }), 3)
  t.is(await region.countAsync('c', { start: -1 }), 1)
})

test('a match that straddles the border of two slices is found once, wherever in it the border lies', async (t) => {
  const region = regionWith(t, Buffer.alloc(4 * SLICE + 4096, '.'), { access: 'copy' })
  for (const length of [1, 2, 3, 8, 33, 1000]) {
    const needle = Buffer.concat([Buffer.from('<'), Buffer.alloc(length, '=')]).subarray(0, length)
    for (const before of new Set([0, 1, length >> 1, length - 1, length])) {
      const places = [1, 2, 3, 4].map((border) => border * SLICE - before)
      for (const at of places) region.set(needle, at)
      for (const threads of [1, 8]) {
        const seen = {
          count: await region.countAsync(needle, { threads }),
          counts: await region.countAsync(['never', needle], { threads }),
          expression: await region.countAsync(new RegExp(needle.toString()), { threads }),
          first: await region.indexOfAsync(needle, { threads }),
          second: await region.indexOfAsync(needle, { threads, start: SLICE - before + 1 }),
          // With the start moved, other bytes are at the borders.
          moved: await region.countAsync(needle, { threads, start: 1 }),
          cut: await region.countAsync(needle, { threads, end: 4 * SLICE - before + length - 1 }),
        }
        const expected = {
          count: 4,
          counts: [0, 4],
          expression: 4,
          first: places[0],
          second: places[1],
          moved: 4,
          cut: 3,
        }
        t.deepEqual(seen, expected, `${length} bytes, ${before} before the border, ${threads} threads`)
      }
      for (const at of places) region.fill('.', { start: at, end: at + length })
    }
  }
})

test('needles that overlap themselves are counted apart over all slices, as if there were none', async (t) => {
  const length = 2 * SLICE + 5
  const region = regionWith(t, Buffer.alloc(length, 'a'))
  for (const size of [1, 2, 7, 4097, MIB + 1]) {
    const needle = Buffer.alloc(size, 'a')
    for (const [threads, start] of [
      [1, 1],
      [2, 0],
      [3, 4321],
    ] as const) {
      const whole = Math.floor((length - start) / size)
      t.is(await region.countAsync(needle, { start, threads }), whole, `${size} bytes from ${start}`)
      if (size < 7 || size > 4097) continue
      t.deepEqual(await region.countAsync([needle, 'b'], { start, threads }), [whole, 0])
    }
  }
  t.is(await region.countAsync(/a{3}/, { threads: 3 }), Math.floor(length / 3))
  t.is(await region.countAsync(/aaaaa|a/, { threads: 3, end: -2 }), Math.floor((length - 2) / 5) + ((length - 2) % 5))
})

test('random needles with random borders and threads: what one thread finds, and what the plainest search finds', async (t) => {
  const random = new Random(t)
  const data = withBusyBorders(random, 5 * SLICE + 54_321, 'aab')
  const region = regionWith(t, data)
  // Mostly one that is there, around a border; the range begins anywhere, so that borders lie elsewhere in the letters too.
  const needles = fc.array(
    fc.record({
      border: fc.integer({ min: 1, max: 5 }),
      from: fc.integer({ min: -40, max: 40 }),
      length: fc.integer({ min: 1, max: 12 }),
    }),
    { minLength: 1, maxLength: 3 },
  )
  const edge = fc.integer({ min: 0, max: 2800 })
  const someThreads = fc.integer({ min: 1, max: 8 })
  let matches = 0
  await holdsLater(
    t,
    fc.asyncProperty(needles, edge, edge, someThreads, async (chosen, start, cut, threads) => {
      const some = chosen.map(({ border, from, length }) => data.subarray(border * SLICE + from).subarray(0, length))
      const [needle = Buffer.alloc(1)] = some
      const range = { start, end: data.length - cut }
      const expected = plainCount(data, needle, range)
      matches += expected
      t.is(await region.countAsync(needle, { ...range, threads }), expected)
      t.is(await region.countAsync(needle, { ...range, threads: 1 }), expected)
      t.is(region.count(needle, range), expected)
      t.is(await region.indexOfAsync(needle, { ...range, threads }), plainIndexOf(data, needle, range))
      const later = { start: SLICE + start, end: range.end }
      t.is(await region.indexOfAsync(needle, { ...later, threads }), plainIndexOf(data, needle, later))
      t.deepEqual(await region.countAsync(some, { ...range, threads }), region.count(some, range))
    }),
    25,
  )
  t.log(`${matches} matches`)
  t.true(matches > 1000)
})

test("many needles and expressions over slices find what JavaScript's own engine finds", async (t) => {
  const random = new Random(t)
  const data = withBusyBorders(random, 3 * SLICE + 999, 'aaab\n', 20_000)
  const region = regionWith(t, data)
  const expressions = [/aab|a/, /a+/, /a{3,5}b/, /(?:ab)+|aa/, /[ab]*b/, /^a*$/m, /b\n?/, /ba[^b]*b/, /\w+\n\w/]
  for (let round = 0; round < 6; round++) {
    const range = { start: random.integer(0, 3), end: data.length - random.integer(0, 3) }
    const threads = random.integer(2, 8)
    const list = Array.from({ length: random.integer(2, 4) }, () =>
      random.bytes(random.integer(1, 6), 'aab').toString(),
    )
    const source = list.map((needle) => `(${needle})`).join('|')
    const expected = plainMatches(data, source, list.length, range)
    t.deepEqual(await countAsync(region, list, { ...range, threads }), expected, list.join())
    const expression = random.pick(expressions)
    const flagged = new RegExp(expression.source, expression.flags.replace('m', '') + 'g')
    const text = data.toString('latin1', range.start, range.end)
    const wanted = expression.multiline ? text.match(new RegExp(expression, 'gm')) : text.match(flagged)
    t.is(await countAsync(region, expression, { ...range, threads }), wanted?.length ?? 0, String(expression))
  }
})

test('many searches at once, each with its own answer', async (t) => {
  const data = Buffer.alloc(3 * SLICE, 'abcdefgh')
  const [one, other] = [regionWith(t, data), regionWith(t, data.subarray(0, SLICE + 3))]
  const answers = await Promise.all([
    ...Array.from('abcdefgh', (letter) => one.countAsync(letter)),
    ...Array.from('abcdefgh', (letter) => one.indexOfAsync(letter, { start: 8 })),
    ...Array.from('abcd', (letter) => other.countAsync(letter, { threads: 8 })),
    one.countAsync('x'),
  ])
  t.deepEqual(answers, [
    ...Array.from('abcdefgh', () => data.length / 8),
    ...Array.from('abcdefgh', (_, at) => 8 + at),
    ...[1, 1, 1, 0].map((more) => SLICE / 8 + more),
    0,
  ])
})

test('needles may be changed once the search has begun', async (t) => {
  const region = regionWith(t, Buffer.alloc(3 * SLICE, 'ab'))
  const needle = Buffer.from('ab')
  const list: Needle[] = [needle, 'x']
  const answers = [region.countAsync(needle), region.countAsync(list), region.indexOfAsync(needle, { start: 1 })]
  needle.fill('x')
  list.length = 0
  t.deepEqual(await Promise.all(answers), [(3 * SLICE) / 2, [(3 * SLICE) / 2, 0], 2])
})

test('what cannot be taken rejects, and does not throw', async (t) => {
  const region = regionWith(t, 'abc')
  const wrong: [unknown, unknown, string][] = [
    ['a', { threads: 0 }, 'ERR_OUT_OF_RANGE'],
    ['a', { threads: 257 }, 'ERR_OUT_OF_RANGE'],
    ['a', { threads: 1.5 }, 'ERR_OUT_OF_RANGE'],
    ['a', { threads: '2' }, 'ERR_INVALID_ARG_TYPE'],
    ['a', { onProgress: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ['a', { onProgress: null }, 'ERR_INVALID_ARG_TYPE'],
    ['a', { signal: {} }, 'ERR_INVALID_ARG_TYPE'],
    ['a', { start: '1' }, 'ERR_INVALID_ARG_TYPE'],
    [{}, {}, 'ERR_INVALID_ARG_TYPE'],
    [256, {}, 'ERR_OUT_OF_RANGE'],
  ]
  for (const [needle, options, code] of wrong) {
    for (const method of ['countAsync', 'indexOfAsync']) {
      await t.throwsAsync(
        call(region, method, needle, options) as Promise<unknown>,
        { code },
        `${method}(${String(needle)}`,
      )
    }
  }
  await t.throwsAsync(region.countAsync([]), { code: 'ERR_INVALID_ARG_VALUE' })
  await t.throwsAsync(region.countAsync(/(?=a)/), { code: 'ERR_INVALID_ARG_VALUE' })
  region.close()
  await t.throwsAsync(region.countAsync('a'), { code: 'ERR_REGION_CLOSED' })
  await t.throwsAsync(region.indexOfAsync('a'), { code: 'ERR_REGION_CLOSED' })
})

test.serial('the event loop goes on turning during a gigabyte', async (t) => {
  const region = opened(t, sparseFile(t, GIB))
  let [last, worst, ticks] = [performance.now(), 0, 0]
  const timer = setInterval(() => {
    const now = performance.now()
    worst = Math.max(worst, now - last)
    last = now
    ticks++
  }, 1)
  const began = performance.now()
  const counting = region.countAsync('needle')
  const called = performance.now() - began
  t.is(await counting, 0)
  const took = performance.now() - began
  clearInterval(timer)
  t.log(
    `${took.toFixed()} ms, the call ${called.toFixed(1)} ms, ${ticks} ticks, ${worst.toFixed(1)} ms at most in between`,
  )
  t.true(called < 2000, `the call took ${called} ms`)
  t.true(took < 100 || ticks > 5, `${ticks} ticks in ${took} ms`)
  t.true(worst < Math.max(2000, took / 2), `the event loop stood for ${worst} of ${took} ms`)
})

test.serial('progress only ever grows, is told ten times in a second at most, and comes to its end', async (t) => {
  const size = 2 * GIB
  const region = opened(t, sparseFile(t, size, { [size - 6]: 'needle' }))
  for (const [name, search, total] of [
    ['countAsync', (options: Background) => region.countAsync('needle', options), size],
    ['indexOfAsync', (options: Background) => region.indexOfAsync('needle', { ...options, start: 100 }), size - 100],
    ['an expression', (options: Background) => region.countAsync(/n[^x]e+dle/, { ...options, start: GIB }), GIB],
  ] as const) {
    const reports = new Reports()
    await search({ onProgress: reports.listen, threads: 1 })
    t.deepEqual(reports.faults(total), [], name)
    t.log(`${name}: ${reports.seen.length} reports`)
    const told = reports.seen.length
    await sleep(300)
    t.is(reports.seen.length, told, 'nothing is told after the end')
  }
})

test('small searches report once: all is done', async (t) => {
  const region = regionWith(t, 'a.a.a')
  for (const [options, total] of [
    [{}, 5],
    [{ start: 1, end: 3 }, 2],
    [{ start: 3, end: 1 }, 0],
  ] as const) {
    const seen: number[][] = []
    const onProgress = (...numbers: number[]): number => seen.push(numbers)
    await region.countAsync('a', { ...options, onProgress })
    await region.indexOfAsync('a', { ...options, onProgress })
    t.deepEqual(seen, [
      [total, total],
      [total, total],
    ])
  }
  const reason = new Error('on purpose')
  const onProgress = (): void => {
    throw reason
  }
  t.is(await reasonOf(region.countAsync('a', { onProgress })), reason)
})

onLinux('what a report throws rejects the promise and ends the work', async (t) => {
  const region = opened(t, sparseFile(t, ENDLESS))
  const reason = new Error('on purpose')
  const { signal } = new AbortController()
  let calls = 0
  const onProgress = (): void => {
    calls++
    throw reason
  }
  const options = { onProgress, signal }
  for (const begin of [() => region.countAsync('x', options), () => region.indexOfAsync('x', options)]) {
    const search = begin()
    await underWay()
    t.is(await reasonOf(search), reason)
  }
  t.is(calls, 2)
  t.is(listening(signal), 0)
  t.log(`the threads were gone after ${(await threadsGone()).toFixed()} ms`)
  await sleep(300)
  t.is(calls, 2)
})

test('a signal that was aborted before rejects with its reason, and nothing is begun', async (t) => {
  const region = opened(t, sparseFile(t, ENDLESS))
  const reason = new Error('not today')
  const signal = AbortSignal.abort(reason)
  const onProgress = (): void => t.fail('progress of what was never begun')
  t.is(await reasonOf(region.countAsync('x', { signal, onProgress })), reason)
  t.is(await reasonOf(region.countAsync(['x', 'y'], { signal })), reason)
  t.is(await reasonOf(region.countAsync(/x/, { signal })), reason)
  t.is(await reasonOf(region.indexOfAsync('x', { signal })), reason)
  t.is(listening(signal), 0)
  const outcome = await reasonOf(region.countAsync('x', { signal: AbortSignal.abort() }))
  t.true(outcome instanceof DOMException && outcome.name === 'AbortError')
})

onLinux('a signal that is aborted ends every form promptly, with its reason, and its threads', async (t) => {
  const region = opened(t, sparseFile(t, ENDLESS))
  const forms: Record<string, (options: Background) => Promise<unknown>> = {
    needle: (options) => region.countAsync('needle', options),
    byte: (options) => region.countAsync(0x6e, options),
    needles: (options) => region.countAsync(['needle', 'pin'], options),
    expression: (options) => region.countAsync(/n\w+e/, options),
    'an expression over everything': (options) => region.countAsync(/x[^]*y/, options),
    'a sticky expression': (options) => region.countAsync(/\0/y, options),
    'the first': (options) => region.indexOfAsync('needle', options),
  }
  for (const [name, begin] of Object.entries(forms)) {
    const controller = new AbortController()
    const reason = new Error('enough')
    const search = begin({ signal: controller.signal, threads: 3 })
    await underWay()
    t.is(listening(controller.signal), 1)
    const began = performance.now()
    controller.abort(reason)
    t.is(await reasonOf(search), reason, name)
    const took = performance.now() - began
    t.is(listening(controller.signal), 0)
    t.log(`${name}: rejected after ${took.toFixed(1)} ms, threads gone after ${(await threadsGone()).toFixed()} ms`)
    t.true(took < 5000, `${name} took ${took} ms`)
  }
  const late = await reasonOf(region.countAsync('x', { signal: AbortSignal.timeout(20) }))
  t.true(late instanceof DOMException && late.name === 'TimeoutError')
  await threadsGone()
})

test('nobody listens to a signal once a search has ended, and aborting it then changes nothing', async (t) => {
  const region = regionWith(t, 'abcabc')
  const controller = new AbortController()
  const { signal } = controller
  t.is(await region.countAsync('a', { signal }), 2)
  t.is(await region.indexOfAsync('x', { signal }), -1)
  await t.throwsAsync(region.countAsync([], { signal }))
  t.is(listening(signal), 0)
  controller.abort()
  t.is(await region.countAsync('b'), 2)
})

const CHANGES: Record<string, (region: MmapFile, path: string) => void> = {
  'closing the region': (region) => region.close(),
  'refreshing it': (region, path) => {
    writeFileSync(path, 'more', { flag: 'a' })
    region.refresh()
  },
  'resizing it': (region) => void region.resize(ENDLESS + 4096),
  'protecting it': (region) => void region.protect('read'),
}

for (const [what, change] of Object.entries(CHANGES)) {
  onLinux(`${what} under a running search: ERR_REGION_CLOSED, and its threads are gone`, async (t) => {
    const path = sparseFile(t, ENDLESS)
    const region = opened(t, path, { access: 'write', sparse: true })
    const { signal } = new AbortController()
    const searches = [
      region.countAsync('needle', { signal }),
      region.countAsync(/x[^]*y/, { signal }),
      region.countAsync(['needle', 'pin'], { signal, start: 5 }),
      region.indexOfAsync('needle', { signal }),
    ]
    const outcomes = Promise.allSettled(searches)
    await underWay(searches.length)
    change(region, path)
    for (const outcome of await outcomes) {
      t.is(
        outcome.status === 'rejected' ? Reflect.get(outcome.reason as object, 'code') : 'fulfilled',
        'ERR_REGION_CLOSED',
      )
    }
    t.is(listening(signal), 0)
    t.log(`the threads were gone after ${(await threadsGone()).toFixed()} ms`)
    if (region.closed) return
    t.is(region.fault, null)
    t.is(await region.countAsync(0, { end: 5000 }), 5000)
  })
}

test('a region that is closed as soon as the search has begun: ERR_REGION_CLOSED, however short it is', async (t) => {
  for (let round = 0; round < 50; round++) {
    const region = regionWith(t, 'abc')
    const searches = [region.countAsync('a'), region.indexOfAsync('a'), region.countAsync(/a/)]
    if (round % 2 === 1) await Promise.resolve()
    region.close()
    for (const search of searches) await t.throwsAsync(search, { code: 'ERR_REGION_CLOSED' })
  }
})

onLinux('a file that is cut off under a search: ERR_REGION_FAULTED, and the process lives', async (t) => {
  const child = await runChild('search/cut-off.mjs', [tmpFile(t)])
  t.deepEqual(ending(child), WELL)
  t.log(child.stdout.trim())
})

for (const how of ['exit', 'terminate']) {
  for (const form of ['countAsync', 'expression', 'indexOfAsync', 'lines', 'indexesOf', 'matchAll', 'windows']) {
    onLinux(`${how} in the midst of ${form} over 9 TiB ends within a second`, async (t) => {
      // A machine that has much to do may be slow once: what does not end is slow every time.
      let took = Number.POSITIVE_INFINITY
      for (let round = 0; round < 3 && took >= 1000; round++) {
        let said = 0
        const whenReady = (): void => void (said = performance.now())
        const child = await runChild('search/ends.mjs', [tmpFolder(t), how, form], { whenReady })
        took = how === 'exit' ? performance.now() - said : Number(child.stdout.split(' ')[0])
        t.deepEqual(ending(child), { ...WELL, code: how === 'exit' ? 7 : 0 })
        t.log(how === 'exit' ? `${took.toFixed()} ms` : `${child.stdout.trim()}`)
      }
      t.true(took < 1000, `${took} ms`)
    })
  }
}

asAnother(
  'where no thread can be had, every form rejects with EAGAIN, and the process ends as others do (skipped but for root on Linux)',
  async (t) => {
    const child = await runChild('search/no-thread.mjs', [tmpFile(t)], { timeout: 20_000 })
    t.deepEqual(ending(child), WELL)
  },
)
