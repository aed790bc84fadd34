// A process that has maps of every kind, for the commands that look at it, and the tests of what Linux alone tells.

import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { limits } from 'memmap'

import { hasTerminal } from './command.ts'
import { Talker } from './lockers.ts'
import { freeName } from './shared.ts'
import { canBeNobody, isLinux, isPosix } from './system.ts'
import { tmpFile } from './tmp.ts'

export const PAGE = limits().pageSize
const PROGRAM = fileURLToPath(new URL('../fixtures/cli/holds.mjs', import.meta.url))

export const onLinux = isLinux ? test.serial : test.serial.skip
export const elsewhere = isLinux ? test.serial.skip : test.serial
export const asOther = isLinux && canBeNobody ? test.serial : test.serial.skip
export const onTerminal = isLinux && hasTerminal ? test.serial : test.serial.skip

interface Holder {
  readonly pid: number
  /** Of a file, of whose pages it has those from the third to the sixth. */
  readonly path: string
  /** Of shared memory of two pages. */
  readonly name: string
}

export async function holder(t: ExecutionContext): Promise<Holder> {
  const path = tmpFile(t, isPosix ? 'with a space\nand a line.bin' : 'with a space.bin')
  writeFileSync(path, Buffer.alloc(8 * PAGE, 1))
  const name = freeName(t)
  const other = new Talker(t, process.execPath, [PROGRAM, path, name])
  t.is(await other.hears(), 'ready')
  return { pid: other.child.pid ?? 0, path, name }
}
