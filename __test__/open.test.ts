// Opening: which file, which part of it, for what.

import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'

import test from 'ava'
import { MmapFile } from 'memmap'
import type { Access } from 'memmap'

import { codeOf, fileWith, HAS_READ_WINDOWS, opened, regionWith, thrownBy, WINDOWED } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { hasByteNames, isLinux, isPosix } from './helpers/system.ts'
import { tmpFile, tmpFolder } from './helpers/tmp.ts'

const onLinux = isLinux ? test : test.skip
const onPosix = isPosix ? test : test.skip
const withByteNames = hasByteNames ? test : test.skip

/** Descriptors of this process that are open on a file. */
function descriptorsOf(path: string): number {
  const { dev, ino } = statSync(path)
  let found = 0
  for (let fd = 0; fd < 256; fd++) {
    try {
      const facts = fstatSync(fd)
      if (facts.dev === dev && facts.ino === ino) found += 1
    } catch {
      // Not open.
    }
  }
  return found
}

test('a file is opened by its path: absolute, relative, with every character a name may have', (t) => {
  for (const name of ['plain', 'with space', 'ümläut-\u{1f600}', 'qu\'ote"s', '%41%zz', '#?&', '-dash', 'new\nline']) {
    if (!isPosix && /["?\n]/.test(name)) continue
    const path = fileWith(t, `in ${name}`, name)
    const region = opened(t, path)
    t.is(region.toString(), `in ${name}`)
    t.is(region.path, path)
    t.is(opened(t, relative(process.cwd(), path)).toString(), `in ${name}`)
  }
})

test('a file is opened by a path in a Buffer or Uint8Array, which may be changed afterwards', (t) => {
  const path = fileWith(t, 'content', 'ümläut')
  const given = Buffer.from(path)
  const region = opened(t, given)
  given.fill(0)
  t.is(region.toString(), 'content')
  t.is(region.path, path)
  t.false(region.replaced)
  t.is(opened(t, Uint8Array.from(Buffer.from(path)) as Buffer).toString(), 'content')
})

withByteNames('a name that is no UTF-8 is opened by its bytes (skipped where there are no such names)', (t) => {
  const folder = tmpFolder(t)
  const path = Buffer.concat([Buffer.from(`${folder}/`), Buffer.of(0xff, 0x61, 0xfe, 0xc3)])
  writeFileSync(path, 'content')
  const region = opened(t, path, { access: 'write' })
  t.is(region.toString(), 'content')
  t.false(region.replaced)
  region.set('C')
  t.is(readFileSync(path, 'utf8'), 'Content')
  t.is(typeof region.path, 'string')
  const made = Buffer.concat([path, Buffer.of(0x80)])
  opened(t, made, { access: 'write', create: true, length: 3 })
  t.is(statSync(made).size, 3)
})

test('a file is opened by a file: URL', (t) => {
  const path = fileWith(t, 'content', 'with space % and #')
  const region = opened(t, pathToFileURL(path))
  t.is(region.toString(), 'content')
  t.is(region.path, path)
  t.is(
    codeOf(() => opened(t, new URL('https://example.org/x'))),
    'ERR_INVALID_URL_SCHEME',
  )
  if (isPosix)
    t.is(
      codeOf(() => opened(t, new URL('file://elsewhere/x'))),
      'ERR_INVALID_FILE_URL_HOST',
    )
  t.is(
    codeOf(() => opened(t, new URL(isPosix ? 'file:///a%00b' : 'file:///C:/a%00b'))),
    'ERR_INVALID_ARG_VALUE',
  )
})

test('a file is opened by a descriptor, of which the map has its own', (t) => {
  const path = fileWith(t, 'content')
  const fd = openSync(path, 'r+')
  const before = descriptorsOf(path)
  const region = opened(t, fd, { access: 'write' })
  if (isPosix) t.is(descriptorsOf(path), before + 1)
  closeSync(fd)
  t.is(region.path, undefined)
  region.set('C')
  t.is(readFileSync(path, 'utf8'), 'Content')
  t.is(region.fileSize, 7)
  t.false(region.replaced)
  appendFileSync(path, ', longer')
  t.true(region.refresh())
  t.is(region.toString(), 'Content, longer')
  region.close()
  if (isPosix) t.is(descriptorsOf(path), 0)
})

test('a descriptor keeps its own position and stays open when the region is closed', (t) => {
  const path = fileWith(t, 'content')
  const fd = openSync(path, 'r')
  t.teardown(() => closeSync(fd))
  opened(t, fd, { offset: 3 }).close()
  t.is(readFileSync(fd, 'utf8'), 'content')
})

test('a file is opened by a FileHandle, which may be closed afterwards', async (t) => {
  const path = fileWith(t, 'content')
  const handle = await open(path, 'r+')
  const region = opened(t, handle, { access: 'write' })
  await handle.close()
  region.set('C')
  await region.flush()
  t.is(readFileSync(path, 'utf8'), 'Content')
  t.is(region.path, undefined)
  const error = thrownBy(() => opened(t, handle))
  t.is(error?.code, 'EBADF', 'the handle is closed')
})

onPosix('a symbolic link is followed', (t) => {
  const path = fileWith(t, 'content')
  const link = join(dirname(path), 'link')
  symlinkSync(basename(path), link)
  const region = opened(t, link, { access: 'write' })
  region.set('C')
  t.is(readFileSync(path, 'utf8'), 'Content')
  t.is(region.path, link)
  // A dangling one is made through.
  const dangling = join(dirname(path), 'dangling')
  symlinkSync('target', dangling)
  t.is(
    codeOf(() => opened(t, dangling)),
    'ENOENT',
  )
  opened(t, dangling, { access: 'write', create: true, length: 2 })
  t.is(statSync(join(dirname(path), 'target')).size, 2)
  t.is(
    codeOf(() => opened(t, link, { access: 'write', create: 'exclusive' })),
    'EEXIST',
  )
})

test('a region says what it was opened for', (t) => {
  const path = fileWith(t, 'content')
  t.is(opened(t, path).access, 'read')
  for (const access of ['read', 'write', 'copy'] as const) {
    const region = opened(t, path, { access, offset: 2 })
    t.is(region.access, access)
    t.is(region.offset, 2)
    t.is(region.byteLength, 5)
    t.is(region.fileSize, 7)
    t.false(region.closed)
  }
})

test("what is written is in the file with 'write', in the region only with 'copy', and refused with 'read'", (t) => {
  const path = fileWith(t, 'content')
  const read = opened(t, path)
  const write = opened(t, path, { access: 'write' })
  const copy = opened(t, path, { access: 'copy' })
  write.set('C')
  t.is(readFileSync(path, 'utf8'), 'Content')
  t.is(read.toString(), 'Content')
  copy.set('K')
  t.is(copy.toString(), 'Kontent')
  t.is(read.toString(), 'Content')
  t.is(
    codeOf(() => read.set('R')),
    'ERR_REGION_READONLY',
  )
  t.is(
    codeOf(() => read.fill(1)),
    'ERR_REGION_READONLY',
  )
  t.is(
    codeOf(() => read.move(0, 1, 1)),
    'ERR_REGION_READONLY',
  )
  t.is(readFileSync(path, 'utf8'), 'Content')
})

test('any part of the file can be mapped, from any byte on', (t) => {
  const random = new Random(t)
  const data = random.bytes(20_000)
  const path = fileWith(t, data)
  for (let round = 0; round < 300; round++) {
    const offset = random.pick([0, 1, 4095, 4096, 4097, 8192, 20_000, random.integer(0, 20_000)])
    const length = random.pick<number | undefined>([
      undefined,
      0,
      1,
      20_000 - offset,
      random.integer(0, 20_000 - offset),
    ])
    if (length !== undefined && offset + length > 20_000) continue
    const access = random.pick<Access>(['read', 'write', 'copy'])
    const region = MmapFile.open(path, { access, offset, length })
    const said = `${access} ${offset} ${length}`
    t.true(region.equals(data.subarray(offset, length === undefined ? undefined : offset + length)), said)
    if (region.byteLength > 0) {
      if (access !== 'read' || HAS_READ_WINDOWS) t.is(region.subarray()[0], data[offset], said)
      t.is(region.at(-1), data[offset + region.byteLength - 1], said)
      t.is(region.readUInt8(0), data.readUInt8(offset), said)
    }
    region.close()
  }
  t.true(readFileSync(path).equals(data))
})

test('a write through a map from an unaligned offset changes just those bytes', (t) => {
  const random = new Random(t)
  const data = random.bytes(10_000)
  const path = fileWith(t, data)
  for (const offset of [1, 4095, 4097, 9999]) {
    const region = opened(t, path, { access: 'write', offset, length: 1 })
    region.fill(0xee)
    region.close()
    data[offset] = 0xee
    t.true(readFileSync(path).equals(data))
  }
})

test('a part beyond the end of the file is refused, and the file stays as it was', (t) => {
  for (const access of ['read', 'copy'] as const) {
    const path = fileWith(t, '0123456789')
    for (const options of [
      { length: 11 },
      { offset: 5, length: 6 },
      { offset: 10, length: 1 },
      { offset: 11 },
      { offset: 11, length: 0 },
      { length: 2 ** 53 - 1 },
      { offset: 2 ** 53 - 1 },
      { offset: 2 ** 53 - 1, length: 2 ** 53 - 1 },
    ]) {
      const error = thrownBy(() => opened(t, path, { access, ...options }))
      t.is(error?.code, 'ERR_OUT_OF_RANGE', JSON.stringify(options))
      t.true(error instanceof RangeError)
      t.regex(error?.message ?? '', /10/, 'the length of the file is in the message')
    }
    t.is(opened(t, path, { access, offset: 10 }).byteLength, 0)
    t.is(opened(t, path, { access, offset: 10, length: 0 }).byteLength, 0)
    t.is(readFileSync(path, 'utf8'), '0123456789')
  }
})

test("without a length an offset beyond the end is refused with 'write', too", (t) => {
  const path = fileWith(t, '0123456789')
  t.is(
    codeOf(() => opened(t, path, { access: 'write', offset: 11 })),
    'ERR_OUT_OF_RANGE',
  )
  t.is(statSync(path).size, 10)
})

test("a length beyond the end extends the file with 'write', with zeros, to offset + length", (t) => {
  const path = fileWith(t, '0123456789')
  const region = opened(t, path, { access: 'write', offset: 8, length: 100 })
  t.is(region.byteLength, 100)
  t.is(statSync(path).size, 108)
  t.true(region.equals(Buffer.concat([Buffer.from('89'), Buffer.alloc(98)])))
  // Just to the end, and shorter: no change.
  opened(t, path, { access: 'write', length: 108 })
  opened(t, path, { access: 'write', length: 5 })
  t.is(statSync(path).size, 108)
  // From behind the end.
  const far = opened(t, path, { access: 'write', offset: 5000, length: 3 })
  t.is(statSync(path).size, 5003)
  far.set('end')
  t.is(readFileSync(path).subarray(5000).toString(), 'end')
  t.true(readFileSync(path).subarray(10, 5000).equals(Buffer.alloc(4990)))
})

onPosix('extending allocates; with sparse: true it does not', (t) => {
  const length = 1 << 20
  const [full, sparse, old] = [tmpFile(t), tmpFile(t), fileWith(t, 'x')]
  opened(t, full, { access: 'write', create: true, length })
  opened(t, sparse, { access: 'write', create: true, length, sparse: true })
  opened(t, old, { access: 'write', offset: 4095, length: length - 4095 })
  t.is(statSync(full).size, length)
  t.is(statSync(sparse).size, length)
  t.true(statSync(full).blocks * 512 >= length, `${statSync(full).blocks} blocks`)
  t.true(statSync(sparse).blocks * 512 <= 65_536, `${statSync(sparse).blocks} blocks`)
  t.true(statSync(old).blocks * 512 >= length - 4096)
  t.true(opened(t, full).equals(Buffer.alloc(length)))
})

onLinux('extending a large sparse file allocates only what is new', (t) => {
  const path = tmpFile(t)
  const length = 512 * 2 ** 20
  opened(t, path, { access: 'write', create: true, length, sparse: true }).close()
  opened(t, path, { access: 'write', offset: length, length: 65_536 })
  t.is(statSync(path).size, length + 65_536)
  t.true(statSync(path).blocks * 512 < 2 ** 20, `${statSync(path).blocks} blocks`)
})

test('a file that is not there is made with create, one that is there stays what it is', (t) => {
  const path = tmpFile(t)
  const made = opened(t, path, { access: 'write', create: true, length: 4 })
  made.set('made')
  made.close()
  t.is(readFileSync(path, 'utf8'), 'made')
  t.is(opened(t, path, { access: 'write', create: true }).toString(), 'made')
  t.is(opened(t, path, { access: 'write', create: true, length: 2 }).toString(), 'ma')
  t.is(readFileSync(path, 'utf8'), 'made')
  const empty = tmpFile(t)
  t.is(opened(t, empty, { access: 'write', create: true }).byteLength, 0)
  t.is(statSync(empty).size, 0)
  t.is(
    codeOf(() => opened(t, tmpFile(t), { access: 'write' })),
    'ENOENT',
  )
})

test("create: 'exclusive' makes the file, or refuses where it is there", (t) => {
  const path = tmpFile(t)
  opened(t, path, { access: 'write', create: 'exclusive', length: 4 }).set('mine')
  const error = thrownBy(() => opened(t, path, { access: 'write', create: 'exclusive', length: 10 }))
  t.is(error?.code, 'EEXIST')
  t.is(error?.syscall, 'open')
  t.is(error?.path, path)
  t.is(readFileSync(path, 'utf8'), 'mine')
})

test("create goes with 'write' only, and makes nothing otherwise", (t) => {
  const path = tmpFile(t)
  for (const access of ['read', 'copy', undefined] as const) {
    for (const create of [true, 'exclusive'] as const) {
      t.is(
        codeOf(() => opened(t, path, { access, create })),
        'ERR_INVALID_ARG_VALUE',
      )
    }
    t.is(
      codeOf(() => opened(t, path, { access, create: false })),
      'ENOENT',
    )
  }
  t.false(existsSync(path))
})

onPosix('the mode of a made file is what was asked for, less the umask', (t) => {
  const program = [
    "import { MmapFile } from 'memmap'",
    "import { statSync } from 'node:fs'",
    'const [folder] = process.argv.slice(1)',
    'const modes = []',
    'for (const umask of [0o000, 0o022, 0o077]) for (const mode of [undefined, 0o600, 0o644, 0o777, 0o400]) {',
    '  process.umask(umask)',
    '  const path = `${folder}/${umask}-${mode}`',
    "  MmapFile.open(path, { access: 'write', create: true, length: 1, mode })",
    '  modes.push((statSync(path).mode & 0o777) === ((mode ?? 0o666) & ~umask))',
    '}',
    'console.log(JSON.stringify(modes))',
  ].join('\n')
  const said = execFileSync(process.execPath, ['--input-type=module', '--eval', program, tmpFolder(t)], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: undefined },
  })
  const modes = JSON.parse(said) as boolean[]
  t.is(modes.length, 15)
  t.deepEqual(new Set(modes), new Set([true]))
})

