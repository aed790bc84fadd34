// Bringing pages into memory off the event loop, until it is done or nobody wants it any more.

import { truncateSync, writeFileSync } from 'node:fs'

import test from 'ava'
import { limits } from 'memmap'

import { dropCache } from './helpers/cache.ts'
import { ending, runChild, WELL } from './helpers/child.ts'
import { fileWith, opened } from './helpers/files.ts'
import { kinds, made, pattern } from './helpers/kinds.ts'
import { hasPython, isLinux } from './helpers/system.ts'
import { tmpFile, tmpFolder } from './helpers/tmp.ts'

const PAGE = limits().pageSize
const MIB = 2 ** 20
const onLinux = isLinux ? test.serial : test.serial.skip
const withPython = isLinux && hasPython ? test.serial : test.serial.skip

for (const kind of kinds()) {
  test(`${kind}: prefetch leaves the bytes as they are, for any range`, async (t) => {
    const { region } = made(t, kind, pattern(50_000))
    await region.prefetch()
    for (const range of [{ start: 1 }, { end: -1 }, { start: -3 }, { start: 9, end: 5 }, { start: 99_999 }, {}]) {
      await region.prefetch(range)
    }
    t.true(region.equals(pattern(50_000)))
  })
}

withPython('pages that were not in memory are there afterwards, and only those of the range', async (t) => {
  const path = fileWith(t, Buffer.alloc(8 * MIB, 1))
  const region = opened(t, path, { access: 'write' })
  region.advise('random')
  dropCache(path)
  const before = region.residency()
  // A file system in memory (tmpfs) has nowhere else to put them.
  if (before.resident === before.pages) return t.pass('the file system keeps its pages')
  t.true(before.resident < before.pages / 4, `${before.resident} of ${before.pages} pages are still there`)
  await region.prefetch({ start: 2 * MIB, end: 4 * MIB })
  const half = region.residency({ start: 2 * MIB, end: 4 * MIB })
  t.is(half.resident, half.pages)
  t.true(region.residency().resident < before.pages)
  await region.prefetch()
  t.is(region.residency().resident, before.pages)
})

onLinux('the event loop goes on turning during a gigabyte', async (t) => {
  const path = tmpFile(t)
  writeFileSync(path, '')
  truncateSync(path, 1024 * MIB)
  const region = opened(t, path)
  let [last, worst, ticks] = [performance.now(), 0, 0]
  const timer = setInterval(() => {
    const now = performance.now()
    worst = Math.max(worst, now - last)
    last = now
    ticks++
  }, 1)
  const began = performance.now()
  const done = region.prefetch()
  const called = performance.now() - began
  await done
  const took = performance.now() - began
  clearInterval(timer)
  t.log(
    `${took.toFixed()} ms in the background, ${called.toFixed(1)} ms for the call, worst delay ${worst.toFixed(1)} ms`,
  )
  t.true(called < 50, `the call took ${called} ms`)
  t.true(took < 100 || ticks > 5, `${ticks} ticks in ${took} ms`)
  t.true(worst < Math.max(100, took / 2), `the event loop stood for ${worst} of ${took} ms`)
})

test('a signal that was aborted before rejects with its reason, and nothing is read', async (t) => {
  const { region } = made(t, 'a file', pattern(5000))
  const reason = new Error('not today')
  t.is(await t.throwsAsync(region.prefetch({ signal: AbortSignal.abort(reason) })), reason)
  const outcome: unknown = await region.prefetch({ signal: AbortSignal.abort() }).catch((error: unknown) => error)
  t.true(outcome instanceof DOMException && outcome.name === 'AbortError')
})

onLinux('a signal ends it promptly with its reason', async (t) => {
  const path = tmpFile(t)
  writeFileSync(path, '')
  truncateSync(path, 2048 * MIB)
  const region = opened(t, path)
  const controller = new AbortController()
  const reason = new Error('enough')
  const done = region.prefetch({ signal: controller.signal })
  setTimeout(() => controller.abort(reason), 5)
  const began = performance.now()
  t.is(await t.throwsAsync(done), reason)
  const took = performance.now() - began
  t.log(`${took.toFixed()} ms`)
  t.true(took < 1000, `${took} ms`)
  const { resident, pages } = region.residency()
  t.log(`${resident} of ${pages} pages had come`)
  t.true(resident < pages)
})

test('a signal that is aborted afterwards changes nothing, and nobody listens any more', async (t) => {
  const { region } = made(t, 'a file', pattern(5000))
  const controller = new AbortController()
  await region.prefetch({ signal: controller.signal })
  controller.abort()
  t.true(region.equals(pattern(5000)))
})

test('a region that is closed meanwhile: ERR_REGION_CLOSED; before: the same', async (t) => {
  const path = tmpFile(t)
  writeFileSync(path, '')
  truncateSync(path, 256 * MIB)
  const region = opened(t, path)
  const all = [region.prefetch(), region.prefetch({ start: 5 }), region.prefetch({ end: 10 })]
  region.close()
  for (const one of all) await t.throwsAsync(one, { code: 'ERR_REGION_CLOSED' })
  await t.throwsAsync(region.prefetch(), { code: 'ERR_REGION_CLOSED' })
})

test('a region that is mapped anew meanwhile is not closed: the prefetch of its old pages just ends', async (t) => {
  const { region } = made(t, 'a file', Buffer.alloc(64 * MIB, 1))
  const prefetches = [region.prefetch(), region.prefetch()]
  region.resize(65 * MIB)
  prefetches.push(region.prefetch())
  region.protect('read')
  t.deepEqual(
    (await Promise.allSettled(prefetches)).map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'fulfilled'],
  )
  t.is(region.readUInt8(64 * MIB - 1), 1)
})

onLinux('a file that was cut off under it: ERR_REGION_FAULTED, and the process lives', async (t) => {
  const path = fileWith(t, pattern(16 * PAGE))
  const region = opened(t, path)
  truncateSync(path, PAGE)
  await t.throwsAsync(region.prefetch(), { code: 'ERR_REGION_FAULTED' })
  t.true(region.refresh())
  await region.prefetch()
  t.true(region.equals(pattern(PAGE)))
})

for (const how of ['exit', 'terminate', 'throw']) {
  onLinux(`ended in the midst of prefetches: ${how}`, async (t) => {
    for (let round = 0; round < 3; round++) {
      const result = await runChild('system/prefetch-ends.mjs', [tmpFolder(t), how])
      if (how === 'throw') {
        t.deepEqual([result.code, result.signal], [1, null])
        t.regex(result.stderr, /on purpose/)
      } else t.deepEqual(ending(result), { ...WELL, code: how === 'exit' ? 7 : 0 })
    }
  })
}
