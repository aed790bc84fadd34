// examples/ring.ts: a parent and its child, run as their users run them.

import { createHash } from 'node:crypto'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'

import { ending, WELL } from './helpers/child.ts'
import { runExample, startExample } from './helpers/examples.ts'
import { fileWith } from './helpers/files.ts'
import { eventually } from './helpers/lockers.ts'
import { Random } from './helpers/random.ts'
import { isLinux, isPosix } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'

const onPosix = isPosix ? test.serial : test.serial.skip
const onLinux = isLinux ? test.serial : test.serial.skip

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

onPosix(
  'each file is hashed by the child, in the order given, more of them than the rings hold (not on Windows)',
  async (t) => {
    const random = new Random(t)
    const folder = tmpFolder(t)
    const hashes = new Map<string, string>()
    for (let number = 0; number < 300; number++) {
      const bytes = random.bytes(random.pick([0, 1, 100, 5000]))
      const path = join(folder, `${number}-${'long'.repeat(50)}`)
      writeFileSync(path, bytes)
      hashes.set(path, sha256(bytes))
    }
    const big = fileWith(t, Buffer.alloc(5 * 2 ** 20 + 7, random.bytes(1001)))
    hashes.set(big, sha256(readFileSync(big)))
    // All of them four times: 1204 records of 64-byte cells are more than 65,536 bytes.
    const paths = [1, 2, 3, 4].flatMap(() => [...hashes.keys()])
    const child = await runExample('ring', paths)
    t.deepEqual(ending(child), WELL)
    t.is(child.stdout, paths.map((path) => `${hashes.get(path)}  ${path}\n`).join(''))
  },
)

onPosix('a file that is not there is told, and the others are done (not on Windows)', async (t) => {
  const missing = join(tmpFolder(t), 'nowhere')
  const path = fileWith(t, 'content')
  const child = await runExample('ring', [missing, path])
  t.deepEqual([child.code, child.signal, child.stderr.split('\n').length], [1, null, 2])
  t.true(child.stderr.startsWith(`ring: ENOENT: no such file or directory, open '${missing}'`), child.stderr)
  t.is(child.stdout, `${sha256(Buffer.from('content'))}  ${path}\n`)
})

onLinux('a child that is killed at its work: the parent ends and says so (Linux)', async (t) => {
  const small = fileWith(t, 'content')
  // Takes minutes to hash, and no room.
  const long = fileWith(t, '')
  truncateSync(long, 2 ** 40)
  const parent = startExample('ring', [small, long])
  t.teardown(() => void parent.kill('SIGKILL'))
  let [stdout, stderr] = ['', '']
  parent.stdout.on('data', (bytes) => (stdout += String(bytes)))
  parent.stderr.on('data', (bytes) => (stderr += String(bytes)))
  const ended = new Promise<unknown>((resolve) => parent.on('close', resolve))
  t.true(await eventually(() => stdout.includes(small)))
  const [child, ...more] = readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8').trim().split(' ')
  t.deepEqual(more, [])
  process.kill(Number(child), 'SIGKILL')
  t.is(await ended, 1)
  t.is(stderr, 'ring: the child ended with SIGKILL\n')
})

test.serial('without a file it tells how it is used', async (t) => {
  const { code, stdout, stderr } = await runExample('ring')
  t.deepEqual([code, stdout, stderr], [2, '', 'usage: ring.ts FILE…\n'])
})
