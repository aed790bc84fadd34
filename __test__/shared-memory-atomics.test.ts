import test from 'ava'
import { SharedMemory } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { freeName, kept, program } from './helpers/shared.ts'

test('two processes add a million times each, and not one is lost', async (t) => {
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, 4096))
  const counts = [1_000_000, 200_000] as const
  const children = await Promise.all([0, 1].map(() => runChild(program('increments'), [name, ...counts])))
  for (const child of children) t.deepEqual(ending(child), WELL)
  t.is(Atomics.load(memory.view(Int32Array), 1), 2_000_000)
  t.is(memory.readInt32LE(4), 2_000_000)
  t.is(Atomics.load(memory.view(BigInt64Array, 64, 1), 0), 400_000n * 3_000_000_000n)
})
