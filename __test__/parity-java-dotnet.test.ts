// What somebody who comes from Java or .NET looks for: a test for each row of the guide's tables, named after it.

import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync, truncateSync, writeSync } from 'node:fs'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { limits, MmapFile, PrivateMemory, SharedMemory } from 'memmap'

import { codeOf, fileWith, opened, WINDOWED } from './helpers/files.ts'
import { TestedTable } from './helpers/guide.ts'
import { pattern } from './helpers/kinds.ts'
import { lockProgram, Talker } from './helpers/lockers.ts'
import { deathIsTold } from './helpers/owners.ts'
import { freeName, kept } from './helpers/shared.ts'
import { isPosix } from './helpers/system.ts'
import { tmpFile } from './helpers/tmp.ts'

const GUIDE = 'coming-from-java-and-dotnet.md'
const java = new TestedTable(GUIDE, 'Java')
const dotnet = new TestedTable(GUIDE, '.NET')
const hasJava = isPosix && ['java', 'javac'].every((name) => spawnSync(name, ['-version']).status === 0)

const PAGE = limits().pageSize

java.row('FileChannel.map(mode, position, size)', 'what is left, a part, and more than there is', (t) => {
  const path = fileWith(t, '0123456789')
  const fd = openSync(path, 'r+')
  const region = opened(t, fd, { access: 'write', offset: 3, length: 4 })
  closeSync(fd)
  t.is(region.toString(), '3456')
  const copy = opened(t, path, { access: 'copy' })
  copy.set('copied')
  t.is(readFileSync(path, 'utf8'), '0123456789')
  t.is(
    codeOf(() => opened(t, path, { offset: 3, length: 8 })),
    'ERR_OUT_OF_RANGE',
  )
  opened(t, path, { access: 'write', offset: 3, length: 8 }).set('X', 7)
  t.is(readFileSync(path, 'utf8'), '0123456789X')
})

java.row('load, isLoaded, force', 'read ahead, told page by page, on the disk', async (t) => {
  const path = fileWith(t, pattern(10 * PAGE))
  const region = opened(t, path, { access: 'write' })
  await region.prefetch()
  const { known, pages, resident } = region.residency()
  t.is(pages, 10)
  if (known) t.is(resident, 10, 'all of it is loaded')
  region.set('forced', PAGE)
  await region.flush({ start: PAGE, end: PAGE + 6 })
  t.is(readFileSync(path).toString('latin1', PAGE, PAGE + 6), 'forced')
})

java.row('getInt(i), putDouble(i, x), order(…)', 'both byte orders, at any offset', (t) => {
  const path = fileWith(t, Buffer.alloc(64))
  const region = opened(t, path, { access: 'write' })
  for (let offset = 0; offset < 9; offset++) {
    region.writeInt32BE(-123_456, offset)
    t.is(region.readInt32BE(offset), -123_456)
    t.is(readFileSync(path).readInt32BE(offset), -123_456)
    region.writeInt32LE(-123_456, offset)
    t.is(region.readInt32LE(offset), -123_456)
    region.writeDoubleBE(Math.E, offset)
    t.is(readFileSync(path).readDoubleBE(offset), Math.E)
    region.writeBigInt64LE(-(2n ** 62n), offset)
    t.is(readFileSync(path).readBigInt64LE(offset), -(2n ** 62n))
  }
  t.is(
    codeOf(() => region.readInt32LE(61)),
    'ERR_OUT_OF_RANGE',
  )
})

java.row('position, get, put, slice, asDoubleBuffer', 'a position, and the memory itself', (t) => {
  const path = fileWith(t, Buffer.alloc(64))
  const region = opened(t, path, { access: 'write' })
  const cursor = region.cursor(8)
  cursor.writeDoubleLE(0.5)
  t.is(cursor.position, 16)
  t.is(region.view(Float64Array, 8, 1)[0], 0.5)
  region.subarray(20, 24).set(Buffer.from('part'))
  t.is(readFileSync(path).toString('latin1', 20, 24), 'part')
})

java.row('more than Integer.MAX_VALUE bytes', 'one region, and a window that lies across 2 GiB', (t) => {
  const path = tmpFile(t)
  const [fd, at] = [openSync(path, 'w'), 2 ** 31 - 4]
  writeSync(fd, 'straddle', at)
  closeSync(fd)
  const region = opened(t, path, { access: WINDOWED })
  t.is(region.byteLength, 2 ** 31 + 4)
  t.is(region.subarray(at).toString(), 'straddle')
  t.is(region.lastIndexOf('straddle'), at)
})

java.rowWhere(isPosix, 'InternalError on a truncated file', 'an error of the very call, and the process lives', (t) => {
  const path = fileWith(t, pattern(4 * PAGE))
  const region = opened(t, path)
  truncateSync(path, PAGE)
  t.is(
    codeOf(() => region.readUInt8(2 * PAGE)),
    'ERR_REGION_FAULTED',
  )
  t.is(
    codeOf(() => region.slice()),
    'ERR_REGION_FAULTED',
  )
  t.is(region.fault?.offset, 2 * PAGE)
  t.true(region.refresh())
  t.true(region.equals(pattern(PAGE)))
})

java.row('Arena.close', 'at once; no use after it', (t) => {
  const path = fileWith(t, pattern(100))
  let window: Buffer | undefined
  let region: MmapFile | undefined
  const scoped = () => {
    using inner = MmapFile.open(path, { access: 'write' })
    region = inner
    window = inner.subarray()
    t.is(window.length, 100)
  }
  scoped()
  t.is(window?.length, 0)
  t.true(region?.closed)
  t.is(
    codeOf(() => region?.readUInt8(0)),
    'ERR_REGION_CLOSED',
  )
  region?.close()
})

