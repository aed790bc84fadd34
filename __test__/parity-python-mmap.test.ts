// What somebody who comes from Python's mmap looks for: a test for each row of the guide's table, named after it.

import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { inspect } from 'node:util'

import { mappings, PrivateMemory, SharedMemory } from 'memmap'
import type { MmapFile } from 'memmap'

import { codeOf, fileWith, HAS_READ_WINDOWS, opened, regionWith, thrownBy, WINDOWED } from './helpers/files.ts'
import { TestedTable } from './helpers/guide.ts'
import { PYTHON } from './helpers/lockers.ts'
import { Random } from './helpers/random.ts'
import { freeName, kept } from './helpers/shared.ts'
import { isLinux, isPosix } from './helpers/system.ts'
import { tmpFile, tmpFolder } from './helpers/tmp.ts'

const python = new TestedTable('coming-from-python-mmap.md', 'Row by row')

const TEXT = '0123456789abcdef'

python.row(
  'mmap(fd, 0)',
  'the whole file, or what is left after the offset; the map outlives the descriptor',
  async (t) => {
    const path = fileWith(t, TEXT)
    const fd = openSync(path, 'r')
    const region = opened(t, fd)
    closeSync(fd)
    t.is(region.toString(), TEXT)
    const handle = await open(path, 'r')
    const rest = opened(t, handle, { offset: 10 })
    await handle.close()
    t.is(rest.toString(), 'abcdef')
    t.is(opened(t, path, { offset: 16 }).byteLength, 0)
    t.true(thrownBy(() => opened(t, path, { offset: 17 })) instanceof RangeError)
  },
)

python.row('mmap(fd, n), n > size', "extends the file with 'write', is a RangeError with 'read' and 'copy'", (t) => {
  const path = fileWith(t, TEXT)
  for (const access of ['read', 'copy'] as const) {
    t.true(thrownBy(() => opened(t, path, { access, length: 17 })) instanceof RangeError)
    t.true(thrownBy(() => opened(t, path, { access, offset: 10, length: 7 })) instanceof RangeError)
    t.is(readFileSync(path, 'utf8'), TEXT)
  }
  const region = opened(t, path, { access: 'write', offset: 10, length: 100_000 })
  t.is(statSync(path).size, 100_010)
  t.is(region.byteLength, 100_000)
  t.is(region.indexOf(Buffer.alloc(99_994)), 6, 'new bytes are zero')
  if (isPosix) t.true(statSync(path).blocks * 512 >= 98_304, 'allocated')
})

python.row('mmap(-1, n)', 'zeroed memory, of one process or shared; what is no length is a RangeError', (t) => {
  for (const make of [PrivateMemory.allocate, SharedMemory.anonymous]) {
    const memory = kept(t, make(10_000))
    t.true(memory.equals(Buffer.alloc(10_000)))
    memory.set('stored', 9994)
    t.is(memory.toString('latin1', -6), 'stored')
    for (const length of [0, -1, NaN, 1.5, 2 ** 53]) {
      const error = thrownBy(() => make(length))
      t.true(error instanceof RangeError, `${length}`)
      t.is(error?.code, 'ERR_OUT_OF_RANGE')
    }
  }
})

python.row('tagname=', 'the same name is the same memory, another one other memory; never more than there is', (t) => {
  const [name, other] = [freeName(t), freeName(t)]
  const memory = kept(t, SharedMemory.create(name, 100))
  const same = kept(t, SharedMemory.open(name, { byteLength: 100 }))
  memory.set('same')
  t.is(same.toString('latin1', 0, 4), 'same')
  t.true(kept(t, SharedMemory.create(other, 100)).equals(Buffer.alloc(100)))
  t.is(
    codeOf(() => SharedMemory.open(name, { byteLength: 100_000 })),
    'ERR_OUT_OF_RANGE',
  )
})

