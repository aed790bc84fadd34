// What the system refuses: the code, the number, the call and the path are in the error, and nothing has changed.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { constants } from 'node:os'
import { join } from 'node:path'
import { getSystemErrorMap } from 'node:util'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { mappings } from 'memmap'
import type { OpenOptions } from 'memmap'

import { fileWith, opened, thrownBy } from './helpers/files.ts'
import type { Thrown } from './helpers/files.ts'
import { asNobody, canBeNobody, canMount, isLinux, isPosix, mounted } from './helpers/system.ts'
import { tmpFile, tmpFolder } from './helpers/tmp.ts'

const onLinux = isLinux ? test : test.skip
const onPosix = isPosix ? test : test.skip
const whereMounted = canMount ? test : test.skip
const asOther = canBeNobody ? test : test.skip

interface Expected {
  readonly code: string
  readonly syscall: string | RegExp
  readonly path?: string | undefined
  readonly message?: RegExp
}

/** An error as Node's own functions throw it. */
function isSystemError(t: ExecutionContext, error: Thrown | undefined, expected: Expected): void {
  if (error === undefined) return t.fail(`nothing was thrown, expected ${expected.code}`)
  t.is(error.code, expected.code, error.message)
  const [errno] = [...getSystemErrorMap()].find(([, [code]]) => code === expected.code) ?? []
  t.is(error.errno, errno)
  if (typeof expected.syscall === 'string') t.is(error.syscall, expected.syscall)
  else t.regex(String(error.syscall), expected.syscall)
  t.is(error.path, expected.path)
  t.true(error.message.startsWith(`${expected.code}: `), error.message)
  if (expected.path !== undefined) t.true(error.message.includes(`'${expected.path}'`), error.message)
  t.regex(error.message, expected.message ?? /./)
  t.is(error.constructor, Error)
  t.false(error.message.includes('\n'), 'one line')
}

const ALL: readonly OpenOptions[] = [{}, { access: 'write' }, { access: 'copy' }]

test('no such file: ENOENT', (t) => {
  const path = join(tmpFolder(t), 'nowhere')
  for (const options of ALL) {
    isSystemError(
      t,
      thrownBy(() => opened(t, path, options)),
      { code: 'ENOENT', syscall: 'open', path, message: /no such file/ },
    )
    isSystemError(
      t,
      thrownBy(() => opened(t, Buffer.from(path), options)),
      { code: 'ENOENT', syscall: 'open', path },
    )
  }
  const inside = join(path, 'deeper')
  isSystemError(
    t,
    thrownBy(() => opened(t, inside, { access: 'write', create: true })),
    {
      code: 'ENOENT',
      syscall: 'open',
      path: inside,
    },
  )
})

test('a path through a file: ENOTDIR or ENOENT', (t) => {
  const path = join(fileWith(t, 'x'), 'deeper')
  const error = thrownBy(() => opened(t, path))
  t.true(error?.code === 'ENOTDIR' || error?.code === 'ENOENT')
  t.is(error?.path, path)
})

test('a folder, by path or descriptor: EISDIR', (t) => {
  const path = tmpFolder(t)
  for (const options of ALL) {
    isSystemError(
      t,
      thrownBy(() => opened(t, path, options)),
      { code: 'EISDIR', syscall: /^(open|mmap)$/, path },
    )
  }
  if (isPosix) {
    const fd = openSync(path, 'r')
    t.teardown(() => closeSync(fd))
    isSystemError(
      t,
      thrownBy(() => opened(t, fd)),
      { code: 'EISDIR', syscall: 'mmap' },
    )
  }
  t.deepEqual(readdirSync(path), [])
})

onPosix('a named pipe is refused at once, whoever is at its other end: ENODEV', (t) => {
  const path = tmpFile(t, 'pipe')
  execFileSync('mkfifo', [path])
  const begun = performance.now()
  for (const options of ALL) {
    isSystemError(
      t,
      thrownBy(() => opened(t, path, options)),
      { code: 'ENODEV', syscall: 'mmap', path, message: /regular file/ },
    )
  }
  t.true(performance.now() - begun < 1000)
})

onLinux('devices, pipes and sockets by descriptor: ENODEV', async (t) => {
  for (const path of ['/dev/zero', '/dev/null', '/dev/random']) {
    for (const options of ALL) {
      isSystemError(
        t,
        thrownBy(() => opened(t, path, options)),
        { code: 'ENODEV', syscall: 'mmap', path },
      )
    }
    const fd = openSync(path, 'r+')
    t.teardown(() => closeSync(fd))
    isSystemError(
      t,
      thrownBy(() => opened(t, fd, { length: 4096 })),
      { code: 'ENODEV', syscall: 'mmap' },
    )
  }
  const socket = tmpFile(t, 'socket')
  const server = createServer().listen(socket)
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => void server.close())
  isSystemError(
    t,
    thrownBy(() => opened(t, socket)),
    { code: 'ENODEV', syscall: 'mmap', path: socket },
  )
  const handle: unknown = Reflect.get(server, '_handle')
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined
  if (typeof fd !== 'number') return t.fail('no descriptor')
  isSystemError(
    t,
    thrownBy(() => opened(t, fd)),
    { code: 'ENODEV', syscall: 'mmap' },
  )
  t.true(server.listening)
})

