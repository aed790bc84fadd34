// Python with numpy: the one of the system, or a copy in the temporary folder, which pip fetches where it can.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { PYTHON } from './lockers.ts'

const FOUND = ['-c', 'import numpy']

/** Where Python is to look for numpy besides; `undefined` where there is none to be had. */
function find(): string | undefined {
  if (PYTHON === undefined) return undefined
  if (spawnSync(PYTHON, FOUND).status === 0) return ''
  const tells = ['-c', 'import platform; print(platform.python_version())']
  const version = execFileSync(PYTHON, tells, { encoding: 'utf8' }).trim()
  const copy = join(tmpdir(), `memmap-numpy-${version}`)
  if (!existsSync(copy)) fetchTo(PYTHON, copy)
  if (!existsSync(copy) || !isOurs(copy)) return undefined
  return spawnSync(PYTHON, FOUND, { env: { ...process.env, PYTHONPATH: copy } }).status === 0 ? copy : undefined
}

/** Whoever else may write to the temporary folder must not have us run a program of his. */
function isOurs(folder: string): boolean {
  const me = process.getuid?.()
  return me === undefined || statSync(folder).uid === me
}

/** Whole or not at all: two test runs may do this at the same time. */
function fetchTo(python: string, folder: string): void {
  const part = mkdtempSync(`${folder}-`)
  const how = ['--quiet', '--disable-pip-version-check', '--retries', '0', '--timeout', '10', '--only-binary', ':all:']
  const { status } = spawnSync(python, ['-m', 'pip', 'install', ...how, '--target', part, 'numpy'], {
    timeout: 120_000,
  })
  try {
    if (status === 0) renameSync(part, folder)
  } catch (error) {
    if (!existsSync(folder)) throw error
  } finally {
    rmSync(part, { recursive: true, force: true })
  }
}

const place = find()

/** Whether there is one. */
export const hasNumpy = place !== undefined

/** Runs a program in a folder; what it printed. `np` is numpy. */
export function numpy(cwd: string, program: string, ...args: readonly string[]): string {
  const env = { ...process.env, ...(place === '' ? {} : { PYTHONPATH: place }) }
  const whole = `import json, sys\nimport numpy as np\n${program}`
  return execFileSync(PYTHON ?? '', ['-c', whole, ...args], { cwd, env, encoding: 'utf8', timeout: 60_000 }).trim()
}
