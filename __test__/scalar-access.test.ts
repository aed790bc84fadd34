// Buffer's read and write family over a region, beside Buffer itself.

import { readFileSync } from 'node:fs'

import test from 'ava'
import type { ExecutionContext } from 'ava'

import { codeOf, fileWith, opened, regionWith, thrownBy } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { call, edges, FLOATS, limits, READERS, same, WRITERS } from './helpers/scalars.ts'
import type { Scalar } from './helpers/scalars.ts'

/** lib/memory.ts makes a buffer after so many scalar accesses; until then each is a call of the addon. */
const FIRST_ACCESSES = 32

test('a region has each reader and writer that Buffer has', (t) => {
  const region = regionWith(t, 'x')
  t.is(READERS.length, 31)
  t.is(WRITERS.length, 31)
  for (const { name } of [...READERS, ...WRITERS]) t.is(typeof Reflect.get(region, name), 'function', name)
})

test('each alias is the method it stands for', (t) => {
  const region = regionWith(t, 'x')
  const aliases = [...READERS, ...WRITERS].map(({ name }) => name).filter((name) => name.includes('Uint'))
  t.is(aliases.length, 18)
  for (const alias of aliases) {
    t.is(Reflect.get(region, alias), Reflect.get(region, alias.replace('Uint', 'UInt')), alias)
  }
})

/** Reads with a method of the region and of a Buffer with the same bytes. */
function compareRead(
  t: ExecutionContext,
  region: object,
  model: Buffer,
  scalar: Scalar,
  args: readonly number[],
): void {
  const ours = outcome(() => call(region, scalar.name, ...args))
  const theirs = outcome(() => call(model, scalar.name, ...args))
  const said = `${scalar.name}(${args.join(', ')}): ${String(ours.value)}, Buffer: ${String(theirs.value)}`
  if (!same(ours.value, theirs.value) || ours.failed !== theirs.failed) t.fail(said)
}

function outcome(work: () => unknown): { value: unknown; failed: boolean } {
  try {
    return { value: work(), failed: false }
  } catch {
    return { value: 'thrown', failed: true }
  }
}

for (const [what, offset] of [
  ['at the start of a file', 0],
  ['from an unaligned offset in the file', 4093],
] as const) {
  test(`reads give what Buffer gives at any offset, in the first accesses and later, ${what}`, (t) => {
    const random = new Random(t)
    const data = random.bytes(9000)
    const path = fileWith(t, data)
    const model = data.subarray(offset)
    for (const scalar of READERS) {
      const region = opened(t, path, { offset })
      for (let round = 0; round < 3 * FIRST_ACCESSES; round++) {
        // Sometimes just at the end and behind it, which both refuse.
        const at =
          random.integer(0, 3) === 0
            ? random.integer(model.length - 10, model.length + 1)
            : random.integer(0, model.length - 1)
        compareRead(t, region, model, scalar, scalar.size === undefined ? [at, random.integer(1, 6)] : [at])
      }
      region.close()
    }
    t.pass()
  })
}

test('special floats are read as Buffer reads them: NaN payloads, infinities, -0, subnormals', (t) => {
  const random = new Random(t)
  const patterns: bigint[] = []
  for (const high of [0x7f8n, 0x7ffn, 0xff8n, 0xfffn, 0x000n, 0x800n, 0x7fen, 0x7f0n]) {
    for (const low of [0n, 1n, 2n ** 51n, 2n ** 52n - 1n, BigInt(random.integer(0, 2 ** 40))])
      patterns.push((high << 52n) | low)
  }
  const model = Buffer.alloc(patterns.length * 8)
  patterns.forEach((pattern, at) => model.writeBigUInt64BE(pattern, at * 8))
  const region = regionWith(t, model)
  for (let round = 0; round < 2; round++) {
    for (let at = 0; at + 8 <= model.length; at++) {
      for (const name of ['readFloatLE', 'readFloatBE', 'readDoubleLE', 'readDoubleBE']) {
        const [ours, theirs] = [call(region, name, at), call(model, name, at)]
        if (!same(ours, theirs)) t.fail(`${name}(${at}): ${String(ours)}, Buffer: ${String(theirs)}`)
      }
    }
  }
  t.true(region.equals(model), 'reading changed nothing')
})

