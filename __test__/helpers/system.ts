// What the system under the tests can do. What it cannot, a test says in its name and skips.

import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { ChildResult } from './child.ts'
import { tmpFolder } from './tmp.ts'

/** The part of ava's `t` that is needed here. */
interface WithTeardown {
  teardown(fn: () => void): void
}

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
export const isLinux = process.platform === 'linux'
/** By qemu, says `npm run test:platforms`: where a program takes seconds to start, a test may do with fewer of them. */
export const isEmulated = process.env['MEMMAP_EMULATED'] === '1'
export const isPosix = process.platform !== 'win32'
/** There, locks of files and of ranges exclude each other, and a 'copy' keeps what was cut off or changed under it. */
export const isMac = process.platform === 'darwin'
const isRoot = process.getuid?.() === 0

export const hasPython = spawnSync('python3', ['--version']).status === 0

const NOBODY = 65_534

/** What a process of this system was started as, which need not be Node's own name. */
export const programOf = (pid: number | undefined): string =>
  basename(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] ?? '')

/** Whether there is another user to be, and this tree is open to him: root is refused nothing. */
export const canBeNobody =
  isPosix && isRoot && spawnSync(process.execPath, ['--eval', ''], { uid: NOBODY, cwd: ROOT }).status === 0

/** Runs Node as somebody who owns nothing; where we are not root, as ourselves. */
export function asNobody(args: readonly string[]): Promise<ChildResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      env: { ...process.env, NODE_OPTIONS: undefined },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
      ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}

/** Whether file systems can be mounted here, tried once. */
export const canMount = isLinux && isRoot && tryMount()

function tryMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'memmap-mount-'))
  try {
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]).status !== 0) return false
    spawnSync('umount', [folder])
    return true
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A file system of its own with so much room, gone when the test ends. */
export function mounted(t: WithTeardown, size: string): string {
  const folder = tmpFolder(t)
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  // Before the folder is removed: teardowns run last first.
  t.teardown(() => {
    spawnSync('umount', ['--lazy', folder])
  })
  return folder
}

/** Whether names of files may be any bytes: not on macOS, and not on Windows. */
export const hasByteNames =
  isLinux && tryName(Buffer.concat([Buffer.from(join(tmpdir(), 'memmap-')), Buffer.of(0xff, 0xfe)]))

function tryName(path: Buffer): boolean {
  try {
    writeFileSync(path, '')
    accessSync(path, constants.R_OK)
    return true
  } catch {
    return false
  } finally {
    rmSync(path, { force: true })
  }
}

/** Whether a file may be 9 TiB long without taking the room, tried once. */
export const hasLongFiles = isPosix && tryLength()

function tryLength(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'memmap-long-'))
  try {
    const path = join(folder, 'file')
    writeFileSync(path, '')
    truncateSync(path, 9 * 2 ** 40)
    return true
  } catch {
    return false
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
