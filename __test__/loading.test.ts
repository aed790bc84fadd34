// What a program sees whose memmap has no binary: the platform, the package and the remedy, by a code. And that a whole
// installation works without anything else of this folder.

import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

import test from 'ava'
import type { ExecutionContext } from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { tmpFolder } from './helpers/tmp.ts'

const ROOT = join(import.meta.dirname, '..')
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
const ADDON = readdirSync(join(ROOT, 'native')).find((name) => name.endsWith('.node')) ?? ''
const HERE = /^memmap\.(.+)\.node$/.exec(ADDON)?.[1] ?? ''

interface Installed {
  /** Version of the binary's package; none is installed if there is none. */
  readonly binary?: string
  /** Its file; the right one if none is said. */
  readonly content?: string
  /** What the program does first. */
  readonly before?: string
}

interface Said {
  readonly code?: string
  readonly message?: string
  readonly cause?: string | null
  readonly found?: number
}

/** Imports memmap from a folder where npm might have installed it, and tells what came of it. */
async function load(t: ExecutionContext, { binary, content, before = '' }: Installed): Promise<Said> {
  const folder = tmpFolder(t)
  const modules = join(folder, 'node_modules')
  for (const part of ['package.json', 'dist', 'native/binding.js']) {
    cpSync(join(ROOT, part), join(modules, 'memmap', part), { recursive: true })
  }
  if (binary !== undefined) {
    const manifest = join(modules, '@memmap', `binding-${HERE}`, 'package.json')
    mkdirSync(dirname(manifest), { recursive: true })
    writeFileSync(manifest, JSON.stringify({ name: `@memmap/binding-${HERE}`, version: binary, main: ADDON }))
    if (content === undefined) cpSync(join(ROOT, 'native', ADDON), join(dirname(manifest), ADDON))
    else writeFileSync(join(dirname(manifest), ADDON), content)
  }
  const program = join(folder, 'program.mjs')
  writeFileSync(
    program,
    `${before}
    try {
      const { PrivateMemory } = await import('memmap')
      const memory = PrivateMemory.allocate(100)
      memory.set('needle', 50)
      console.log(JSON.stringify({ found: memory.indexOf('needle') }))
      memory.close()
    } catch (error) {
      console.log(JSON.stringify({ code: error.code, message: error.message, cause: error.cause?.code ?? null }))
    }`,
  )
  const child = await runChild(pathToFileURL(program), [], { env: { MEMMAP_ADDON: undefined } })
  t.deepEqual(ending(child), WELL)
  return JSON.parse(child.stdout) as Said
}

test('an installation of the package and its binary works with nothing beside it', async (t) => {
  t.deepEqual(await load(t, { binary: version }), { found: 50 })
})

test('without the binary, the error names platform, package and remedy', async (t) => {
  const said = await load(t, {})
  t.is(said.code, 'ERR_MEMMAP_PLATFORM')
  t.is(said.cause, 'MODULE_NOT_FOUND')
  t.true(said.message?.includes(`binary for ${HERE}, the package @memmap/binding-${HERE}, is not installed`))
  t.true(said.message?.includes(`npm install @memmap/binding-${HERE}@${version}`))
  t.true(said.message?.includes('--omit=optional'))
})

test('a binary of another version is refused, since its functions may be others', async (t) => {
  const said = await load(t, { binary: '0.0.1' })
  t.is(said.code, 'ERR_MEMMAP_PLATFORM')
  t.true(said.message?.includes(`memmap ${version} needs`))
  t.true(said.message?.includes('but 0.0.1 is installed'))
})

test('a binary that cannot be loaded says why', async (t) => {
  const said = await load(t, { binary: version, content: 'no program' })
  t.is(said.code, 'ERR_MEMMAP_PLATFORM')
  t.is(said.cause, 'ERR_DLOPEN_FAILED')
  t.true(said.message?.includes(`@memmap/binding-${HERE}, cannot be loaded: `))
})

for (const [platform, arch, name] of [
  ['freebsd', 'x64', 'freebsd-x64'],
  ['darwin', 'ppc64', 'darwin-ppc64'],
  ['win32', 'ia32', 'win32-ia32-msvc'],
] as const) {
  test(`on ${platform} ${arch} the error says that there is no binary, and which there are`, async (t) => {
    const before = `Object.defineProperty(process, 'platform', { value: '${platform}' })
    Object.defineProperty(process, 'arch', { value: '${arch}' })`
    const said = await load(t, { binary: version, before })
    t.is(said.code, 'ERR_MEMMAP_PLATFORM')
    t.true(said.message?.includes(`no binary for ${name}; there are darwin-arm64, `))
  })
}