python.row(
  'ACCESS_READ',
  'every mutator is refused, the bytes of the file never change, a stray write harms nobody',
  (t) => {
    const path = fileWith(t, TEXT)
    const region = opened(t, path)
    const cursor = region.cursor()
    const mutators: (() => unknown)[] = [
      () => region.set('x'),
      () => region.fill(0),
      () => region.move(0, 1, 1),
      () => region.writeUInt8(1, 0),
      () => region.writeDoubleBE(1, 8),
      () => region.writeBigInt64LE(1n, 0),
      () => region.writeIntLE(1, 0, 3),
      () => cursor.write('x'),
      () => cursor.writeByte(1),
      () => cursor.writeUInt32LE(1),
    ]
    for (const mutator of mutators) t.is(codeOf(mutator), 'ERR_REGION_READONLY', mutator.toString())
    if (HAS_READ_WINDOWS) {
      region.subarray().fill('X')
      region.view(Float64Array).fill(1)
    }
    t.is(readFileSync(path, 'utf8'), TEXT)
    t.is(opened(t, path).toString(), TEXT)
  },
)

python.row('ACCESS_WRITE', 'written through, seen by fs.readFile at once, on the disk after flush', async (t) => {
  const path = fileWith(t, TEXT)
  const region = opened(t, path, { access: 'write' })
  region.set('ABC', 3)
  t.is(await readFile(path, 'utf8'), '012ABC6789abcdef')
  region.subarray()[0] = 0x58
  t.is(await readFile(path, 'utf8'), 'X12ABC6789abcdef')
  await region.flush()
  t.is(opened(t, path).toString(), 'X12ABC6789abcdef')
  const fd = openSync(path, 'r+')
  writeSync(fd, 'Y', 1)
  closeSync(fd)
  t.is(region.at(1), 0x59, 'and the other way round')
})

python.row('ACCESS_COPY', 'the map changes, the file never does, there is nothing to flush', async (t) => {
  const path = fileWith(t, TEXT)
  const region = opened(t, path, { access: 'copy' })
  region.set('ABC', 3)
  region.subarray()[0] = 0x58
  await region.flush()
  region.flushSync()
  t.is(region.toString(), 'X12ABC6789abcdef')
  t.is(readFileSync(path, 'utf8'), TEXT)
  t.is(
    codeOf(() => region.resize(5)),
    'ERR_REGION_READONLY',
  )
  region.close()
  t.is(readFileSync(path, 'utf8'), TEXT)
})

python.row('trackfd=False', 'works without a descriptor; what needs one says clearly that there is none', (t) => {
  const path = fileWith(t, TEXT)
  const region = opened(t, path, { access: 'write', keepOpen: false })
  region.set('A')
  region.flushSync()
  t.is(readFileSync(path, 'utf8'), `A${TEXT.slice(1)}`)
  for (const call of [
    () => region.fileSize,
    () => region.refresh(),
    () => region.resize(100),
    () => region.tryLock(),
  ]) {
    const error = thrownBy(call)
    t.is(error?.code, 'ERR_INVALID_STATE', call.toString())
    t.regex(error?.message ?? '', /(?=.*descriptor).*keepOpen: false/)
  }
  t.is(statSync(path).size, TEXT.length)
})

python.row(
  'm[i], m[i] = b, m[a:b], m[a:b] = x',
  'negative from the end, nothing beyond, a wrong length writes nothing',
  (t) => {
    const path = fileWith(t, TEXT)
    const region = opened(t, path, { access: 'write' })
    t.is(region.at(0), 0x30)
    t.is(region.at(-1), 0x66)
    t.is(region.at(16), undefined)
    t.is(region.at(-17), undefined)
    t.is(region.slice(-6).toString(), 'abcdef')
    t.is(region.slice(-6, -3).toString(), 'abc')
    t.is(region.slice(10, 100).toString(), 'abcdef')
    t.is(region.slice(9, 3).toString(), '')
    region.writeUInt8(0x41, 15)
    t.is(
      codeOf(() => region.writeUInt8(0x41, 16)),
      'ERR_OUT_OF_RANGE',
    )
    t.is(
      codeOf(() => region.writeUInt8(256, 0)),
      'ERR_OUT_OF_RANGE',
    )
    t.is(region.set('xyz', 1), 3)
    t.is(
      codeOf(() => region.set('xyz', 14)),
      'ERR_OUT_OF_RANGE',
    )
    t.is(readFileSync(path, 'utf8'), '0xyz456789abcdeA')
  },
)

