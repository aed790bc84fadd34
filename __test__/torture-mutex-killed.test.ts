// Owners of a mutex that are killed inside, a thousand times: the next one has it at once, and is told; and nobody is told who
// should not be. A newcomer with a dead owner's number, or its process id, fools nobody.

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'

import test from 'ava'
import { Mutex, SharedMemory } from 'memmap'

import { soFar, spread } from './helpers/lockers.ts'
import { OwnerProcess } from './helpers/owners.ts'
import { freeName, kept } from './helpers/shared.ts'
import { trials } from './helpers/trials.ts'

const [STATE, COUNTER] = [4, 8]
const OWNER = 0xff_ffff

const KILLS = trials(6, 1000)

test.serial(
  `owners are killed inside ${KILLS} times: the next one is told, within 100 ms, and nobody else`,
  async (t) => {
    const name = freeName(t)
    const memory = kept(t, SharedMemory.create(name, 4096))
    const mutex = new Mutex(memory, 0)
    const other = await OwnerProcess.there(t, 'memory', name)
    const delays: Record<'here' | 'there', number[]> = { here: [], there: [] }
    let falsely = 0
    let coming = OwnerProcess.there(t, 'memory', name)
    for (let kill = 0; kill < KILLS; kill++) {
      const owner = await coming
      coming = OwnerProcess.there(t, 'memory', name)
      t.is(await owner.says('lock'), 'false')
      // In turns an awaited lock here, and a thread that stands still there.
      const how = kill % 2 === 0 ? 'here' : 'there'
      const waiting = how === 'here' ? mutex.lock() : other.says('lock')
      t.is(await soFar(waiting, kill % 7), 'pending')
      // The process that comes next is taking up the machine: what is measured begins with its being there.
      await coming
      const begun = performance.now()
      owner.child.kill('SIGKILL')
      const got = await waiting
      delays[how].push(performance.now() - begun)
      if (typeof got === 'string') {
        t.is(got, 'true')
        await other.says('release')
      } else {
        t.true(got.abandoned)
        got.release()
      }
      await owner.ended
      const again = mutex.lockSync()
      if (again.abandoned) falsely += 1
      again.release()
      if ((await other.says('lock')) !== 'false') falsely += 1
      await other.says('release')
    }
    await (await coming).kill()
    for (const [where, milliseconds] of Object.entries(delays)) t.log(`${where}: ${spread(milliseconds)}`)
    const late = Object.values(delays)
      .flat()
      .filter((delay) => delay > 100).length
    t.log(`${late} of ${KILLS} after more than 100 ms`)
    t.is(falsely, 0)
    // Other programs may be at work here.
    t.true(Math.max(...delays.here, ...delays.there) < 5000)
  },
)

const NEWCOMERS = trials(6, 1000)

test.serial(
  `owners are killed and newcomers get their numbers, ${NEWCOMERS} times: each finds a dead one`,
  async (t) => {
    const name = freeName(t)
    const memory = kept(t, SharedMemory.create(name, 4096))
    let owner = await OwnerProcess.inside(t, 'memory', name)
    let [wrong, sameProcess, sameNumber] = [0, 0, 0]
    for (let round = 0; round < NEWCOMERS; round++) {
      const dead = memory.readUInt32LE(STATE) & OWNER
      const { pid = 0 } = owner.child
      await owner.kill()
      // The next number that is drawn is the dead one's: as after sixteen million others.
      memory.writeUInt32LE(dead - 1, COUNTER)
      reuse(pid)
      owner = await OwnerProcess.there(t, 'memory', name)
      if (owner.child.pid === pid) sameProcess += 1
      if ((await owner.says(round % 2 === 0 ? 'lock' : 'wait')) !== 'true') wrong += 1
      if ((memory.readUInt32LE(STATE) & OWNER) === dead) sameNumber += 1
      // Now and then a life that ends well.
      if (round % 3 === 0) {
        await owner.says('release')
        if ((await owner.says('lock')) !== 'false') wrong += 1
      }
    }
    t.log(`${NEWCOMERS} newcomers, ${sameProcess} of them with the dead one's process id; ${wrong} wrong`)
    t.is(wrong, 0)
    t.is(sameNumber, 0)
    owner.child.kill('SIGKILL')
    await once(owner.child, 'exit')
    t.true(new Mutex(memory, 0).lockSync().abandoned)
  },
)

/** Has the system give this process id to the next process, where that can be done. */
function reuse(pid: number): void {
  try {
    writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1))
  } catch {
    // Then it gives another one.
  }
}
