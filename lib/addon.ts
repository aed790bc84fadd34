// Finding and loading the addon of this platform: from native/ where this is a clone that was built, else from the
// platform's own package, which npm installs beside this one. In place of the loader that napi-rs generates, which knows
// forty platforms, tries WebAssembly, and does not say what to do.

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

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

/** This platform, as the folders of `npm/` are named. Linux has two: `-gnu` where that is the libc of this very program. */
function platform(): string {
  const { arch } = process
  if (process.platform === 'win32') return `win32-${arch}-msvc`
  if (process.platform !== 'linux') return `${process.platform}-${arch}`
  // npm installs the one that fits. Only where both are here the system is asked, which takes milliseconds.
  const here = ['gnu', 'musl'].filter((libc) => isHere(`linux-${arch}-${libc}`))
  if (here.length === 1) return `linux-${arch}-${here[0]}`
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return `linux-${arch}-${report.header?.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`
}

const builtFor = (name: string) => new URL(`../../native/memmap.${name}.node`, import.meta.url)
const packageOf = (name: string) => `@memmap/binding-${name}`

function isHere(name: string): boolean {
  if (existsSync(builtFor(name))) return true
  try {
    require.resolve(`${packageOf(name)}/package.json`)
    return true
  } catch {
    return false
  }
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
  const built = builtFor(name)
  if (existsSync(built)) return require(fileURLToPath(built))

  const wanted = packageOf(name)
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