python.row(
  'find, rfind, in',
  'a window with clamping rules, wholly inside, never reading a byte beyond the map',
  (t) => {
    const region = regionWith(t, 'one two one')
    t.is(region.indexOf('one'), 0)
    t.is(region.lastIndexOf('one'), 8)
    t.is(region.indexOf('one', { start: 1 }), 8)
    t.is(region.indexOf('one', { start: 1, end: 10 }), -1)
    t.is(region.indexOf('one', { start: -3 }), 8)
    t.is(region.lastIndexOf('one', { end: -1 }), 0)
    t.is(region.indexOf('one', { start: -100, end: 100 }), 0)
    t.is(region.indexOf('', { start: 4, end: 7 }), 4)
    t.is(region.lastIndexOf('', { start: 4, end: 7 }), 7)
    t.is(region.indexOf('', { start: 100 }), 11)
    t.is(region.indexOf('', { start: 7, end: 4 }), -1)
    t.true(region.includes('two'))
    t.false(region.includes('three'))
  },
)

python.rowWhere(isPosix, 'find, rfind, in', 'a page that is gone behind the window is never touched', (t) => {
  const page = 4096
  for (const length of [3 * page, 16 * page]) {
    const path = fileWith(t, Buffer.alloc(length, 'ab'))
    for (const needle of ['a', 'b', 'x', 'ab', 'ba', 'abababx', 'b'.repeat(33), 'ab'.repeat(20), '']) {
      const region = opened(t, path, { access: WINDOWED })
      // A look behind this would be a fault, and end every later call.
      truncateSync(path, length - page)
      const end = length - page
      for (let start = end - 40; start <= end; start++) {
        region.indexOf(needle, { start, end })
        region.lastIndexOf(needle, { start, end })
        region.count(needle, { start, end })
        t.is([...region.indexesOf(needle, { start, end })].length, region.count(needle, { start, end }))
      }
      for (const line of region.lines({ end })) t.is(line.length, end)
      t.is(region.slice(0, end).length, end)
      t.is(region.subarray(0, end).toString('latin1').length, end)
      region.close()
      truncateSync(path, 0)
      writeFileSync(path, Buffer.alloc(length, 'ab'))
    }
  }
})

/** What Python's mmap finds, in a file of its own, for `[needle, start, end]` each. */
const FINDS = `
import json, mmap, sys
with open(sys.argv[1], 'rb') as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
    print(json.dumps([[m.find(n.encode(), s, e), m.rfind(n.encode(), s, e)] for n, s, e in json.load(sys.stdin)]))
`

python.rowWhere(
  PYTHON !== undefined,
  'find, rfind, in',
  'the answers of Python itself, for random needles and windows (skipped without python3)',
  (t) => {
    const random = new Random(t)
    const path = fileWith(t, 'abaabbaababba')
    const queries = Array.from({ length: 4000 }, () => {
      const needle = Array.from({ length: random.integer(0, 4) }, () => 'abc'[random.integer(0, 2)]).join('')
      return [needle, random.integer(-16, 16), random.integer(-16, 16)] as const
    })
    const input = JSON.stringify(queries)
    const answers = JSON.parse(
      execFileSync(PYTHON ?? '', ['-c', FINDS, path], { input, encoding: 'utf8' }),
    ) as unknown[]
    const region = opened(t, path)
    for (const [at, [needle, start, end]] of queries.entries()) {
      const found = [region.indexOf(needle, { start, end }), region.lastIndexOf(needle, { start, end })]
      t.deepEqual(found, answers[at], `${needle} in [${start}, ${end})`)
    }
  },
)

python.row('re.search(pattern, m)', 'the first match, and all of them: where, and with which groups', (t) => {
  const text = 'é user=ann id=7\nuser=bob id=12\n'
  const region = regionWith(t, text)
  const first = region.match(/user=(?<name>\w+) id=(\d+)/)
  t.is(first?.index, 3, 'bytes, not characters')
  t.is(first?.end, Buffer.from('é user=ann id=7').length)
  t.is(first?.[1]?.toString(), 'ann')
  t.is(first?.groups?.['name']?.toString(), 'ann')
  t.deepEqual(
    [...region.matchAll(/id=(\d+)/g)].map((match) => match[1]?.toString()),
    ['7', '12'],
  )
  t.is(region.match(/user=eve/), null)
  t.is(
    codeOf(() => region.match(/(a)\1/)),
    'ERR_INVALID_ARG_VALUE',
  )
})

