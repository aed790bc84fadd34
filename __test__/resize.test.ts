// Changing the length of a region and of what is behind it.

import { appendFileSync, fstatSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'
import * as fc from 'fast-check'
import { limits, MmapFile, PrivateMemory, SharedMemory } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { codeOf, fileWith, HAS_READ_WINDOWS, opened, thrownBy, WINDOWED } from './helpers/files.ts'
import { freshName, made, pattern, protectionsOf, sizables } from './helpers/kinds.ts'
import { holds } from './helpers/random.ts'
import { canMount, isLinux, isPosix, mounted } from './helpers/system.ts'
import { tmpFile, tmpFolder } from './helpers/tmp.ts'

const PAGE = limits().pageSize
const LENGTH = 10_000
const BYTES = pattern(LENGTH)
const whereMounted = canMount ? test : test.skip
const onLinux = isLinux ? test : test.skip

const zeros = (length: number) => Buffer.alloc(length)

for (const kind of sizables()) {
  const canShrink = kind !== 'growable anonymous memory'

  test(`${kind}: longer: the content stays, new bytes are zero, what is behind it has the new length`, (t) => {
    for (const longer of [LENGTH + 1, 2 * PAGE + LENGTH, 3 * 2 ** 20 + 7]) {
      const { region, path, offset } = made(t, kind, BYTES)
      region.resize(longer)
      t.is(region.byteLength, longer)
      t.true(region.slice(0, LENGTH).equals(BYTES))
      t.true(region.slice(LENGTH).equals(zeros(longer - LENGTH)))
      region.writeUInt8(0xab, longer - 1)
      t.is(region.readUInt8(longer - 1), 0xab)
      if (path !== undefined) {
        const file = readFileSync(path)
        t.is(file.length, offset + longer)
        t.true(file.subarray(0, offset).equals(Buffer.alloc(offset, 0xee)), 'what is before it is as it was')
        t.is(file.at(-1), 0xab)
        if (isPosix) t.true(statSync(path).blocks * 512 >= offset + longer - PAGE, 'allocated')
      }
      if (isLinux && region instanceof SharedMemory && region.fd !== undefined) {
        const { size, blocks } = fstatSync(region.fd)
        t.is(size, longer)
        t.true(blocks * 512 >= longer, 'allocated')
      }
    }
  })

  test(`${kind}: shorter: ${canShrink ? 'the first bytes stay' : 'refused, since others have it too'}`, (t) => {
    for (const shorter of [LENGTH - 1, Math.min(PAGE, LENGTH - 2), 1]) {
      const { region, path, offset } = made(t, kind, BYTES)
      if (!canShrink) {
        t.is(
          codeOf(() => region.resize(shorter)),
          isLinux ? 'ERR_INVALID_STATE' : 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
        )
        t.true(region.equals(BYTES))
        continue
      }
      region.resize(shorter)
      t.is(region.byteLength, shorter)
      t.true(region.equals(BYTES.subarray(0, shorter)))
      if (path !== undefined) t.is(statSync(path).size, offset + shorter)
      // What was cut off does not come back.
      region.resize(LENGTH)
      t.true(region.equals(Buffer.concat([BYTES.subarray(0, shorter), zeros(LENGTH - shorter)])))
    }
  })

  test(`${kind}: views handed out before are dead, new ones and scalars see the new length`, (t) => {
    const { region } = made(t, kind, BYTES)
    for (let scalar = 0; scalar < 100; scalar++) region.readUInt8(scalar)
    const old = [region.subarray(), region.subarray(1, 5), region.view(Uint8Array), region.view(Uint8Array, 0, 8)]
    region.resize(LENGTH + PAGE)
    t.deepEqual(
      old.map(({ byteLength }) => byteLength),
      [0, 0, 0, 0],
    )
    t.is(region.subarray().length, LENGTH + PAGE)
    region.subarray()[LENGTH + 5] = 77
    for (let scalar = 0; scalar < 100; scalar++) t.is(region.readUInt8(LENGTH + 5), 77)
    t.is(region.at(-1), 0)
    t.is(region.at(LENGTH + PAGE), undefined)
  })

  test(`${kind}: 0 and what is no length are errors, and the region is as it was`, (t) => {
    const { region } = made(t, kind, BYTES)
    const window = region.subarray()
    for (const length of [0, -1, 1.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
      t.is(
        codeOf(() => region.resize(length)),
        'ERR_OUT_OF_RANGE',
        String(length),
      )
    }
    t.is(window.length, LENGTH, 'views live on')
    t.true(region.equals(BYTES))
    region.set('still usable')
    t.is(window.toString('latin1', 0, 12), 'still usable')
  })

  test(`${kind}: a length that nobody has room for is an error, and all is as it was`, (t) => {
    const { region, path, offset } = made(t, kind, BYTES)
    const window = region.subarray()
    for (const length of [2 ** 46, 2 ** 50, 2 ** 53 - 1]) {
      const error = thrownBy(() => region.resize(length))
      t.regex(String(error?.code), /^(ENOSPC|EFBIG|ENOMEM|EINVAL|EOVERFLOW)$/, String(length))
      t.is(region.byteLength, LENGTH)
      t.is(window.length, LENGTH)
      t.true(region.equals(BYTES))
      if (path !== undefined) t.is(statSync(path).size, offset + LENGTH)
    }
  })

  test(`${kind}: the same length changes nothing that is seen`, (t) => {
    const { region } = made(t, kind, BYTES)
    region.resize(LENGTH)
    t.true(region.equals(BYTES))
  })

  const whereShrunk = canShrink ? test : test.skip
  whereShrunk(
    `${kind}: a cursor past the new end reads nothing, and what it writes is refused (not on Windows)`,
    (t) => {
      const { region } = made(t, kind, BYTES)
      const cursor = region.cursor(LENGTH - 3)
      region.resize(100)
      t.is(cursor.position, LENGTH - 3)
      t.is(cursor.read().length, 0)
      t.is(cursor.read(5).length, 0)
      t.is(cursor.readLine().length, 0)
      for (const write of [() => cursor.write('x'), () => cursor.writeByte(1), () => cursor.writeUInt16LE(1)]) {
        t.is(codeOf(write), 'ERR_OUT_OF_RANGE', write.toString())
      }
      t.true(region.equals(BYTES.subarray(0, 100)))
      t.is(cursor.seek(98), 98)
      t.true(cursor.read().equals(BYTES.subarray(98, 100)))
    },
  )

  test(`${kind}: random lengths one after the other, with writes in between, as a plain array has them`, (t) => {
    const step = fc.record({
      length: fc.oneof(fc.integer({ min: 1, max: 60_000 }), fc.constantFrom(1, PAGE - 1, PAGE, PAGE + 1, 4 * PAGE)),
      at: fc.nat(59_999),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 50 }),
    })
    holds(
      t,
      fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
        const { region, path, offset } = made(t, kind, BYTES)
        let model = Buffer.from(BYTES)
        for (const { length, at, bytes } of steps) {
          if (length < model.length && !canShrink) continue
          const next = Buffer.alloc(length)
          model.copy(next)
          model = next
          region.resize(length)
          const place = at % length
          const part = bytes.subarray(0, length - place)
          region.set(part, place)
          model.set(part, place)
          if (!region.equals(model)) return false
          if (path !== undefined && !readFileSync(path).subarray(offset).equals(model)) return false
        }
        region.close()
        return true
      }),
      40,
    )
    t.pass()
  })
}

