// Mapping again what is there now: grown, cut off, replaced, or just the same.

import { appendFileSync, readFileSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs'

import test from 'ava'

import { codeOf, fileWith, HAS_READ_WINDOWS, opened, WINDOWED } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { isPosix } from './helpers/system.ts'

// Windows cuts off no file that is mapped, and renames over none.
const onPosix = isPosix ? test : test.skip
const WITH_WINDOWS = (['read', 'write', 'copy'] as const).filter((access) => access !== 'read' || HAS_READ_WINDOWS)

test('where nothing changed refresh says false, and views that were handed out live on', (t) => {
  const path = fileWith(t, 'content')
  for (const access of WITH_WINDOWS) {
    const region = opened(t, path, { access })
    const window = region.subarray()
    t.false(region.refresh())
    t.false(region.refresh())
    t.is(window.toString(), 'content')
    t.is(region.subarray().buffer, window.buffer)
  }
})

test("bytes that others wrote are no change: they are seen without it, and a copy's own stay", (t) => {
  const path = fileWith(t, 'content')
  const [read, copy] = [opened(t, path), opened(t, path, { access: 'copy' })]
  copy.set('K')
  opened(t, path, { access: 'write' }).set('C')
  t.is(read.toString(), 'Content')
  t.false(read.refresh())
  t.false(copy.refresh())
  t.is(copy.toString(), 'Kontent')
})

test('what was appended is seen after a refresh; old views have length 0, the region is as new', (t) => {
  for (const access of WITH_WINDOWS) {
    const path = fileWith(t, 'one\n')
    const region = opened(t, path, { access })
    const [window, doubles] = [region.subarray(), region.view(Uint16Array)]
    appendFileSync(path, 'two\n')
    t.is(region.toString(), 'one\n', 'not before')
    t.is(region.fileSize, 8)
    t.true(region.refresh())
    t.is(region.byteLength, 8)
    t.is(region.toString(), 'one\ntwo\n')
    t.deepEqual([window.length, doubles.length], [0, 0])
    t.is(region.subarray(4).toString(), 'two\n')
    t.is(region.readUInt8(7), 0x0a)
    t.false(region.refresh())
    t.is(statSync(path).size, 8, 'the file itself is never changed')
  }
})

onPosix('what was cut off is gone after a refresh, up to the whole file', (t) => {
  const path = fileWith(t, 'content')
  const region = opened(t, path)
  for (let scalar = 0; scalar < 40; scalar++) region.readUInt8(6)
  truncateSync(path, 3)
  t.true(region.refresh())
  t.is(region.toString(), 'con')
  t.is(
    codeOf(() => region.readUInt8(3)),
    'ERR_OUT_OF_RANGE',
  )
  truncateSync(path, 0)
  t.true(region.refresh())
  t.is(region.byteLength, 0)
  t.is(region.subarray().length, 0)
  appendFileSync(path, 'again')
  t.true(region.refresh())
  t.is(region.toString(), 'again')
})

onPosix('a region that was opened with a length is never longer than that', (t) => {
  const path = fileWith(t, '0123456789')
  const region = opened(t, path, { offset: 4, length: 4 })
  appendFileSync(path, 'abc')
  t.false(region.refresh())
  t.is(region.toString(), '4567')
  truncateSync(path, 6)
  t.true(region.refresh())
  t.is(region.toString(), '45')
  truncateSync(path, 2)
  t.true(region.refresh())
  t.is(region.toString(), '')
  writeFileSync(path, 'ABCDEFGHIJKLMN')
  t.true(region.refresh())
  t.is(region.toString(), 'EFGH')
})

onPosix('a refresh never makes the file longer', (t) => {
  const path = fileWith(t, '')
  const region = opened(t, path, { access: 'write', length: 100 })
  truncateSync(path, 10)
  t.true(region.refresh())
  t.is(region.byteLength, 10)
  t.is(statSync(path).size, 10)
})

onPosix('a file that was renamed over is still the one that was opened', (t) => {
  const path = fileWith(t, 'the old one')
  const region = opened(t, path)
  writeFileSync(`${path}.new`, 'the new one, longer')
  renameSync(`${path}.new`, path)
  t.true(region.replaced)
  t.false(region.refresh())
  t.is(region.toString(), 'the old one')
  t.is(opened(t, path).toString(), 'the new one, longer')
})

test("where something changed a 'copy' region starts again from the file", (t) => {
  const path = fileWith(t, 'content')
  const region = opened(t, path, { access: 'copy' })
  region.set('K')
  appendFileSync(path, '!')
  t.true(region.refresh())
  t.is(region.toString(), 'content!')
})

onPosix('a fault is over after a refresh', (t) => {
  const path = fileWith(t, Buffer.alloc(20_000, 'x'))
  const region = opened(t, path)
  truncateSync(path, 100)
  t.is(
    codeOf(() => region.count('x')),
    'ERR_REGION_FAULTED',
  )
  t.is(
    codeOf(() => region.readUInt8(0)),
    'ERR_REGION_FAULTED',
  )
  t.true(region.refresh())
  t.is(region.count('x'), 100)
  t.is(region.readUInt8(99), 0x78)
})

onPosix('scans and cursors go on over what is there after a refresh', (t) => {
  const path = fileWith(t, 'a1\na2\n')
  const region = opened(t, path, { access: WINDOWED })
  const cursor = region.cursor(3)
  const [lines, found, windows] = [region.lines({ encoding: 'utf8' }), region.indexesOf('a'), region.windows(4)]
  t.deepEqual([lines.next().value, found.next().value, windows.next().value?.toString()], ['a1', 0, 'a1\na'])
  truncateSync(path, 4)
  t.true(region.refresh())
  t.is(cursor.read().toString(), 'a')
  t.is(windows.next().done, true, 'behind the end')
  // What was already found is given, nothing behind the new end is read.
  t.true(found.position <= 4)
  t.notThrows(() => [...lines, ...found])
})

test('any sequence of changes is followed', (t) => {
  const random = new Random(t)
  const path = fileWith(t, '')
  const offset = 3
  const region = opened(t, fileWith(t, 'abc'), { offset })
  region.close()
  writeFileSync(path, 'abc')
  const [followed, limited] = [opened(t, path, { offset }), opened(t, path, { offset, length: 0 })]
  for (let round = 0; round < 200; round++) {
    const size = statSync(path).size
    if (isPosix && random.integer(0, 2) === 0) truncateSync(path, random.integer(0, size))
    else appendFileSync(path, random.bytes(random.integer(0, 5000)))
    const now = readFileSync(path).subarray(offset)
    const before = followed.byteLength
    t.is(followed.refresh(), before !== now.length)
    t.true(followed.equals(now))
    t.false(limited.refresh())
  }
})

test('without a descriptor, and when closed, there is no refresh', (t) => {
  const path = fileWith(t, 'content')
  t.is(
    codeOf(() => opened(t, path, { keepOpen: false }).refresh()),
    'ERR_INVALID_STATE',
  )
  const region = opened(t, path)
  region.close()
  t.is(
    codeOf(() => region.refresh()),
    'ERR_REGION_CLOSED',
  )
})