python.row(
  'read, read_byte, readline, write, write_byte, seek, tell, seekable',
  'a cursor has them all, and what throws leaves it where it was',
  (t) => {
    const region = regionWith(t, 'one\ntwo\nthree', { access: 'write' })
    const cursor = region.cursor()
    t.is(cursor.seek(4), 4)
    t.is(cursor.readLine().toString(), 'two\n')
    t.is(cursor.seek(-4, 'current'), 4)
    t.is(cursor.seek(-5, 'end'), 8)
    t.is(cursor.read(2).toString(), 'th')
    t.is(cursor.read().toString(), 'ree')
    t.is(cursor.position, 13, 'the length is a legal position')
    t.is(cursor.read().length, 0)
    t.is(cursor.read(5).length, 0)
    t.is(cursor.readLine().length, 0)
    t.is(
      codeOf(() => cursor.readByte()),
      'ERR_OUT_OF_RANGE',
    )
    for (const [offset, from] of [
      [14, 'start'],
      [-1, 'start'],
      [1, 'current'],
      [-14, 'current'],
      [1, 'end'],
      [-14, 'end'],
    ] as const) {
      t.true(thrownBy(() => cursor.seek(offset, from)) instanceof RangeError)
      t.is(cursor.position, 13, 'unmoved')
    }
    cursor.position = 11
    t.is(
      codeOf(() => cursor.write('xyz')),
      'ERR_OUT_OF_RANGE',
    )
    t.is(region.toString(), 'one\ntwo\nthree', 'what does not fit writes nothing')
    t.is(cursor.write('xy'), 2)
    t.is(region.toString(), 'one\ntwo\nthrxy')
    for (let byte = 0; byte < 256; byte++) {
      cursor.seek(0)
      cursor.writeByte(byte)
      t.is(cursor.position, 1)
      cursor.seek(0)
      t.is(cursor.readByte(), byte)
    }
  },
)

python.row('move(dst, src, n)', 'memmove for every overlap, and any argument outside is a RangeError', (t) => {
  const length = 12
  const data = Buffer.from('abcdefghijkl')
  const region = regionWith(t, data, { access: 'write' })
  for (let to = -1; to <= length + 1; to++) {
    for (let from = -1; from <= length + 1; from++) {
      for (let size = -1; size <= length + 1; size++) {
        region.set(data)
        const model = Buffer.from(data)
        if (to < 0 || from < 0 || size < 0 || to + size > length || from + size > length) {
          if (!(thrownBy(() => region.move(to, from, size)) instanceof RangeError)) t.fail(`${to}, ${from}, ${size}`)
        } else {
          region.move(to, from, size)
          model.copyWithin(to, from, from + size)
        }
        if (!region.equals(model)) t.fail(`${to}, ${from}, ${size}`)
      }
    }
  }
  t.pass()
})

python.row('flush([offset, n]), flags=', 'any range of bytes', async (t) => {
  const path = fileWith(t, Buffer.alloc(3 * 4096))
  const region = opened(t, path, { access: 'write', offset: 7 })
  region.fill(1)
  await region.flush({ start: 1, end: 2 })
  await region.flush({ start: 4000, end: 5000 })
  await region.flush({ start: -1 })
  await region.flush({ start: 5, end: 5 })
  region.flushSync({ start: 4089, end: 4090 })
  region.flushSync({ wait: false })
  await region.flush()
  t.true(readFileSync(path).subarray(7).equals(region.slice()))
})

