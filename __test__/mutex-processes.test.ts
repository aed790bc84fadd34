// A mutex between processes: a counter that is no atomic, eight that want it at once, owners that are stopped, killed or have
// children, and sleepers that die.

import { spawn } from 'node:child_process'

import test from 'ava'
import { Mutex, SharedMemory } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { fileWith, opened } from './helpers/files.ts'
import { soFar, spread } from './helpers/lockers.ts'
import { mutexProgram, OwnerProcess } from './helpers/owners.ts'
import { freeName, kept } from './helpers/shared.ts'
import { isPosix } from './helpers/system.ts'
import { trials } from './helpers/trials.ts'

const onPosix = isPosix ? test : test.skip

interface Counts {
  readonly done: number
  readonly longest: number
  readonly abandoned: number
  readonly wrong: number
  readonly took: number
}

/** Runs that many processes over one counter. */
async function sections(
  t: Parameters<typeof freeName>[0],
  processes: number,
  count: number,
  milliseconds: number,
): Promise<{ readonly counted: number; readonly each: readonly Counts[] }> {
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, 8192))
  const args = [name, processes, count, milliseconds]
  const children = await Promise.all(
    Array.from({ length: processes }, () => runChild(mutexProgram('sections'), args, { timeout: 200_000 })),
  )
  const each = children.map((child) => {
    if (child.code !== 0) throw new Error(JSON.stringify(ending(child)))
    return JSON.parse(child.stdout) as Counts
  })
  return { counted: memory.readInt32LE(1040 * 4), each }
}

test.serial(
  'four processes go through 100,000 critical sections each, and what is no atomic counts them all',
  async (t) => {
    const { counted, each } = await sections(t, 4, 100_000, 1e9)
    t.is(counted, 400_000)
    t.true(each.every(({ done, abandoned, wrong }) => done === 100_000 && abandoned === 0 && wrong === 0))
    t.log(`took ${Math.round(Math.max(...each.map(({ took }) => took)))} ms`)
  },
)

const LONG = trials(2000, 10_000)

test.serial(
  `eight processes that want it at once for ${LONG / 1000} s: each has its share, and none starves`,
  async (t) => {
    const { counted, each } = await sections(t, 8, 1e9, LONG)
    const done = each.map((one) => one.done).toSorted((one, other) => one - other)
    t.log(`sections: ${done.join(', ')}; longest waits: ${spread(each.map(({ longest }) => longest))}`)
    t.is(
      counted,
      done.reduce((sum, one) => sum + one, 0),
    )
    t.true(each.every(({ abandoned, wrong }) => abandoned === 0 && wrong === 0))
    const [least = 0, most = 0] = [done[0], done.at(-1)]
    t.true(least > most / 8, `${least} and ${most}`)
  },
)

const STOPPED = trials(1000, 10_000)

onPosix(`an owner that is stopped for ${STOPPED / 1000} s keeps the mutex`, async (t) => {
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, 4096))
  const mutex = new Mutex(memory, 0)
  const [owner, other] = [await OwnerProcess.inside(t, 'memory', name), await OwnerProcess.there(t, 'memory', name)]
  owner.child.kill('SIGSTOP')
  const waits = [mutex.lock(), other.says('lock')]
  t.is(await soFar(Promise.race(waits), STOPPED), 'pending')
  owner.child.kill('SIGCONT')
  t.is(await owner.says('release'), 'released')
  const first = await Promise.race(waits)
  if (typeof first === 'string') {
    t.is(first, 'false')
    await other.says('release')
  }
  const guard = await waits[0]
  t.false(typeof guard === 'object' && guard.abandoned)
  if (typeof guard === 'object') guard.release()
  t.is(await waits[1], 'false')
  // Stopped for good.
  await other.says('release')
  await owner.says('lock')
  owner.child.kill('SIGSTOP')
  t.is(await other.says('within 100'), 'ERR_LOCK_TIMEOUT')
  await owner.kill()
  t.is(await other.says('lock'), 'true')
})

test('the owner is killed: of those that wait one is told, in a file as in named memory', async (t) => {
  const path = fileWith(t, Buffer.alloc(8192))
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, 8192))
  for (const [kind, where, region] of [
    ['file', path, opened(t, path, { access: 'write' })],
    ['memory', name, memory],
  ] as const) {
    // prettier-ignore
    const mutex = new Mutex(region, 4096)
    const owner = await OwnerProcess.inside(t, kind, where, 4096)
    const others = await Promise.all([1, 2, 3].map(() => OwnerProcess.there(t, kind, where, 4096)))
    const told: unknown[] = []
    const waits = [
      ...others.map(async (other, at) => {
        told.push((await other.says(at === 0 ? 'wait' : 'lock')) === 'true')
        await other.says('release')
      }),
      mutex.lock().then((guard) => {
        told.push(guard.abandoned)
        guard.release()
      }),
    ]
    t.is(await soFar(Promise.race(waits)), 'pending')
    await owner.kill()
    await Promise.all(waits)
    t.deepEqual(told, [true, false, false, false], 'the first, and nobody else')
  }
})

test("sleepers that are killed are in nobody's way", async (t) => {
  const name = freeName(t)
  kept(t, SharedMemory.create(name, 4096))
  const owner = await OwnerProcess.inside(t, 'memory', name)
  for (let round = 0; round < trials(2, 20); round++) {
    const sleepers = await Promise.all([1, 2, 3].map(() => OwnerProcess.there(t, 'memory', name)))
    const waits = sleepers.map((sleeper, at) => sleeper.says(at === 1 ? 'wait' : 'lock'))
    t.is(await soFar(Promise.race(waits), 20), 'pending')
    const dead = sleepers.slice(0, 2)
    // Just when one of them is woken.
    const released = owner.says('release')
    await Promise.all(dead.map((one) => one.kill()))
    await released
    t.true(['true', 'false'].includes(await (waits[2] as Promise<string>)), 'told only if one died inside')
    await sleepers[2]?.kill()
    t.is(await owner.says('lock'), 'true')
  }
})

onPosix('a child that is started inside does not keep a dead owner alive', async (t) => {
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, 4096))
  const parent = spawn(process.execPath, [mutexProgram('with-child'), name], { stdio: ['ignore', 'pipe', 'inherit'] })
  const pid = await new Promise<number>((resolve) => parent.stdout.once('data', (said) => resolve(Number(said))))
  t.teardown(() => process.kill(pid, 'SIGKILL'))
  const mutex = new Mutex(memory, 0)
  const waiting = mutex.lock()
  t.is(await soFar(waiting), 'pending')
  parent.kill('SIGKILL')
  const guard = await waiting
  t.true(guard.abandoned)
  guard.release()
  t.true(process.kill(pid, 0), 'the child lives')
})

test('a process that ends with the mutex counts as dead; one that closed its region first, too', async (t) => {
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, 4096))
  const mutex = new Mutex(memory, 0)
  for (const closes of [false, true]) {
    const owner = await OwnerProcess.inside(t, 'memory', name)
    if (closes) t.is(await owner.says('close'), 'closed')
    t.is(mutex.tryLock(), null)
    owner.child.stdin?.write('end\n')
    await owner.ended
    const guard = mutex.tryLock()
    t.true(guard?.abandoned)
    guard?.release()
  }
  t.deepEqual(ending(await runChild(mutexProgram('exits'), [name])), WELL)
  t.true(mutex.lockSync({ timeout: 0 }).abandoned)
})
