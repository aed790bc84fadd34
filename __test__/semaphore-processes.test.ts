// Permits among processes: never too many inside, exact counts whoever is killed, and what the dead had.

import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { Semaphore, SharedMemory } from 'memmap'
import type { Region } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { soFar, Talker } from './helpers/lockers.ts'
import { Random } from './helpers/random.ts'
import { freeName, kept } from './helpers/shared.ts'
import { trials } from './helpers/trials.ts'

const program = (name: string): string => fileURLToPath(new URL(`./fixtures/semaphore/${name}.mjs`, import.meta.url))

async function holder(t: ExecutionContext, name: string, permits: number): Promise<Talker> {
  const talker = new Talker(t, process.execPath, [program('holder'), name, String(permits)])
  t.is(await talker.hears(), 'ready')
  return talker
}

/** What is taken, as the table says. */
function taken(region: Region): number {
  let sum = 0
  for (let at = 64; at < Semaphore.byteLength; at += 8) sum += region.readUInt32LE(at + 4)
  return sum
}

test.serial('four processes take three permits 20,000 times each: never more inside, and none is lost', async (t) => {
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, 8192))
  const children = await Promise.all([1, 2, 3, 4].map(() => runChild(program('sections'), [name, 3, 4, 20_000])))
  for (const child of children) t.deepEqual(ending(child), WELL)
  const most = children.map(({ stdout }) => Number(stdout))
  t.log(`inside at a time, at most: ${most.join(', ')}`)
  t.is(Math.max(...most), 3)
  t.is(memory.readInt32LE(1040 * 4), 0)
  t.is(taken(memory), 0)
})

test('who waits gets what another process gives back, also what it has not taken', async (t) => {
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, 4096))
  const semaphore = new Semaphore(memory, 0, 2)
  const [one, other] = [await holder(t, name, 2), await holder(t, name, 2)]
  t.is(await one.says('take'), 'taken')
  t.is(await one.says('take'), 'taken')
  t.is(await other.says('try'), 'false')
  const waits = [other.says('take'), semaphore.acquire()]
  t.is(await soFar(Promise.race(waits)), 'pending')
  t.is(await one.says('release 2'), 'released')
  t.deepEqual(await Promise.all(waits), ['taken', undefined])
  t.is(await one.says('release 3'), 'ERR_OUT_OF_RANGE')
  // It has none, and gives back both.
  t.is(await one.says('release 2'), 'released')
  t.is(taken(memory), 0)
})

test('what the dead had stays taken until somebody recovers it, and who waits gets it then', async (t) => {
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, 4096))
  const semaphore = new Semaphore(memory, 0, 3)
  const [one, other, waiter] = await Promise.all([1, 2, 3].map(() => holder(t, name, 3)))
  if (one === undefined || other === undefined || waiter === undefined) throw new Error('nobody came')
  await one.says('take')
  await one.says('take')
  await other.says('take')
  const waits = [waiter.says('wait'), semaphore.acquire()]
  t.is(semaphore.recover(), 0, 'all live')
  await one.kill()
  t.is(await soFar(Promise.race(waits), 100), 'pending', 'the dead keep theirs')
  t.is(taken(memory), 3)
  t.is(semaphore.recover(), 2)
  t.deepEqual(await Promise.all(waits), ['taken', undefined])
  t.is(taken(memory), 3)
  t.is(semaphore.recover(), 0)
  t.false(semaphore.tryAcquire())
  await other.kill()
  await waiter.kill()
  semaphore.release()
  t.is(semaphore.recover(), 2)
  t.is(taken(memory), 0)
})

test('one that is stopped keeps its permits', async (t) => {
  if (process.platform === 'win32') return t.pass('Windows has no such signal')
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, 4096))
  const one = await holder(t, name, 1)
  await one.says('take')
  one.child.kill('SIGSTOP')
  await sleep(50)
  t.is(new Semaphore(memory, 0, 1).recover(), 0)
  await one.kill()
  t.is(new Semaphore(memory, 0, 1).recover(), 1)
})

const KILLS = trials(12, 600)
/** The sequence, on which who finds nothing sleeps; its lowest bit: somebody may. */
const [SEQUENCE, SLEEPERS] = [16, 1]

/** One that takes and gives back without an end. */
async function busy(name: string, memory: Region): Promise<ChildProcess> {
  const meeting = memory.readInt32LE(1024 * 4)
  // They meet nobody, and begin at once.
  const child = spawn(process.execPath, [program('sections'), name, '3', '0', '1000000000'], { stdio: 'ignore' })
  const begun = performance.now()
  while (memory.readInt32LE(1024 * 4) === meeting && performance.now() - begun < 20_000) await sleep(1)
  return child
}

test.serial(
  `processes are killed ${KILLS} times, at work, idle with permits and waiting for one: the counts stay exact`,
  async (t) => {
    const random = new Random(t)
    const name = freeName(t)
    const memory = kept(t, SharedMemory.create(name, 8192))
    const semaphore = new Semaphore(memory, 0, 3)
    const living = await holder(t, name, 3)
    await living.says('take')
    /** How many of each kind had permits. */
    const held = { work: 0, idle: 0, waiting: 0 }
    let slept = 0
    for (let kill = 0; kill < KILLS; kill++) {
      const way = (['work', 'idle', 'waiting'] as const)[kill % 3] ?? 'work'
      let child: ChildProcess
      /** What this process has, and what the dead one can have had. */
      let [mine, least, most] = [0, 0, 1]
      if (way === 'work') {
        child = await busy(name, memory)
        await sleep(random.integer(0, 10))
      } else if (way === 'idle') {
        const talker = await holder(t, name, 3)
        child = talker.child
        least = most = random.integer(0, 2)
        for (let left = most; left > 0; left--) t.is(await talker.says('take'), 'taken')
      } else {
        const talker = await holder(t, name, 3)
        child = talker.child
        t.true(semaphore.tryAcquire() && semaphore.tryAcquire())
        memory.writeUInt32LE(memory.readUInt32LE(SEQUENCE) & ~SLEEPERS, SEQUENCE)
        void talker.says(random.next() < 0.5 ? 'take' : 'wait')
        const begun = performance.now()
        while ((memory.readUInt32LE(SEQUENCE) & SLEEPERS) === 0 && performance.now() - begun < 20_000) await sleep(1)
        slept += memory.readUInt32LE(SEQUENCE) & SLEEPERS
        await sleep(random.integer(0, 3))
        // Often killed just when it is woken.
        most = random.next() < 0.7 ? 1 : 0
        mine = 2 - most
        if (most === 1) semaphore.release()
      }
      const exited = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await exited
      const back = taken(memory) - 1 - mine
      if (back < least || back > most) t.fail(`${back} are taken by one that was killed, ${way}`)
      t.is(semaphore.recover(), back)
      if (mine > 0) semaphore.release(mine)
      t.is(taken(memory), 1)
      held[way] += back
    }
    t.log(`permits that the dead had: ${JSON.stringify(held)}`)
    t.is(slept, KILLS / 3)
    t.is(await living.says('release 1'), 'released')
    t.true(semaphore.tryAcquire() && semaphore.tryAcquire() && semaphore.tryAcquire())
  },
)
