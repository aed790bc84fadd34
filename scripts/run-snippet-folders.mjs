// Runs compiled snippets one after another, each in its folder, and tells its parent of each: `node run-snippet-folders.mjs FOLDER
// NUMBER…`. What a snippet says it prints (`// → text`) it must print, in that order, and named memory must be gone after it.

import { readFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { format } from 'node:util'

import { capabilities, FileLock, SharedMemory } from 'memmap'

const [folder, ...numbers] = process.argv.slice(2)

const tell = (message) => new Promise((resolve) => process.send(message, resolve))

let printed = []
console.log = (...values) => printed.push(...format(...values).split('\n'))

/** Removes a name; false where there was none. */
function unlink(name) {
  try {
    SharedMemory.unlink(name)
    return true
  } catch (error) {
    if (error.code === 'ENOENT') return false
    throw error
  }
}

/** The first of the lines that was not printed where it should. */
function missing(promised) {
  let from = 0
  return promised.find((line) => {
    const at = printed.indexOf(line, from)
    from = at + 1
    return at === -1
  })
}

async function run(number) {
  const own = join(folder, number)
  const code = readFileSync(join(own, 'snippet.mts'), 'utf8')
  const names = [...code.matchAll(/SharedMemory\.(?:create|openOrCreate)\('([^']+)'/g)].map(([, name]) => name)
  // On Windows names go with their holders, and one of these may not have been collected yet.
  const kept = process.platform === 'win32' ? [] : [...new Set(names)]
  for (const name of kept) unlink(name)
  printed = []
  process.chdir(own)
  try {
    await import(pathToFileURL(join(own, 'snippet.mjs')))
  } catch (error) {
    for (const name of kept) unlink(name)
    // macOS: such an example says what it does on other systems.
    if (error.code === 'ERR_ZERO_COPY_UNAVAILABLE' && capabilities().windowsOfReadRegions === 'absent') return ''
    return error instanceof Error ? error.stack : String(error)
  }
  const left = kept.filter(unlink)
  if (left.length > 0) return `leaves shared memory behind: ${left.join(', ')}`
  const line = missing([...code.matchAll(/\/\/ → (.*)$/gm)].map(([, text]) => text))
  return line === undefined ? '' : `did not print: ${line}\nbut: ${printed.join('\n')}`
}

// Names of shared memory are the machine's: one run at a time.
await FileLock.acquire(join(tmpdir(), `memmap-snippets-${userInfo().username}.lock`), { create: true })
for (const number of numbers) {
  await tell({ began: Number(number) })
  await tell({ ended: Number(number), failure: await run(number) })
}
process.chdir(folder)
process.exit()
