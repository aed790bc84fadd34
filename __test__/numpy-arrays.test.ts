// Arrays of numpy's on disk: a test for each row of the guide's tables, named after it, against numpy itself, and the guide's
// own programs. Where there is no numpy and pip cannot fetch it, only what needs none is tested, and the names say so.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import type { MmapFile } from 'memmap'

import { codeOf, fileWith, opened, thrownBy, WINDOWED } from './helpers/files.ts'
import { GUIDES, TestedTable } from './helpers/guide.ts'
import { hasNumpy, numpy } from './helpers/numpy.ts'
import { isLinux, ROOT } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'

const GUIDE = 'numpy-arrays.md'
const arrays = new TestedTable(GUIDE, 'Arrays')
const types = new TestedTable(GUIDE, 'Types of elements')
const without = '(skipped without numpy)'
const withNumpy = hasNumpy ? test : test.skip

type ViewConstructor<T> = new (buffer: ArrayBuffer, byteOffset: number, length: number) => T

interface Header {
  readonly start: number
  readonly descr: string
  readonly fortran: boolean
  readonly shape: readonly number[]
}

/** As the guide reads it. */
function headerOf(file: MmapFile): Header {
  const wide = file.readUInt8(6) > 1
  const start = wide ? 12 + file.readUInt32LE(8) : 10 + file.readUInt16LE(8)
  const text = file.toString('utf8', wide ? 12 : 10, start)
  const descr = /'descr': '([^']+)'/.exec(text)?.[1] ?? ''
  const sizes = /'shape': \(([^)]*)\)/.exec(text)?.[1] ?? ''
  const shape = sizes
    .split(',')
    .filter((size) => size.trim() !== '')
    .map(Number)
  return { start, descr, fortran: /'fortran_order': True/.test(text), shape }
}

/** A file that numpy.save made of an expression. */
function saved(t: ExecutionContext, expression: string): MmapFile {
  const folder = tmpFolder(t)
  numpy(folder, `np.save('a.npy', ${expression})`)
  return opened(t, join(folder, 'a.npy'), { access: WINDOWED })
}

/** What a view of the elements shows. */
function elements<T>(file: MmapFile, type: ViewConstructor<T>, count?: number): T {
  return file.view(type, headerOf(file).start, count)
}

/** The programs of the guide in a language. */
function programs(language: 'ts' | 'python'): string[] {
  const text = readFileSync(join(GUIDES, GUIDE), 'utf8')
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(([, code]) => code ?? '')
}