test("'read' and 'copy' are not resized: ERR_REGION_READONLY, and file, views and bytes are as they were", (t) => {
  const path = fileWith(t, BYTES)
  for (const access of ['read', 'copy'] as const) {
    const region = opened(t, path, { access })
    const window = access === 'read' && !HAS_READ_WINDOWS ? region.slice() : region.subarray()
    for (const length of [1, LENGTH, LENGTH + 1]) {
      t.is(
        codeOf(() => region.resize(length)),
        'ERR_REGION_READONLY',
        access,
      )
    }
    t.is(window.length, LENGTH)
    t.true(region.equals(BYTES))
  }
  t.true(readFileSync(path).equals(BYTES))
})

test('sealed memory keeps its length: ERR_INVALID_STATE says why', (t) => {
  const region = SharedMemory.anonymous(LENGTH)
  t.teardown(() => region.close())
  region.set(BYTES)
  for (const length of [1, LENGTH + 1]) {
    const error = thrownBy(() => region.resize(length))
    t.is(error?.code, 'ERR_INVALID_STATE')
    t.regex(error?.message ?? '', /fixed length/)
  }
  t.true(region.equals(BYTES))
})

test('what is protected otherwise is not resized', (t) => {
  const { region } = made(t, 'a file', BYTES)
  for (const protection of protectionsOf('a file').filter((one) => one !== 'write')) {
    region.protect(protection)
    t.is(
      codeOf(() => region.resize(5)),
      'ERR_REGION_READONLY',
    )
  }
  region.protect('write')
  region.resize(5)
  t.true(region.equals(BYTES.subarray(0, 5)))
})

