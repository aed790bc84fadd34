// Memory without a name, which goes to children by its descriptor.

import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import test from 'ava'
import { SharedMemory } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { codeOf, fileWith, thrownBy } from './helpers/files.ts'
import { kept, program, runWithDescriptors, shownLength } from './helpers/shared.ts'
import { isLinux, isMac, isPosix } from './helpers/system.ts'
import { tmpFile } from './helpers/tmp.ts'

const onPosix = isPosix ? test : test.skip
const onLinux = isLinux ? test : test.skip

/** A descriptor, where there is one. */
function descriptor(memory: SharedMemory): number {
  if (memory.fd === undefined) throw new Error('no descriptor')
  return memory.fd
}

test('anonymous memory is zeroed, of just its length, and has no name', (t) => {
  for (const length of [1, 4097, 2 ** 21]) {
    const memory = kept(t, SharedMemory.anonymous(length))
    t.deepEqual([memory.byteLength, memory.name, memory.created, memory.access], [length, undefined, true, 'write'])
    t.is(memory.count(0), length)
    if (isLinux) t.is(fstatSync(descriptor(memory)).size, length)
    if (isLinux) t.true(fstatSync(descriptor(memory)).blocks * 512 >= length)
  }
  const [one, other] = [kept(t, SharedMemory.anonymous(10)), kept(t, SharedMemory.anonymous(10))]
  one.fill(1)
  t.is(other.count(0), 10)
})

onLinux('it is sealed: nobody changes its length, not even by the descriptor', (t) => {
  const memory = kept(t, SharedMemory.anonymous(8192))
  memory.fill(1)
  for (const length of [1, 4096, 8191, 8193, 16_384]) {
    t.is(
      codeOf(() => memory.resize(length)),
      'ERR_INVALID_STATE',
    )
    t.is(
      codeOf(() => ftruncateSync(descriptor(memory), length)),
      'EPERM',
    )
  }
  const copy = kept(t, SharedMemory.fromFd(descriptor(memory)))
  t.is(
    codeOf(() => copy.resize(4096)),
    'ERR_INVALID_STATE',
  )
  t.is(memory.count(1), 8192)
})

onLinux('growable memory grows for all who have it, and never shrinks', (t) => {
  const memory = kept(t, SharedMemory.anonymous(5000, { growable: true }))
  memory.fill(1)
  const other = kept(t, SharedMemory.fromFd(descriptor(memory)))
  memory.resize(50_000)
  t.is(memory.byteLength, 50_000)
  t.deepEqual([memory.count(1), memory.count(0)], [5000, 45_000])
  t.is(other.byteLength, 5000)
  t.true(other.refresh())
  t.is(other.byteLength, 50_000)
  other.writeUInt8(2, 49_999)
  t.is(memory.readUInt8(49_999), 2)
  other.resize(60_000)
  for (const region of [memory, other]) {
    t.is(
      codeOf(() => region.resize(4096)),
      'ERR_INVALID_STATE',
    )
    t.is(
      codeOf(() => ftruncateSync(descriptor(region), 4096)),
      'EPERM',
    )
  }
  t.true(memory.refresh())
  t.is(memory.byteLength, 60_000)
})

onPosix('a child has it behind the descriptor it was given, and both see what the other writes', async (t) => {
  const memory = kept(t, SharedMemory.anonymous(12_345))
  memory.set('hello')
  const child = await runWithDescriptors('from-descriptor', [], [descriptor(memory)])
  t.deepEqual(ending(child), WELL)
  const facts: unknown = JSON.parse(child.stdout)
  const tries = isLinux ? ['EPERM', 'EPERM', 'EPERM'] : Reflect.get(Object(facts), 'tries')
  t.deepEqual(facts, { read: 'hello', tries, byteLength: shownLength(12_345), created: false, own: true })
  t.is(memory.toString('utf8', 0, 5), 'child')
})

