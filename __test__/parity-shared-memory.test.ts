// What somebody who comes from Python's multiprocessing.shared_memory, .NET's named maps or Boost looks for: a test a row
// of the guide's table, named after it. The row of Lock and Semaphore is with those.

import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import test from 'ava'
import { SharedMemory } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { codeOf, thrownBy } from './helpers/files.ts'
import { freeName, kept, program, runWithDescriptors } from './helpers/shared.ts'
import { isLinux, isPosix } from './helpers/system.ts'
import { tmpFile } from './helpers/tmp.ts'

const onPosix = isPosix ? test : test.skip

test('SharedMemory(name, create=True, size): create; existing is EEXIST, size 0 a RangeError', (t) => {
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, 1000))
  t.deepEqual([memory.byteLength, memory.created], [1000, true])
  t.is(
    codeOf(() => SharedMemory.create(name, 1000)),
    'EEXIST',
  )
  t.true(thrownBy(() => SharedMemory.create(`${name}-`, 0)) instanceof RangeError)
})

test('attach by name: open; missing is ENOENT, the length is exact or checked and trimmed by byteLength', (t) => {
  const name = freeName(t)
  t.is(
    codeOf(() => SharedMemory.open(name)),
    'ENOENT',
  )
  kept(t, SharedMemory.create(name, 1001))
  if (isLinux) t.is(kept(t, SharedMemory.open(name)).byteLength, 1001)
  t.is(kept(t, SharedMemory.open(name, { byteLength: 1001 })).byteLength, 1001)
  t.is(
    codeOf(() => SharedMemory.open(name, { byteLength: 100_000 })),
    'ERR_OUT_OF_RANGE',
  )
})

test('close, unlink: a second unlink is ENOENT; a reader that ends never removes a segment of another', async (t) => {
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, 1000))
  t.deepEqual(ending(await runChild(program('open'), [name, 'read'])), WELL)
  const reader = kept(t, SharedMemory.open(name))
  reader.close()
  t.is(SharedMemory.open(name, { byteLength: 1000 }).byteLength, 1000)
  SharedMemory.unlink(name)
  memory.set('whoever has it keeps it')
  t.is(
    codeOf(() => SharedMemory.unlink(name)),
    'ENOENT',
  )
})

test('create-or-open: openOrCreate; created tells, and two racing processes get one segment, whole', async (t) => {
  const name = freeName(t)
  const children = await Promise.all([0, 1].map(() => runChild(program('open'), [name, 'openOrCreate', 5000])))
  const made = children.map(({ stdout }) => JSON.parse(stdout) as { created: boolean; byteLength: number })
  t.deepEqual(made.map(({ created }) => created).sort(), [false, true])
  t.deepEqual(
    made.map(({ byteLength }) => byteLength),
    [5000, 5000],
  )
})

onPosix('child inherits: stdio [..., region.fd] and fromFd(3); also after the parent has gone', async (t) => {
  const memory = kept(t, SharedMemory.anonymous(1000))
  memory.set('hello')
  t.deepEqual(ending(await runWithDescriptors('from-descriptor', [], [memory.fd])), WELL)
  t.is(memory.toString('utf8', 0, 5), 'child')
  const report = tmpFile(t, 'report.json')
  t.deepEqual(ending(await runChild(program('leaves'), [report])), WELL)
  for (let i = 0; i < 1000 && !existsSync(report); i++) await sleep(10)
  t.regex(readFileSync(report, 'utf8'), /"last":"last words"/)
})