for (const [access, offset] of [
  ['write', 0],
  ['write', 4091],
  ['copy', 1],
] as const) {
  test(`writes store what Buffer stores, and refuse values and offsets it refuses: access '${access}' from offset ${offset}`, (t) => {
    const random = new Random(t)
    const data = random.bytes(6000)
    const path = fileWith(t, data)
    const model = Buffer.from(data.subarray(offset))
    for (const scalar of WRITERS) {
      const region = opened(t, path, { access, offset })
      region.set(model)
      for (let round = 0; round < 3 * FIRST_ACCESSES; round++) {
        const size = scalar.size ?? random.integer(1, 6)
        const at =
          random.integer(0, 5) === 0
            ? random.integer(model.length - 9, model.length + 1)
            : random.integer(0, model.length - 9)
        const value = valueFor(random, scalar, size)
        const args = scalar.size === undefined ? [value, at, size] : [value, at]
        const ours = outcome(() => call(region, scalar.name, ...args))
        const theirs = outcome(() => call(model, scalar.name, ...args))
        const said = `${scalar.name}(${args.join(', ')})`
        if (ours.failed !== theirs.failed || ours.value !== theirs.value) {
          t.fail(`${said}: ${String(ours.value)}, Buffer: ${String(theirs.value)}`)
        }
        if (ours.failed)
          t.is(
            codeOf(() => call(region, scalar.name, ...args)),
            'ERR_OUT_OF_RANGE',
            said,
          )
        const near = [Math.max(0, at - 2), at + 10] as const
        if (!region.slice(...near).equals(model.subarray(...near))) t.fail(`${said} stored something else`)
      }
      t.true(region.equals(model), `${scalar.name}: nothing else was changed`)
      region.close()
    }
    const inFile = readFileSync(path).subarray(offset)
    t.true(inFile.equals(access === 'write' ? model : data.subarray(offset)))
  })
}

function valueFor(random: Random, scalar: Scalar, size: number): number | bigint {
  if (random.integer(0, 2) > 0) return random.pick(edges(scalar, size))
  if (scalar.kind === 'float') return (random.next() - 0.5) * 10 ** random.integer(-40, 40)
  const [min, max] = limits(scalar, size)
  if (typeof min === 'bigint')
    return BigInt(random.integer(0, 2 ** 52)) * BigInt(random.integer(0, 4096)) - (scalar.signed ? 2n ** 63n : 0n)
  return random.integer(Number(min), Number(max))
}

test('every writer stores each value at its limits and gives the offset behind it', (t) => {
  const region = regionWith(t, Buffer.alloc(64), { access: 'write' })
  const model = Buffer.alloc(64)
  for (const scalar of WRITERS) {
    for (const size of scalar.size === undefined ? [1, 2, 3, 4, 5, 6] : [scalar.size]) {
      for (const value of scalar.kind === 'float' ? FLOATS : limits(scalar, size)) {
        const args = scalar.size === undefined ? [value, 7, size] : [value, 7]
        t.is(call(region, scalar.name, ...args), 7 + size, scalar.name)
        call(model, scalar.name, ...args)
        t.true(region.equals(model), `${scalar.name}(${args.join(', ')})`)
      }
    }
  }
})

test('what a writer stored its reader reads', (t) => {
  const random = new Random(t)
  const region = regionWith(t, Buffer.alloc(100), { access: 'write' })
  for (const scalar of WRITERS) {
    const reader = scalar.name.replace('write', 'read')
    for (let round = 0; round < 20; round++) {
      const size = scalar.size ?? random.integer(1, 6)
      const [min, max] = limits(scalar, size)
      const value =
        scalar.kind === 'float'
          ? Math.fround((random.next() - 0.5) * 2 ** random.integer(-100, 100))
          : random.pick([min, max, scalar.kind === 'bigint' ? 77n : 77])
      const at = random.integer(0, 90)
      const rest = scalar.size === undefined ? [at, size] : [at]
      call(region, scalar.name, value, ...rest)
      t.true(same(call(region, reader, ...rest), value), `${reader}: ${value}`)
    }
  }
})

test('a fraction is refused where Buffer would cut it, and nothing is written', (t) => {
  const data = Buffer.from('0123456789abcdef')
  const region = regionWith(t, data, { access: 'write' })
  for (const scalar of WRITERS.filter(({ kind }) => kind === 'int')) {
    const rest = scalar.size === undefined ? [0, 3] : [0]
    for (const value of [1.5, -0.5, 1e-9, Number.NaN]) {
      const error = thrownBy(() => call(region, scalar.name, value, ...rest))
      t.is(error?.code, 'ERR_OUT_OF_RANGE', `${scalar.name}(${value})`)
      t.true(error instanceof RangeError)
    }
  }
  t.true(region.equals(data))
})

test('a fraction of an offset is refused in every method, before and after the first accesses', (t) => {
  const data = Buffer.from('0123456789abcdef')
  const region = regionWith(t, data, { access: 'write' })
  for (let round = 0; round < 2; round++) {
    for (const scalar of READERS) {
      const rest = scalar.size === undefined ? [3] : []
      for (const at of [0.5, -1, -0.5, Number.NaN, Infinity, -Infinity, 2 ** 53, 1e-300]) {
        t.is(
          codeOf(() => call(region, scalar.name, at, ...rest)),
          'ERR_OUT_OF_RANGE',
          `${scalar.name}(${at})`,
        )
      }
      call(region, scalar.name, 0, ...rest)
    }
  }
  for (const scalar of WRITERS) {
    const value = scalar.kind === 'bigint' ? 1n : 1
    for (const at of [0.5, -1, Number.NaN, Infinity, 2 ** 53]) {
      const args = scalar.size === undefined ? [value, at, 3] : [value, at]
      t.is(
        codeOf(() => call(region, scalar.name, ...args)),
        'ERR_OUT_OF_RANGE',
        `${scalar.name}(_, ${at})`,
      )
    }
  }
  t.true(region.equals(data))
})

