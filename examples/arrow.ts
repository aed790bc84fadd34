// Reads tables in Arrow's IPC file format (what `pyarrow.ipc.new_file` and others write, also called Feather) without reading the
// file: the columns that `apache-arrow` gives are the mapping's own memory, and only the pages that are looked at are ever
// loaded. Compressed files have to be unpacked and cannot be had like this.
//
//   npm install apache-arrow
//   node --import=@oxc-node/core/register examples/arrow.ts FILE

import { pathToFileURL } from 'node:url'

import { DataType, tableFromIPC } from 'apache-arrow'
import type { Table, Vector } from 'apache-arrow'
import { MmapFile } from 'memmap'

/** What every such file begins with. */
const MAGIC = 'ARROW1'

/** The table in a file. It dies with the region: its columns have no bytes once that is closed. */
export function tableIn(file: MmapFile): Table {
  if (file.toString('latin1', 0, MAGIC.length) !== MAGIC) throw new Error(`${file.path} is no Arrow file`)
  return tableFromIPC(file.subarray())
}

/** Bytes of a column's own values (not of columns nested in it) that are in that memory, and those that are elsewhere. */
export function bytesOf(column: Vector, memory: ArrayBufferLike): { mapped: number; copied: number } {
  const bytes = { mapped: 0, copied: 0 }
  for (const { values, valueOffsets } of column.data) {
    for (const part of [values, valueOffsets]) {
      if (ArrayBuffer.isView(part)) bytes[part.buffer === memory ? 'mapped' : 'copied'] += part.byteLength
    }
  }
  return bytes
}

/** One value of a column after another: nothing of the others is touched. */
function summary(column: Vector): string {
  if (!DataType.isInt(column.type) && !DataType.isFloat(column.type)) return ''
  let [least, most, sum] = [Infinity, -Infinity, 0]
  for (const value of column) {
    if (value === null) continue
    const number = Number(value)
    least = Math.min(least, number)
    most = Math.max(most, number)
    sum += number
  }
  return `from ${least} to ${most}, sum ${sum}`
}

function show(path: string): void {
  // A view of 'copy' may be had on every system; nothing written through it would reach the file.
  const file = MmapFile.open(path, { access: 'copy' })
  try {
    const { buffer } = file.subarray()
    const table = tableIn(file)
    console.log(`${table.numRows} rows`)
    for (const { name, type } of table.schema.fields) {
      const column = table.getChild(name)
      if (column === null) continue
      const { mapped, copied } = bytesOf(column, buffer)
      console.log(`${name}: ${type}, ${mapped} bytes mapped, ${copied} copied ${summary(column)}`.trim())
    }
  } finally {
    file.close()
  }
}

if (process.argv[1] !== undefined && pathToFileURL(process.argv[1]).href === import.meta.url) {
  const [path] = process.argv.slice(2)
  if (path === undefined) {
    console.error('usage: arrow.ts FILE')
    process.exitCode = 2
  } else {
    try {
      show(path)
    } catch (error) {
      console.error(`arrow: ${error instanceof Error ? error.message : error}`)
      process.exitCode = 1
    }
  }
}
