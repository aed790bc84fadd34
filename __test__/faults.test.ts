// What a fault says of itself, and that no answer is made of what was not there.

import test from 'ava'
import { PrivateMemory, SharedMemory } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { Random } from './helpers/random.ts'
import { canMount, isMac, isPosix, mounted } from './helpers/system.ts'
import { tmpFile } from './helpers/tmp.ts'

// Windows refuses to shorten a file that is mapped.
const onPosix = isPosix ? test : test.skip
const whereMounted = canMount ? test : test.skip
const ACCESSES = isMac ? ['read', 'write'] : ['read', 'write', 'copy']
const program = (name: string) => new URL(`./fixtures/faults/${name}.mjs`, import.meta.url)

for (const access of ACCESSES) {
  for (const offset of [0, 4096, 5000]) {
    onPosix(`a fault is told once, and kept until refresh: '${access}' from ${offset} on`, async (t) => {
      const child = await runChild(program('told'), [tmpFile(t), access, offset])
      t.deepEqual(ending(child), WELL)
    })
  }
}

for (const access of ACCESSES) {
  onPosix(`what nobody can see is as docs/guarantees.md says: '${access}'`, async (t) => {
    const child = await runChild(program('unseen'), [tmpFile(t), access])
    t.deepEqual(ending(child), WELL)
  })
}

const TRIALS = 1000
const METHODS = ['indexOf', 'lastIndexOf', 'count', 'lines', 'slice', 'toString', 'equals', 'indexesOf']
for (const [variant, what] of [
  ['cut', 'is cut off'],
  ['regrown', 'is cut off and written back at once'],
]) {
  for (const method of METHODS) {
    onPosix(`${method} while the file ${what}: the right answer or an error, ${TRIALS} times`, async (t) => {
      const seed = new Random(t).integer(1, 2 ** 31)
      const args = [tmpFile(t), method, TRIALS, seed, variant ?? '']
      const child = await runChild(program('while-running'), args, { timeout: 240_000 })
      t.deepEqual(ending(child), WELL)
      t.log(child.stdout.trim())
    })
  }
}

whereMounted("a sparse write on a full disk is a fault with cause 'no-space' (skipped without mount)", async (t) => {
  const child = await runChild(program('no-space'), [mounted(t, '1m')])
  t.deepEqual(ending(child), WELL)
})

test('memory that nobody can take away has no fault', (t) => {
  const regions = [PrivateMemory.allocate(10_000), SharedMemory.anonymous(10_000)]
  for (const region of regions) {
    region.fill(1)
    t.is(region.fault, null)
    region.close()
    t.is(region.fault, null)
  }
})
