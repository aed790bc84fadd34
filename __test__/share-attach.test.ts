// A region's handle, and the same memory by it in another isolate.

import { writeFileSync } from 'node:fs'
import { inspect } from 'node:util'

import test from 'ava'
import { MmapFile, PrivateMemory, SharedMemory } from 'memmap'
import type { RegionHandle } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { codeOf, fileWith, opened, regionWith, thrownBy } from './helpers/files.ts'
import { freeName, kept, program } from './helpers/shared.ts'
import { isEmulated, isLinux } from './helpers/system.ts'
import { tmpFile } from './helpers/tmp.ts'

const unchecked = (value: unknown): never => value as never

test('an attached region is a mapping of its own of the same memory', (t) => {
  const name = freeName(t)
  for (const memory of [SharedMemory.create(name, 5000), SharedMemory.anonymous(5000)]) {
    const handle = structuredClone(memory.share())
    t.deepEqual(Object.keys(handle).sort(), ['byteLength', 'id', 'kind'])
    t.deepEqual([handle.kind, handle.byteLength], ['SharedMemory', 5000])
    const other = kept(t, SharedMemory.attach(handle))
    t.deepEqual([other.byteLength, other.access, other.created], [5000, 'write', false])
    t.is(other.name, memory.name)
    const view = other.view(Uint8Array)
    memory.writeUInt8(7, 4999)
    t.is(view[4999], 7)
    other.set('back')
    t.is(memory.toString('utf8', 0, 4), 'back')
    memory.close()
    t.is(view[4999], 7, 'it lives on')
    t.is(other.toString('utf8', 0, 4), 'back')
  }
})

test('an attached file has its access, offset, length and path', (t) => {
  const path = fileWith(t, 'x'.repeat(10_000))
  for (const access of ['read', 'write', 'copy'] as const) {
    const file = opened(t, path, { access, offset: 100, length: 5000 })
    const other = kept(t, MmapFile.attach(file.share()))
    t.deepEqual([other.access, other.byteLength, other.offset], [access, 5000, 100])
    t.is(other.path, file.path)
    if (access === 'write') other.set('w')
    t.is(file.readUInt8(0), other.readUInt8(0))
  }
})

test('what is of one isolate, or kept no descriptor, cannot be shared', (t) => {
  t.is(
    codeOf(() => kept(t, PrivateMemory.allocate(10)).share()),
    'ERR_INVALID_STATE',
  )
  t.is(
    codeOf(() => regionWith(t, 'abc', { keepOpen: false }).share()),
    'ERR_INVALID_STATE',
  )
})

test('a handle of another kind is ERR_INVALID_ARG_VALUE', (t) => {
  const file = regionWith(t, 'abc')
  const memory = kept(t, SharedMemory.anonymous(10))
  t.is(
    codeOf(() => SharedMemory.attach(file.share())),
    'ERR_INVALID_ARG_VALUE',
  )
  t.is(
    codeOf(() => MmapFile.attach(memory.share())),
    'ERR_INVALID_ARG_VALUE',
  )
  const forged = { ...memory.share(), kind: 'MmapFile' }
  t.is(typeof codeOf(() => MmapFile.attach(forged)), 'string')
})

test('a handle is stale once its sender is closed', (t) => {
  const memory = SharedMemory.anonymous(10)
  const handle = memory.share()
  kept(t, SharedMemory.attach(handle))
  memory.close()
  for (let i = 0; i < 3; i++) {
    t.is(
      codeOf(() => SharedMemory.attach(handle)),
      'ERR_REGION_CLOSED',
    )
  }
  const next = kept(t, SharedMemory.anonymous(10))
  t.not(next.share().id, handle.id)
})

test('an attached region can be shared further, and outlives who shared it', (t) => {
  const first = SharedMemory.anonymous(10)
  const second = kept(t, SharedMemory.attach(first.share()))
  const handle = second.share()
  first.close()
  const third = kept(t, SharedMemory.attach(handle))
  third.set('third')
  t.is(second.toString('utf8', 0, 5), 'third')
})

