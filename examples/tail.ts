// Follows a log as `tail -f` does: what others append is seen by mapping the file again, without reading it anew.
//
//   node --import=@oxc-node/core/register examples/tail.ts FILE [INTERVAL_MS]

import { setTimeout as sleep } from 'node:timers/promises'

import { MmapFile } from 'memmap'

const NEWLINE = 0x0a

/** Shows what lies behind `position`, line by line; where it ended. A line without its end is still being written. */
function show(file: MmapFile, position: number): number {
  const lines = file.lines({ start: position, encoding: 'utf8' })
  let shown = position
  for (const line of lines) {
    if (file.at(lines.position - 1) !== NEWLINE) break
    console.log(line)
    shown = lines.position
  }
  return shown
}

/** The file that the path names now, if there is one: between the two steps of a rotation there is none. */
function reopen(path: string): MmapFile | undefined {
  try {
    return MmapFile.open(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

async function follow(path: string, interval: number): Promise<never> {
  let file = MmapFile.open(path)
  let position = file.byteLength
  for (;;) {
    const next = file.replaced ? reopen(path) : undefined
    // Also of a file that was renamed: what was appended before the program that writes it noticed.
    file.refresh()
    if (file.byteLength < position) position = 0 // cut off and begun anew
    position = show(file, position)
    if (next !== undefined) {
      file.close()
      file = next
      position = show(file, 0)
    }
    await sleep(interval)
  }
}

const [path, interval = '200'] = process.argv.slice(2)
if (path === undefined) {
  console.error('usage: tail.ts FILE [INTERVAL_MS]')
  process.exitCode = 2
} else {
  try {
    await follow(path, Number(interval))
  } catch (error) {
    console.error(`tail: ${error instanceof Error ? error.message : error}`)
    process.exitCode = 1
  }
}