java.rowWhere(
  hasJava,
  'FileChannel.lock(position, size, shared)',
  'each excludes the other (skipped without a JDK)',
  async (t) => {
    const path = fileWith(t, Buffer.alloc(100))
    const other = new Talker(t, 'java', ['-XX:TieredStopAtLevel=1', lockProgram('FileChannelLock.java'), path])
    t.is(await other.hears(), 'ready')
    const region = opened(t, path, { access: 'write' })
    const lock = region.tryLock({ start: 10, end: 20 })
    t.is(await other.says('try 19 1 true'), 'refused')
    lock?.release()
    t.is(await other.says('try 19 1 true'), 'locked')
    t.is(region.tryLock({ start: 10, end: 20 }), null)
    const shared = region.tryLock({ start: 10, end: 20, mode: 'shared' })
    t.not(shared, null)
    shared?.release()
  },
)

java.end()

dotnet.row('CreateFromFile(path, mode, null, capacity)', 'made, opened, extended, or refused', (t) => {
  const path = tmpFile(t)
  opened(t, path, { access: 'write', create: 'exclusive', length: 100 }).set('kept')
  t.is(statSync(path).size, 100)
  t.is(
    codeOf(() => opened(t, path, { access: 'write', create: 'exclusive' })),
    'EEXIST',
  )
  const region = opened(t, path, { access: 'write', create: true, length: 4096 })
  t.is(statSync(path).size, 4096)
  t.is(region.toString('latin1', 0, 4), 'kept')
})

dotnet.row('MemoryMappedFileAccess', 'reading, writing, copying, executing', (t) => {
  const path = fileWith(t, 'content')
  const read = opened(t, path)
  t.is(
    codeOf(() => read.set('x')),
    'ERR_REGION_READONLY',
  )
  if (isPosix) read.protect('execute')
  t.is(read.toString(), 'content')
  const memory = PrivateMemory.allocate(7)
  memory.set('content')
  memory.protect('execute')
  t.is(memory.toString(), 'content')
  memory.close()
  opened(t, path, { access: 'copy' }).set('copied.')
  t.is(readFileSync(path, 'utf8'), 'content')
  opened(t, path, { access: 'write' }).set('written')
  t.is(readFileSync(path, 'utf8'), 'written')
})

dotnet.row('CreateViewAccessor: Read, Write, ReadArray', 'numbers at any offset, and arrays of them', (t) => {
  const region = opened(t, fileWith(t, Buffer.alloc(64)), { access: 'write', offset: 8 })
  region.writeDoubleLE(Math.PI, 3)
  t.is(region.readDoubleLE(3), Math.PI)
  region.view(Int32Array, 16, 3).set([1, 2, 3])
  t.deepEqual([...region.view(Int32Array, 16, 3)], [1, 2, 3])
  t.is(region.readInt32LE(24), 3)
})

dotnet.row('CreateViewStream', 'a position, windows and lines, also as streams', async (t) => {
  const region = opened(t, fileWith(t, 'one\ntwo\nthree'), { access: 'write' })
  const cursor = region.cursor(4)
  t.is(cursor.read(3).toString(), 'two')
  t.is(cursor.position, 7)
  cursor.seek(0)
  cursor.write('ONE')
  t.deepEqual([...region.lines({ encoding: 'utf8' })], ['ONE', 'two', 'three'])
  t.deepEqual(
    [...region.windows(5)].map((window) => window.toString()),
    ['ONE\nt', 'wo\nth', 'ree'],
  )
  const pieces: Buffer[] = []
  const sink = new Writable({
    write(piece: Buffer, _encoding, done) {
      pieces.push(Buffer.from(piece))
      done()
    },
  })
  await pipeline(region.windows(5), sink)
  t.is(Buffer.concat(pieces).toString(), 'ONE\ntwo\nthree')
})

dotnet.row('CreateNew(name, n), OpenExisting, CreateOrOpen', 'made, opened, or either', (t) => {
  const name = freeName(t)
  t.is(
    codeOf(() => SharedMemory.open(name)),
    'ENOENT',
  )
  t.true(kept(t, SharedMemory.openOrCreate(name, 100)).created)
  t.false(kept(t, SharedMemory.openOrCreate(name, 100)).created)
  t.is(
    codeOf(() => SharedMemory.create(name, 100)),
    'EEXIST',
  )
  kept(t, SharedMemory.open(name)).set('one')
  t.is(kept(t, SharedMemory.open(name)).toString('latin1', 0, 3), 'one')
})

dotnet.row('Flush()', 'a promise, which a second process need not wait for', async (t) => {
  const path = fileWith(t, 'content')
  const region = opened(t, path, { access: 'write' })
  region.set('written')
  t.is(readFileSync(path, 'utf8'), 'written')
  t.is(await region.flush(), undefined)
  t.is(readFileSync(path, 'utf8'), 'written')
})

dotnet.row(
  'new Mutex(false, name), AbandonedMutexException',
  'the death of the owner is told to the next',
  async (t) => {
    const name = freeName(t)
    await deathIsTold(t, kept(t, SharedMemory.create(name, 4096)), name)
  },
)

dotnet.row('SafeMemoryMappedViewHandle, Dispose', 'once, and nothing works afterwards', (t) => {
  const region = opened(t, fileWith(t, 'content'), { access: WINDOWED })
  const window = region.subarray()
  region[Symbol.dispose]()
  region[Symbol.dispose]()
  t.is(window.length, 0)
  t.is(
    codeOf(() => region.cursor()),
    'ERR_REGION_CLOSED',
  )
})

dotnet.end()
