// What somebody who comes from Python's multiprocessing.shared_memory or Boost looks for: a test for each row of the guide's
// table, named after it.

import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import { Ring, Semaphore, SharedMemory } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { codeOf, thrownBy } from './helpers/files.ts'
import { TestedTable } from './helpers/guide.ts'
import { deathIsTold } from './helpers/owners.ts'
import { freeName, kept, program, runWithDescriptors } from './helpers/shared.ts'
import { isLinux, isPosix } from './helpers/system.ts'
import { tmpFile } from './helpers/tmp.ts'

const shared = new TestedTable('coming-from-java-and-dotnet.md', 'Shared memory')

shared.row('SharedMemory(name, create=True, size)', 'made once; a taken name is EEXIST, size 0 a RangeError', (t) => {
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, 1000))
  t.deepEqual([memory.byteLength, memory.created], [1000, true])
  t.is(
    codeOf(() => SharedMemory.create(name, 1000)),
    'EEXIST',
  )
  t.true(thrownBy(() => SharedMemory.create(`${name}-`, 0)) instanceof RangeError)
})

shared.row(
  'SharedMemory(name)',
  'missing is ENOENT, the length is exact, or checked and trimmed by byteLength',
  (t) => {
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
  },
)

shared.row(
  'close, unlink',
  'a second unlink is ENOENT; a reader that ends never removes a segment of another',
  async (t) => {
    const name = freeName(t)
    const memory = kept(t, SharedMemory.create(name, 1000))
    t.deepEqual(ending(await runChild(program('open'), [name, 'read'])), WELL)
    const reader = kept(t, SharedMemory.open(name))
    reader.close()
    const again = SharedMemory.open(name, { byteLength: 1000 })
    t.is(again.byteLength, 1000)
    again.close()
    SharedMemory.unlink(name)
    memory.set('whoever has it keeps it')
    // On Windows a name goes with its last holder, and by nothing else.
    if (!isPosix) memory.close()
    t.is(
      codeOf(() => SharedMemory.unlink(name)),
      'ENOENT',
    )
  },
)

shared.row('open_or_create', 'created tells, and two racing processes get one segment, whole', async (t) => {
  const name = freeName(t)
  const children = await Promise.all([0, 1].map(() => runChild(program('open'), [name, 'openOrCreate', 5000])))
  const made = children.map(({ stdout }) => JSON.parse(stdout) as { created: boolean; byteLength: number })
  // On Windows the memory of the one may have gone before the other one comes.
  if (isPosix) t.deepEqual(made.map(({ created }) => created).sort(), [false, true])
  else t.true(made.some(({ created }) => created))
  t.deepEqual(
    made.map(({ byteLength }) => byteLength),
    [5000, 5000],
  )
})

shared.rowWhere(isPosix, 'a child inherits', 'by its descriptor; also after the parent has gone', async (t) => {
  const memory = kept(t, SharedMemory.anonymous(1000))
  memory.set('hello')
  t.deepEqual(ending(await runWithDescriptors('from-descriptor', [], [memory.fd])), WELL)
  t.is(memory.toString('utf8', 0, 5), 'child')
  const report = tmpFile(t, 'report.json')
  t.deepEqual(ending(await runChild(program('leaves'), [report])), WELL)
  for (let i = 0; i < 1000 && !existsSync(report); i++) await sleep(10)
  t.regex(readFileSync(report, 'utf8'), /"last":"last words"/)
})

shared.row(
  'Lock, Semaphore, interprocess_mutex',
  'across processes; the death of an owner is told, never a hang',
  async (t) => {
    const name = freeName(t)
    const memory = kept(t, SharedMemory.create(name, 8192))
    await deathIsTold(t, memory, name)
    const semaphore = new Semaphore(memory, 4096, 2)
    t.deepEqual(
      [1, 2, 3].map(() => semaphore.tryAcquire()),
      [true, true, false],
    )
    semaphore.release(2)
    const holder = await runChild(program('takes-permits'), [name, 4096, 2])
    t.deepEqual(ending(holder), isPosix ? { ...WELL, code: null, signal: 'SIGKILL' } : { ...WELL, code: 1 })
    t.false(semaphore.tryAcquire())
    t.is(semaphore.recover(), 2)
    t.true(semaphore.tryAcquire())
    semaphore.release()
  },
)

shared.row('Queue, message_queue', 'records of one process come out in another, in order, each once', async (t) => {
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, Ring.byteLengthFor(65_536)))
  const ring = new Ring(memory, 0, 65_536)
  t.deepEqual(ending(await runChild(program('pushes'), [name, 65_536, 100])), WELL)
  const records: string[] = []
  for await (const record of ring) records.push(record.toString())
  t.deepEqual(
    records,
    Array.from({ length: 100 }, (_, number) => `record ${number}`),
  )
})

shared.end()
