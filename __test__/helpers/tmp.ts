import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The part of ava's `t` that is needed here. */
interface WithTeardown {
  teardown(fn: () => void): void
}

/** A new empty folder, removed with all it holds when the test ends. */
export function tmpFolder(t: WithTeardown): string {
  const folder = mkdtempSync(join(tmpdir(), 'memmap-test-'))
  t.teardown(() => {
    // On Windows a file stays until windows that were handed out of it are collected.
    if (process.platform === 'win32') globalThis.gc?.()
    try {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    } catch (error) {
      if (process.platform !== 'win32') throw error
    }
  })
  return folder
}

/** A path in a new folder of its own where there is no file yet, removed when the test ends. */
export function tmpFile(t: WithTeardown, name = 'data.bin'): string {
  return join(tmpFolder(t), name)
}
