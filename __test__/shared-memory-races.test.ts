// Nobody ever sees half a segment: neither of two that race, nor of a maker who was killed.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fstatSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import test from 'ava'
import { SharedMemory } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { thrownBy } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { freeName, kept, program, removed, shownLength } from './helpers/shared.ts'
import { isLinux } from './helpers/system.ts'

const ROUNDS = 1000

test.serial('of two processes that race 1,000 times, one makes it each time and both get it whole', async (t) => {
  const name = freeName(t)
  kept(t, SharedMemory.create(name, 4096))
  t.teardown(() => {
    for (let round = 0; round < ROUNDS; round++) removed(`${name}.${round}`)
  })
  const children = await Promise.all([0, 1].map((role) => runChild(program('race'), [name, role, ROUNDS])))
  for (const child of children) t.deepEqual(ending(child), WELL)
  const [first = Number.NaN, second = Number.NaN] = children.map(({ stdout }) => Number(stdout))
  t.is(first + second, ROUNDS)
  t.log(`made by the one ${first}, by the other ${second}`)
})

test.serial('of a maker that is killed at any moment there is all or nothing', async (t) => {
  const random = new Random(t)
  const length = 2 ** 24 + 5
  let [whole, none, left] = [0, 0, 0]
  // On a busy machine hardly any look may come at the right time.
  for (let round = 0; round < 25 || (Math.min(whole, none) === 0 && round < 1000); round++) {
    const name = freeName(t)
    const child = spawn(process.execPath, [program('create-loop'), name, String(length)], {
      env: { ...process.env, NODE_OPTIONS: undefined },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(child, 'exit')
    await once(child.stdout, 'data')
    const look = (): boolean => {
      let region: SharedMemory | undefined
      const error = thrownBy(() => (region = SharedMemory.open(name)))
      if (region === undefined) {
        none += 1
        t.is(error?.code, 'ENOENT')
        return false
      }
      whole += 1
      t.is(region.byteLength, shownLength(length))
      if (isLinux && region.fd !== undefined) t.true(fstatSync(region.fd).blocks * 512 >= length)
      t.is(region.readUInt8(length - 1), 0)
      region.close()
      return true
    }
    const killAt = performance.now() + random.next() * 25
    while (performance.now() < killAt) {
      look()
      await sleep(0)
    }
    child.kill('SIGKILL')
    const [, signal] = await ended
    t.is(signal, 'SIGKILL')
    const stays = look()
    if (stays) left += 1
    t.is(removed(name), stays)
  }
  t.log({ whole, none, left })
  t.true(whole > 0 && none > 0, 'both were seen')
})