test('handles that nobody gave are refused with an error of a type', (t) => {
  const memory = kept(t, SharedMemory.anonymous(10))
  const { kind, id, byteLength } = memory.share()
  const parts = [...id]
  const bad: readonly unknown[] = [
    undefined,
    null,
    0,
    1,
    1n,
    true,
    '',
    id,
    Symbol('id'),
    () => id,
    [],
    [kind, id],
    {},
    { kind },
    { id },
    { kind, id: undefined },
    { kind, id: null },
    { kind, id: 1 },
    { kind, id: 2 ** 53 },
    { kind, id: {} },
    { kind, id: [id] },
    { kind: 1, id },
    { kind: '', id },
    { kind: 'PrivateMemory', id },
    { kind, id: '' },
    { kind, id: ' ' },
    { kind, id: id.slice(1) },
    { kind, id: id.slice(0, -1) },
    { kind, id: `${id}0` },
    { kind, id: ` ${id}` },
    { kind, id: parts.toReversed().join('') },
    { kind, id: '0' },
    { kind, id: '-1' },
    { kind, id: 'NaN' },
    { kind, id: '0.0.0' },
    { kind, id: 'ä'.repeat(40) },
    { kind, id: '9'.repeat(400) },
    { kind, id: '\0' },
    { kind, id: 'x'.repeat(1e6) },
    { kind, id: `${id}\0` },
    { kind, id: `${id}X` },
  ]
  for (const handle of bad) {
    const code = codeOf(() => kept(t, SharedMemory.attach(unchecked(handle))))
    const known = ['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_VALUE', 'ERR_REGION_CLOSED']
    t.true(known.includes(String(code)), `${String(code)}: ${inspect(handle).slice(0, 80)}`)
  }
  t.is(kept(t, SharedMemory.attach({ kind, id, byteLength: byteLength + 1 })).byteLength, 10, 'the length is no claim')
})

test('a handle of another process is stale here', async (t) => {
  const memories = Array.from({ length: 3 }, () => kept(t, SharedMemory.anonymous(10)))
  const handles: RegionHandle[] = memories.map((memory) => memory.share())
  const path = tmpFile(t, 'handles.json')
  writeFileSync(path, JSON.stringify(handles))
  const child = await runChild(program('attach-foreign'), [path])
  t.deepEqual(ending(child), WELL)
  t.deepEqual(
    JSON.parse(child.stdout),
    handles.map(() => 'ERR_REGION_CLOSED'),
  )
})

test('a worker that attached a file or memory sees what is written here, and the other way round', async (t) => {
  const child = await runChild(program('workers-attach'), [fileWith(t, Buffer.alloc(8192))])
  t.deepEqual(ending(child), WELL)
})

test('closed in one isolate it is read on in the other, in a hot loop', async (t) => {
  const child = await runChild(program('workers-close'), [fileWith(t, Buffer.alloc(65_536, 0x77))])
  t.deepEqual(ending(child), WELL)
})

const onLinux = isLinux ? test.serial : test.serial.skip
onLinux(
  '1,000 workers terminated while they hold views leave neither maps nor descriptors (emulated: 50)',
  async (t) => {
    const started = performance.now()
    const workers = isEmulated ? 50 : 1000
    const child = await runChild(program('workers-terminated'), [fileWith(t, Buffer.alloc(65_536, 1)), workers, 30], {
      nodeArgs: ['--expose-gc'],
      timeout: 300_000,
    })
    t.deepEqual(ending(child), WELL)
    t.log(child.stdout.trim(), `${Math.round(performance.now() - started)} ms`)
  },
)

test('share of a closed region is ERR_REGION_CLOSED', (t) => {
  const memory = SharedMemory.anonymous(10)
  memory.close()
  t.is(thrownBy(() => memory.share())?.code, 'ERR_REGION_CLOSED')
})
