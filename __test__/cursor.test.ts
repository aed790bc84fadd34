// A cursor beside a model: a position in a Buffer.

import { readFileSync, truncateSync } from 'node:fs'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import type { Cursor, Region } from 'memmap'

import { codeOf, fileWith, opened, regionWith } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { call, edges, READERS, same, WRITERS } from './helpers/scalars.ts'

/** What a cursor does, in the plainest way. */
class Model {
  readonly bytes: Buffer
  position = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  seek(offset: number, from: 'start' | 'current' | 'end' = 'start'): number {
    const base = { start: 0, current: this.position, end: this.bytes.length }[from]
    return this.go(base + offset)
  }

  go(position: number): number {
    if (position < 0 || position > this.bytes.length) throw new RangeError('outside')
    this.position = position
    return position
  }

  read(length = Number.POSITIVE_INFINITY): Buffer {
    const part = this.bytes.subarray(this.position, this.position + Math.min(length, this.bytes.length))
    this.position += part.length
    return Buffer.from(part)
  }

  readByte(): number {
    return this.read(1)[0] ?? outside()
  }

  readLine(): Buffer {
    const end = this.bytes.indexOf(0x0a, this.position)
    return this.read(this.position === this.bytes.length || end === -1 ? undefined : end + 1 - this.position)
  }

  write(source: Uint8Array | string): number {
    const bytes = Buffer.from(source)
    if (this.position + bytes.length > this.bytes.length) outside()
    bytes.copy(this.bytes, this.position)
    this.position += bytes.length
    return bytes.length
  }
}

function outside(): never {
  throw new RangeError('outside')
}

type Step = [said: string, ours: () => unknown, theirs: () => unknown]

function stepOf(random: Random, cursor: Cursor, model: Model): Step {
  const { length } = model.bytes
  switch (random.integer(0, 8)) {
    case 0: {
      const from = random.pick(['start', 'current', 'end', undefined] as const)
      const offset = random.integer(-length - 2, length + 2)
      return [`seek(${offset}, ${from})`, () => cursor.seek(offset, from), () => model.seek(offset, from)]
    }
    case 1: {
      const to = random.integer(-1, length + 1)
      return [`position = ${to}`, () => void (cursor.position = to), () => void model.go(to)]
    }
    case 2: {
      const size = random.pick([undefined, 0, 1, 7, random.integer(0, length + 5), 2 ** 53 - 1])
      return [`read(${size})`, () => cursor.read(size), () => model.read(size)]
    }
    case 3:
      return ['readByte()', () => cursor.readByte(), () => model.readByte()]
    case 4:
      return ['readLine()', () => cursor.readLine(), () => model.readLine()]
    case 5: {
      const bytes = random.pick([random.bytes(random.integer(0, 40), 'ab\n'), 'é\n', '', random.bytes(length + 1)])
      return [`write(${bytes.length})`, () => cursor.write(bytes), () => model.write(bytes)]
    }
    case 6: {
      const byte = random.integer(0, 255)
      return [`writeByte(${byte})`, () => cursor.writeByte(byte), () => void model.write(Uint8Array.of(byte))]
    }
    case 7: {
      const { name, size } = random.pick(READERS)
      const width = size ?? random.integer(1, 6)
      return [
        name,
        () => call(cursor, name, ...(size === undefined ? [width] : [])),
        () => {
          const value = call(model.bytes, name, model.position, ...(size === undefined ? [width] : []))
          model.position += width
          return value
        },
      ]
    }
    default: {
      const scalar = random.pick(WRITERS)
      const width = scalar.size ?? random.integer(1, 6)
      const value = random.pick(edges(scalar, width))
      const rest = scalar.size === undefined ? [width] : []
      return [
        `${scalar.name}(${value})`,
        () => call(cursor, scalar.name, value, ...rest),
        () => void (model.position = Number(call(model.bytes, scalar.name, value, model.position, ...rest))),
      ]
    }
  }
}

function outcome(work: () => unknown): unknown {
  try {
    const value = work()
    return Buffer.isBuffer(value) ? value.toString('hex') : value
  } catch (error) {
    return error instanceof RangeError ? RangeError : error
  }
}

function walk(t: ExecutionContext, length: number, offset: number, steps: number): void {
  const random = new Random(t)
  const data = random.bytes(offset + length, 'abc\n\r\u00e9')
  const path = fileWith(t, data)
  const region = opened(t, path, { access: 'write', offset })
  const cursor = region.cursor()
  const model = new Model(Buffer.from(data.subarray(offset)))
  const taken: string[] = []
  for (let number = 0; number < steps; number++) {
    const [said, ours, theirs] = stepOf(random, cursor, model)
    taken.push(said)
    const [value, expected] = [outcome(ours), outcome(theirs)]
    const fine = same(value, expected) && cursor.position === model.position && region.equals(model.bytes)
    if (!fine || cursor.remaining !== model.bytes.length - model.position) {
      t.log(taken.slice(-10))
      return t.fail(`${said}: ${String(value)} at ${cursor.position}, model: ${String(expected)} at ${model.position}`)
    }
  }
  t.true(readFileSync(path).subarray(offset).equals(model.bytes))
}