test('without a kept descriptor: ERR_INVALID_STATE for resize and refresh, and the region is as it was', (t) => {
  const path = fileWith(t, BYTES)
  const region = opened(t, path, { access: 'write', keepOpen: false })
  const window = region.subarray()
  for (const call of [() => region.resize(5), () => region.resize(2 * LENGTH), () => region.refresh()]) {
    const error = thrownBy(call)
    t.is(error?.code, 'ERR_INVALID_STATE')
    t.regex(error?.message ?? '', /keepOpen/)
  }
  t.is(window.length, LENGTH)
  t.true(region.equals(BYTES))
  t.is(statSync(path).size, LENGTH)
})

test('a closed region is not resized', (t) => {
  const { region, path } = made(t, 'a file', BYTES)
  region.close()
  t.is(
    codeOf(() => region.resize(5)),
    'ERR_REGION_CLOSED',
  )
  t.is(statSync(path ?? '').size, LENGTH)
})

test("'sparse' is not allocated when it grows, and reads as zeros", (t) => {
  const path = fileWith(t, BYTES)
  const region = opened(t, path, { access: 'write', sparse: true })
  const before = statSync(path).blocks
  region.resize(64 * 2 ** 20)
  t.is(statSync(path).size, 64 * 2 ** 20)
  if (isPosix) t.true(statSync(path).blocks <= before + 16, `${before} blocks, then ${statSync(path).blocks}`)
  t.is(region.readDoubleLE(32 * 2 ** 20), 0)
  t.true(region.slice(0, LENGTH).equals(BYTES))
})

onLinux('a sparse file of 512 MiB that grows by a page stays sparse elsewhere', (t) => {
  const path = fileWith(t, BYTES)
  truncateSync(path, 512 * 2 ** 20)
  const region = opened(t, path, { access: 'write' })
  const before = statSync(path).blocks
  region.resize(512 * 2 ** 20 + PAGE)
  const { size, blocks } = statSync(path)
  t.is(size, 512 * 2 ** 20 + PAGE)
  t.true((blocks - before) * 512 >= PAGE, 'the new page is allocated')
  t.true((blocks - before) * 512 <= 2 ** 20, `${(blocks - before) * 512} bytes were allocated for a page`)
})

test('a part of a longer file: resized, the file ends where the region does', (t) => {
  const path = fileWith(t, BYTES)
  const region = opened(t, path, { access: 'write', offset: 1000, length: 2000 })
  region.resize(3000)
  t.is(statSync(path).size, 4000)
  t.true(region.equals(BYTES.subarray(1000, 4000)))
})

test('an empty file grows, and can be mapped to nothing again only by whoever cuts it off', (t) => {
  const path = fileWith(t, '')
  const region = opened(t, path, { access: 'write' })
  t.is(region.byteLength, 0)
  region.resize(5)
  region.set('hello')
  t.is(readFileSync(path, 'utf8'), 'hello')
  if (!isPosix) return
  truncateSync(path, 0)
  t.true(region.refresh())
  t.is(region.byteLength, 0)
  t.is(region.slice().length, 0)
  region.resize(3)
  t.true(region.equals(zeros(3)))
})

test('a second map of the same file sees the new length after a refresh', (t) => {
  const path = fileWith(t, BYTES)
  const [one, two] = [opened(t, path, { access: 'write' }), opened(t, path, { access: WINDOWED })]
  const window = two.subarray()
  one.resize(LENGTH + 10)
  one.set('appended', LENGTH)
  t.is(two.byteLength, LENGTH)
  t.true(two.refresh())
  t.is(window.length, 0)
  t.is(two.toString('latin1', LENGTH, LENGTH + 8), 'appended')
  if (!isPosix) return
  one.resize(10)
  t.true(two.refresh())
  t.true(two.equals(BYTES.subarray(0, 10)))
})

