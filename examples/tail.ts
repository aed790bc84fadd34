// Follows a log as `tail -f` does: what others append is seen by mapping the file again, without reading it anew.
//
//   node --import=@oxc-node/core/register examples/tail.ts FILE [INTERVAL_MS]

import { setTimeout as sleep } from 'node:timers/promises'

import { MmapFile } from 'memmap'

async function follow(path: string, interval: number): Promise<never> {
  let file = MmapFile.open(path)
  let position = file.byteLength
  for (;;) {
    if (file.replaced) {
      // Rotated: the name stands for another file, whose beginning nobody has seen.
      file.close()
      file = MmapFile.open(path)
      position = 0
    } else {
      file.refresh()
      if (file.byteLength < position) position = 0 // cut off and begun anew
    }
    const lines = file.lines({ start: position, encoding: 'utf8' })
    for (const line of lines) {
      // A line that is still being written has no end yet: it is shown when it has.
      if (file.at(lines.position - 1) !== 0x0a) break
      console.log(line)
      position = lines.position
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