for (const [length, offset, steps] of [
  [300, 0, 4000],
  [300, 4095, 2000],
  [9, 0, 2000],
  [1, 3, 500],
  [0, 0, 300],
] as const) {
  test(`any walk of a cursor over ${length} bytes from offset ${offset} goes as the model's`, (t) => {
    walk(t, length, offset, steps)
    t.pass()
  })
}

test('a cursor has the whole read and write family without the offset', (t) => {
  const cursor = regionWith(t, 'x').cursor()
  for (const { name } of [...READERS, ...WRITERS]) t.is(typeof Reflect.get(cursor, name), 'function', name)
})

/** What the typings of a cursor lack of that. */
type Untyped = Exclude<Extract<keyof Region, `read${string}` | `write${string}`>, keyof Cursor>

test('the typings of a cursor have it too', (t) => {
  const complete: [Untyped] extends [never] ? true : Untyped = true
  t.true(complete)
  const cursor = regionWith(t, Buffer.alloc(16), { access: 'write' }).cursor()
  const nothing: void = cursor.writeUInt16LE(0x0102)
  t.is(nothing, undefined)
  cursor.writeIntBE(-1, 3)
  cursor.seek(0)
  const number: number = cursor.readUint16BE()
  t.is(number, 0x0201)
  t.is(cursor.readIntBE(3), -1)
})

test('each reader moves the cursor on by what it read, each writer by what it wrote', (t) => {
  const region = regionWith(t, Buffer.alloc(16), { access: 'write' })
  for (const { name, size } of READERS) {
    const cursor = region.cursor(3)
    call(cursor, name, ...(size === undefined ? [5] : []))
    t.is(cursor.position, 3 + (size ?? 5), name)
  }
  for (const { name, size, kind } of WRITERS) {
    const cursor = region.cursor(3)
    t.is(call(cursor, name, kind === 'bigint' ? 1n : 1, ...(size === undefined ? [5] : [])), undefined, name)
    t.is(cursor.position, 3 + (size ?? 5), name)
  }
})

test('a length given as an object counts as its number, and the position stays a number', (t) => {
  const region = regionWith(t, 'abcdefgh')
  const cursor = region.cursor()
  t.is(call(cursor, 'readUIntLE', new Date(3)), 0x636261)
  t.is(cursor.position, 3)
  t.is(call(cursor, 'readUIntLE', { valueOf: () => 2 }), 0x6564)
  t.is(cursor.position, 5)
})

test('cursors of one region go their own ways', (t) => {
  const region = regionWith(t, 'abcdef', { access: 'write' })
  const [one, other] = [region.cursor(), region.cursor(3)]
  t.is(one.read(2).toString(), 'ab')
  t.is(other.read(1).toString(), 'd')
  one.write('XY')
  t.is(other.position, 4)
  other.seek(-3, 'current')
  t.is(other.read().toString(), 'bXYef')
  t.is(one.remaining, 2)
})

test('a cursor may begin at the end, and not behind it', (t) => {
  const region = regionWith(t, 'abc')
  t.is(region.cursor(3).read().length, 0)
  t.is(
    codeOf(() => region.cursor(4)),
    'ERR_OUT_OF_RANGE',
  )
  t.is(
    codeOf(() => region.cursor(-1)),
    'ERR_OUT_OF_RANGE',
  )
})

test("a cursor over a 'read' region reads, and refuses to write where it is", (t) => {
  const cursor = regionWith(t, 'abc').cursor(1)
  t.is(
    codeOf(() => cursor.write('x')),
    'ERR_REGION_READONLY',
  )
  t.is(
    codeOf(() => cursor.writeByte(1)),
    'ERR_REGION_READONLY',
  )
  t.is(
    codeOf(() => cursor.writeUInt16LE(1)),
    'ERR_REGION_READONLY',
  )
  t.is(cursor.position, 1)
  t.is(cursor.readByte(), 0x62)
})

test('where a refresh made the region shorter, a cursor past the end reads nothing, and writing is an error', (t) => {
  const path = fileWith(t, 'abcdefgh\n')
  const region = opened(t, path, { access: 'write' })
  const cursor = region.cursor(7)
  truncateSync(path, 3)
  t.true(region.refresh())
  t.is(cursor.position, 7)
  t.is(cursor.remaining, 0)
  t.is(cursor.read().length, 0)
  t.is(cursor.read(4).length, 0)
  t.is(cursor.readLine().length, 0)
  t.is(
    codeOf(() => cursor.readByte()),
    'ERR_OUT_OF_RANGE',
  )
  t.is(
    codeOf(() => cursor.write('x')),
    'ERR_OUT_OF_RANGE',
  )
  t.is(
    codeOf(() => cursor.writeByte(1)),
    'ERR_OUT_OF_RANGE',
  )
  t.is(
    codeOf(() => cursor.writeDoubleLE(1)),
    'ERR_OUT_OF_RANGE',
  )
  t.is(cursor.position, 7)
  t.is(cursor.seek(0, 'end'), 3)
  t.is(region.toString(), 'abc')
})

test('lines of a cursor carry their ends, the last one what there is', (t) => {
  const cursor = regionWith(t, 'one\r\n\ntwo\rtwo\nlast').cursor()
  const lines: string[] = []
  for (let line = cursor.readLine(); line.length > 0; line = cursor.readLine()) lines.push(line.toString())
  t.deepEqual(lines, ['one\r\n', '\n', 'two\rtwo\n', 'last'])
  t.is(cursor.remaining, 0)
})
