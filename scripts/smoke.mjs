// A short run through the whole path, for platforms where the test suite's own tools do not run (wine, qemu, musl).
// Ends with a line of counts.

import assert from 'node:assert/strict'
import { appendFileSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { capabilities, FileLock, limits, MmapFile, mappings, PrivateMemory, SharedMemory } from 'memmap'

const folder = mkdtempSync(join(tmpdir(), 'memmap-smoke-'))
let path = ''
const TEXT = 'one\ntwo\r\nthree three\nlast'
let passed = 0
let failed = 0

async function check(name, work) {
  // A file each: Windows keeps one that closed windows still hold.
  path = join(folder, `file-${passed + failed}.bin`)
  writeFileSync(path, TEXT)
  try {
    await work()
    passed += 1
  } catch (error) {
    failed += 1
    console.error(`not ok: ${name}\n`, error)
  }
}

const code = (expected) => (error) => error.code === expected

await check('reads, searches and cuts lines', () => {
  const file = MmapFile.open(path)
  assert.equal(file.toString(), TEXT)
  assert.equal(file.indexOf('three'), 9)
  assert.equal(file.lastIndexOf('three'), 15)
  assert.equal(file.count('t'), 4)
  assert.deepEqual([...file.indexesOf('three')], [9, 15])
  assert.deepEqual([...file.lines({ encoding: 'utf8' })], ['one', 'two', 'three three', 'last'])
  for (let round = 0; round < 100; round++) assert.equal(file.readUInt8(0), 0x6f)
  file.close()
  assert.throws(() => file.at(0), code('ERR_REGION_CLOSED'))
})

await check('writes through to the file, flushes, and extends it', async () => {
  const file = MmapFile.open(path, { access: 'write', length: 100_000 })
  assert.equal(file.set('ONE'), 3)
  file.writeUInt32LE(0xdeadbeef, 99_996)
  await file.flush()
  file.flushSync({ wait: false })
  file.close()
  const bytes = readFileSync(path)
  assert.equal(bytes.length, 100_000)
  assert.equal(bytes.toString('latin1', 0, 7), 'ONE\ntwo')
  assert.equal(bytes.readUInt32LE(99_996), 0xdeadbeef)
})

await check('keeps a private copy private', () => {
  const file = MmapFile.open(path, { access: 'copy' })
  file.fill('x', { end: 3 })
  assert.equal(file.toString('utf8', 0, 3), 'xxx')
  assert.equal(readFileSync(path, 'utf8'), TEXT)
  file.close()
})

await check('refuses writing to what was opened for reading', () => {
  const file = MmapFile.open(path)
  assert.throws(() => file.set('x'), code('ERR_REGION_READONLY'))
  file.close()
})

await check('hands out windows that die at close and survives a stray write, or says why not', () => {
  const file = MmapFile.open(path)
  // Electron forbids them, and a private map of a file is a snapshot on macOS.
  if (process.versions.electron !== undefined || process.platform === 'darwin') {
    assert.throws(() => file.subarray(4, 7), code('ERR_ZERO_COPY_UNAVAILABLE'))
    assert.equal(file.slice(4, 7).toString(), 'two')
    file.close()
    return
  }
  const window = file.subarray(4, 7)
  assert.equal(window.toString(), 'two')
  window[0] = 0x78
  file.close()
  assert.equal(window.length, 0)
  assert.equal(readFileSync(path, 'utf8'), TEXT)
})

await check('maps any offset of a descriptor that is closed afterwards', () => {
  const fd = openSync(path, 'r')
  const file = MmapFile.open(fd, { offset: 5, length: 4 })
  closeSync(fd)
  assert.equal(file.toString(), 'wo\r\n')
  file.close()
})

await check('sees what was appended', () => {
  const file = MmapFile.open(path)
  appendFileSync(path, ' more')
  assert.equal(file.refresh(), true)
  assert.equal(file.toString(), `${TEXT} more`)
  file.close()
})

await check('names what failed', () => {
  assert.throws(() => MmapFile.open(join(folder, 'none')), code('ENOENT'))
  assert.throws(() => MmapFile.open(folder), code('EISDIR'))
  assert.throws(() => MmapFile.open(path, { access: 'write', create: 'exclusive' }), code('EEXIST'))
  assert.throws(() => MmapFile.open(path, { length: 1000 }), code('ERR_OUT_OF_RANGE'))
  assert.throws(() => MmapFile.open(12_345), code('EBADF'))
})

await check('opens and closes 2,000 times', () => {
  for (let round = 0; round < 2000; round++) {
    const file = MmapFile.open(path)
    if (round % 10 === 0) file.slice()
    file.close()
  }
  assert.ok(mappings().filter(({ closed }) => !closed).length === 0)
})

await check('resizes a file, its content kept and the rest zero', () => {
  const file = MmapFile.open(path, { access: 'write' })
  file.resize(100_000)
  assert.equal(file.fileSize, 100_000)
  assert.equal(file.toString('utf8', 0, TEXT.length), TEXT)
  assert.equal(file.at(-1), 0)
  file.resize(3)
  assert.equal(file.toString(), 'one')
  assert.equal(readFileSync(path, 'utf8'), 'one')
  assert.throws(() => file.resize(0), code('ERR_OUT_OF_RANGE'))
  file.close()
})

await check(
  'does not shorten a file that somebody else has mapped where the system refuses it, and loses nothing',
  () => {
    const [file, other] = [1, 2].map(() => MmapFile.open(path, { access: 'write' }))
    if (process.platform === 'win32') {
      assert.throws(() => file.resize(3), code('ERR_REGION_BUSY'))
      assert.equal(file.toString(), TEXT)
      file.set('ONE')
      assert.equal(other.toString('utf8', 0, 3), 'ONE')
    }
    other.close()
    file.resize(3)
    assert.equal(file.byteLength, 3)
    file.close()
  },
)

await check('shares named memory, whole and by its name', () => {
  const name = `memmap-smoke-${process.pid}-${Math.floor(Math.random() * 1e6)}`.slice(0, 30)
  const mine = SharedMemory.create(name, 5000)
  assert.equal(mine.byteLength, 5000)
  assert.throws(() => SharedMemory.create(name, 5000), code('EEXIST'))
  const theirs = SharedMemory.open(name, { byteLength: 5000 })
  assert.equal(theirs.byteLength, 5000)
  mine.writeUInt32LE(0xcafebabe, 4996)
  assert.equal(theirs.readUInt32LE(4996), 0xcafebabe)
  assert.equal(SharedMemory.openOrCreate(name, 5000).created, false)
  const attached = SharedMemory.attach(mine.share())
  assert.equal(attached.readUInt32LE(4996), 0xcafebabe)
  if (capabilities().namedResize === 'absent') {
    assert.throws(() => mine.resize(9000), code('ERR_FEATURE_UNAVAILABLE_ON_PLATFORM'))
  }
  SharedMemory.unlink(name)
  for (const region of [mine, theirs, attached]) region.close()
  assert.throws(() => SharedMemory.open(`${name}x`.slice(-30)), code('ENOENT'))
  assert.throws(() => SharedMemory.create('a/b', 5), code('ERR_INVALID_ARG_VALUE'))
})

await check('makes anonymous memory and memory of its own', async () => {
  const anonymous = SharedMemory.anonymous(70_000)
  anonymous.fill(7)
  assert.equal(anonymous.count(7), 70_000)
  assert.throws(() => anonymous.resize(80_000))
  anonymous.close()
  const own = PrivateMemory.allocate(10_000, { wipe: true })
  own.set('kept')
  own.resize(20_000)
  own.protect('read')
  assert.throws(() => own.set('x'), code('ERR_REGION_READONLY'))
  own.protect('write')
  assert.equal(own.toString('utf8', 0, 4), 'kept')
  assert.equal(typeof own.advise('willneed'), 'boolean')
  own.pin({ end: 1 })
  own.unpin({ end: 1 })
  await own.prefetch()
  assert.ok(own.residency().pages >= 4)
  own.close()
  assert.ok(limits().pageSize >= 4096)
})

await check('locks parts of files against others, waits, and gives up', async () => {
  writeFileSync(path, 'x'.repeat(1000))
  const file = MmapFile.open(path, { access: 'write' })
  const lock = file.lockSync({ start: 0, end: 10 })
  assert.equal(FileLock.tryAcquire(path, { start: 9, end: 20 }), null)
  assert.equal(file.tryLock({ start: 5, end: 6, mode: 'shared' }), null)
  const beside = FileLock.tryAcquire(path, { start: 10, end: 20 })
  assert.equal(beside?.mode, 'exclusive')
  assert.throws(() => FileLock.acquireSync(path, { end: 5, timeout: 60 }), code('ERR_LOCK_TIMEOUT'))
  assert.throws(() => FileLock.acquireSync(path, { end: 5 }), code('ERR_LOCK_OVERLAP'))
  await assert.rejects(FileLock.acquire(path, { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' })
  // Of the file as such, beside locks of its bytes.
  const whole = FileLock.tryAcquire(path, { kind: 'file' })
  assert.equal(FileLock.tryAcquire(path, { kind: 'file', mode: 'shared' }), null)
  whole?.release()
  // Windows itself refuses to read a locked range; wine does not, so nothing is said of it here.
  if (process.platform !== 'win32') assert.equal(readFileSync(path).length, 1000)
  assert.equal(file.readUInt8(0), 0x78)
  lock.downgrade()
  const shared = file.tryLock({ start: 5, end: 6, mode: 'shared' })
  assert.equal(shared?.mode, 'shared')
  const order = []
  const waits = [1, 2, 3].map(async (number) => {
    const granted = await FileLock.acquire(path, { end: 10 })
    order.push(number)
    granted.release()
  })
  setTimeout(() => {
    lock.release()
    shared?.release()
  }, 20)
  await Promise.all(waits)
  assert.deepEqual(order, [1, 2, 3])
  beside?.release()
  file.close()
  assert.throws(() => file.tryLock(), code('ERR_REGION_CLOSED'))
})

try {
  rmSync(folder, { recursive: true, force: true })
} catch {
  // Windows keeps a file that closed views still hold; the folder is a temporary one.
}
console.log(`${process.platform} ${process.arch}, Node ${process.version}: ${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