onLinux('named memory: another region of the name sees the new length after a refresh', (t) => {
  const name = freshName(t)
  const one = SharedMemory.create(name, LENGTH)
  const two = SharedMemory.open(name)
  t.teardown(() => {
    one.close()
    two.close()
  })
  one.resize(LENGTH + PAGE)
  one.set('there', LENGTH)
  t.is(two.byteLength, LENGTH)
  t.true(two.refresh())
  t.is(two.byteLength, LENGTH + PAGE)
  t.is(two.toString('latin1', LENGTH, LENGTH + 5), 'there')
  two.resize(7)
  t.true(one.refresh())
  t.is(one.byteLength, 7)
  t.false(one.refresh())
})

test('private memory has nothing to refresh from; bytes and views stay', (t) => {
  const region = PrivateMemory.allocate(LENGTH)
  t.teardown(() => region.close())
  region.set(BYTES)
  const window = region.subarray()
  t.false(region.refresh())
  t.is(window.length, LENGTH)
  t.true(region.equals(BYTES))
})

test('refresh after resize: a region opened with a length stays at most that of the last resize', (t) => {
  const path = fileWith(t, BYTES)
  const region = opened(t, path, { access: 'write', offset: 8, length: 100 })
  region.resize(200)
  appendFileSync(path, 'more')
  t.false(region.refresh())
  t.is(region.byteLength, 200)
  const whole = opened(t, path, { access: 'write' })
  whole.resize(300)
  appendFileSync(path, 'more')
  t.true(whole.refresh())
  t.is(whole.byteLength, 304)
})

onLinux('resize where the file was cut off under the region is ERR_REGION_FAULTED only once that was met', (t) => {
  const path = fileWith(t, pattern(4 * PAGE))
  const region = opened(t, path, { access: 'write' })
  truncateSync(path, PAGE)
  t.is(
    codeOf(() => region.readUInt8(3 * PAGE)),
    'ERR_REGION_FAULTED',
  )
  t.is(
    codeOf(() => region.resize(2 * PAGE)),
    'ERR_REGION_FAULTED',
  )
  t.is(statSync(path).size, PAGE)
  t.true(region.refresh())
  region.resize(2 * PAGE)
  t.true(region.equals(Buffer.concat([pattern(PAGE), zeros(PAGE)])))
})

whereMounted('a full disk: ENOSPC, region and file as they were (skipped where nothing can be mounted)', (t) => {
  const path = join(mounted(t, '1m'), 'data.bin')
  writeFileSync(path, BYTES)
  const region = opened(t, path, { access: 'write' })
  const window = region.subarray()
  const before = statSync(path).blocks
  for (const length of [2 * 2 ** 20, 64 * 2 ** 20]) {
    const error = thrownBy(() => region.resize(length))
    t.like(error, { code: 'ENOSPC', path })
    t.is(region.byteLength, LENGTH)
    t.is(window.length, LENGTH)
    t.true(readFileSync(path).equals(BYTES))
    t.is(statSync(path).blocks, before, 'nothing stays allocated')
  }
  region.resize(2 ** 19)
  t.is(region.byteLength, 2 ** 19)
})

onLinux('no addresses left (RLIMIT_AS): ENOMEM, and region and file are as they were, for every kind', async (t) => {
  const result = await runChild('system/resize-no-addresses.mjs', [tmpFolder(t)])
  t.deepEqual(ending(result), WELL)
  t.log(result.stdout.trim())
})

onLinux('fs calls and flushes queued on views of the old length harm nothing', async (t) => {
  const result = await runChild('system/resize-stale-io.mjs', [tmpFolder(t)], { nodeArgs: ['--expose-gc'] })
  t.deepEqual(ending(result), WELL)
  t.log(result.stdout.trim())
})

test('resize of many regions leaves no descriptors and no maps behind', (t) => {
  const path = tmpFile(t)
  writeFileSync(path, BYTES)
  const region = MmapFile.open(path, { access: 'write' })
  t.teardown(() => region.close())
  const before = limits().maps
  for (let round = 0; round < 2000; round++) region.resize(1 + ((round * 7919) % 100_000))
  t.true(limits().maps <= before + 50, `${before} maps, then ${limits().maps}`)
})
