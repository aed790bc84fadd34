// The platforms that can be built and run on a Linux x64 machine with the cross tools beside this clone.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { ROOT, rustFlags } from './steps.mjs'

/**
 * By the folders of npm/: what is built for it here (Windows by another compiler), what of the cross tools that needs, and
 * the Nodes there are, by the names of the cross tools; `env` is for the tests.
 */
export const ELSEWHERE = {
  'linux-x64-musl': { target: 'x86_64-unknown-linux-musl', part: 'musl', nodes: { 'Node 22, musl': 'linux-musl@22' } },
  'linux-arm64-gnu': {
    target: 'aarch64-unknown-linux-gnu',
    part: 'arm64',
    env: { MEMMAP_EMULATED: '1' },
    nodes: { 'Node 22, arm64 (qemu)': 'aarch64-linux@22', 'Node 20, arm64 (qemu)': 'aarch64-linux@20' },
  },
  'win32-x64-msvc': {
    target: 'x86_64-pc-windows-gnu',
    part: 'wine',
    nodes: { 'Node 22, Windows (wine)': 'windows-gnu@22', 'Node 20, Windows (wine)': 'windows-gnu@20' },
  },
}

/** The folder where the tools for other platforms are, if it is there. */
export function crossTools() {
  const folder = process.env.MEMMAP_CROSS ?? join(ROOT, '..', 'shared', 'cross')
  return existsSync(join(folder, 'cross')) ? folder : undefined
}

/** Whether a part of the tools is there, set up now if need be. */
export function hasPart(cross, part) {
  return spawnSync(join(cross, 'setup'), [part], { stdio: 'inherit' }).status === 0
}

/** The addon for a target; where it lies. */
export function crossBuild(cross, target) {
  const built = execFileSync(join(cross, 'cross'), ['build', target, '-p', 'memmap-node'], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...rustFlags() },
  })
  return built.trim().split('\n').at(-1)
}
