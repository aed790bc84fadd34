// Two builds of one commit on one machine give the same binary.

import { createHash } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { fail, ROOT, run } from './steps.mjs'

const file = { win32: 'memmap_node.dll', darwin: 'libmemmap_node.dylib' }[process.platform] ?? 'libmemmap_node.so'

const hashes = ['first', 'second'].map((name) => {
  const folder = join(ROOT, 'target', 'reproducible', name)
  rmSync(folder, { recursive: true, force: true })
  run('cargo', ['build', '--quiet', '--release', '--locked', '--package', 'memmap-node', '--target-dir', folder])
  const hash = createHash('sha256')
    .update(readFileSync(join(folder, 'release', file)))
    .digest('hex')
  rmSync(folder, { recursive: true, force: true })
  console.log(hash)
  return hash
})
if (hashes[0] !== hashes[1]) fail('two builds of the same sources differ')
console.log('two builds, one binary')