test('a descriptor that is not open: EBADF', (t) => {
  const fd = openSync(fileWith(t, 'x'), 'r')
  closeSync(fd)
  for (const number of [fd, 2 ** 31 - 1, 54_321]) {
    for (const options of ALL) {
      isSystemError(
        t,
        thrownBy(() => opened(t, number, options)),
        { code: 'EBADF', syscall: isPosix ? 'dup' : /./ },
      )
    }
  }
})

onPosix("a descriptor that was opened for reading, access 'write': EACCES, and the file as it was", (t) => {
  const path = fileWith(t, 'content')
  const fd = openSync(path, 'r')
  t.teardown(() => closeSync(fd))
  isSystemError(
    t,
    thrownBy(() => opened(t, fd, { access: 'write' })),
    { code: 'EACCES', syscall: 'mmap', message: /'r\+'/ },
  )
  t.is(opened(t, fd).toString(), 'content')
  t.is(opened(t, fd, { access: 'copy' }).toString(), 'content')
  t.is(readFileSync(path, 'utf8'), 'content')
})

onPosix('a descriptor that was opened for writing only: EACCES', (t) => {
  const path = fileWith(t, 'content')
  const fd = openSync(path, 'a')
  t.teardown(() => closeSync(fd))
  for (const options of ALL) {
    isSystemError(
      t,
      thrownBy(() => opened(t, fd, options)),
      { code: 'EACCES', syscall: 'mmap', message: /descriptor/ },
    )
  }
  t.is(readFileSync(path, 'utf8'), 'content')
})

// EBADF from fallocate(2), EINVAL from ftruncate(2) as yet.
onPosix('extending through a descriptor that was opened for reading is refused, and the file as it was', (t) => {
  const path = fileWith(t, 'content')
  const fd = openSync(path, 'r')
  t.teardown(() => closeSync(fd))
  for (const sparse of [false, true]) {
    const error = thrownBy(() => opened(t, fd, { access: 'write', length: 5000, sparse }))
    t.is(error?.code, 'EACCES', error?.message)
    t.is(statSync(path).size, 7)
  }
})

const refused = (path: string) => ['EACCES', -constants.errno.EACCES, 'open', path]

asOther('a file one may not read, or not write, as another user: EACCES (skipped where we are not root)', async (t) => {
  const folder = tmpFolder(t)
  chmodSync(folder, 0o755)
  const secret = join(folder, 'secret')
  writeFileSync(secret, 'content')
  chmodSync(secret, 0o600)
  const common = join(folder, 'common')
  writeFileSync(common, 'content')
  chmodSync(common, 0o644)
  const program = [
    "import { MmapFile } from 'memmap'",
    'const [secret, common, folder] = process.argv.slice(1)',
    'const facts = []',
    'const tried = (path, options) => {',
    '  try { MmapFile.open(path, options); facts.push([]) }',
    '  catch ({ code, errno, syscall, path }) { facts.push([code, errno, syscall, path]) }',
    '}',
    'tried(secret)',
    "tried(common, { access: 'write' })",
    "tried(common, { access: 'write', length: 5000 })",
    "tried(`${folder}/new`, { access: 'write', create: true, length: 1 })",
    'tried(common)',
    "tried(common, { access: 'copy' })",
    'console.log(JSON.stringify(facts))',
  ].join('\n')
  const child = await asNobody(['--input-type=module', '--eval', program, secret, common, folder])
  t.is(child.stderr, '')
  t.deepEqual(JSON.parse(child.stdout), [
    refused(secret),
    refused(common),
    refused(common),
    refused(join(folder, 'new')),
    [],
    [],
  ])
  t.is(readFileSync(common, 'utf8'), 'content')
  t.false(existsSync(join(folder, 'new')))
})

