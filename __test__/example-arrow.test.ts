// examples/arrow.ts: the columns of apache-arrow are the mapping's own memory.

import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

import { Float32, Table, tableFromArrays, tableFromIPC, tableToIPC, Utf8, vectorFromArray } from 'apache-arrow'
import type { Vector } from 'apache-arrow'
import test from 'ava'
import type { ExecutionContext } from 'ava'

import { bytesOf, tableIn } from '../examples/arrow.ts'

import { ending, WELL } from './helpers/child.ts'
import { runExample } from './helpers/examples.ts'
import { fileWith, opened } from './helpers/files.ts'
import { tmpFolder } from './helpers/tmp.ts'

const ROWS = 100_000

function numbersFile(t: ExecutionContext): string {
  const table = tableFromArrays({
    id: Int32Array.from({ length: ROWS }, (_, row) => row),
    price: Float64Array.from({ length: ROWS }, (_, row) => 1000.5 + row),
  })
  return fileWith(t, tableToIPC(table, 'file'), 'numbers.arrow')
}

function columnOf(table: Table, name: string): Vector {
  const column = table.getChild(name)
  if (column === null) throw new Error(`no column ${name}`)
  return column
}

test('a file of numbers and texts is shown, with no byte of it copied', async (t) => {
  const numbers = await runExample('arrow', [numbersFile(t)])
  t.deepEqual(ending(numbers), WELL)
  const sums = [(ROWS * (ROWS - 1)) / 2, 1000.5 * ROWS + (ROWS * (ROWS - 1)) / 2]
  t.is(
    numbers.stdout,
    `${ROWS} rows
id: Int32, ${4 * ROWS} bytes mapped, 0 copied from 0 to ${ROWS - 1}, sum ${sums[0]}
price: Float64, ${8 * ROWS} bytes mapped, 0 copied from 1000.5 to ${ROWS + 999.5}, sum ${sums[1]}
`,
  )
  const table = new Table({
    word: vectorFromArray(['one', null, 'drei'], new Utf8()),
    half: vectorFromArray([1.5, null, -2], new Float32()),
  })
  const texts = await runExample('arrow', [fileWith(t, tableToIPC(table, 'file'))])
  t.deepEqual(ending(texts), WELL)
  t.regex(
    texts.stdout,
    /^3 rows\nword: Utf8, \d+ bytes mapped, 0 copied\nhalf: Float32, \d+ bytes mapped, 0 copied from -2 to 1.5, sum -0.5\n$/,
  )
})

test('the columns are the mapping: what is written to the file later is in them, and after close there is nothing', (t) => {
  const path = numbersFile(t)
  const region = opened(t, path, { access: 'write' })
  const table = tableIn(region)
  const price = columnOf(table, 'price')
  t.deepEqual(bytesOf(price, region.subarray().buffer), { mapped: 8 * ROWS, copied: 0 })

  // By another way, and found in the file by its bytes.
  const [row, bytes] = [54_321, Buffer.alloc(8)]
  bytes.writeDoubleLE(1000.5 + row)
  const place = readFileSync(path).indexOf(bytes)
  bytes.writeDoubleLE(-17)
  const descriptor = openSync(path, 'r+')
  writeSync(descriptor, bytes, 0, 8, place)
  closeSync(descriptor)
  t.is(price.get(row), -17)
  t.is(price.get(row - 1), 1000.5 + row - 1)

  // And the other way round.
  const values: unknown = price.data[0]?.values
  if (!(values instanceof Float64Array)) throw new Error('no doubles')
  values[row] = 42
  t.is(readFileSync(path).readDoubleLE(place), 42)

  region.close()
  t.is(values.length, 0)
})

test('the proof can fail: of a table that was read into memory nothing is mapped', (t) => {
  const path = numbersFile(t)
  const region = opened(t, path, { access: 'write' })
  const elsewhere = tableFromIPC(readFileSync(path))
  t.deepEqual(bytesOf(columnOf(elsewhere, 'id'), region.subarray().buffer), { mapped: 0, copied: 4 * ROWS })
})

test('bad arguments, other files and files cut off: a line on stderr', async (t) => {
  const usage = await runExample('arrow')
  t.deepEqual([usage.code, usage.stderr], [2, 'usage: arrow.ts FILE\n'])
  const missing = join(tmpFolder(t), 'nowhere')
  const other = fileWith(t, 'a letter')
  const half = fileWith(t, readFileSync(numbersFile(t)).subarray(0, 1000))
  for (const [path, said] of [
    [missing, `ENOENT: no such file or directory, open '${missing}'`],
    [other, `${other} is no Arrow file`],
    [half, ''],
  ] as const) {
    const { code, stdout, stderr } = await runExample('arrow', [path])
    t.is(code, 1, path)
    t.is(stdout, '')
    t.true(stderr.startsWith(`arrow: ${said}`), stderr)
    t.is(stderr.split('\n').length, 2, stderr)
  }
})
