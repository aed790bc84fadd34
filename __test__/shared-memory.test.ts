import { spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { inspect } from 'node:util'

import test from 'ava'
import { limits, SharedMemory } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { codeOf, fileWith, thrownBy } from './helpers/files.ts'
import { freeName, kept, program, removed, shmPath } from './helpers/shared.ts'
import { asNobody, canBeNobody, canMount, isLinux, isMac, isPosix } from './helpers/system.ts'

const onLinux = isLinux ? test : test.skip
// On Windows a name goes with its last holder, and by nothing else.
const onPosix = isPosix ? test : test.skip
// macOS maps no shared memory privately.
const withCopies = isMac ? test.skip : test
const asRoot = isLinux && canBeNobody ? test : test.skip

/** Arguments that the types do not allow. */
const unchecked = (value: unknown): never => value as never

test('create makes zeroed memory of just that length, which others then open by its name', (t) => {
  for (const length of [1, 4095, 4096, 4097, 1_000_003]) {
    const name = freeName(t)
    const mine = kept(t, SharedMemory.create(name, length))
    t.is(mine.byteLength, length)
    t.is(mine.name, name)
    t.is(mine.access, 'write')
    t.true(mine.created)
    t.is(mine.count(0), length)
    mine.fill(0xa5)
    const theirs = kept(t, SharedMemory.open(name, isLinux ? {} : { byteLength: length }))
    t.is(theirs.byteLength, length)
    t.is(theirs.name, name)
    t.false(theirs.created)
    t.is(theirs.count(0xa5), length)
    theirs.writeUInt8(1, length - 1)
    t.is(mine.readUInt8(length - 1), 1)
    t.regex(inspect(mine), new RegExp(name))
  }
})

test('create refuses a name that is taken with EEXIST, and changes nothing', (t) => {
  const name = freeName(t)
  const mine = kept(t, SharedMemory.create(name, 100))
  mine.fill(9)
  for (const length of [1, 100, 10_000]) {
    const error = thrownBy(() => SharedMemory.create(name, length))
    t.is(error?.code, 'EEXIST')
    t.true(error?.message.includes(name), error?.message)
  }
  t.is(SharedMemory.open(name).count(9), 100)
})

test('open and unlink say ENOENT where there is none, and so does the second unlink', (t) => {
  const name = freeName(t)
  const error = thrownBy(() => SharedMemory.open(name))
  t.is(error?.code, 'ENOENT')
  t.is(error?.path, name)
  t.is(typeof error?.errno, 'number')
  t.is(
    codeOf(() => SharedMemory.unlink(name)),
    'ENOENT',
  )
  const made = SharedMemory.create(name, 10)
  if (isPosix) made.close()
  SharedMemory.unlink(name)
  made.close()
  t.is(
    codeOf(() => SharedMemory.unlink(name)),
    'ENOENT',
  )
  t.is(
    codeOf(() => SharedMemory.open(name)),
    'ENOENT',
  )
})

test('a length that is none is refused by create, openOrCreate, open and anonymous', (t) => {
  const name = freeName(t)
  const calls = [
    (length: number) => SharedMemory.create(name, length),
    (length: number) => SharedMemory.openOrCreate(name, length),
    (length: number) => SharedMemory.open(name, { byteLength: length }),
    (length: number) => SharedMemory.anonymous(length),
  ]
  for (const call of calls) {
    for (const length of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      const error = thrownBy(() => call(length))
      t.true(error instanceof RangeError, `${length}: ${String(error)}`)
      t.is(error?.code, 'ERR_OUT_OF_RANGE')
    }
    for (const length of ['1', 1n, null, {}, [], true]) {
      const error = thrownBy(() => call(unchecked(length)))
      t.true(error instanceof TypeError, String(error))
      t.is(error?.code, 'ERR_INVALID_ARG_TYPE')
    }
  }
  t.false(removed(name))
})

test('open with a length that differs is ERR_OUT_OF_RANGE, with the right one it opens', (t) => {
  const name = freeName(t)
  // Less than a page too short or too long is no difference where it has whole pages.
  const length = isLinux ? 5000 : 3 * limits().pageSize - 7
  kept(t, SharedMemory.create(name, length))
  for (const byteLength of isLinux ? [1, 4999, 5001, 8192, 2 ** 40] : [1, 2 ** 40]) {
    const error = thrownBy(() => SharedMemory.open(name, { byteLength }))
    t.is(error?.code, 'ERR_OUT_OF_RANGE')
    t.true(error instanceof RangeError)
    t.is(
      codeOf(() => SharedMemory.openOrCreate(name, byteLength)),
      'ERR_OUT_OF_RANGE',
    )
  }
  t.is(kept(t, SharedMemory.open(name, { byteLength: length })).byteLength, length)
})

test('openOrCreate makes it once and opens it then, with what was written', (t) => {
  const name = freeName(t)
  const first = kept(t, SharedMemory.openOrCreate(name, 300))
  first.set('here')
  const second = kept(t, SharedMemory.openOrCreate(name, 300))
  t.deepEqual([first.created, second.created], [true, false])
  t.is(second.toString('utf8', 0, 4), 'here')
  SharedMemory.unlink(name)
  if (!isPosix) return
  const third = kept(t, SharedMemory.openOrCreate(name, 300))
  t.true(third.created)
  t.is(third.count(0), 300)
  t.is(first.toString('utf8', 0, 4), 'here', 'who has the memory keeps it')
})

withCopies('read takes no stores, copy keeps them to itself, write shows them to all (not on macOS)', (t) => {
  const name = freeName(t)
  const mine = kept(t, SharedMemory.create(name, 10_000))
  mine.fill(1)
  const read = kept(t, SharedMemory.open(name, { access: 'read' }))
  const copy = kept(t, SharedMemory.open(name, { access: 'copy' }))
  t.deepEqual([read.access, copy.access], ['read', 'copy'])
  t.is(
    codeOf(() => read.fill(2)),
    'ERR_REGION_READONLY',
  )
  t.is(
    codeOf(() => read.resize(1)),
    'ERR_REGION_READONLY',
  )
  copy.fill(3, { end: 100 })
  t.is(mine.count(1), 10_000)
  t.is(copy.count(3), 100)
  kept(t, SharedMemory.open(name)).writeUInt8(4, 9999)
  t.is(read.readUInt8(9999), 4)
  t.is(
    codeOf(() => SharedMemory.open(name, { access: unchecked('rw') })),
    'ERR_INVALID_ARG_VALUE',
  )
})

test('another name is other memory', (t) => {
  const name = freeName(t)
  const names = [name, `${name}.`, `.${name}`, name.toUpperCase()]
  t.teardown(() => names.forEach(removed))
  const regions = names.map((each) => kept(t, SharedMemory.create(each, 64)))
  regions.forEach((region, index) => region.fill(index + 1))
  t.deepEqual(
    names.map((each) => SharedMemory.open(each, { byteLength: 64 }).readUInt8(63)),
    [1, 2, 3, 4],
  )
})

const onPosixAlone = isPosix ? test.serial : test.serial.skip

onPosixAlone('the mode is just the one that was asked for, whatever the umask (not on Windows)', (t) => {
  for (const umask of [0, 0o022, 0o777]) {
    for (const mode of [undefined, 0, 0o200, 0o400, 0o600, 0o640, 0o666, 0o777]) {
      for (const make of ['create', 'openOrCreate'] as const) {
        const name = freeName(t)
        const before = process.umask(umask)
        try {
          SharedMemory[make](name, 10, { mode }).close()
        } finally {
          process.umask(before)
        }
        if (isLinux) t.is(statSync(shmPath(name)).mode, 0o100_000 | (mode ?? 0o600), `umask ${umask}, ${mode}`)
        SharedMemory.unlink(name)
      }
    }
  }
  const name = freeName(t)
  for (const mode of [-1, 0o1000, 0o4755, 1.5, Number.NaN]) {
    t.is(
      codeOf(() => SharedMemory.create(name, 10, { mode })),
      'ERR_OUT_OF_RANGE',
    )
  }
  t.is(
    codeOf(() => SharedMemory.create(name, 10, { mode: unchecked('600') })),
    'ERR_INVALID_ARG_TYPE',
  )
  t.false(removed(name))
})

test('an option that nobody knows is refused, and nothing is made', (t) => {
  const name = freeName(t)
  t.is(
    codeOf(() => SharedMemory.create(name, 10, unchecked({ unlinkonclose: true }))),
    'ERR_INVALID_ARG_VALUE',
  )
  t.is(
    codeOf(() => SharedMemory.open(name, unchecked({ mode: 0o600 }))),
    'ERR_INVALID_ARG_VALUE',
  )
  t.is(
    codeOf(() => SharedMemory.openOrCreate(name, 10, { unlinkOnClose: unchecked(1) })),
    'ERR_INVALID_ARG_TYPE',
  )
  t.false(removed(name))
})

onLinux('named memory is allocated: its blocks are there before anybody writes', (t) => {
  for (const length of [1, 10_000, 2 ** 22]) {
    const name = freeName(t)
    kept(t, SharedMemory.create(name, length))
    t.is(statSync(shmPath(name)).size, length)
    t.true(statSync(shmPath(name)).blocks * 512 >= length)
  }
})

test("a reader's end never removes it: it reads, opens for writing, is killed", async (t) => {
  const name = freeName(t)
  const length = limits().pageSize
  const mine = kept(t, SharedMemory.create(name, length))
  mine.set('from here')
  for (const how of ['read', 'write', 'openOrCreate', 'unlinkOnClose', 'killed']) {
    const child = await runChild(program('open'), [name, how, length])
    t.is(child.signal, how === 'killed' && isPosix ? 'SIGKILL' : null, child.stderr)
    t.deepEqual(JSON.parse(child.stdout), { created: false, byteLength: length, before: 'from her' }, how)
    t.is(kept(t, SharedMemory.open(name)).toString('utf8', 0, 9), 'from here', how)
  }
  const child = await runChild(program('open'), [name, 'write', length, 'the child'])
  t.deepEqual(ending(child), WELL)
  t.is(mine.toString('utf8', 0, 9), 'the child')
})

onPosix('what a child made stays when it ends, and goes where it made it to be unlinked', async (t) => {
  for (const [how, stays] of [
    ['openOrCreate', true],
    ['unlinkOnClose', false],
  ] as const) {
    const name = freeName(t)
    const child = await runChild(program('open'), [name, how, 100, 'left'])
    t.deepEqual(JSON.parse(child.stdout), { created: true, byteLength: 100, before: '\0'.repeat(8) }, child.stderr)
    t.is(
      codeOf(() => t.is(kept(t, SharedMemory.open(name, { byteLength: 100 })).toString('utf8', 0, 4), 'left')),
      stays ? undefined : 'ENOENT',
    )
  }
})

onPosix('unlinkOnClose removes the name by the one who made it only, and once', (t) => {
  const name = freeName(t)
  const maker = SharedMemory.create(name, 10, { unlinkOnClose: true })
  const opener = SharedMemory.openOrCreate(name, 10, { unlinkOnClose: true })
  opener.close()
  SharedMemory.open(name, { byteLength: 10 }).close()
  const holder = kept(t, SharedMemory.open(name, { byteLength: 10 }))
  maker.set('kept')
  maker.close()
  t.is(
    codeOf(() => SharedMemory.open(name)),
    'ENOENT',
  )
  t.is(holder.toString('utf8', 0, 4), 'kept')
  const next = kept(t, SharedMemory.create(name, 20))
  maker.close()
  maker[Symbol.dispose]()
  t.is(SharedMemory.open(name, { byteLength: 20 }).byteLength, next.byteLength, "the next one's name is its own")
})

// macOS does not tell which memory a name is of.
onLinux('unlinkOnClose removes no memory that somebody else made under the name meanwhile', (t) => {
  const name = freeName(t)
  const maker = SharedMemory.create(name, 10, { unlinkOnClose: true })
  SharedMemory.unlink(name)
  kept(t, SharedMemory.create(name, 20))
  maker.close()
  t.is(
    codeOf(() => SharedMemory.open(name).close()),
    undefined,
  )
})

test('what is no name is refused by every call, with an error that says what is one', (t) => {
  const slash = ['/', '/a', 'a/b', 'a/', '../a', './a', '/dev/shm/a', 'a\\b', 'a:b']
  const strings = [
    '',
    '.',
    '..',
    'a\0b',
    '\0',
    'x'.repeat(31),
    'x'.repeat(1e6),
    'ä',
    '名',
    '😀',
    '\ud800',
    'a b',
    'a\n',
  ]
  const calls = [
    (name: string) => SharedMemory.create(name, 10),
    (name: string) => SharedMemory.open(name),
    (name: string) => SharedMemory.openOrCreate(name, 10),
    (name: string) => SharedMemory.unlink(name),
  ]
  for (const call of calls) {
    for (const name of [...slash, ...strings, '*', '%', '~', '$HOME', 'a,b', "a'b"]) {
      const error = thrownBy(() => call(name))
      t.is(error?.code, 'ERR_INVALID_ARG_VALUE', inspect(name).slice(0, 50))
      t.true(error instanceof TypeError)
      t.regex(error?.message ?? '', /1 to 30/)
    }
    for (const name of [1, 1n, null, undefined, {}, [], ['a'], Symbol('a'), true, Buffer.from('a'), new String('a')]) {
      const error = thrownBy(() => call(unchecked(name)))
      t.is(error?.code, 'ERR_INVALID_ARG_TYPE', inspect(name))
      t.true(error instanceof TypeError)
    }
  }
})

test('names of 30 characters, of dots and of dashes are names', (t) => {
  const start = freeName(t)
  for (const name of [start.padEnd(30, '-'), `...${start}`, `-${start}`, `_${start}`, `${start}.tar.gz`]) {
    t.teardown(() => removed(name))
    const region = SharedMemory.create(name, 1, { unlinkOnClose: true })
    t.is(region.name, name)
    t.is(SharedMemory.open(name, { byteLength: 1 }).name, name)
    region.close()
  }
})

onLinux('a link in the way is followed by nobody', (t) => {
  const target = fileWith(t, 'not to be touched')
  for (const there of [target, `${target}-nowhere`]) {
    const name = freeName(t)
    symlinkSync(there, shmPath(name))
    t.is(
      codeOf(() => SharedMemory.create(name, 10)),
      'EEXIST',
    )
    for (const access of ['read', 'write', 'copy'] as const) {
      t.is(
        codeOf(() => SharedMemory.open(name, { access })),
        'ELOOP',
      )
    }
    t.is(
      codeOf(() => SharedMemory.openOrCreate(name, 17)),
      'ELOOP',
    )
    t.false(existsSync(`${target}-nowhere`))
    SharedMemory.unlink(name)
    t.is(readFileSync(target, 'utf8'), 'not to be touched', 'the link went, not what it names')
  }
})

onLinux('a folder or an empty file in the way is told', (t) => {
  const folder = freeName(t)
  mkdirSync(shmPath(folder))
  t.teardown(() => rmSync(shmPath(folder), { recursive: true, force: true }))
  t.is(
    codeOf(() => SharedMemory.create(folder, 10)),
    'EEXIST',
  )
  for (const access of ['read', 'write', 'copy'] as const) {
    const code = codeOf(() => SharedMemory.open(folder, { access }))
    t.true(code === 'EISDIR' || code === 'ENODEV', `${access}: ${String(code)}`)
  }
  const empty = freeName(t)
  writeFileSync(shmPath(empty), '')
  t.is(
    codeOf(() => SharedMemory.openOrCreate(empty, 10)),
    'ERR_OUT_OF_RANGE',
  )
  t.is(statSync(shmPath(empty)).size, 0)
})

onLinux('a pipe in the way does not make open wait for ever', async (t) => {
  const name = freeName(t)
  t.is(spawnSync('mkfifo', [shmPath(name)]).status, 0)
  const child = await runChild(program('open'), [name, 'read'], { timeout: 30_000 })
  t.is(child.signal, null)
  const facts: unknown = JSON.parse(child.stdout)
  t.regex(JSON.stringify(facts), /"code":"E(?:NODEV|NXIO|INVAL|ACCES)"/)
})

asRoot('a name that another user has squatted is refused with EACCES, and left as it is', (t) => {
  const name = freeName(t)
  writeFileSync(shmPath(name), 'squatted!!', { mode: 0o666 })
  chownSync(shmPath(name), 65_534, 65_534)
  for (const access of ['read', 'write', 'copy'] as const) {
    const error = thrownBy(() => SharedMemory.open(name, { access }))
    t.is(error?.code, 'EACCES')
    t.regex(error?.message ?? '', /65534/)
  }
  t.is(
    codeOf(() => SharedMemory.openOrCreate(name, 10)),
    'EACCES',
  )
  t.is(
    codeOf(() => SharedMemory.create(name, 10)),
    'EEXIST',
  )
  t.is(readFileSync(shmPath(name), 'utf8'), 'squatted!!')
})

asRoot("another user's 0600 is EACCES; root's 0666 opens for others", async (t) => {
  for (const [mode, code] of [
    [undefined, 'EACCES'],
    [0o666, undefined],
  ] as const) {
    const name = freeName(t)
    kept(t, SharedMemory.create(name, 10, { mode })).set('of root')
    for (const how of ['read', 'write', 'openOrCreate']) {
      const child = await asNobody([program('open'), name, how, '10'])
      const facts = JSON.parse(child.stdout) as { code?: string; before?: string }
      t.is(facts.code, code, `${how} ${child.stdout}`)
      if (code === undefined) t.is(facts.before, 'of root\0')
    }
  }
})

const withMounts = canMount ? test : test.skip
withMounts('what does not fit into /dev/shm is refused, and leaves nothing behind', async (t) => {
  const mountFirst = 'mount -t tmpfs -o size=1m tmpfs /dev/shm && exec "$0" "$@"'
  const child = await runChild(program('no-room'), [], { under: ['unshare', '--mount', 'sh', '-c', mountFirst] })
  t.deepEqual(ending(child), WELL)
})

test('closed, it tells no length, no descriptor, and takes no calls', (t) => {
  const region = SharedMemory.create(freeName(t), 10)
  const view = region.view(Uint8Array)
  region.close()
  region.close()
  t.deepEqual([region.closed, region.byteLength, region.fd, view.length], [true, 0, undefined, 0])
  for (const call of [
    () => region.readUInt8(0),
    () => region.share(),
    () => region.refresh(),
    () => region.resize(1),
  ]) {
    t.is(codeOf(call), 'ERR_REGION_CLOSED')
  }
})

test('it is made by its own calls only', (t) => {
  t.is(
    codeOf(() => new (SharedMemory as unknown as new () => SharedMemory)()),
    'ERR_ILLEGAL_CONSTRUCTOR',
  )
})
