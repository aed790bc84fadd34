// What views over 40 GiB do to the garbage collector: V8 counts their memory as if it had to be freed.

import { constants } from 'node:buffer'

import { MmapFile } from 'memmap'

import { markSweeps } from './lib/collections.ts'
import { GIB, sparseFile } from './lib/files.ts'
import { group } from './lib/group.ts'
import { median } from './lib/measure.ts'

const GIBIBYTES = 40
const OBJECTS = 2_000_000
const ROUNDS = 5
const EXTRA_AT_MOST = 2

/** An ordinary program: it makes objects, and keeps one of two for a while. */
function makeObjects(): void {
  const kept: { id: number; name: string }[] = []
  for (let id = 0; id < OBJECTS; id++) {
    const object = { id, name: `object ${id}` }
    if (id % 2 === 0) kept.push(object)
  }
  if (kept.length !== OBJECTS / 2) throw new Error('lost some')
}

const path = sparseFile(GIBIBYTES)

await group('garbage collection', async ({ fact }) => {
  const longest = Math.min(constants.MAX_LENGTH, GIBIBYTES * GIB)
  const without: number[] = []
  const beside: number[] = []
  await markSweeps(makeObjects)
  for (let round = 0; round < ROUNDS; round++) {
    without.push(await markSweeps(makeObjects))
    const file = MmapFile.open(path)
    const views: DataView[] = []
    for (let at = 0; at < file.byteLength; at += longest) {
      views.push(file.view(DataView, at, Math.min(longest, file.byteLength - at)))
    }
    beside.push(await markSweeps(makeObjects))
    if (views.reduce((sum, view) => sum + view.byteLength, 0) !== GIBIBYTES * GIB) throw new Error('a view has died')
    file.close()
  }
  const views = Math.ceil((GIBIBYTES * GIB) / longest)
  const how = views === 1 ? 'a view' : `${views} views of ${longest / GIB} GiB`
  fact({
    what: `mark-sweeps, ${OBJECTS / 1e6}e6 objects beside ${how}`,
    ours: median(beside),
    node: median(without),
    target: `≤ ${EXTRA_AT_MOST} more than without`,
    holds: median(beside) - median(without) <= EXTRA_AT_MOST,
    bound: `${GIBIBYTES} GiB, sparse; each time: ${beside.join(' ')}`,
  })
})