python.row('resize(n)', 'cut off or extended to offset + n, content kept, views die, 0 is an error', (t) => {
  const path = fileWith(t, TEXT)
  const region = opened(t, path, { access: 'write', offset: 4 })
  const [window, cursor] = [region.subarray(), region.cursor(12)]
  region.resize(20)
  t.is(window.length, 0)
  t.is(statSync(path).size, 24)
  t.is(region.toString(), `456789abcdef${'\0'.repeat(8)}`)
  if (isPosix) {
    region.resize(3)
    t.is(readFileSync(path, 'utf8'), '0123456')
    t.is(cursor.read().length, 0)
    t.is(
      codeOf(() => cursor.write('x')),
      'ERR_OUT_OF_RANGE',
    )
  }
  t.is(
    codeOf(() => region.resize(0)),
    'ERR_OUT_OF_RANGE',
  )
  region.set('ABC')
  t.is(region.toString('utf8', 0, 3), 'ABC', 'still usable')
  for (const access of ['read', 'copy'] as const) {
    t.is(
      codeOf(() => opened(t, path, { access }).resize(5)),
      'ERR_REGION_READONLY',
    )
  }
  if (process.platform !== 'linux') return
  const shared = SharedMemory.anonymous(4, { growable: true })
  t.teardown(() => shared.close())
  shared.set('abcd')
  shared.resize(8)
  t.is(shared.toString(), 'abcd\0\0\0\0', 'shared anonymous memory grows, where Python cannot')
})

python.row('madvise(option, start, length)', 'ranges clamp as everywhere, unknown advice is a TypeError', (t) => {
  const region = regionWith(t, TEXT)
  t.is(typeof region.advise('sequential'), 'boolean')
  t.is(typeof region.advise('willneed', { start: -5, end: 99_999 }), 'boolean')
  const error = thrownBy(() => Reflect.apply(region.advise, region, ['MADV_NORMAL']))
  t.true(error instanceof TypeError)
  t.is(region.toString(), TEXT)
})

python.row(
  'PROT_*, MAP_*',
  'readable, writable, executable, none; huge pages; populated off the event loop',
  async (t) => {
    const path = fileWith(t, TEXT)
    const region = opened(t, path, { access: 'write', hugePages: true })
    await region.prefetch()
    region.protect('read')
    t.is(
      codeOf(() => region.set('x')),
      'ERR_REGION_READONLY',
    )
    t.is(region.toString(), TEXT)
    if (isPosix) region.protect('execute')
    t.is(
      codeOf(() => region.set('x')),
      'ERR_REGION_READONLY',
    )
    t.is(region.toString(), TEXT)
    region.protect('none')
    t.is(
      codeOf(() => region.toString()),
      'ERR_INVALID_STATE',
    )
    region.protect('write')
    region.set('X')
    t.is(readFileSync(path, 'utf8'), `X${TEXT.slice(1)}`)
  },
)

python.row('size(), len(m)', 'the file and the map, which differ for windows', (t) => {
  const path = fileWith(t, TEXT)
  const region = opened(t, path, { offset: 3, length: 5 })
  t.is(region.fileSize, 16)
  t.is(region.byteLength, 5)
  writeFileSync(path, 'more', { flag: 'a' })
  t.is(region.fileSize, 20)
  t.is(region.byteLength, 5)
})

python.row('a file that others append to', 'refresh maps what is there now, and never changes the file', (t) => {
  const path = fileWith(t, 'one\n')
  const region = opened(t, path, { access: WINDOWED })
  const window = region.subarray()
  t.false(region.refresh())
  t.is(window.toString(), 'one\n', 'views live on where nothing changed')
  writeFileSync(path, 'two\n', { flag: 'a' })
  t.true(region.refresh())
  t.is(region.toString(), 'one\ntwo\n')
  t.is(window.length, 0)
  t.is(readFileSync(path, 'utf8'), 'one\ntwo\n')
})

python.rowWhere(
  isLinux,
  'set_name',
  'the system lists a file by its path, anonymous memory as memfd:memmap; mappings() tells of all (skipped but on Linux)',
  (t) => {
    const region = regionWith(t, TEXT)
    const shared = kept(t, SharedMemory.anonymous(5000))
    const memory = kept(t, PrivateMemory.allocate(6000))
    const maps = readFileSync('/proc/self/maps', 'utf8')
    t.true(maps.includes(region.path ?? '?'))
    t.true(maps.includes('memfd:memmap'))
    const listed = mappings().map(({ kind, path, byteLength }) => ({ kind, path, byteLength }))
    for (const { kind, path, byteLength } of [
      { kind: 'MmapFile', path: region.path, byteLength: TEXT.length },
      { kind: 'SharedMemory', path: undefined, byteLength: shared.byteLength },
      { kind: 'PrivateMemory', path: undefined, byteLength: memory.byteLength },
    ])
      t.true(
        listed.some((one) => one.kind === kind && one.path === path && one.byteLength === byteLength),
        kind,
      )
  },
)

