// A store of keys and values in one file, that any number of processes read and write at the same time.
//
// The file is a row of pages. A key's hash says in which of them it is, and a lock of that range of the file is all that an
// access needs: who works on other keys is not held up, and the lock of a process that is killed is gone at once. So that it
// leaves no half-made change either, a page is never changed in place: a record is written to a place in it that is free, and
// then one atomic store of the page's first word says which places hold records now. Whoever is killed before it has changed
// nothing, whoever is killed after it everything.
//
// That goes for processes. A power cut may lose what was not flushed, in any order: a store that is to survive one calls
// `flush` before that word and behind it.

import { statSync } from 'node:fs'

import { MmapFile } from 'memmap'

const PAGE = 4096
const BUCKETS = 1024
const SIZE = PAGE * (1 + BUCKETS) // the first page says what kind of file this is
const MAGIC = Buffer.from('kvs1').readUInt32LE()

const SLOT = 256
const SLOTS = PAGE / SLOT - 1 // behind the first, which is the page's own
const HEAD = 4 // of a record: the lengths of its key and its value
const LONGEST = SLOT - HEAD

/** A process that is stopped, not killed, keeps its lock: better an error than to wait for ever. */
const PATIENCE = { timeout: 10_000 }

interface Slot {
  readonly number: number
  readonly value: Buffer
}

export class KeyValueStore {
  readonly #file: MmapFile
  readonly #words: Uint32Array

  /** Opens a store, and makes the file if there is none. */
  constructor(path: string) {
    // Before the file is extended: it may be something else altogether.
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
    if (size !== 0 && size !== SIZE) throw new Error(`${path} is no store`)
    const file = MmapFile.open(path, { access: 'write', create: true, length: SIZE })
    const words = file.view(Uint32Array)
    // Zeros are an empty store. Of two processes that make it one is first, and either finds it made.
    const magic = Atomics.compareExchange(words, 0, 0, MAGIC)
    if (magic !== 0 && magic !== MAGIC) {
      file.close()
      throw new Error(`${path} is no store`)
    }
    this.#file = file
    this.#words = words
  }

  async get(key: string): Promise<Buffer | undefined> {
    const wanted = keyOf(key)
    const page = pageOf(wanted)
    // Readers share the lock.
    const lock = await this.#file.lock({ start: page, end: page + PAGE, mode: 'shared', ...PATIENCE })
    try {
      return this.#find(page, wanted)?.value
    } finally {
      lock.release()
    }
  }

  /**
   * Sets what `change` makes of the present value, or removes the key where that is `undefined`. Nobody else comes in between.
   * Returns the value before.
   */
  async update(
    key: string,
    change: (value: Buffer | undefined) => string | Uint8Array | undefined,
  ): Promise<Buffer | undefined> {
    const wanted = keyOf(key)
    const page = pageOf(wanted)
    const lock = await this.#file.lock({ start: page, end: page + PAGE, ...PATIENCE })
    try {
      const old = this.#find(page, wanted)
      const next = change(old?.value)
      let live = this.#live(page)
      // One place stays free, so that what is there can always be changed.
      if (old === undefined && next !== undefined && bits(live) >= SLOTS - 1) throw new Error(`no room for '${key}'`)
      if (next !== undefined) live |= 1 << this.#write(page, live, wanted, Buffer.from(next))
      if (old !== undefined) live &= ~(1 << old.number)
      // Not `writeUInt32LE`: only a store of Atomics is one store, and behind all those before it.
      Atomics.store(this.#words, page / 4, live)
      return old?.value
    } finally {
      lock.release()
    }
  }

  set(key: string, value: string | Uint8Array): Promise<Buffer | undefined> {
    return this.update(key, () => value)
  }

  delete(key: string): Promise<Buffer | undefined> {
    return this.update(key, () => undefined)
  }

  /** All there is, page by page: each as it was at one moment, the whole not. */
  async *entries(): AsyncGenerator<[key: string, value: Buffer], void, undefined> {
    for (let page = PAGE; page < SIZE; page += PAGE) {
      if (this.#live(page) === 0) continue
      const lock = await this.#file.lock({ start: page, end: page + PAGE, mode: 'shared', ...PATIENCE })
      let records: [string, Buffer][]
      try {
        records = [...this.#records(page)].map(({ key, value }) => [key.toString(), value])
      } finally {
        lock.release()
      }
      yield* records
    }
  }

  close(): void {
    this.#file.close()
  }

  /** Which places of a page hold records: a bit each. */
  #live(page: number): number {
    return Atomics.load(this.#words, page / 4)
  }

  *#records(page: number): Generator<Slot & { readonly key: Buffer }, void, undefined> {
    const live = this.#live(page)
    for (let number = 1; number <= SLOTS; number++) {
      if ((live & (1 << number)) === 0) continue
      const at = page + number * SLOT
      const behindKey = at + HEAD + this.#file.readUInt16LE(at)
      const end = behindKey + this.#file.readUInt16LE(at + 2)
      yield { number, key: this.#file.slice(at + HEAD, behindKey), value: this.#file.slice(behindKey, end) }
    }
  }

  #find(page: number, wanted: Buffer): Slot | undefined {
    for (const record of this.#records(page)) if (record.key.equals(wanted)) return record
    return undefined
  }

  /** Writes a record to a place that is free; which that is. Nobody sees it yet. */
  #write(page: number, live: number, key: Buffer, value: Buffer): number {
    if (key.length + value.length > LONGEST) throw new RangeError(`key and value have more than ${LONGEST} bytes`)
    let number = 1
    while ((live & (1 << number)) !== 0) number++
    const at = page + number * SLOT
    this.#file.writeUInt16LE(key.length, at)
    this.#file.writeUInt16LE(value.length, at + 2)
    this.#file.set(key, at + HEAD)
    this.#file.set(value, at + HEAD + key.length)
    return number
  }
}

function keyOf(key: string): Buffer {
  if (key === '') throw new RangeError('a key is not empty')
  return Buffer.from(key)
}

/** Where the page of a key begins, by FNV-1a. */
function pageOf(key: Buffer): number {
  let hash = 0x811c9dc5
  for (const byte of key) hash = Math.imul(hash ^ byte, 0x01000193)
  return PAGE * (1 + ((hash >>> 0) % BUCKETS))
}

function bits(word: number): number {
  let count = 0
  for (let rest = word; rest !== 0; rest &= rest - 1) count++
  return count
}
