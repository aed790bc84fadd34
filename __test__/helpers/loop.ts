// A file system on a device that can be made to fail: its blocks are in a file, which can lose them.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { canMount, mounted } from './system.ts'
import { tmpFolder } from './tmp.ts'

/** The part of ava's `t` that is needed here. */
interface WithTeardown {
  teardown(fn: () => void): void
}

export interface Failing {
  /** Where the file system is. */
  readonly folder: string
  /** The file that has its blocks, in a file system of its own with little more room than that. */
  readonly image: string
}

const SIZE = 16 * 2 ** 20
/** No journal: nothing but the file's own blocks is to be missed. */
const MKFS = ['-q', '-F', '-b', '4096', '-O', '^has_journal', '-E', 'lazy_itable_init=0']

/** Whether there are loop devices here and an ext4 to put on one, tried once. */
export const canLoop = canMount && tryLoop()

function tryLoop(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'memmap-loop-'))
  try {
    const image = join(folder, 'image')
    writeFileSync(image, '')
    truncateSync(image, SIZE)
    const mount = join(folder, 'mount')
    spawnSync('mkdir', [mount])
    if (spawnSync('mkfs.ext4', [...MKFS, image]).status !== 0) return false
    if (spawnSync('mount', ['-o', 'loop', image, mount]).status !== 0) return false
    return spawnSync('umount', [mount]).status === 0
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A file system of 16 MiB on a loop device, gone when the test ends. */
export function failing(t: WithTeardown): Failing {
  const image = join(mounted(t, '20m'), 'image')
  const folder = tmpFolder(t)
  writeFileSync(image, '')
  truncateSync(image, SIZE)
  run('mkfs.ext4', [...MKFS, image])
  run('mount', ['-o', 'loop', image, folder])
  // Frees the loop device, too; before what it stands on is gone, since teardowns run last first.
  t.teardown(() => {
    spawnSync('umount', [folder])
  })
  return { folder, image }
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command}: ${stderr}`)
}
