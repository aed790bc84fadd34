// One fault after the other: none of them is one too many, and the process's maps do not grow with them.

import test from 'ava'
import type { ExecutionContext } from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { Random } from './helpers/random.ts'
import { canMount, isLinux, mounted } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'
import { trials } from './helpers/trials.ts'

// The list of maps is Linux's.
const onLinux = isLinux ? test : test.skip
const whereMounted = canMount ? test : test.skip
const FAULTS = trials(2000, 100_000)

async function hunt(t: ExecutionContext, kind: string, folder: string): Promise<void> {
  const seed = new Random(t).integer(1, 2 ** 31)
  const options = { nodeArgs: ['--expose-gc'], timeout: 1_800_000 }
  const child = await runChild('torture/many-faults.mjs', [folder, kind, FAULTS, seed], options)
  t.deepEqual(ending(child), WELL)
  t.log(child.stdout.trim())
}

onLinux(`${FAULTS} faults behind the end of a file, each of a region of its own (on Linux)`, (t) =>
  hunt(t, 'regions', tmpFolder(t)),
)

onLinux(`${FAULTS} faults behind the end of a file that is cut off page by page (on Linux)`, (t) =>
  hunt(t, 'pages', tmpFolder(t)),
)

whereMounted(`${FAULTS} faults by scattered stores to a sparse file on a full disk (skipped without mount)`, (t) =>
  hunt(t, 'full', mounted(t, '1m')),
)
