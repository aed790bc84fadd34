// A key-value file that processes share: see key-value-store.ts. Answers are JSON, a line each.
//
//   node --import=@oxc-node/core/register examples/key-value.ts FILE get KEY
//   … FILE set KEY VALUE, FILE add KEY NUMBER, FILE delete KEY, FILE list
//   … FILE                                    such commands from the input, a line each

import { createInterface } from 'node:readline'

import { KeyValueStore } from './key-value-store.ts'

class UsageError extends Error {}

/** Of a command line: the value is all there is behind the key. */
const COMMAND = /^(?<name>\w+)(?: (?<key>\S+)(?: (?<value>.*))?)?$/

async function run(store: KeyValueStore, line: string): Promise<unknown> {
  const { name = '', key = '', value } = COMMAND.exec(line)?.groups ?? {}
  if (name === 'list' && key === '') {
    const all: Record<string, string> = Object.create(null)
    for await (const [one, bytes] of store.entries()) all[one] = bytes.toString()
    return all
  }
  if (key !== '' && value === undefined) {
    if (name === 'get') return (await store.get(key))?.toString() ?? null
    if (name === 'delete') return (await store.delete(key)) !== undefined
  } else if (key !== '' && value !== undefined) {
    if (name === 'set') return (await store.set(key, value))?.toString() ?? null
    if (name === 'add') return add(store, key, value)
  }
  throw new UsageError(`no such command: ${line}`)
}

/** Adds to a number, which counts from 0. All processes may do so at once, and none is lost. */
async function add(store: KeyValueStore, key: string, value: string): Promise<number> {
  const more = Number(value)
  if (!Number.isSafeInteger(more)) throw new UsageError(`no integer: ${value}`)
  let sum = 0
  await store.update(key, (old) => {
    sum = Number(old ?? 0) + more
    if (!Number.isSafeInteger(sum)) throw new Error(`'${key}' holds no number, or would become too large`)
    return String(sum)
  })
  return sum
}

async function answerAll(store: KeyValueStore): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    let answer: unknown
    try {
      answer = await run(store, line)
    } catch (error) {
      answer = { error: error instanceof Error ? error.message : String(error) }
    }
    // Who is killed has told of all it has done but the last: no answer waits in this process.
    await new Promise((told) => process.stdout.write(`${JSON.stringify(answer)}\n`, told))
  }
}

async function main(path: string, words: readonly string[]): Promise<void> {
  const store = new KeyValueStore(path)
  try {
    if (words.length === 0) await answerAll(store)
    else console.log(JSON.stringify(await run(store, words.join(' '))))
  } finally {
    store.close()
  }
}

const [path, ...words] = process.argv.slice(2)
if (path === undefined) {
  console.error('usage: key-value.ts FILE [get KEY | set KEY VALUE | add KEY NUMBER | delete KEY | list]')
  process.exitCode = 2
} else {
  try {
    await main(path, words)
  } catch (error) {
    console.error(`key-value: ${error instanceof Error ? error.message : error}`)
    process.exitCode = error instanceof UsageError ? 2 : 1
  }
}
