// Other packages for locks, as far as they could be installed: `scripts/bench.mjs` does that. They bring no typings.

import { createRequire } from 'node:module'
import { join } from 'node:path'

// A folder of its own: with a package.json in bench/ itself, `memmap` would not be found from there.
const load = createRequire(join(import.meta.dirname, '..', 'peers', 'package.json'))

export interface Peers {
  'fs-ext': { flockSync(descriptor: number, how: 'exnb' | 'un'): void }
  'fs-native-extensions': {
    tryLock(descriptor: number): boolean
    waitForLock(descriptor: number): Promise<void>
    unlock(descriptor: number): void
  }
  'os-lock': {
    lock(descriptor: number, options: { exclusive: boolean; immediate: boolean }): Promise<void>
    unlock(descriptor: number): Promise<void>
  }
  'proper-lockfile': { lockSync(path: string): () => void }
}

/** The package, or why there is none. */
export function peer<Name extends keyof Peers>(name: Name): Peers[Name] | string {
  try {
    load.resolve(name)
  } catch {
    return 'could not be installed here'
  }
  try {
    return load(name) as Peers[Name]
  } catch (error) {
    const [line] = String(error).split('\n', 1)
    return `could not be loaded here: ${line}`
  }
}