onPosix('a child has it still when the parent has gone', async (t) => {
  const report = tmpFile(t, 'report.json')
  const parent = await runChild(program('leaves'), [report])
  t.deepEqual(ending(parent), WELL)
  for (let i = 0; i < 1000 && !existsSync(report); i++) await sleep(10)
  t.deepEqual(JSON.parse(readFileSync(report, 'utf8')), {
    parentLived: true,
    first: 'from the parent',
    last: 'last words',
    written: 7,
  })
})

onPosix('fromFd keeps a descriptor of its own, and closes only that', (t) => {
  const memory = SharedMemory.anonymous(4096)
  const given = descriptor(memory)
  const other = SharedMemory.fromFd(given)
  t.not(other.fd, given)
  other.set('x')
  const own = descriptor(other)
  other.close()
  t.is(fstatSync(given).size, shownLength(4096))
  t.is(
    codeOf(() => fstatSync(own)),
    'EBADF',
  )
  const third = kept(t, SharedMemory.fromFd(given))
  memory.close()
  t.is(third.toString('utf8', 0, 1), 'x')
  third.set('y')
})

onPosix('fromFd of what is no memory is told apart', (t) => {
  const path = fileWith(t, 'of a file')
  const fd = openSync(path, 'r')
  t.is(
    codeOf(() => SharedMemory.fromFd(fd)),
    'EACCES',
  )
  t.regex(thrownBy(() => SharedMemory.fromFd(fd))?.message ?? '', /read/)
  t.is(kept(t, SharedMemory.fromFd(fd, { access: 'read' })).toString(), 'of a file')
  if (!isMac) {
    const copy = kept(t, SharedMemory.fromFd(fd, { access: 'copy' }))
    copy.set('my')
    t.is(readFileSync(path, 'utf8'), 'of a file')
  }
  closeSync(fd)
  t.is(
    codeOf(() => SharedMemory.fromFd(fd)),
    'EBADF',
  )
  t.is(
    codeOf(() => SharedMemory.fromFd(2 ** 31 - 1)),
    'EBADF',
  )
  const device = openSync('/dev/null', 'r+')
  t.is(
    codeOf(() => SharedMemory.fromFd(device)),
    'ENODEV',
  )
  closeSync(device)
  const pipe = tmpFile(t, 'pipe')
  t.is(spawnSync('mkfifo', [pipe]).status, 0)
  const end = openSync(pipe, 'r+')
  for (const access of ['read', 'write', 'copy'] as const) {
    t.is(
      codeOf(() => SharedMemory.fromFd(end, { access })),
      'ENODEV',
    )
  }
  closeSync(end)
  const folder = openSync('/', 'r')
  t.true(['ENODEV', 'EISDIR'].includes(String(codeOf(() => SharedMemory.fromFd(folder, { access: 'read' })))))
  closeSync(folder)
})

test('fromFd takes numbers of descriptors only', (t) => {
  for (const [fd, code] of [
    [-1, 'ERR_OUT_OF_RANGE'],
    [1.5, 'ERR_OUT_OF_RANGE'],
    [2 ** 31, 'ERR_OUT_OF_RANGE'],
    [Number.NaN, 'ERR_OUT_OF_RANGE'],
    ['3', 'ERR_INVALID_ARG_TYPE'],
    [3n, 'ERR_INVALID_ARG_TYPE'],
    [null, 'ERR_INVALID_ARG_TYPE'],
    [undefined, 'ERR_INVALID_ARG_TYPE'],
  ] as const) {
    t.is(
      codeOf(() => SharedMemory.fromFd(fd as number)),
      code,
      String(fd),
    )
  }
})

onPosix('descriptors are not left to children that were not given them', async (t) => {
  const memory = kept(t, SharedMemory.anonymous(4096))
  const script = tmpFile(t, 'list.mjs')
  writeFileSync(
    script,
    `import fs from 'node:fs'\ntry { fs.fstatSync(${memory.fd}); console.log(fs.readlinkSync('/proc/self/fd/${memory.fd}')) } catch {}`,
  )
  const child = await runChild(script)
  t.notRegex(child.stdout, /memmap/)
})
