// examples/numpy.ts: arrays that Python has written, by numpy where it can be had, else by struct as numpy's format says.

import { spawnSync } from 'node:child_process'
import { closeSync, openSync, truncateSync, writeSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'
import { MmapFile } from 'memmap'

import { arrayIn, elementAt } from '../examples/numpy.ts'

import { ending, WELL } from './helpers/child.ts'
import { runExample } from './helpers/examples.ts'
import { fileWith } from './helpers/files.ts'
import { PYTHON } from './helpers/lockers.ts'
import { hasNumpy, numpy } from './helpers/numpy.ts'
import { tmpFolder } from './helpers/tmp.ts'

const withPython = PYTHON === undefined ? test.skip : test
const withNumpy = hasNumpy ? test : test.skip

/** The format as numpy's documentation gives it, version 1.0. */
const BY_STRUCT = `
import struct, sys
header = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }"
header = header + ' ' * (-(10 + len(header) + 1) % 64) + '\\n'
with open('matrix.npy', 'wb') as file:
    file.write(b'\\x93NUMPY\\x01\\x00' + struct.pack('<H', len(header)) + header.encode('latin1'))
    file.write(struct.pack('<12d', *[number / 2 for number in range(12)]))
`

function writeMatrix(folder: string): void {
  if (hasNumpy) {
    numpy(folder, "np.save('matrix.npy', np.arange(12).reshape(3, 4) / 2)")
    return
  }
  const { status, stderr } = spawnSync(PYTHON ?? '', ['-c', BY_STRUCT], { cwd: folder, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
}

withPython('a matrix that Python wrote is read here, in place (skipped without python3)', async (t) => {
  t.log(hasNumpy ? 'written by numpy.save' : 'numpy cannot be had here: written by Python’s struct')
  const folder = tmpFolder(t)
  writeMatrix(folder)
  const path = join(folder, 'matrix.npy')
  const child = await runExample('numpy', [path])
  t.deepEqual(ending(child), WELL)
  t.is(child.stdout, '<f8 (3, 4)\nfrom 0 to 5.5, mean 2.75\nthe first ones: 0 0.5 1 1.5\n')

  const file = MmapFile.open(path, { access: 'write' })
  const matrix = arrayIn(file)
  t.deepEqual([matrix.dtype, matrix.shape, matrix.strides], ['<f8', [3, 4], [4, 1]])
  for (let row = 0; row < 3; row++)
    for (let column = 0; column < 4; column++) t.is(elementAt(matrix, row, column), (4 * row + column) / 2)
  // The elements are the file, not a copy of it.
  const descriptor = openSync(path, 'r+')
  writeSync(descriptor, new Float64Array([-1]), 0, 8, file.byteLength - 8)
  closeSync(descriptor)
  t.is(elementAt(matrix, 2, 3), -1)
  file.close()
  t.is(matrix.elements.length, 0)
})

/** What is saved, and what the program says of it. */
const ARRAYS: readonly (readonly [array: string, said: string])[] = [
  ["np.arange(6, dtype='<i8').reshape(2, 3)", '<i8 (2, 3)\nfrom 0 to 5, mean 2.5\nthe first ones: 0 1 2\n'],
  [
    "np.asfortranarray(np.arange(6, dtype='<f4').reshape(2, 3))",
    '<f4 (2, 3)\nfrom 0 to 5, mean 2.5\nthe first ones: 0 1 2\n',
  ],
  ["np.arange(8, dtype='u1')", '|u1 (8)\nfrom 0 to 7, mean 3.5\nthe first ones: 0 1 2 3 4\n'],
  ['np.array([True, False])', '|b1 (2)\nfrom 0 to 1, mean 0.5\nthe first ones: 1 0\n'],
  ["np.array(5, dtype='<u2')", '<u2 ()\nfrom 5 to 5, mean 5\nthe first ones: 5\n'],
  ["np.zeros((0, 3), dtype='<i2')", '<i2 (0, 3)\n'],
]

withNumpy('arrays of other types and orders, as numpy saves them (skipped without numpy)', async (t) => {
  const folder = tmpFolder(t)
  for (const [array, said] of ARRAYS) {
    numpy(folder, `np.save('array.npy', ${array})`)
    const child = await runExample('numpy', [join(folder, 'array.npy')])
    t.deepEqual({ ...ending(child), stdout: child.stdout }, { ...WELL, stdout: said }, array)
  }
  for (const array of [
    "np.arange(3, dtype='>i4')",
    "np.zeros(3, dtype=[('a', '<f8'), ('b', '<i4')])",
    "np.array(['a'])",
  ]) {
    numpy(folder, `np.save('array.npy', ${array})`)
    const { code, stdout, stderr } = await runExample('numpy', [join(folder, 'array.npy')])
    t.deepEqual([code, stdout], [1, ''], array)
    t.regex(stderr, /^numpy: .*array\.npy has elements of .*, which no typed array shows\n$/)
  }
})

test('bad arguments, other files and files cut off: a line on stderr', async (t) => {
  const usage = await runExample('numpy')
  t.deepEqual([usage.code, usage.stderr], [2, 'usage: numpy.ts FILE.npy\n'])
  const header = `${"{'descr': '<f8', 'fortran_order': False, 'shape': (100,), }".padEnd(117)}\n`
  const whole = Buffer.concat([Buffer.from(`\x93NUMPY\x01\x00v\x00${header}`, 'latin1'), Buffer.alloc(800)])
  const short = fileWith(t, whole)
  truncateSync(short, whole.length - 8)
  const missing = join(tmpFolder(t), 'nowhere')
  const other = fileWith(t, 'a letter')
  const odd = fileWith(t, Buffer.from(whole.toString('latin1').replace('descr', 'DESCR'), 'latin1'))
  for (const [path, said] of [
    [missing, `ENOENT: no such file or directory, open '${missing}'`],
    [other, `${other} is no .npy file`],
    [odd, `${odd} has a header that is not numpy's`],
    [short, 'The value of'],
  ] as const) {
    const { code, stdout, stderr } = await runExample('numpy', [path])
    t.deepEqual([code, stdout], [1, ''], path)
    t.true(stderr.startsWith(`numpy: ${said}`), stderr)
    t.is(stderr.split('\n').length, 2, stderr)
  }
  // The same file, whole.
  t.is((await runExample('numpy', [fileWith(t, whole)])).code, 0)
})
