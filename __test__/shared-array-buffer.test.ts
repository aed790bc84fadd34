import test from 'ava'
import { capabilities, MmapFile, PrivateMemory, SharedMemory } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { codeOf, fileWith, opened, regionWith } from './helpers/files.ts'
import { freeName, kept, program } from './helpers/shared.ts'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const least: Readonly<Record<number, number>> = { 22: 23, 24: 21, 26: 10 }
const available = major > 26 || minor >= (least[major] ?? Number.POSITIVE_INFINITY)
const where = available ? test : test.skip

test('capabilities tell whether this runtime can make one', (t) => {
  t.is(capabilities()['sharedArrayBuffer'], available ? 'native' : 'absent')
})

test('where the runtime cannot, that is what is said', (t) => {
  const region = kept(t, SharedMemory.anonymous(4096))
  t.is(
    codeOf(() => region.sharedArrayBuffer()),
    available ? undefined : 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
  )
})

where('it is a SharedArrayBuffer over the same memory, and lives after close', (t) => {
  const path = fileWith(t, Buffer.alloc(10_000))
  const regions = [
    kept(t, SharedMemory.anonymous(10_000)),
    kept(t, SharedMemory.create(freeName(t), 10_000)),
    opened(t, path, { access: 'write' }),
  ]
  for (const region of regions) {
    const buffer = region.sharedArrayBuffer()
    t.true(buffer instanceof SharedArrayBuffer)
    t.is(buffer.byteLength, 10_000)
    const bytes = new Uint8Array(buffer)
    region.writeUInt8(1, 9999)
    t.is(bytes[9999], 1)
    bytes[0] = 2
    t.is(region.readUInt8(0), 2)
    const other = new Uint8Array(region.sharedArrayBuffer())
    t.is(other[0], 2)
    region.close()
    t.is(bytes.length, 10_000)
    bytes[1] = 3
    t.deepEqual([other[0], other[1], other[9999]], [2, 3, 1])
  }
  t.is(kept(t, MmapFile.open(path)).readUInt8(1), 3, 'what was stored after close is in the file')
})

where('it is refused on what is read only, private, closed or begins inside a page', (t) => {
  const path = fileWith(t, Buffer.alloc(10_000))
  for (const access of ['read', 'copy'] as const) {
    t.is(
      codeOf(() => opened(t, path, { access }).sharedArrayBuffer()),
      'ERR_REGION_READONLY',
    )
  }
  t.is(
    codeOf(() => opened(t, path, { access: 'write', offset: 100 }).sharedArrayBuffer()),
    'ERR_INVALID_STATE',
  )
  t.is(opened(t, path, { access: 'write', offset: 65_536, length: 10 }).sharedArrayBuffer().byteLength, 10)
  t.is(
    codeOf(() => regionWith(t, 'abc', { access: 'write', keepOpen: false }).sharedArrayBuffer()),
    'ERR_INVALID_STATE',
  )
  t.is(
    codeOf(() => kept(t, PrivateMemory.allocate(4096)).sharedArrayBuffer()),
    'ERR_INVALID_STATE',
  )
  const protectedRegion = kept(t, SharedMemory.anonymous(4096))
  protectedRegion.protect('read')
  t.is(
    codeOf(() => protectedRegion.sharedArrayBuffer()),
    'ERR_REGION_READONLY',
  )
  const closed = SharedMemory.anonymous(10)
  closed.close()
  t.is(
    codeOf(() => closed.sharedArrayBuffer()),
    'ERR_REGION_CLOSED',
  )
})

where('workers wait on it and wake each other, and what they store is in the region', async (t) => {
  t.deepEqual(ending(await runChild(program('wait-notify'), [])), WELL)
})
