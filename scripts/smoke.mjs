// A short run through the whole path, for platforms where the test suite's own tools do not run (wine, qemu, musl).
// Ends with a line of counts.

import assert from 'node:assert/strict'
import { appendFileSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { MmapFile, mappings } from 'memmap'

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

await check('hands out windows that die at close, and survives a stray write', () => {
  const file = MmapFile.open(path)
  let window
  try {
    window = file.subarray(4, 7)
  } catch (error) {
    assert.equal(error.code, 'ERR_ZERO_COPY_UNAVAILABLE')
    file.close()
    return
  }
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

try {
  rmSync(folder, { recursive: true, force: true })
} catch {
  // Windows keeps a file that closed views still hold; the folder is a temporary one.
}
console.log(`${process.platform} ${process.arch}, Node ${process.version}: ${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
