// examples/key-value.ts: its store is used by several processes at once, one of which is killed.

import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { createInterface } from 'node:readline'

import test from 'ava'
import type { ExecutionContext } from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { LOADER, runExample, startExample } from './helpers/examples.ts'
import { fileWith } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { isPosix } from './helpers/system.ts'
import { tmpFile } from './helpers/tmp.ts'

const STORE = 'store.kv'

async function answerTo(path: string, ...words: string[]): Promise<unknown> {
  const child = await runExample('key-value', [path, ...words])
  if (child.code !== 0) throw new Error(child.stderr)
  return JSON.parse(child.stdout)
}

async function listOf(path: string): Promise<Readonly<Record<string, string>>> {
  return (await answerTo(path, 'list')) as Record<string, string>
}

/** A process that is told commands, and whose answers are counted. */
class Client {
  readonly child: ChildProcessWithoutNullStreams
  readonly answers: string[] = []
  readonly ended: Promise<unknown>
  #stderr = ''

  constructor(t: ExecutionContext, path: string) {
    this.child = startExample('key-value', [path])
    t.teardown(() => void this.child.kill('SIGKILL'))
    // What is told to one that was killed is lost, and that is as it should be.
    this.child.stdin.on('error', () => {})
    this.child.stderr.on('data', (bytes) => (this.#stderr += String(bytes)))
    const lines = createInterface({ input: this.child.stdout }).on('line', (line) => this.answers.push(line))
    this.ended = Promise.all([once(lines, 'close'), once(this.child, 'close')])
  }

  async does(commands: readonly string[]): Promise<void> {
    this.child.stdin.end(commands.map((command) => `${command}\n`).join(''))
    await this.ended
    if (this.#stderr !== '') throw new Error(this.#stderr)
  }
}

test.serial('values are set, got, changed, listed and deleted, each by a process of its own', async (t) => {
  const path = tmpFile(t, STORE)
  t.is(await answerTo(path, 'get', 'name'), null)
  t.is(await answerTo(path, 'set', 'name', 'Ann of Elsewhere'), null)
  t.is(await answerTo(path, 'set', 'name', 'Bärbel'), 'Ann of Elsewhere')
  t.is(await answerTo(path, 'add', 'visits', '41'), 41)
  t.is(await answerTo(path, 'add', 'visits', '1'), 42)
  t.is(await answerTo(path, 'get', 'name'), 'Bärbel')
  t.deepEqual(await listOf(path), { name: 'Bärbel', visits: '42' })
  t.is(await answerTo(path, 'delete', 'name'), true)
  t.is(await answerTo(path, 'delete', 'name'), false)
  t.deepEqual(await listOf(path), { visits: '42' })
})

test.serial('any commands in a row give what a Map gives; what does not fit changes nothing', async (t) => {
  const random = new Random(t)
  const path = tmpFile(t, STORE)
  const map = new Map<string, string>()
  const commands: string[] = []
  const wanted: string[] = []
  for (let step = 0; step < 3000; step++) {
    const key = `k${random.integer(0, 300)}${'ü'.repeat(random.integer(0, 3))}`
    const value = random.pick(['', 'v', 'a b  c', 'ÿ'.repeat(random.integer(1, 150))])
    const old = map.get(key)
    const kind = random.integer(0, 3)
    if (kind === 0) {
      commands.push(`delete ${key}`)
      wanted.push(JSON.stringify(map.delete(key)))
    } else if (kind === 1) {
      commands.push(`get ${key}`)
      wanted.push(JSON.stringify(old ?? null))
    } else {
      commands.push(`set ${key} ${value}`)
      const fits = Buffer.byteLength(key + value) <= 252
      wanted.push(JSON.stringify(fits ? (old ?? null) : { error: 'key and value have more than 252 bytes' }))
      if (fits) map.set(key, value)
    }
  }
  const client = new Client(t, path)
  await client.does(commands)
  t.deepEqual(client.answers, wanted)
  t.deepEqual(await listOf(path), Object.fromEntries(map))
})

test.serial('a page that is full refuses new keys, and what is there can still be changed', async (t) => {
  const path = tmpFile(t, STORE)
  // Far more than fit into 1024 pages of 14.
  const keys = Array.from({ length: 20_000 }, (_, number) => `key${number}`)
  const client = new Client(t, path)
  await client.does(keys.map((key) => `set ${key} 1`))
  const kept = keys.filter((_, at) => client.answers[at] === 'null')
  const refused = keys.filter((key, at) => client.answers[at] === `{"error":"no room for '${key}'"}`)
  t.is(kept.length + refused.length, keys.length)
  t.true(kept.length > 10_000 && kept.length <= 1024 * 14, String(kept.length))
  const again = new Client(t, path)
  await again.does(kept.map((key) => `add ${key} 1`))
  t.is(again.answers.filter((answer) => answer === '2').length, kept.length)
  t.deepEqual(await listOf(path), Object.fromEntries(kept.map((key) => [key, '2'])))
})

test.serial(
  'four processes write at once, one is killed: nothing is lost, nothing half done, nobody waits',
  async (t) => {
    const path = tmpFile(t, STORE)
    const STEPS = 3000
    const COUNTERS = 5
    const VICTIM = 3
    const commands = (writer: number): string[] =>
      Array.from({ length: STEPS }, (_, step) =>
        // A long value is one letter from end to end, and all write to the same few keys.
        step % 2 === 0
          ? `add counter${step % COUNTERS} 1`
          : `set text${step % 3} ${String.fromCharCode(97 + ((step + writer) % 26)).repeat(240)}`,
      )
    const clients = Array.from({ length: 4 }, () => new Client(t, path))
    const victim = clients[VICTIM]
    if (victim === undefined) throw new Error('no victim')
    const running = clients.map((client, writer) => client.does(commands(writer)))
    while (victim.answers.length < 300 && victim.child.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 1))
    victim.child.kill('SIGKILL')
    await Promise.all(running)

    for (const [number, client] of clients.entries()) {
      if (number !== VICTIM) t.is(client.answers.length, STEPS)
      t.is(client.answers.filter((answer) => answer.includes('error')).length, 0)
    }
    t.is(victim.child.signalCode, 'SIGKILL')
    t.true(victim.answers.length < STEPS, 'it was killed in the midst of its work')

    const all = await listOf(path)
    const sum = Object.entries(all)
      .filter(([key]) => key.startsWith('counter'))
      .reduce((total, [, value]) => total + Number(value), 0)
    const told = clients.reduce((total, { answers }) => total + Math.ceil(answers.length / 2), 0)
    t.log(`the victim had answered ${victim.answers.length} commands; counted ${sum}, told ${told}`)
    // The one it was at when it was killed may be done or not.
    t.true(sum === told || sum === told + 1, `${sum} counted, ${told} told`)
    for (const key of ['text0', 'text1', 'text2']) t.regex(all[key] ?? '', /^([a-z])\1{239}$/)
    t.is(Object.keys(all).length, COUNTERS + 3)
    // Its lock went with it.
    t.is(typeof (await answerTo(path, 'add', 'counter0', '1')), 'number')
  },
)

test.serial(
  'who is killed just before the store that makes a change has changed nothing, just behind it all',
  async (t) => {
    const path = tmpFile(t, STORE)
    const before: Record<string, string> = { name: 'a'.repeat(200) }
    t.is(await answerTo(path, 'set', 'name', before['name'] ?? ''), null)
    for (const key of ['name', 'other']) {
      const value = 'b'.repeat(210)
      for (const [when, wanted] of [
        ['before', before],
        ['behind', { ...before, [key]: value }],
      ] as const) {
        const { signal, stderr } = await runChild('examples/killed-in-update.mjs', [path, key, value, when], {
          nodeArgs: LOADER,
        })
        t.is(stderr, '')
        if (isPosix) t.is(signal, 'SIGKILL')
        t.deepEqual(await listOf(path), wanted, `${key}, killed ${when} it`)
      }
      before[key] = value
    }
    // Its locks went with it.
    t.is(await answerTo(path, 'set', 'name', 'c'), before['name'] ?? null)
  },
)

test.serial('bad arguments are told; a file that is something else is refused and stays as it is', async (t) => {
  const usage = await runExample('key-value')
  t.is(usage.code, 2)
  t.regex(usage.stderr, /^usage: key-value\.ts .*\n$/)
  const path = tmpFile(t, STORE)
  for (const words of [['jump'], ['get'], ['set', 'key'], ['add', 'key', 'much'], ['list', 'all']]) {
    const { code, stdout, stderr } = await runExample('key-value', [path, ...words])
    t.deepEqual([code, stdout], [2, ''], words.join(' '))
    t.regex(stderr, /^key-value: no (such command|integer): .*\n$/)
  }
  const other = fileWith(t, 'a letter to somebody')
  const refused = await runExample('key-value', [other, 'list'])
  t.deepEqual({ ...ending(refused) }, { ...WELL, code: 1, stderr: `key-value: ${other} is no store\n` })
  t.is(readFileSync(other, 'utf8'), 'a letter to somebody')
  const long = fileWith(t, Buffer.alloc(statSync(path).size, 'x'))
  t.is((await runExample('key-value', [long, 'list'])).stderr, `key-value: ${long} is no store\n`)
})
