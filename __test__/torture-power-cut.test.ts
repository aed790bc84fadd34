// What was flushed is on the disk when the power goes.

import { spawnSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { Random } from './helpers/random.ts'
import { canMount, hasPython } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'
import { trials } from './helpers/trials.ts'

const TIMES = trials(5, 200)

/** Whether a file system in a file can be made and mounted, tried once. */
const canCut = canMount && hasPython && tryDisk()

function tryDisk(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'memmap-disk-'))
  const [image, root] = [join(folder, 'image'), folder]
  try {
    const descriptor = openSync(image, 'w')
    ftruncateSync(descriptor, 2 ** 20)
    closeSync(descriptor)
    if (spawnSync('mkfs.ext4', ['-q', '-F', image]).status !== 0) return false
    if (spawnSync('mount', ['-o', 'loop', image, root]).status !== 0) return false
    spawnSync('umount', [root])
    return true
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const whereCut = canCut ? test : test.skip

whereCut(
  `the power goes ${TIMES} times, and nothing flushed is lost (skipped without root, mkfs.ext4, loop devices, python3)`,
  async (t) => {
    const folder = tmpFolder(t)
    // If the hunt did not come to that: before the folder is removed, since teardowns run last first.
    t.teardown(() => {
      spawnSync('umount', ['--lazy', join(folder, 'disk')])
    })
    const seed = new Random(t).integer(1, 2 ** 31)
    const child = await runChild('torture/power-cut.mjs', ['hunt', folder, TIMES, seed], { timeout: 15 * 60_000 })
    t.deepEqual(ending(child), WELL)
    t.log(child.stdout.trim())
  },
)
