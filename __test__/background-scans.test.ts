// `for await` over every kind of scan: the items of `for`, off the event loop, and ended whenever that is wanted.

import { appendFileSync, createReadStream, createWriteStream, readFileSync, truncateSync } from 'node:fs'
import { Readable, Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import * as fc from 'fast-check'
import { Match } from 'memmap'
import type { Background, Lines, Range, Region, Scan } from 'memmap'

import {
  ENDLESS,
  GIB,
  listening,
  MIB,
  ourThreads,
  reasonOf,
  Reports,
  sparseFile,
  threadsGone,
  underWay,
} from './helpers/background.ts'
import { codeOf, fileWith, HAS_READ_WINDOWS, opened, regionWith, WINDOWED } from './helpers/files.ts'
import { holdsLater, Random } from './helpers/random.ts'
import { isLinux, isPosix } from './helpers/system.ts'
import { tmpFile } from './helpers/tmp.ts'

const onLinux = isLinux ? test.serial : test.serial.skip
// Windows cuts off no file that is mapped.
const onPosix = isPosix ? test : test.skip

type Options = Range & Background

/** Every kind of scan. */
const SCANS = {
  windows: (region, options) => region.windows(10_000, options),
  'windows that overlap': (region, options) => region.windows(5000, { ...options, overlap: 77 }),
  lines: (region, options) => region.lines(options),
  'lines as text': (region, options) => region.lines({ ...options, encoding: 'utf8' }),
  'lines as hex': (region, options) => region.lines({ ...options, encoding: 'hex' }),
  'lines backwards': (region, options) => region.lines({ ...options, reverse: true }),
  'text backwards': (region, options) => region.lines({ ...options, reverse: true, encoding: 'latin1' }),
  'whole lines': (region, options) => region.lines({ ...options, partial: false }),
  'whole lines backwards': (region, options) => region.lines({ ...options, partial: false, reverse: true }),
  indexes: (region, options) => region.indexesOf('ab', options),
  'indexes of a byte': (region, options) => region.indexesOf(0x61, options),
  'indexes of many': (region, options) => region.indexesOf(['ab', 'b', '\n'], options),
  'matches of many': (region, options) => region.matchAll(['ba', 'b', 0x0a], options),
  matches: (region, options) => region.matchAll(/a(b+)|(?<end>\r?\n)/, options),
  'matches over lines': (region, options) => region.matchAll(/b[^b]*b/, options),
} as const satisfies Record<string, (region: Region, options?: Options) => Scan<unknown>>

const scans = Object.entries(SCANS) as [string, (region: Region, options?: Options) => Scan<unknown>][]

/** Several batches of everything. */
function letters(random: Random, length = 100_000): Buffer {
  const parts: string[] = []
  for (let left = length; left > 0;) {
    const line = random.pick(['a', 'ab', 'ba', 'c']).repeat(random.integer(0, 40)) + random.pick(['\n', '\n', '\r\n'])
    parts.push(line)
    left -= line.length
  }
  return Buffer.from(`${parts.join('')}the last aba`)
}

/** An item as a text, whatever it is. */
function shown(item: unknown): string {
  if (item instanceof Uint8Array) return Buffer.from(item).toString('latin1')
  if (item instanceof Match) {
    return `${item.needle}: ${item.index}-${item.end} ${JSON.stringify([...item].map(String))} ${String(item.groups?.['end'])}`
  }
  return typeof item === 'object' ? JSON.stringify(item) : String(item)
}

/** An item, and where the scan is then. */
type Seen = string

/** As `deepEqual`, which takes minutes for so many. */
function same(t: ExecutionContext, seen: readonly string[], expected: readonly string[]): void {
  const first = expected.findIndex((item, index) => item !== seen[index])
  if (first !== -1) t.is(seen[first], expected[first], `item ${first} of ${expected.length}`)
  t.is(seen.length, expected.length)
}

const at = (scan: Scan<unknown>, item: unknown): Seen => `${shown(item)} at ${scan.position}`

function seenHere(scan: Scan<unknown>): Seen[] {
  return Array.from(scan, (item) => at(scan, item))
}

async function seenBehind(scan: Scan<unknown>, most = Number.POSITIVE_INFINITY): Promise<Seen[]> {
  const seen: Seen[] = []
  if (most === 0) return seen
  for await (const item of scan) {
    seen.push(at(scan, item))
    if (seen.length >= most) break
  }
  return seen
}

/** Goes through all of it; how many items there were. */
async function drained(scan: Scan<unknown>): Promise<number> {
  let items = 0
  for await (const _ of scan) items++
  return items
}

for (const [name, make] of scans) {
  test(`${name}: for await gives what for gives, and is at the same positions`, async (t) => {
    const random = new Random(t)
    const data = letters(random)
    const region = regionWith(t, data, { access: WINDOWED })
    const ranges = [{}, { start: random.integer(0, 70_000), end: -random.integer(0, 40_000) }, { start: 9, end: 8 }]
    for (const range of ranges) {
      const [here, behind] = [make(region, range), make(region, range)]
      t.is(behind.position, here.position)
      const expected = seenHere(here)
      if (range.start === undefined) t.true(expected.length > 10)
      same(t, await seenBehind(behind), expected)
      t.is(behind.position, here.position)
      t.deepEqual(behind.next(), { done: true, value: undefined })
      t.deepEqual(await behind[Symbol.asyncIterator]().next(), { done: true, value: undefined })
    }
    const empty = make(regionWith(t, '', { access: WINDOWED }))
    t.deepEqual(await seenBehind(empty), seenHere(make(regionWith(t, '', { access: WINDOWED }))))
  })

  test(`${name}: after a break it goes on, here or in the background, as often as one likes`, async (t) => {
    const random = new Random(t)
    const region = regionWith(t, letters(random), { access: WINDOWED })
    const expected = seenHere(make(region))
    const scan = make(region)
    const seen: Seen[] = []
    for (let before = -1; before < seen.length;) {
      before = seen.length
      const most = random.pick([1, 2, 10, 700, 5000])
      if (random.integer(0, 1) === 0) {
        seen.push(...(await seenBehind(scan, most)))
        continue
      }
      let left = most
      for (const item of scan) {
        seen.push(at(scan, item))
        if (--left === 0) break
      }
    }
    same(t, seen, expected)
  })

  test(`${name}: calls of next that do not wait for each other give the items in their order`, async (t) => {
    const region = regionWith(t, letters(new Random(t)), { access: WINDOWED })
    const expected = Array.from(make(region), shown)
    const iterator = make(region)[Symbol.asyncIterator]()
    const results = await Promise.all(Array.from({ length: expected.length + 3 }, () => iterator.next()))
    const items = results.filter(({ done }) => done !== true).map(({ value }) => shown(value))
    same(t, items, expected)
    t.deepEqual(
      results.slice(-3).map(({ done }) => done),
      [true, true, true],
    )
  })

  test(`${name}: each item is given once, however next and several passes are mixed`, async (t) => {
    const random = new Random(t)
    const region = regionWith(t, letters(random), { access: WINDOWED })
    const expected = Array.from(make(region), shown)
    const scan = make(region)
    const passes = [scan[Symbol.asyncIterator](), scan[Symbol.asyncIterator]()]
    const given: string[] = []
    const waiting: Promise<void>[] = []
    const take = ({ done, value }: IteratorResult<unknown>): void => {
      if (done !== true) given.push(shown(value))
    }
    // The first batch is under way in two passes, and taken here.
    waiting.push(...passes.map((pass) => pass.next().then(take)))
    await Promise.resolve()
    await Promise.resolve()
    take(scan.next())
    for (let step = 0; step < 400; step++) {
      const kind = random.integer(0, 3)
      if (kind === 0) take(scan.next())
      else if (kind === 1) await turn()
      else waiting.push(random.pick(passes).next().then(take))
      // To the end of the batch, so that the next step finds none.
      if (step % 20 === 0) for (let left = random.integer(0, 5000); left > 0; left--) take(scan.next())
    }
    await Promise.all(waiting)
    for (const item of scan) given.push(shown(item))
    same(t, given.sort(), expected.sort())
  })

  test(`${name}: return before anything, and again after the end, is the end`, async (t) => {
    const region = regionWith(t, letters(new Random(t), 5000), { access: WINDOWED })
    const expected = seenHere(make(region))
    const scan = make(region)
    const never = scan[Symbol.asyncIterator]()
    t.is(never[Symbol.asyncIterator](), never)
    t.deepEqual(await never.return?.(), { done: true, value: undefined })
    t.deepEqual(await never.next(), { done: true, value: undefined })
    // That was the end of the pass, not of the scan.
    same(t, await seenBehind(scan), expected)
    t.deepEqual(await never.return?.(), { done: true, value: undefined })
  })

  test(`${name}: pipeline and Readable.from take a scan`, async (t) => {
    const region = regionWith(t, letters(new Random(t)), { access: WINDOWED })
    const items = Array.from(make(region), shown)
    const seen: string[] = []
    const sink = new Writable({
      objectMode: true,
      write(item: unknown, _encoding, done) {
        seen.push(shown(item))
        done()
      },
    })
    const reports = new Reports()
    await pipeline(Readable.from(make(region, { onProgress: reports.listen })), sink)
    same(t, seen, items)
    // It is the background that reports.
    t.deepEqual(reports.faults(region.byteLength), [])
    const collected: string[] = []
    await pipeline(make(region), async (source: AsyncIterable<unknown>) => {
      for await (const item of source) collected.push(shown(item))
    })
    same(t, collected, items)
  })

  test(`${name}: progress grows to its end`, async (t) => {
    const region = regionWith(t, letters(new Random(t)), { access: WINDOWED })
    const reports = new Reports()
    await seenBehind(make(region, { start: 10, end: -10, onProgress: reports.listen }))
    t.deepEqual(reports.faults(region.byteLength - 20), [])
  })

  test(`${name}: what a report throws comes out of the loop, and the scan goes on behind it`, async (t) => {
    const region = regionWith(t, letters(new Random(t), 5000), { access: WINDOWED })
    const expected = seenHere(make(region))
    const reason = new Error('on purpose')
    const scan = make(region, {
      onProgress: () => {
        throw reason
      },
    })
    const seen: Seen[] = []
    const outcome = await reasonOf(
      (async () => {
        for await (const item of scan) seen.push(at(scan, item))
      })(),
    )
    t.is(outcome, reason)
    same(t, [...seen, ...seenHere(scan)], expected)
  })

  test(`${name}: a signal that is aborted in the midst ends the loop with its reason, and nobody listens then`, async (t) => {
    const region = regionWith(t, letters(new Random(t)), { access: WINDOWED })
    const controller = new AbortController()
    const { signal } = controller
    const reason = new Error('enough')
    let items = 0
    const outcome = await reasonOf(
      (async () => {
        for await (const _ of make(region, { signal })) if (++items === 7) controller.abort(reason)
      })(),
    )
    t.is(outcome, reason)
    t.is(items, 7)
    t.is(listening(signal), 0)
    // Before: nothing is begun. Here too, from the next batch on.
    t.is(await reasonOf(seenBehind(make(region, { signal }))), reason)
    t.throws(() => [...make(region, { signal })], { is: reason })
  })

  test(`${name}: nobody listens to a signal after the end, after a break, and where a scan is just left`, async (t) => {
    const region = regionWith(t, letters(new Random(t)), { access: WINDOWED })
    const { signal } = new AbortController()
    await seenBehind(make(region, { signal }))
    t.is(listening(signal), 0)
    await seenBehind(make(region, { signal }), 3)
    t.is(listening(signal), 0)
    const left = make(region, { signal })[Symbol.asyncIterator]()
    await left.next()
    for (let wait = 0; wait < 500 && listening(signal) > 0; wait++) await sleep(5)
    t.is(listening(signal), 0)
  })

  test(`${name}: closing the region in the midst is ERR_REGION_CLOSED at the next step; copies live on`, async (t) => {
    const region = regionWith(t, letters(new Random(t)), { access: WINDOWED })
    const scan = make(region)
    const steps: unknown[] = []
    const failure = await reasonOf(
      (async () => {
        for await (const item of scan) {
          steps.push(item)
          if (steps.length === 5) region.close()
        }
      })(),
    )
    t.is(Reflect.get(failure as object, 'code'), 'ERR_REGION_CLOSED')
    t.is(steps.length, 5)
    t.is(
      codeOf(() => scan.next()),
      'ERR_REGION_CLOSED',
    )
    const again = scan[Symbol.asyncIterator]()
    await t.throwsAsync(again.next(), { code: 'ERR_REGION_CLOSED' })
    t.deepEqual(await again.next(), { done: true, value: undefined })
    if (!name.startsWith('windows')) t.true(steps.map(shown).join('').length > 0)
  })

  test(`${name}: closing the region while a step is under way rejects it`, async (t) => {
    for (let round = 0; round < 10; round++) {
      const region = regionWith(t, letters(new Random(t), 5000), { access: WINDOWED })
      const iterator = make(region)[Symbol.asyncIterator]()
      const steps = [iterator.next(), iterator.next()]
      const outcomes = Promise.allSettled(steps)
      if (round % 2 === 1) await turn()
      region.close()
      const [first, second] = await outcomes
      if (first?.status === 'rejected') {
        t.is(Reflect.get(first.reason as object, 'code'), 'ERR_REGION_CLOSED')
        t.deepEqual(second, { status: 'fulfilled', value: { done: true, value: undefined } })
      }
    }
    t.pass()
  })

  test(`${name}: a region that is mapped anew in the midst is not closed: the scan goes on`, async (t) => {
    const data = letters(new Random(t))
    const path = fileWith(t, data)
    const region = opened(t, path, { access: 'write' })
    const expected = Array.from(make(region), shown)
    const changes = [
      // Which takes the windows away where regions for reading have none.
      ...(HAS_READ_WINDOWS ? [() => region.protect('read')] : []),
      () => region.protect('write'),
      () => void region.resize(data.length + 5000),
      () => {
        appendFileSync(path, 'more')
        t.true(region.refresh())
      },
    ]
    const seen: string[] = []
    const scan = make(region, { end: data.length })
    for await (const item of scan) {
      seen.push(shown(item))
      if (seen.length % 2 === 0) changes.shift()?.()
    }
    same(t, seen, expected)
    t.is(changes.length, 0)
    // Also while a step is under way.
    const iterator = make(region, { end: data.length })[Symbol.asyncIterator]()
    const steps = [iterator.next(), iterator.next(), iterator.next()]
    region.resize(data.length + 9000)
    t.deepEqual(
      (await Promise.all(steps)).map(({ value }) => shown(value)),
      expected.slice(0, 3),
    )
    await iterator.return?.()
  })

  onPosix(`${name}: where a refresh made the region shorter, the scan ends there`, async (t) => {
    const data = letters(new Random(t))
    const path = fileWith(t, data)
    const region = opened(t, path, { access: WINDOWED })
    const expected = Array.from(make(region), shown)
    const scan = make(region)
    let items = 0
    for await (const item of scan) {
      // Windows show what is there now, and going backwards begins with what is cut off.
      if (items < 5) t.is(shown(item), expected[items] ?? '')
      if (++items === 5) {
        truncateSync(path, 30)
        t.true(region.refresh())
      }
    }
    t.true(items <= expected.length)
    t.true(items < expected.length || name.includes('lines') || name.includes('text'), `${items} items`)
  })
}

test('random scans, steps and breaks: what a plain pass gives', async (t) => {
  const random = new Random(t)
  const data = letters(random, 200_000)
  const region = regionWith(t, data, { access: WINDOWED })
  await holdsLater(
    t,
    fc.asyncProperty(
      fc.constantFrom(...scans),
      fc.integer({ min: 0, max: 200_000 }),
      fc.integer({ min: 0, max: 200_000 }),
      fc.array(fc.integer({ min: 0, max: 6000 }), { maxLength: 5 }),
      async ([, make], start, end, steps) => {
        const expected = seenHere(make(region, { start, end }))
        const scan = make(region, { start, end })
        const seen: Seen[] = []
        for (const most of steps) seen.push(...(await seenBehind(scan, most)))
        seen.push(...seenHere(scan))
        same(t, seen, expected)
      },
    ),
    20,
  )
})

const ENDLESS_SCANS: Record<string, (region: Region, options?: Options & Lines) => Scan<unknown>> = {
  lines: (region, options) => region.lines(options),
  'lines backwards': (region, options) => region.lines({ ...options, reverse: true }),
  indexes: (region, options) => region.indexesOf('needle', options),
  'indexes of many': (region, options) => region.indexesOf(['needle', 'pin'], options),
  matches: (region, options) => region.matchAll(/x[^]*y|needle/, options),
  windows: (region, options) => region.windows(GIB, options),
}

for (const [name, make] of Object.entries(ENDLESS_SCANS)) {
  onLinux(`${name}: return ends a step that is under way, whose promise says so, and its thread`, async (t) => {
    const region = opened(t, sparseFile(t, ENDLESS), { access: WINDOWED })
    const { signal } = new AbortController()
    const scan = make(region, { signal })
    const iterator = scan[Symbol.asyncIterator]()
    const steps = [iterator.next(), iterator.next()]
    await underWay()
    const { position } = scan
    const began = performance.now()
    t.deepEqual(await iterator.return?.(), { done: true, value: undefined })
    t.deepEqual(await Promise.all(steps), [
      { done: true, value: undefined },
      { done: true, value: undefined },
    ])
    const took = performance.now() - began
    t.true(took < 5000, `${took} ms`)
    t.is(listening(signal), 0)
    t.is(scan.position, position)
    t.log(`${took.toFixed(1)} ms, threads gone after ${(await threadsGone()).toFixed()} ms`)
  })

  onLinux(
    `${name}: a signal, and the closing of the region, end a step that is under way, and its thread`,
    async (t) => {
      const region = opened(t, sparseFile(t, ENDLESS), { access: WINDOWED })
      const controller = new AbortController()
      const reason = new Error('enough')
      const pending = make(region, { signal: controller.signal })[Symbol.asyncIterator]().next()
      await underWay()
      controller.abort(reason)
      t.is(await reasonOf(pending), reason)
      t.is(listening(controller.signal), 0)
      await threadsGone()
      const other = make(region)[Symbol.asyncIterator]().next()
      await underWay()
      region.close()
      await t.throwsAsync(other, { code: 'ERR_REGION_CLOSED' })
      await threadsGone()
    },
  )

  onLinux(`${name}: a stream that is destroyed ends the work`, async (t) => {
    const region = opened(t, sparseFile(t, ENDLESS), { access: WINDOWED })
    const stream = Readable.from(make(region))
    stream.on('data', () => {})
    await underWay()
    stream.destroy()
    await threadsGone()
    // Of pipeline's own signal a bare scan hears at its next item only: it takes one itself, or goes through Readable.from.
    for (const bare of [true, false]) {
      const { signal } = new AbortController()
      const controller = new AbortController()
      const own = controller.signal
      const through = new Transform({ objectMode: true, transform: (_item, _encoding, done) => done() })
      const piped = bare
        ? pipeline(make(region, { signal: own }), through)
        : pipeline(Readable.from(make(region, { signal })), through, { signal: own })
      const outcome = reasonOf(piped)
      await underWay()
      controller.abort()
      const reason = await outcome
      t.true(reason instanceof Error && reason.name === 'AbortError')
      await threadsGone()
      t.is(listening(signal), 0)
    }
  })
}

onLinux('what a report throws while a step is under way ends it', async (t) => {
  const region = opened(t, sparseFile(t, ENDLESS), { access: WINDOWED })
  const reason = new Error('on purpose')
  const onProgress = (): void => {
    throw reason
  }
  for (const make of Object.values(ENDLESS_SCANS)) {
    t.is(await reasonOf(drained(make(region, { onProgress }))), reason)
    await threadsGone()
  }
})

test.serial('progress of a long scan only ever grows, and is told ten times in a second at most', async (t) => {
  const size = GIB
  const region = opened(t, sparseFile(t, size, { 5: '\n', [size / 2]: 'needle', [size - 9]: '\nneedle' }), {
    access: WINDOWED,
  })
  for (const [name, make] of Object.entries(ENDLESS_SCANS)) {
    const reports = new Reports()
    // A line of a quarter of a gigabyte is long enough.
    const end = name.startsWith('lines') ? GIB / 4 : size
    t.true((await drained(make(region, { onProgress: reports.listen, end }))) > 0)
    t.deepEqual(reports.faults(end), [], name)
    t.log(`${name}: ${reports.seen.length} reports`)
  }
})

test.serial('the event loop goes on turning during scans of a gigabyte', async (t) => {
  const region = opened(t, sparseFile(t, GIB), { access: WINDOWED })
  for (const [name, make] of Object.entries(ENDLESS_SCANS)) {
    if (name.startsWith('lines')) continue
    let [last, worst, ticks] = [performance.now(), 0, 0]
    const timer = setInterval(() => {
      const now = performance.now()
      worst = Math.max(worst, now - last)
      last = now
      ticks++
    }, 1)
    const began = performance.now()
    await drained(make(region))
    const took = performance.now() - began
    clearInterval(timer)
    t.log(`${name}: ${took.toFixed()} ms, ${ticks} ticks, ${worst.toFixed(1)} ms at most in between`)
    t.true(took < 100 || ticks > 5, `${name}: ${ticks} ticks in ${took} ms`)
    t.true(worst < Math.max(2000, took / 2), `${name}: the event loop stood for ${worst} of ${took} ms`)
  }
})

test('lines piped into a file are the lines of the file', async (t) => {
  const data = letters(new Random(t), MIB)
  const [from, to] = [fileWith(t, data), tmpFile(t)]
  const region = opened(t, from, { access: WINDOWED })
  await pipeline(
    region.lines(),
    async function* (lines: AsyncIterable<Buffer>) {
      for await (const line of lines) yield Buffer.concat([line, Buffer.from('\n')])
    },
    createWriteStream(to),
  )
  t.is(readFileSync(to, 'latin1'), `${data.toString('latin1').replaceAll('\r\n', '\n')}\n`)
  await pipeline(region.windows(70_000), createWriteStream(to))
  t.true(readFileSync(to).equals(data))
  let bytes = 0
  for await (const chunk of createReadStream(to)) bytes += (chunk as Buffer).length
  t.is(bytes, data.length)
})

test.serial('a scan of many items keeps no more than two batches ahead of who takes them', async (t) => {
  const region = regionWith(t, Buffer.alloc(8 * MIB, 'a\n'))
  const scan = region.lines()
  const iterator = scan[Symbol.asyncIterator]()
  await iterator.next()
  await sleep(50)
  // Nobody has asked for more.
  t.is(scan.position, 2)
  t.is(ourThreads(), 0)
  await iterator.return?.()
})