onPosix('the mode of a file that is there is not changed', (t) => {
  const path = fileWith(t, 'x')
  chmodSync(path, 0o640)
  opened(t, path, { access: 'write', create: true, mode: 0o777 })
  t.is(statSync(path).mode & 0o777, 0o640)
})

test('keepOpen: false keeps no descriptor: reading and writing work, what needs one says so', async (t) => {
  const path = fileWith(t, 'content')
  for (const access of ['read', 'write', 'copy'] as const) {
    const region = opened(t, path, { access, keepOpen: false })
    if (isPosix) t.is(descriptorsOf(path), 0)
    t.is(region.toString(), 'content')
    for (const work of [() => region.fileSize, () => region.refresh()]) {
      const error = thrownBy(work)
      t.is(error?.code, 'ERR_INVALID_STATE')
      t.regex(error?.message ?? '', /keepOpen/)
    }
    t.false(region.replaced)
    await region.flush()
    region.flushSync()
    if (access !== 'read' || HAS_READ_WINDOWS) t.is(region.subarray(1, 3).toString(), 'on')
    region.close()
  }
  const region = opened(t, path, { access: 'write', keepOpen: false })
  region.set('C')
  await region.flush()
  t.is(readFileSync(path, 'utf8'), 'Content')
})

onPosix('a descriptor is kept until the region is closed, and let go by then', (t) => {
  const path = fileWith(t, 'content')
  const regions = Array.from({ length: 10 }, () => opened(t, path, { access: WINDOWED }))
  t.is(descriptorsOf(path), 10)
  for (const region of regions) region.subarray()
  for (const region of regions) region.close()
  t.is(descriptorsOf(path), 0)
})

