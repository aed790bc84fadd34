// Finding and loading the addon of this platform: from native/ where this is a clone that was built, else from the
// platform's own package, which npm installs beside this one. In place of the loader that napi-rs generates, which knows
// forty platforms, tries WebAssembly, and does not say what to do.

import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'

import { platformUnsupported } from './errors.ts'

const require = createRequire(import.meta.url)

const { version } = require('memmap/package.json') as { version: string }

/** What is published. `npm/` has a folder for each. */
const PLATFORMS = [
  'darwin-arm64',
  'darwin-x64',
  'linux-arm64-gnu',
  'linux-arm64-musl',
  'linux-x64-gnu',
  'linux-x64-musl',
  'win32-arm64-msvc',
  'win32-x64-msvc',
]

function isMusl(): boolean {
  try {
    return readFileSync('/usr/bin/ldd', 'utf8').includes('musl')
  } catch {
    // Slower: it asks the system for much else.
    const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
    return report.header?.glibcVersionRuntime === undefined
  }
}

/** This platform, as the folders of `npm/` are named. */
function platform(): string {
  if (process.platform === 'linux') return `linux-${process.arch}-${isMusl() ? 'musl' : 'gnu'}`
  return process.platform === 'win32' ? `win32-${process.arch}-msvc` : `${process.platform}-${process.arch}`
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/**
 * The addon's functions. `MEMMAP_ADDON` names another file to take them from: for tests, and for who builds his own.
 *
 * @throws `ERR_MEMMAP_PLATFORM` where there is none for this platform, or it was not installed, or cannot be loaded.
 */
export function loadAddon(): unknown {
  const own = process.env['MEMMAP_ADDON']
  if (own !== undefined && own !== '') return require(resolve(own))

  const name = platform()
  if (!PLATFORMS.includes(name)) {
    throw platformUnsupported(
      `memmap has no binary for ${name}; there are ${PLATFORMS.join(', ')}. ` +
        'Build it from source there, and name the addon in MEMMAP_ADDON',
    )
  }
  const built = `../../native/memmap.${name}.node`
  if (existsSync(new URL(built, import.meta.url))) return require(built)

  const wanted = `@memmap/binding-${name}`
  const remedy =
    `Install it with \`npm install ${wanted}@${version}\`, or install memmap again on this platform ` +
    'without --omit=optional or --no-optional, and without a node_modules folder or lock file from another platform'
  let found: { version?: unknown }
  try {
    found = require(`${wanted}/package.json`) as typeof found
  } catch (cause) {
    throw platformUnsupported(`memmap's binary for ${name}, the package ${wanted}, is not installed. ${remedy}`, cause)
  }
  if (found.version !== version) {
    throw platformUnsupported(
      `memmap ${version} needs its binary ${wanted} in the same version, but ${String(found.version)} is installed. ${remedy}`,
    )
  }
  try {
    return require(wanted)
  } catch (cause) {
    throw platformUnsupported(
      `memmap's binary for ${name}, the package ${wanted}, cannot be loaded: ${messageOf(cause)}. ${remedy}`,
      cause,
    )
  }
}
