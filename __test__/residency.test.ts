// Which pages are in memory, as far as the system says.

import { chmodSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import test from 'ava'
import { limits, PrivateMemory, Residency } from 'memmap'

import { dropCache } from './helpers/cache.ts'
import { ending, runChild, WELL } from './helpers/child.ts'
import { codeOf, fileWith, opened } from './helpers/files.ts'
import { kinds, made, pattern } from './helpers/kinds.ts'
import { asNobody, canBeNobody, hasPython, isLinux } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'

const PAGE = limits().pageSize
const onLinux = isLinux ? test.serial : test.serial.skip
const withPython = isLinux && hasPython ? test.serial : test.serial.skip
const whereNobody = isLinux && canBeNobody ? test : test.skip

for (const kind of kinds()) {
  test(`${kind}: pages of a range are counted, and what is read is there`, (t) => {
    const { region, offset } = made(t, kind, pattern(10 * PAGE + 5))
    t.is(region.indexOf(Buffer.alloc(3)), -1)
    const all = region.residency()
    const lead = offset % PAGE
    t.is(all.pageSize, PAGE)
    t.is(all.pages, Math.ceil((lead + region.byteLength) / PAGE))
    t.true(all.resident <= all.pages)
    if (isLinux) {
      t.true(all.known)
      t.is(all.resident, all.pages, 'just written and read')
      for (const at of [0, 1, PAGE, region.byteLength - 1]) t.true(all.has(at), String(at))
    }
    t.false(all.has(all.pages * PAGE - lead))
    t.false(all.has(-lead - 1))
    const one = region.residency({ start: 5 * PAGE + 1, end: 5 * PAGE + 2 })
    t.is(one.pages, 1)
    t.is(one.has(5 * PAGE + 1), one.resident === 1)
    t.false(one.has(7 * PAGE))
    t.false(one.has(2 * PAGE))
    t.is(region.residency({ start: PAGE - lead - 1, end: PAGE - lead + 1 }).pages, 2)
    for (const range of [{ start: 3, end: 3 }, { start: 9, end: 5 }, { start: 2 ** 53 - 1 }]) {
      const none = region.residency(range)
      t.deepEqual([none.known, none.pages, none.resident, none.has(0)], [true, 0, 0, false])
    }
    t.is(region.residency({ start: -1 }).pages, 1)
    region.close()
    t.is(
      codeOf(() => region.residency()),
      'ERR_REGION_CLOSED',
    )
  })
}

onLinux('untouched private memory is not there; what is touched is, page by page', (t) => {
  const region = PrivateMemory.allocate(64 * PAGE)
  t.teardown(() => region.close())
  region.advise('nohugepage')
  t.is(region.residency().resident, 0)
  for (const page of [0, 7, 8, 31, 63]) region.writeUInt8(1, page * PAGE + 3)
  const now = region.residency()
  t.is(now.resident, 5)
  for (let page = 0; page < 64; page++) t.is(now.has(page * PAGE + 9), [0, 7, 8, 31, 63].includes(page), `page ${page}`)
  const part = region.residency({ start: 7 * PAGE + 5, end: 9 * PAGE })
  t.deepEqual([part.pages, part.resident], [2, 2])
  t.true(part.has(7 * PAGE), 'the whole of the first page')
})

for (const offset of [0, 1, PAGE - 1, PAGE, 3 * PAGE + 77]) {
  withPython(`pages are told from each other from offset ${offset} on (skipped without python3)`, (t) => {
    const path = fileWith(t, Buffer.alloc(32 * PAGE, 1))
    const region = opened(t, path, { access: 'write', offset })
    region.advise('random')
    dropCache(path)
    if (region.residency().resident > 0) {
      // A file system in memory (tmpfs) has nowhere else to put them.
      return t.pass('the file system keeps its pages')
    }
    const touched = [4, 5, 20, 31].map((page) => page * PAGE)
    for (const at of touched) region.readUInt8(at - offset)
    const now = region.residency()
    t.is(now.resident, touched.length)
    for (let page = 0; page < 32; page++) {
      for (const at of [page * PAGE, page * PAGE + PAGE - 1]) {
        if (at >= offset) t.is(now.has(at - offset), touched.includes(page * PAGE), `byte ${at} of the file`)
      }
    }
    const part = region.residency({ start: 20 * PAGE - offset, end: 20 * PAGE - offset + 1 })
    t.deepEqual([part.pages, part.resident, part.has(20 * PAGE - offset)], [1, 1, true])
  })
}

onLinux('as many bytes as /proc/self/smaps says, for private memory and files', async (t) => {
  const result = await runChild('system/residency.mjs', [tmpFolder(t)])
  t.deepEqual(ending(result), WELL)
  t.log(result.stdout.trim())
})

whereNobody("another user's file that one may only read: not known (skipped but for root)", async (t) => {
  const folder = tmpFolder(t)
  chmodSync(folder, 0o755)
  const path = `${folder}/root.bin`
  writeFileSync(path, pattern(5 * PAGE), { mode: 0o644 })
  chmodSync(path, 0o644)
  const fixture = fileURLToPath(new URL('fixtures/system/residency-of-others.mjs', import.meta.url))
  const result = await asNobody([fixture, path])
  t.deepEqual(ending(result), WELL)
  t.deepEqual(JSON.parse(result.stdout), { known: false, pages: 5, resident: 0 })
})

test('only this package makes one', (t) => {
  t.true(opened(t, fileWith(t, 'x')).residency() instanceof Residency)
})
