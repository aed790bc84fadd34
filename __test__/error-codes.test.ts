// docs/errors.md has every code that the package can give, and no other.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'
import { FileLock, MmapFile, PrivateMemory, SharedMemory } from 'memmap'

import { fileWith } from './helpers/files.ts'
import { isPosix, ROOT } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')

function sources(folder: string, ending: string): string {
  const names = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
  return names
    .filter((name) => name.endsWith(ending))
    .map((name) => read(join(folder, name)))
    .join('\n')
}

const matches = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, code = '']) => code)

const page = read('docs/errors.md')
const documented = matches(page, /^### (\w+)$/gm)

/** What looks like a code, and is one of the environment. */
const VARIABLES = new Set(['MEMMAP_ADDON', 'MEMMAP_GUARD', 'MEMMAP_WAITER'])

function possible(): Set<string> {
  const lib = sources('lib', '.ts')
  const crates = ['crates/core/src', 'crates/node/src'].map((folder) => sources(folder, '.rs')).join('\n')
  const table = /errno_table! \{\n(.*?)\n\}/s.exec(read('crates/core/src/sys/unix.rs'))?.[1] ?? ''
  const windows = /pub fn errno\(.*?\n\}/s.exec(read('crates/core/src/sys/windows.rs'))?.[0] ?? ''
  return new Set([
    ...matches(lib, /'((?:ERR|MEMMAP)_[A-Z_]+)'/g).filter((code) => !VARIABLES.has(code)),
    ...matches(crates, /"(ERR_[A-Z_]+)"/g),
    ...matches(table, /^ {4}(E\w+): /gm),
    ...matches(windows, /\("(\w+)", -\d+/g),
    ...matches(crates, /\("(UNKNOWN)"/g),
    ...matches(crates, /Status::(GenericFailure)/g),
  ])
}

test('what is looked through has the codes that are looked for', (t) => {
  const found = possible()
  for (const code of ['ERR_REGION_CLOSED', 'ERR_REGION_FAULTED', 'ENOENT', 'ENOSPC', 'EBUSY', 'UNKNOWN']) {
    t.true(found.has(code), code)
  }
})

test('each code that the package can give is in docs/errors.md, once, and no other', (t) => {
  t.deepEqual([...documented].sort(), [...possible()].sort())
})

test('each code of the page says what to do', (t) => {
  const sections = page.split(/^### /m).slice(1)
  t.is(sections.length, documented.length)
  const silent = sections
    .filter((section) => !/\*\*Do:\*\*|tell us/.test(section))
    .map((section) => section.split('\n')[0])
  t.deepEqual(silent, [])
})

test("README's table of errors has our own codes, each with its place in docs/errors.md", (t) => {
  const ours = matches(page.slice(page.indexOf('## Of this package'), page.indexOf('## Arguments')), /^### (\w+)$/gm)
  const table = matches(read('README.md'), /^\| +\[?`(E\w+)`/gm)
  t.deepEqual([...table].sort(), [...ours, 'EDEADLK'].sort())
})

test('what often fails says what to do about it', (t) => {
  const folder = tmpFolder(t)
  const file = fileWith(t, 'x')
  const name = `codes-${process.pid}`
  const memory = SharedMemory.create(name, 1)
  t.teardown(() => {
    memory.close()
    if (isPosix) SharedMemory.unlink(name)
  })
  const failures: [string, () => unknown, RegExp][] = [
    ['ENOENT', () => MmapFile.open(join(folder, 'nowhere')), /create: true/],
    ['EEXIST', () => MmapFile.open(file, { access: 'write', create: 'exclusive', length: 1 }), /create: true/],
    ['ENOENT', () => SharedMemory.open(`${name}-nowhere`), /openOrCreate/],
    ['EEXIST', () => SharedMemory.create(name, 1), /openOrCreate/],
    ['EISDIR', () => MmapFile.open(folder), /folder/],
    ['EBADF', () => MmapFile.open(2 ** 20), /descriptor was closed/],
    ['EISDIR', () => FileLock.acquireSync(folder), /folder/],
    ['ENOENT', () => FileLock.acquireSync(join(folder, 'nowhere')), /create: true/],
    ['ENOMEM', () => PrivateMemory.allocate(2 ** 52), /ulimit/],
  ]
  for (const [code, call, advice] of failures) {
    const error = t.throws(call)
    t.is(error && 'code' in error ? error.code : undefined, code, error?.message)
    t.regex(error?.message ?? '', advice)
  }
})