test('guard and hugePages are wishes that change nothing that is read', (t) => {
  const path = fileWith(t, 'content')
  for (const guard of [true, false, undefined]) {
    for (const hugePages of [true, false, undefined]) {
      const region = opened(t, path, { access: 'write', guard, hugePages })
      t.is(region.toString(), 'content')
      region.close()
    }
  }
})

onPosix('fileSize is the size now, replaced whether the path still names the file', (t) => {
  const path = fileWith(t, 'content')
  const region = opened(t, path, { offset: 2, length: 3 })
  t.is(region.fileSize, 7)
  writeFileSync(path, 'much longer content')
  t.is(region.fileSize, 19)
  t.false(region.replaced)
  renameSync(path, `${path}.1`)
  t.true(region.replaced, 'renamed away')
  writeFileSync(path, 'another')
  t.true(region.replaced, 'another file by that name')
  t.is(region.fileSize, 19)
  unlinkSync(path)
  t.true(region.replaced)
  renameSync(`${path}.1`, path)
  t.false(region.replaced, 'back again')
  t.is(region.toString(), 'ch ')
})

onPosix('a file that was unlinked stays mapped', (t) => {
  const path = fileWith(t, 'content')
  const region = opened(t, path, { access: 'write' })
  unlinkSync(path)
  region.set('C')
  t.is(region.toString(), 'Content')
  t.is(region.fileSize, 7)
  t.true(region.replaced)
  t.false(region.refresh())
})

onPosix('a relative path means the folder the process was in', (t) => {
  const path = fileWith(t, 'content')
  const before = process.cwd()
  try {
    process.chdir(realpathSync(dirname(path)))
    const region = opened(t, basename(path))
    process.chdir('/')
    t.false(region.replaced)
    t.is(region.path, basename(path), 'as it was given')
  } finally {
    process.chdir(before)
  }
})

test('an empty file is an empty region', (t) => {
  for (const access of ['read', 'write', 'copy'] as const) {
    const region = regionWith(t, '', { access })
    t.is(region.byteLength, 0)
    t.is(region.indexOf('x'), -1)
    t.is(region.indexOf(''), 0)
    t.is(region.count('x'), 0)
    t.is(region.slice().length, 0)
    t.deepEqual([...region.lines()], [])
    t.deepEqual([...region.indexesOf('')], [0])
    t.is(region.fileSize, 0)
    t.is(
      codeOf(() => region.readUInt8(0)),
      'ERR_OUT_OF_RANGE',
    )
    t.is(region.cursor().read().length, 0)
  }
})

onLinux('a file of the system that says it is empty is an empty region', (t) => {
  t.is(opened(t, '/proc/self/maps').byteLength, 0)
})
