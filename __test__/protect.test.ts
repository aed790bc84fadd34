// What the pages of a region allow, by a new mapping each time.

import { readFileSync } from 'node:fs'

import test from 'ava'
import * as fc from 'fast-check'
import type { Region } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { codeOf, fileWith, opened, thrownBy } from './helpers/files.ts'
import { isPrivate, isReadOnly, kinds, made, pattern, protectionsOf } from './helpers/kinds.ts'
import type { Kind } from './helpers/kinds.ts'
import { holds } from './helpers/random.ts'
import { isLinux, isPosix } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'

const LENGTH = 20_000
const BYTES = pattern(LENGTH)
const onLinux = isLinux ? test : test.skip
const onWindows = isPosix ? test.skip : test
const HOOKS = process.env['MEMMAP_TEST_HOOKS']
const withHooks = HOOKS !== undefined && isLinux && ['x64', 'arm64'].includes(process.arch) ? test : test.skip

const PROTECTIONS = ['none', 'read', 'write', 'execute'] as const

const MUTATORS: readonly ((region: Region) => unknown)[] = [
  (region) => region.set('x'),
  (region) => region.fill(0),
  (region) => region.move(0, 1, 1),
  (region) => region.writeUInt8(1, 0),
  (region) => region.writeDoubleBE(1, 8),
  (region) => region.writeBigInt64LE(1n, 0),
  (region) => region.writeIntLE(1, 0, 3),
  (region) => region.cursor().write('x'),
  (region) => region.cursor().writeByte(1),
  (region) => region.resize(5),
]

const READERS: readonly ((region: Region) => unknown)[] = [
  (region) => region.at(0),
  (region) => region.slice(),
  (region) => region.equals('x'),
  (region) => region.equals(BYTES),
  (region) => region.equals(region),
  (region) => region.indexOf('x'),
  (region) => region.lastIndexOf('x'),
  (region) => region.includes('x'),
  (region) => region.count('x'),
  (region) => [...region.indexesOf('x')],
  (region) => [...region.lines()],
  (region) => [...region.lines({ encoding: 'latin1' })],
  (region) => region.toString(),
  (region) => [...region],
  (region) => region.cursor().read(),
  (region) => region.cursor().readByte(),
  (region) => region.cursor().readLine(),
  (region) => region.readUInt8(0),
  (region) => region.readDoubleLE(8),
  (region) => region.readBigUInt64BE(0),
  (region) => region.readUIntLE(0, 5),
  (region) => region.pin(),
]

const WINDOWS: readonly ((region: Region) => unknown)[] = [
  (region) => region.subarray(0, 1),
  (region) => region.view(Uint8Array),
  (region) => [...region.windows(100)],
]

for (const kind of kinds()) {
  test(`${kind}: mutators, readers and windows under each protection; the content stays, old views die`, async (t) => {
    const { region, path } = made(t, kind, BYTES)
    const before = path === undefined ? undefined : readFileSync(path)
    const walk = ['none', 'read', 'none', 'execute', 'read', 'execute', 'none'] as const
    for (const protection of walk.filter((one) => protectionsOf(kind).includes(one))) {
      for (let scalar = 0; scalar < 50; scalar++) codeOf(() => region.readUInt8(scalar))
      const hadWindows = codeOf(() => region.subarray()) === undefined
      const old = hadWindows ? region.subarray() : Buffer.alloc(0)
      region.protect(protection)
      t.is(old.length, 0)
      t.is(region.byteLength, LENGTH)
      for (const mutate of MUTATORS) {
        t.is(
          codeOf(() => mutate(region)),
          'ERR_REGION_READONLY',
          `${protection}: ${mutate.toString()}`,
        )
      }
      if (protection === 'none') {
        for (const read of READERS) {
          t.is(
            codeOf(() => read(region)),
            'ERR_INVALID_STATE',
            read.toString(),
          )
        }
        await t.throwsAsync(region.prefetch(), { code: 'ERR_INVALID_STATE' })
      } else {
        t.true(region.equals(BYTES))
        for (let scalar = 0; scalar < 50; scalar++)
          t.is(region.readUInt8(LENGTH - 1 - scalar), BYTES.readUInt8(LENGTH - 1 - scalar))
      }
      for (const window of WINDOWS) {
        const code = codeOf(() => window(region))
        // A store through a window of private pages would change them: there is none.
        if (protection !== 'read' || isPrivate(kind))
          t.is(code, 'ERR_ZERO_COPY_UNAVAILABLE', `${protection}: ${window.toString()}`)
        else if (isLinux) t.is(code, undefined, window.toString())
      }
      await region.flush()
      region.flushSync({ wait: false })
      t.false(region.refresh())
    }
    if (isReadOnly(kind)) {
      t.is(
        codeOf(() => region.protect('write')),
        'ERR_REGION_READONLY',
      )
      region.protect('read')
      t.true(region.equals(BYTES))
    } else {
      region.protect('write')
      t.true(region.equals(BYTES))
      region.set('new')
      t.is(region.toString('latin1', 0, 3), 'new')
      t.is(region.subarray(0, 3).toString(), 'new')
    }
    if (path !== undefined && before !== undefined) {
      const reaches = region.access === 'write'
      t.is(readFileSync(path).equals(before), !reaches)
    }
    region.close()
    for (const protection of PROTECTIONS) {
      t.regex(String(codeOf(() => region.protect(protection))), /^ERR_REGION_CLOSED$/)
    }
  })
}