/** Runs a program of the guide in a folder that has the package. */
function runs(folder: string, code: string): string {
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  try {
    symlinkSync(ROOT, join(folder, 'node_modules', 'memmap'), 'junction')
  } catch {
    // It is there already.
  }
  const program = join(folder, 'program.mjs')
  writeFileSync(program, code)
  const env = { ...process.env, NODE_OPTIONS: undefined }
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], { cwd: folder, env, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

withNumpy(`what the guide's first program writes, numpy reads and changes as its second says ${without}`, (t) => {
  const folder = tmpFolder(t)
  const [writing = ''] = programs('ts')
  const [reading = ''] = programs('python')
  runs(folder, writing)
  t.is(numpy(folder, reading), '(3, 4) float64 5.5')
  const file = opened(t, join(folder, 'matrix.npy'), { access: WINDOWED })
  t.deepEqual([...elements(file, Float64Array)], [42, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5])
})

withNumpy(`what the guide's program reads is what numpy reads ${without}`, (t) => {
  const folder = tmpFolder(t)
  const [, reading = ''] = programs('ts')
  const ours = runs(folder, reading).trim().split('\n')
  const theirs = numpy(folder, "for (i, j), x in np.ndenumerate(np.load('grid.npy')): print(i, j, int(x))").split('\n')
  t.is(ours.length, 6)
  t.deepEqual(ours, theirs)
})

withNumpy(`headers of every version, order and number of dimensions ${without}`, (t) => {
  const folder = tmpFolder(t)
  const cases = [
    [[], 'C'],
    [[5], 'C'],
    [[2, 3], 'C'],
    [[2, 3], 'F'],
    [[2, 0, 4], 'C'],
    [[2, 3, 4, 5], 'F'],
  ] as const
  const program = [
    'for at, (shape, order) in enumerate(json.loads(sys.argv[1])):',
    '  for version in 1, 2, 3:',
    "    with open(f'{at}-{version}.npy', 'wb') as f:",
    "      np.lib.format.write_array(f, np.zeros(shape, dtype='<f4', order=order), version=(version, 0))",
  ]
  numpy(folder, program.join('\n'), JSON.stringify(cases))
  for (const [at, [shape, order]] of cases.entries()) {
    for (const version of [1, 2, 3]) {
      const file = opened(t, join(folder, `${at}-${version}.npy`))
      const { start, descr, fortran, shape: found } = headerOf(file)
      t.deepEqual([descr, found, fortran], ['<f4', shape, order === 'F'])
      t.is(start % 64, 0)
      t.is(file.byteLength, start + 4 * shape.reduce<number>((product, size) => product * size, 1))
    }
  }
})

arrays.row('numpy.memmap(path, dtype, offset, shape)', 'views of rows, live on the file; bounds are checked', (t) => {
  const path = fileWith(t, Buffer.alloc(8 + 12 * 8))
  const region = opened(t, path, { access: 'write' })
  const rows = Array.from({ length: 3 }, (_, row) => region.view(Float64Array, 8 + row * 4 * 8, 4))
  for (const [at, row] of rows.entries()) row.fill(at + 0.5)
  const file = readFileSync(path)
  t.deepEqual(
    Array.from({ length: 12 }, (_, at) => file.readDoubleLE(8 + at * 8)),
    [0.5, 0.5, 0.5, 0.5, 1.5, 1.5, 1.5, 1.5, 2.5, 2.5, 2.5, 2.5],
  )
  if (isLinux) {
    const seen = opened(t, path).view(Float64Array, 8, 12)
    rows[2]?.set([99], 3)
    t.is(seen[11], 99)
  }
  for (const [offset, count] of [
    [8, 13],
    [4, 1],
  ] as const) {
    t.is(
      codeOf(() => region.view(Float64Array, offset, count)),
      'ERR_OUT_OF_RANGE',
    )
  }
})

arrays.rowWhere(
  hasNumpy,
  'numpy.memmap(path, dtype, offset, shape)',
  `each sees what the other stores while both have it mapped ${without}`,
  (t) => {
    const path = fileWith(t, Buffer.alloc(8 + 12 * 8))
    const region = opened(t, path, { access: 'write' })
    const values = region.view(Float64Array, 8, 12)
    values[7] = 0.25
    const program = [
      "m = np.memmap(sys.argv[1], dtype='<f8', mode='r+', offset=8, shape=(3, 4))",
      'print(m[1, 3])',
      'm[2, 0] = 0.125',
    ]
    t.is(numpy(tmpFolder(t), program.join('\n'), path), '0.25')
    t.is(values[8], 0.125)
  },
)

arrays.row("mode='r', 'r+', 'w+', 'c'", 'a store reaches the file in two of the four', (t) => {
  const path = fileWith(t, Buffer.alloc(16))
  for (const [access, kept] of [
    ['read', 0],
    ['copy', 0],
    ['write', 1.5],
  ] as const) {
    const region = opened(t, path, { access })
    if (access === 'read' && !isLinux) continue
    region.view(Float64Array)[1] = 1.5
    t.is(readFileSync(path).readDoubleLE(8), kept, access)
  }
  const region = opened(t, `${path}.new`, { access: 'write', create: true, length: 24 })
  t.deepEqual([...region.view(Float64Array)], [0, 0, 0])
})

arrays.rowWhere(
  hasNumpy,
  'numpy.load(path, mmap_mode)',
  `the elements begin at a multiple of 64, and a view shows them ${without}`,
  (t) => {
    const file = saved(t, "np.arange(10, dtype='<f8')")
    t.is(headerOf(file).start % 64, 0)
    t.deepEqual(
      [...elements(file, Float64Array)],
      Array.from({ length: 10 }, (_, at) => at),
    )
  },
)

arrays.rowWhere(
  hasNumpy,
  'a[i, j], C order',
  `the last index runs fastest, in three dimensions too ${without}`,
  (t) => {
    const file = saved(t, "np.fromfunction(lambda i, j, k: 100 * i + 10 * j + k, (2, 3, 4)).astype('<f8')")
    const { shape, fortran } = headerOf(file)
    const values = elements(file, Float64Array)
    t.deepEqual([shape, fortran], [[2, 3, 4], false])
    for (let i = 0; i < 2; i++)
      for (let j = 0; j < 3; j++) for (let k = 0; k < 4; k++) t.is(values[(i * 3 + j) * 4 + k], 100 * i + 10 * j + k)
  },
)

arrays.rowWhere(hasNumpy, 'a[i, j], Fortran order', `the first index runs fastest ${without}`, (t) => {
  const file = saved(t, "np.asfortranarray(np.fromfunction(lambda i, j: 10 * i + j, (2, 3)).astype('<f8'))")
  const { shape, fortran } = headerOf(file)
  const values = elements(file, Float64Array)
  t.deepEqual([shape, fortran], [[2, 3], true])
  for (let i = 0; i < 2; i++) for (let j = 0; j < 3; j++) t.is(values[i + j * 2], 10 * i + j)
})

arrays.row('a.flush()', 'what a view has stored is on the disk', async (t) => {
  const path = fileWith(t, Buffer.alloc(16))
  const region = opened(t, path, { access: 'write' })
  region.view(Float64Array)[1] = 1.5
  await region.flush()
  t.is(readFileSync(path).readDoubleLE(8), 1.5)
})

arrays.rowWhere(
  hasNumpy,
  'numpy.save(path, a)',
  `a header of ours is one of numpy's, byte for byte ${without}`,
  (t) => {
    const folder = tmpFolder(t)
    const [writing = ''] = programs('ts')
    runs(folder, writing)
    numpy(folder, "np.save('theirs.npy', np.arange(12, dtype='<f8').reshape(3, 4) / 2)")
    t.true(readFileSync(join(folder, 'matrix.npy')).equals(readFileSync(join(folder, 'theirs.npy'))))
  },
)

arrays.rowWhere(hasNumpy, 'numpy.savez(path, …)', `a zip, in which numpy maps nothing either ${without}`, (t) => {
  const folder = tmpFolder(t)
  const said = numpy(
    folder,
    "np.savez('a.npz', a=np.zeros(3))\nprint(type(np.load('a.npz', mmap_mode='r')['a']).__name__)",
  )
  t.is(said, 'ndarray')
  t.is(opened(t, join(folder, 'a.npz')).toString('latin1', 0, 2), 'PK')
})

arrays.end()

/** Elements as Python writes them, and as they are here. */
type Case = readonly [dtype: string, python: string, type: ViewConstructor<Iterable<unknown>>, ours: readonly unknown[]]

function shows(t: ExecutionContext, cases: readonly Case[]): void {
  const folder = tmpFolder(t)
  numpy(
    folder,
    cases.map(([dtype, python], at) => `np.save('${at}.npy', np.array(${python}, dtype='${dtype}'))`).join('\n'),
  )
  for (const [at, [dtype, , type, ours]] of cases.entries()) {
    const file = opened(t, join(folder, `${at}.npy`), { access: WINDOWED })
    t.is(headerOf(file).descr, dtype)
    t.deepEqual([...elements(file, type)], ours, dtype)
  }
}

const MANY = [0, 1, -1, 127, -128] as const
const COUNTS = [0, 1, 255, 200] as const
const [INT, COUNT] = [JSON.stringify(MANY), JSON.stringify(COUNTS)]

types.rowWhere(hasNumpy, '<f8, <f4', `the same bits ${without}`, (t) => {
  const python = "[0.5, -0.0, float('inf'), -float('inf'), float('nan')]"
  const ours = [0.5, -0, Infinity, -Infinity, NaN]
  shows(t, [
    ['<f8', python, Float64Array, ours],
    ['<f4', python, Float32Array, ours],
  ])
})

types.rowWhere(hasNumpy, '<i4, <i2, |i1, <u4, <u2, |u1', `the same numbers ${without}`, (t) => {
  shows(t, [
    ['<i4', INT, Int32Array, MANY],
    ['<i2', INT, Int16Array, MANY],
    ['|i1', INT, Int8Array, MANY],
    ['<u4', COUNT, Uint32Array, COUNTS],
    ['<u2', COUNT, Uint16Array, COUNTS],
    ['|u1', COUNT, Uint8Array, COUNTS],
  ])
})

types.rowWhere(hasNumpy, '<i8, <u8', `the same numbers, as bigints ${without}`, (t) => {
  shows(t, [
    ['<i8', '[-2**63, 2**62 + 1]', BigInt64Array, [-(2n ** 63n), 2n ** 62n + 1n]],
    ['<u8', '[0, 2**64 - 1]', BigUint64Array, [0n, 2n ** 64n - 1n]],
  ])
})

types.rowWhere(hasNumpy, '|b1', `0 and 1 ${without}`, (t) => {
  shows(t, [['|b1', '[True, False, True]', Uint8Array, [1, 0, 1]]])
})

types.rowWhere(hasNumpy, '<c16, <c8', `pairs of numbers ${without}`, (t) => {
  shows(t, [
    ['<c16', '[1+2j, -0.5j]', Float64Array, [1, 2, -0, -0.5]],
    ['<c8', '[1+2j, 3-4j]', Float32Array, [1, 2, 3, -4]],
  ])
})

types.rowWhere(hasNumpy, '<M8[ns], <m8[ns]', `units since 1970, and between ${without}`, (t) => {
  const python = "['1970-01-01T00:00:01', 'NaT']"
  shows(t, [
    ['<M8[ns]', python, BigInt64Array, [1_000_000_000n, -(2n ** 63n)]],
    ['<m8[ns]', "[1500, 'NaT']", BigInt64Array, [1500n, -(2n ** 63n)]],
  ])
})

types.rowWhere(hasNumpy, '<f2', `the same bits ${without}`, (t) => {
  shows(t, [['<f2', '[1.0, -2.0, 0.5]', Uint16Array, [0x3c00, 0xc000, 0x3800]]])
  const Float16: unknown = Reflect.get(globalThis, 'Float16Array')
  if (typeof Float16 !== 'function') return
  shows(t, [['<f2', '[1.0, -2.0, 0.5]', Float16 as ViewConstructor<Iterable<unknown>>, [1, -2, 0.5]]])
})

types.rowWhere(hasNumpy, '>f8, >i4, …', `by the methods that end in BE, or turned in a copy ${without}`, (t) => {
  const doubles = saved(t, "np.array([0.5, -3.25], dtype='>f8')")
  const { start, descr } = headerOf(doubles)
  t.is(descr, '>f8')
  t.deepEqual([doubles.readDoubleBE(start), doubles.readDoubleBE(start + 8)], [0.5, -3.25])
  const copy = doubles.slice(start).swap64()
  t.deepEqual([...new Float64Array(copy.buffer, copy.byteOffset, 2)], [0.5, -3.25])
  const integers = saved(t, "np.array([1, -2], dtype='>i4')")
  t.is(integers.readInt32BE(headerOf(integers).start + 4), -2)
})

types.rowWhere(hasNumpy, '|S8', `padded with zeros at the end ${without}`, (t) => {
  const file = saved(t, "np.array([b'ann', b'barbara!'], dtype='|S8')")
  const { start } = headerOf(file)
  t.is(file.toString('latin1', start, start + 8), 'ann\0\0\0\0\0')
  t.is(file.toString('latin1', start + 8, start + 16), 'barbara!')
})

types.rowWhere(hasNumpy, '<U8', `four bytes a character, padded with zeros ${without}`, (t) => {
  const file = saved(t, "np.array(['né😀'], dtype='<U8')")
  const { start } = headerOf(file)
  const points = Array.from({ length: 8 }, (_, at) => file.readUInt32LE(start + at * 4))
  t.is(String.fromCodePoint(...points).replace(/\0+$/, ''), 'né😀')
})

types.rowWhere(hasNumpy, 'a structured dtype', `fields at their offsets, packed ${without}`, (t) => {
  const file = saved(t, "np.array([(1, 0.5), (2, 1.5)], dtype=[('id', '<i2'), ('x', '<f8')])")
  const { start, descr } = headerOf(file)
  t.is(descr, '', 'a list, no string')
  const [itemsize, x] = [10, 2]
  t.is(file.readInt16LE(start + itemsize), 2)
  t.is(file.readDoubleLE(start + itemsize + x), 1.5)
  t.is(thrownBy(() => file.view(Float64Array, start + x, 1))?.code, 'ERR_OUT_OF_RANGE')
})

types.rowWhere(hasNumpy, '|O', `pickled, which numpy does not map either ${without}`, (t) => {
  const folder = tmpFolder(t)
  const program = [
    "np.save('a.npy', np.array([{}], dtype=object), allow_pickle=True)",
    "try: np.load('a.npy', mmap_mode='r', allow_pickle=True)",
    'except ValueError as error: print(error)',
  ]
  t.regex(numpy(folder, program.join('\n')), /memory-mapped/)
  t.is(headerOf(opened(t, join(folder, 'a.npy'))).descr, '|O')
})

types.end()
