// Reads an array that numpy saved, or any other program in its format, without loading it: the elements are a view on the file.
//
//   python3 -c 'import numpy; numpy.save("matrix.npy", numpy.random.rand(1000, 8))'
//   node --import=@oxc-node/core/register examples/numpy.ts matrix.npy

import { endianness } from 'node:os'
import { pathToFileURL } from 'node:url'

import { MmapFile } from 'memmap'

/** The types of elements that a typed array shows, by what numpy calls them; the order of their bytes is to be this computer's. */
const VIEWS = {
  f8: Float64Array,
  f4: Float32Array,
  i8: BigInt64Array,
  i4: Int32Array,
  i2: Int16Array,
  i1: Int8Array,
  u8: BigUint64Array,
  u4: Uint32Array,
  u2: Uint16Array,
  u1: Uint8Array,
  b1: Uint8Array,
} as const

type Elements = InstanceType<(typeof VIEWS)[keyof typeof VIEWS]>

export interface NumpyArray {
  readonly dtype: string
  readonly shape: readonly number[]
  /** How many elements further the next one of each dimension is. */
  readonly strides: readonly number[]
  /** A view: it dies with the region. */
  readonly elements: Elements
}

/** What numpy writes before the elements: a Python dictionary. */
const HEADER =
  /^\{'descr': (?<descr>.+), 'fortran_order': (?<fortran>True|False), 'shape': \((?<shape>[\d, ]*)\), \} *\n$/

/** The array in a `.npy` file. */
export function arrayIn(file: MmapFile): NumpyArray {
  const name = file.path ?? 'the file'
  if (file.toString('latin1', 0, 6) !== '\x93NUMPY') throw new Error(`${name} is no .npy file`)
  // From version 2 on the length of the header has four bytes.
  const isLong = file.readUInt8(6) > 1
  const begin = isLong ? 12 : 10
  const start = begin + (isLong ? file.readUInt32LE(8) : file.readUInt16LE(8))
  const groups = HEADER.exec(file.toString('utf8', begin, start))?.groups
  if (groups === undefined) throw new Error(`${name} has a header that is not numpy's`)
  const { descr = '', fortran = '', shape: sizes = '' } = groups
  const type = /^'[|<>](?<type>\w\d)'$/.exec(descr)?.groups?.['type'] ?? ''
  const isForeign = descr[1] === (endianness() === 'LE' ? '>' : '<')
  if (!isView(type) || isForeign) throw new Error(`${name} has elements of ${descr}, which no typed array shows`)
  const shape = sizes
    .split(',')
    .filter((size) => size.trim() !== '')
    .map(Number)
  const count = shape.reduce((product, size) => product * size, 1)
  // Where the file is shorter than its header says, this throws.
  const elements: Elements = file.view<Elements>(VIEWS[type], start, count)
  return { dtype: descr.slice(1, -1), shape, strides: stridesOf(shape, fortran === 'True'), elements }
}

function isView(type: string): type is keyof typeof VIEWS {
  return Object.hasOwn(VIEWS, type)
}

/** In C's order the last index runs fastest, in Fortran's the first. */
function stridesOf(shape: readonly number[], isFortran: boolean): number[] {
  const strides: number[] = []
  let step = 1
  for (const at of isFortran ? shape.keys() : [...shape.keys()].toReversed()) {
    strides[at] = step
    step *= shape[at] ?? 1
  }
  return strides
}

/** An element by its indexes, as `array[1, 2]` in Python. */
export function elementAt(
  { elements, strides }: NumpyArray,
  ...indexes: readonly number[]
): number | bigint | undefined {
  return elements[indexes.reduce((sum, index, at) => sum + index * (strides[at] ?? 0), 0)]
}

function show(path: string): void {
  // A view of 'copy' may be had on every system; nothing written through it would reach the file.
  const file = MmapFile.open(path, { access: 'copy' })
  try {
    const array = arrayIn(file)
    let [least, most, sum] = [Infinity, -Infinity, 0]
    for (const element of array.elements) {
      const number = Number(element)
      least = Math.min(least, number)
      most = Math.max(most, number)
      sum += number
    }
    const { dtype, shape, elements } = array
    console.log(`${dtype} (${shape.join(', ')})`)
    if (elements.length > 0) {
      console.log(`from ${least} to ${most}, mean ${sum / elements.length}`)
      // Along the last dimension, whatever the order in the file.
      const row = Array.from({ length: shape.at(-1) ?? 1 }, (_, at) => elementAt(array, ...shape.slice(1).fill(0), at))
      console.log(`the first ones: ${row.slice(0, 5).join(' ')}`)
    }
  } finally {
    file.close()
  }
}

if (process.argv[1] !== undefined && pathToFileURL(process.argv[1]).href === import.meta.url) {
  const [path] = process.argv.slice(2)
  if (path === undefined) {
    console.error('usage: numpy.ts FILE.npy')
    process.exitCode = 2
  } else {
    try {
      show(path)
    } catch (error) {
      console.error(`numpy: ${error instanceof Error ? error.message : error}`)
      process.exitCode = 1
    }
  }
}