const WRITABLE: readonly Kind[] = [
  'a file',
  "a file, 'copy'",
  "a file, 'copy', from an unaligned offset on",
  'a part of a file from an unaligned offset on',
  'named memory',
  'growable anonymous memory',
  'sealed anonymous memory',
  'private memory',
]
for (const kind of WRITABLE.filter((one) => kinds().includes(one))) {
  test(`${kind}: random protections with writes in between: the bytes are always those last written`, (t) => {
    const step = fc.record({
      protection: fc.constantFrom(...protectionsOf(kind)),
      at: fc.nat(LENGTH - 60),
      bytes: fc.uint8Array({ maxLength: 60 }),
      byWindow: fc.boolean(),
    })
    holds(
      t,
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const { region } = made(t, kind, BYTES)
        const model = Buffer.from(BYTES)
        for (const { protection, at, bytes, byWindow } of steps) {
          region.protect(protection)
          if (protection === 'write') {
            if (byWindow) region.subarray(at, at + bytes.length).set(bytes)
            else region.set(bytes, at)
            model.set(bytes, at)
          } else if (codeOf(() => region.set(bytes, at)) !== 'ERR_REGION_READONLY') return false
          if (protection !== 'none' && !region.equals(model)) return false
        }
        region.protect('write')
        const fine = region.equals(model)
        region.close()
        return fine
      }),
      40,
    )
    t.pass()
  })
}

for (const kind of [
  'a file',
  'a file from an unaligned offset on',
  'named memory',
  'sealed anonymous memory',
] as const) {
  onLinux(
    `${kind}: a stray store through a view of what is protected 'read' reaches nobody, also not afterwards`,
    (t) => {
      const { region, path, offset } = made(t, kind, BYTES)
      for (const next of ['write', 'execute', 'none', 'read', 'write'] as const) {
        region.protect('read')
        region.subarray()[5] = 0
        if (path !== undefined) t.true(readFileSync(path).subarray(offset).equals(BYTES))
        region.protect(next)
        if (next !== 'none') t.true(region.equals(BYTES), next)
        if (path !== undefined) t.true(readFileSync(path).subarray(offset).equals(BYTES), next)
      }
    },
  )
}

test("what others write is seen under 'read' and 'execute'", (t) => {
  const path = fileWith(t, BYTES)
  const [one, two] = [opened(t, path, { access: 'write' }), opened(t, path, { access: 'write' })]
  for (const [value, protection] of [
    [1, 'read'],
    [2, 'execute'],
  ] as const) {
    if (!protectionsOf('a file').includes(protection)) continue
    one.protect(protection)
    two.writeUInt8(value, 100)
    t.is(one.readUInt8(100), value, protection)
  }
})

onWindows("'execute' is refused where the memory was not made for it, with why, and nothing changes", (t) => {
  const { region } = made(t, 'named memory', BYTES)
  const window = region.subarray()
  const error = thrownBy(() => region.protect('execute'))
  t.is(error?.code, 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM')
  t.regex(error?.message ?? '', /PrivateMemory/)
  t.true(BYTES.equals(window))
})

test("'write' is refused for access 'read' with what to do, and nothing changes", (t) => {
  const region = opened(t, fileWith(t, BYTES))
  const window = isLinux ? region.subarray() : region.slice()
  const error = thrownBy(() => region.protect('write'))
  t.is(error?.code, 'ERR_REGION_READONLY')
  t.regex(error?.message ?? '', /access 'read'/)
  t.is(window.length, LENGTH)
})

test('without a kept descriptor a shared map stays as it is: ERR_INVALID_STATE', (t) => {
  const region = opened(t, fileWith(t, BYTES), { access: 'write', keepOpen: false })
  const window = region.subarray()
  t.is(
    codeOf(() => region.protect('read')),
    'ERR_INVALID_STATE',
  )
  t.is(window.length, LENGTH)
  region.set('still writable')
})

test('an empty region takes every protection', (t) => {
  const region = opened(t, fileWith(t, ''), { access: 'write' })
  for (const protection of PROTECTIONS) region.protect(protection)
  t.is(region.byteLength, 0)
})

onLinux('no page of ours is ever writable and executable, and each protection is what the system says', async (t) => {
  const result = await runChild('system/protections.mjs', [tmpFolder(t)], {
    // Without machine code of V8's own, of which Node 24 takes WebAssembly's out along with the rest.
    nodeArgs: Number.parseInt(process.versions.node) < 24 ? ['--jitless', '--no-expose-wasm'] : ['--jitless'],
  })
  t.deepEqual(ending(result), WELL)
  t.log(result.stdout.trim())
})

withHooks('machine code in a region runs, from every kind (skipped without the test addon)', async (t) => {
  const result = await runChild('system/execute.mjs', [tmpFolder(t)], {
    env: { MEMMAP_ADDON: HOOKS },
  })
  t.deepEqual(ending(result), WELL)
  t.log(result.stdout.trim())
})