whereMounted('a full disk: ENOSPC at open, and the file is as it was (skipped where nothing can be mounted)', (t) => {
  const folder = mounted(t, '1m')
  const path = join(folder, 'data')
  writeFileSync(path, 'content')
  const before = statSync(path)
  for (const options of [{ length: 2 ** 21 }, { offset: 2 ** 20, length: 2 ** 20 }, { length: 2 ** 40 }] as const) {
    isSystemError(
      t,
      thrownBy(() => opened(t, path, { access: 'write', ...options })),
      {
        code: 'ENOSPC',
        syscall: 'fallocate',
        path,
        message: /more bytes are needed/,
      },
    )
    t.is(readFileSync(path, 'utf8'), 'content')
    t.is(statSync(path).size, 7)
    t.is(statSync(path).blocks, before.blocks)
  }
  const fresh = join(folder, 'new')
  for (const create of [true, 'exclusive'] as const) {
    isSystemError(
      t,
      thrownBy(() => opened(t, fresh, { access: 'write', create, length: 2 ** 21 })),
      {
        code: 'ENOSPC',
        syscall: 'fallocate',
        path: fresh,
      },
    )
    t.false(existsSync(fresh), 'what the call made is gone')
  }
  isSystemError(
    t,
    thrownBy(() => opened(t, path, { access: 'write', create: true, length: 2 ** 21 })),
    {
      code: 'ENOSPC',
      syscall: 'fallocate',
      path,
    },
  )
  t.is(readFileSync(path, 'utf8'), 'content', 'what was there is not')
  // There is room for what fits.
  const region = opened(t, path, { access: 'write', length: 2 ** 19 })
  region.fill(1, { start: 7 })
  t.is(region.count(1), 2 ** 19 - 7)
})

whereMounted(
  'a file system without room for its name: ENOSPC, and no file (skipped where nothing can be mounted)',
  (t) => {
    const folder = mounted(t, '1m,nr_inodes=2')
    writeFileSync(join(folder, 'only'), '')
    const path = join(folder, 'new')
    isSystemError(
      t,
      thrownBy(() => opened(t, path, { access: 'write', create: true })),
      { code: 'ENOSPC', syscall: 'open', path },
    )
    t.deepEqual(readdirSync(folder), ['only'])
  },
)

whereMounted(
  "a read-only file system: EROFS for 'write', fine for the others (skipped where nothing can be mounted)",
  (t) => {
    const folder = mounted(t, '1m')
    const path = join(folder, 'data')
    writeFileSync(path, 'content')
    execFileSync('mount', ['-o', 'remount,ro', folder])
    isSystemError(
      t,
      thrownBy(() => opened(t, path, { access: 'write' })),
      { code: 'EROFS', syscall: 'open', path },
    )
    t.is(opened(t, path).toString(), 'content')
    t.is(opened(t, path, { access: 'copy' }).toString(), 'content')
  },
)

test('a length that no file system takes is refused, and the file is as it was', (t) => {
  const path = fileWith(t, 'content')
  for (const sparse of [false, true]) {
    for (const options of [
      { length: 2 ** 53 - 1 },
      { offset: 2 ** 53 - 1, length: 1 },
      { offset: 2 ** 53 - 1, length: 2 ** 53 - 1 },
    ]) {
      const error = thrownBy(() => opened(t, path, { access: 'write', sparse, ...options }))
      t.regex(String(error?.code), /^(EFBIG|ENOSPC|ENOMEM|EINVAL|EOVERFLOW|ERR_OUT_OF_RANGE)$/)
      t.is(readFileSync(path, 'utf8'), 'content')
    }
  }
})

test('a call that fails removes the file it made, and no other', (t) => {
  const folder = tmpFolder(t)
  const path = join(folder, 'new')
  for (const create of [true, 'exclusive'] as const) {
    for (const options of [{ offset: 1 }, { length: 2 ** 53 - 1 }, { offset: 2 ** 53 - 1, length: 1 }] as const) {
      t.truthy(thrownBy(() => opened(t, path, { access: 'write', create, ...options })))
      t.deepEqual(readdirSync(folder), [], JSON.stringify(options))
    }
    for (const options of [{ offset: -1 }, { length: Number.NaN }, { mode: -1 }, { mode: 0o10000 }] as const) {
      t.truthy(thrownBy(() => opened(t, path, { access: 'write', create, ...options })))
      t.deepEqual(readdirSync(folder), [], JSON.stringify(options))
    }
  }
  writeFileSync(path, 'mine')
  t.truthy(thrownBy(() => opened(t, path, { access: 'write', create: true, offset: 5 })))
  t.is(readFileSync(path, 'utf8'), 'mine')
})

/** Open ones of this process, where the system says. */
const descriptors = () => (isLinux ? readdirSync('/proc/self/fd').length : 0)

test('a call that fails leaves no descriptor and no mapping', (t) => {
  const path = fileWith(t, 'content')
  const folder = join(tmpFolder(t), 'folder')
  mkdirSync(folder)
  const attempt = () => {
    thrownBy(() => opened(t, folder))
    thrownBy(() => opened(t, path, { offset: 8 }))
    thrownBy(() => opened(t, path, { length: 2 ** 53 - 1, access: 'write' }))
    thrownBy(() => opened(t, `${path}.new`, { access: 'write', create: true, offset: 3 }))
  }
  attempt()
  const [before, maps] = [descriptors(), mappings().length]
  for (let round = 0; round < 100; round++) attempt()
  t.is(descriptors(), before)
  t.is(mappings().length, maps)
})