python.row(
  'closed, with, double close, use after close',
  'closing again does nothing, and each method says that it is closed',
  (t) => {
    let outside: MmapFile | undefined
    {
      using region = opened(t, fileWith(t, TEXT))
      outside = region
      t.false(region.closed)
    }
    t.true(outside.closed)
    outside.close()
    outside[Symbol.dispose]()
    t.is(outside.byteLength, 0)
    t.is(
      codeOf(() => outside.at(0)),
      'ERR_REGION_CLOSED',
    )
    const region = opened(t, fileWith(t, TEXT), { access: 'write' })
    const closing = {
      valueOf() {
        region.close()
        return 2
      },
    }
    t.is(
      codeOf(() => Reflect.apply(region.set, region, ['x', closing])),
      'ERR_REGION_CLOSED',
    )
  },
)

python.row('repr(m)', 'util.inspect, open and closed', (t) => {
  const path = fileWith(t, TEXT)
  const region = opened(t, path, { access: 'copy', offset: 1 })
  const shown = inspect(region)
  for (const part of ['MmapFile', inspect(path), "access: 'copy'", 'offset: 1', 'byteLength: 15'])
    t.true(shown.includes(part), part)
  region.close()
  t.is(inspect(region), 'MmapFile { closed: true }')
})

python.row('an empty file', 'an empty region, every read is empty', (t) => {
  const path = fileWith(t, '')
  for (const access of ['read', 'write', 'copy'] as const) {
    const region = opened(t, path, { access })
    t.is(region.byteLength, 0)
    t.is(region.slice().length, 0)
    t.is(region.cursor().read().length, 0)
    t.is(region.cursor().readLine().length, 0)
    t.is(region.indexOf('a'), -1)
    t.is(region.at(0), undefined)
  }
})

python.row('a directory, pipe, device, socket, bad descriptor', 'an error with path and syscall', async (t) => {
  const folder = tmpFolder(t)
  const error = thrownBy(() => opened(t, folder))
  t.is(error?.code, 'EISDIR')
  t.is(error?.path, folder)
  t.is(typeof error?.syscall, 'string')
  t.is(
    codeOf(() => opened(t, 2 ** 31 - 1)),
    'EBADF',
  )
  if (isPosix) {
    const device = thrownBy(() => opened(t, '/dev/null'))
    t.is(device?.code, 'ENODEV')
    t.is(device?.path, '/dev/null')
    t.is(device?.syscall, 'mmap')
    const pipe = tmpFile(t, 'pipe')
    execFileSync('mkfifo', [pipe])
    const ends = openSync(pipe, 'r+')
    t.teardown(() => closeSync(ends))
    for (const file of [pipe, ends]) {
      t.is(
        codeOf(() => opened(t, file)),
        'ENODEV',
      )
    }
    const socket = tmpFile(t, 'socket')
    const server = createServer().listen(socket)
    t.teardown(() => void server.close())
    await once(server, 'listening')
    t.is(thrownBy(() => opened(t, socket))?.path, socket)
  }
})

python.row('files over 2, 4 and 5 GiB, offsets beyond 4 GiB', 'exact', (t) => {
  const path = tmpFile(t)
  const gib = 2 ** 30
  const fd = openSync(path, 'w')
  for (const at of [2 * gib, 4 * gib - 1, 4 * gib + 1, 5 * gib - 4]) writeSync(fd, 'mark', at)
  closeSync(fd)
  const region = opened(t, path)
  t.is(region.byteLength, 5 * gib)
  for (const at of [2 * gib, 4 * gib + 1, 5 * gib - 4]) {
    t.is(region.indexOf('mark', { start: at - 1, end: at + 10 }), at)
    t.is(region.toString('latin1', at, at + 4), 'mark')
    t.is(region.readUInt32BE(at), 0x6d61726b)
    t.is(opened(t, path, { offset: at, length: 4 }).toString(), 'mark')
  }
  t.is(region.lastIndexOf('mark', { start: -100 }), 5 * gib - 4)
})

python.end()