test('the offset is 0 by default where Buffer has that default, and must be given where it must there', (t) => {
  const model = Buffer.from('fedcba9876543210')
  const region = regionWith(t, model, { access: 'copy' })
  for (const scalar of READERS) {
    if (scalar.size === undefined)
      t.is(
        codeOf(() => call(region, scalar.name)),
        'ERR_INVALID_ARG_TYPE',
        scalar.name,
      )
    else t.true(same(call(region, scalar.name), call(model, scalar.name)), scalar.name)
  }
  for (const scalar of WRITERS) {
    const value = scalar.kind === 'bigint' ? 5n : 5
    if (scalar.size === undefined) {
      t.is(
        codeOf(() => call(region, scalar.name, value)),
        'ERR_INVALID_ARG_TYPE',
        scalar.name,
      )
    } else {
      t.is(call(region, scalar.name, value), scalar.size, scalar.name)
      call(model, scalar.name, value)
      t.true(region.equals(model), scalar.name)
    }
  }
})

test('an access that only just does not fit is refused, the one before it is not', (t) => {
  for (const length of [0, 1, 2, 3, 4, 7, 8, 9]) {
    const region = regionWith(t, Buffer.alloc(length), { access: 'copy' })
    for (let round = 0; round < 2; round++) {
      for (const scalar of READERS) {
        for (const size of scalar.size === undefined ? [1, 2, 3, 4, 5, 6] : [scalar.size]) {
          const rest = scalar.size === undefined ? [size] : []
          if (length >= size) call(region, scalar.name, length - size, ...rest)
          const behind = Math.max(0, length - size + 1)
          t.is(
            codeOf(() => call(region, scalar.name, behind, ...rest)),
            'ERR_OUT_OF_RANGE',
            `${scalar.name} of ${length}`,
          )
        }
      }
    }
  }
})

test("every writer is refused where access is 'read', whatever the offset, and the file stays as it was", (t) => {
  const data = Buffer.from('0123456789abcdef')
  const path = fileWith(t, data)
  const region = opened(t, path)
  for (const scalar of WRITERS) {
    const value = scalar.kind === 'bigint' ? 1n : 1
    for (const at of [0, 1, 8]) {
      const args = scalar.size === undefined ? [value, at, 4] : [value, at]
      const error = thrownBy(() => call(region, scalar.name, ...args))
      t.is(error?.code, 'ERR_REGION_READONLY', scalar.name)
      t.regex(error?.message ?? '', /'write'.*'copy'/)
    }
  }
  t.true(readFileSync(path).equals(data))
})

test('every reader and writer is refused once the region is closed, before and after the first accesses', (t) => {
  for (const warm of [0, 2 * FIRST_ACCESSES]) {
    const region = regionWith(t, Buffer.alloc(100), { access: 'write' })
    for (let access = 0; access < warm; access++) region.readUInt8(access)
    region.close()
    for (const scalar of READERS) {
      const rest = scalar.size === undefined ? [3] : []
      t.is(
        codeOf(() => call(region, scalar.name, 0, ...rest)),
        'ERR_REGION_CLOSED',
        scalar.name,
      )
    }
    for (const scalar of WRITERS) {
      const value = scalar.kind === 'bigint' ? 1n : 1
      const args = scalar.size === undefined ? [value, 0, 3] : [value, 0]
      t.is(
        codeOf(() => call(region, scalar.name, ...args)),
        'ERR_REGION_CLOSED',
        scalar.name,
      )
    }
  }
})

test('an offset given as a number object counts as its number, also in what a writer returns', (t) => {
  const region = regionWith(t, Buffer.alloc(32), { access: 'write' })
  // A date is one, too, and what `+` makes of it is a string.
  for (const at of [Object(3), { valueOf: () => 3 }, new Date(3)] as unknown[]) {
    for (const scalar of WRITERS) {
      const value = scalar.kind === 'bigint' ? 5n : 5
      const args = scalar.size === undefined ? [value, at, 4] : [value, at]
      t.is(call(region, scalar.name, ...args), 3 + (scalar.size ?? 4), scalar.name)
      const reader = scalar.name.replace('write', 'read')
      t.is(call(region, reader, ...args.slice(1)), value, reader)
    }
  }
})
