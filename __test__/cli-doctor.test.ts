// memmap doctor: what it makes of what the system says, and that it says what the system says.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

import test from 'ava'
import { capabilities, limits } from 'memmap'

import { findings } from '../lib/cli/findings.ts'
import type { Facts } from '../lib/cli/findings.ts'
import { COMMAND, complains, hasTerminal, inTerminal, memmap, onScreen, plain, rowsOf } from './helpers/command.ts'
import { isLinux, isPosix } from './helpers/system.ts'

const onLinux = isLinux ? test.serial : test.serial.skip
const onTerminal = hasTerminal ? test.serial : test.serial.skip
const withLimits = isLinux && spawnSync('prlimit', ['--version']).status === 0 ? test.serial : test.serial.skip

interface Row {
  readonly check: string
  readonly state: 'ok' | 'note' | 'warning'
  readonly value: string
  readonly advice: string | null
  readonly command: string | null
}

const GIB = 2 ** 30

/** A system where all is well. */
const WELL: Readonly<Record<string, string>> = {
  addressSpaceLimit: 'unlimited',
  dataLimit: 'unlimited',
  pinLimit: 'unlimited',
  descriptorLimit: '1048576',
  kernel: '6.12.0',
  overcommit: '0',
  ioUringDisabled: '0',
  ioUring: 'true',
  hugePages: 'madvise',
  sharedHugePages: 'advise',
  memory: String(16 * GIB),
  memoryAvailable: String(8 * GIB),
  commitLimit: String(8 * GIB),
  committed: String(7 * GIB),
  hugePagesReserved: '0',
  hugePageSize: String(2 ** 21),
  sharedMemorySize: String(8 * GIB),
  sharedMemoryLeft: String(7 * GIB),
}

interface Changed {
  readonly settings?: Readonly<Record<string, string>>
  readonly limits?: Partial<Facts['limits']>
  readonly capabilities?: Readonly<Record<string, string>>
  readonly environment?: Readonly<Record<string, string>>
}

function made(changed: Changed = {}): ReturnType<typeof findings> {
  const native = { namedSharedMemory: 'native', faultGuard: 'native', sharedArrayBuffer: 'native', waitAsync: 'native' }
  return findings({
    settings: new Map(Object.entries({ ...WELL, ...changed.settings })),
    limits: { maps: 100, maxMaps: 1_048_576, pinnable: Infinity, ...changed.limits },
    capabilities: { ...native, ...changed.capabilities },
    environment: changed.environment ?? {},
  })
}

test('where all is well, all is well', (t) => {
  t.deepEqual(made().filter(({ state }) => state !== 'ok'), []) // prettier-ignore
  t.true(made().length >= 13)
})

const CASES: readonly (readonly [
  what: string,
  changed: Changed,
  check: string,
  state: string,
  says: RegExp,
  does: RegExp,
])[] = [
  ['few maps', { limits: { maxMaps: 1000 } }, 'maps', 'warning', /^1,000 a process/, /vm\.max_map_count=1048576/],
  ['the usual number of maps', { limits: { maxMaps: 65_530 } }, 'maps', 'note', /^65,530/, /vm\.max_map_count/],
  [
    'ulimit -v',
    { settings: { addressSpaceLimit: String(4 * GIB) } },
    'addresses',
    'warning',
    /^4\.0 GiB$/,
    /^ulimit -v/,
  ],
  ['ulimit -d', { settings: { dataLimit: String(GIB) } }, 'private memory', 'warning', /^1\.0 GiB$/, /^ulimit -d/],
  [
    'no overcommit',
    { settings: { overcommit: '2' } },
    'overcommit',
    'warning',
    /1 GiB left/,
    /vm\.overcommit_memory=0/,
  ],
  ['few files', { settings: { descriptorLimit: '256' } }, 'open files', 'warning', /^256$/, /^ulimit -n/],
  ['the usual files', { settings: { descriptorLimit: '1024' } }, 'open files', 'note', /^1,024$/, /^ulimit -n/],
  [
    'a container',
    { settings: { groupMemory: String(GIB), groupMemoryUsed: '1048576' } },
    'container',
    'note',
    /^1\.0 MiB of 1\.0 GiB/,
    /^$/,
  ],
  [
    'no huge pages',
    { settings: { hugePages: 'never' } },
    'huge pages',
    'note',
    /^never$/,
    /transparent_hugepage\/enabled/,
  ],
  [
    'no shared ones',
    { settings: { sharedHugePages: 'deny' } },
    'huge pages, shared',
    'note',
    /^deny$/,
    /shmem_enabled/,
  ],
  [
    'reserved ones',
    { settings: { hugePagesReserved: '1024' } },
    'huge pages, reserved',
    'note',
    /^1,024 of 2\.0 MiB/,
    /nr_hugepages=0/,
  ],
  ['some to pin', { limits: { pinnable: 8 * 2 ** 20 } }, 'pinned memory', 'note', /^8\.0 MiB left$/, /ulimit -l/],
  ['nothing to pin', { limits: { pinnable: 0 } }, 'pinned memory', 'warning', /^0 bytes left$/, /ulimit -l/],
  [
    'small shared memory',
    { settings: { sharedMemorySize: String(2 ** 26), sharedMemoryLeft: String(2 ** 26) } },
    'shared memory',
    'note',
    /^64\.0 MiB of/,
    /remount,size=2G/,
  ],
  [
    'full shared memory',
    { settings: { sharedMemoryLeft: '4096' } },
    'shared memory',
    'warning',
    /^4\.0 KiB of/,
    /remount/,
  ],
  [
    'no shared memory',
    { capabilities: { namedSharedMemory: 'absent' } },
    'shared memory',
    'warning',
    /^none$/,
    /mount -t tmpfs/,
  ],
  [
    'io_uring disabled',
    { settings: { ioUring: 'false', ioUringDisabled: '2' } },
    'waits',
    'note',
    /disabled \(2\)/,
    /io_uring_disabled=0/,
  ],
  ['no io_uring', { settings: { ioUring: 'false', kernel: '5.4.0' } }, 'waits', 'note', /kernel 5\.4\.0/, /^$/],
  ['another way of waiting', { environment: { MEMMAP_WAITER: 'looking' } }, 'waits', 'note', /=looking$/, /^unset/],
  ['no guard', { environment: { MEMMAP_GUARD: 'off' } }, 'fault guard', 'warning', /=off$/, /^unset MEMMAP_GUARD$/],
]

for (const [what, changed, check, state, says, does] of CASES) {
  test(`${what}: ${state}, with what to do`, (t) => {
    const unwell = made(changed).filter((finding) => finding.state !== 'ok')
    t.deepEqual(unwell.map((finding) => [finding.check, finding.state]), [[check, state]]) // prettier-ignore
    t.regex(unwell[0]?.value ?? '', says)
    t.regex(unwell[0]?.command ?? '', does)
    t.true((unwell[0]?.advice ?? '').length > 20)
  })
}

test('what a system does not have is not spoken of', (t) => {
  const few = findings({
    settings: new Map(),
    limits: { maps: 0, maxMaps: Infinity, pinnable: 0 },
    capabilities: { faultGuard: 'emulated', windowsOfReadRegions: 'absent', sharedArrayBuffer: 'absent' },
    environment: {},
  })
  t.deepEqual(few.map(({ check }) => check), ['waits', 'fault guard', 'windows', 'SharedArrayBuffer']) // prettier-ignore
})

test.serial('--json: an object a line, and the capabilities; 1 with a warning, 0 without', async (t) => {
  const { code, rows, stderr } = await rowsOf<Row | { capabilities: unknown }>('doctor')
  t.is(stderr, '')
  const last = rows.pop()
  t.deepEqual(last, { capabilities: capabilities() })
  const found = rows as Row[]
  t.true(
    found.every(({ check, state, value }) => check !== '' && value !== '' && ['ok', 'note', 'warning'].includes(state)),
  )
  t.true(found.every(({ state, advice }) => state === 'ok' || advice !== null))
  t.is(code, found.some(({ state }) => state === 'warning') ? 1 : 0)
})

onLinux('it says what the system says', async (t) => {
  const { rows } = await rowsOf<Row>('doctor')
  const value = (check: string) => rows.find((row) => row.check === check)?.value ?? ''
  t.true(value('maps').startsWith(`${limits().maxMaps.toLocaleString('en')} a process`))
  t.is(value('overcommit')[0], readFileSync('/proc/sys/vm/overcommit_memory', 'utf8').trim())
  const huge = '/sys/kernel/mm/transparent_hugepage/enabled'
  if (existsSync(huge)) t.true(readFileSync(huge, 'utf8').includes(`[${value('huge pages')}]`))
  const kib = Number(/^MemTotal: +(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1])
  t.true(value('memory').startsWith(`${(kib / 2 ** 20).toFixed(1)} GiB`) || kib < 2 ** 20)
})

withLimits('limits of the process are seen, and warned of with 1 (skipped without prlimit)', (t) => {
  // Node takes 30 GiB of addresses for itself before anything is mapped.
  const limited = ['--as=500000000000', '--data=40000000000', '--nofile=512', '--memlock=4096']
  const { status, stdout } = spawnSync('prlimit', [...limited, process.execPath, COMMAND, 'doctor', '-q', '--json'], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: undefined },
  })
  t.is(status, 1)
  const rows = stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Row) // prettier-ignore
  const found = new Map(rows.map(({ check, value }) => [check, value]))
  t.is(found.get('addresses'), '465.7 GiB')
  t.is(found.get('private memory'), '37.3 GiB')
  t.is(found.get('open files'), '512')
  // CAP_IPC_LOCK, which root has mostly, takes that limit away.
  const set = Number.parseInt(/^CapEff:\s+(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '', 16)
  t.is(found.get('pinned memory'), Math.floor(set / 2 ** 14) % 2 === 1 ? undefined : '4.0 KiB left')
  t.true(rows.every(({ state }) => state === 'warning'))
})

test.serial('in a pipe it is plain; -q says warnings only', async (t) => {
  const { stdout, stderr, code } = await memmap('doctor')
  const text = stdout.toString()
  t.is(stderr, '')
  t.true(code === 0 || code === 1)
  t.regex(text, /^memmap \d+\.\d+\.\d+, \w+-\w+(, kernel \S+)?, Node v\d+/)
  t.regex(text, isPosix ? /\nok {7}fault guard {11}on\n/ : /\nnote {5}fault guard {11}emulated\n/)
  t.false(text.includes('\x1b'))
  t.true(text.split('\n').every((line) => line.length <= 160)) // prettier-ignore
  const quiet = await memmap('doctor', '-q')
  t.is(quiet.stdout.toString().includes('warning'), code === 1)
  t.false(/^(ok|note) /m.test(quiet.stdout.toString()))
  t.is(quiet.code, code)
  complains(t, await memmap('doctor', 'me'), /^memmap: doctor takes no arguments/)
})

onTerminal('on a terminal states have colours; NO_COLOR takes them (skipped without python3)', async (t) => {
  const { shown } = await onScreen('doctor')
  t.true(shown.includes('\x1b[32mok'), shown)
  t.regex(plain(shown), /\nok {7}fault guard {11}on\n/)
  const bare = await inTerminal({ NO_COLOR: '1', MEMMAP_GUARD: 'off' }, '-', '', 'doctor')
  t.false(bare.shown.includes('\x1b['))
  t.regex(plain(bare.shown), /\nwarning {2}fault guard {11}MEMMAP_GUARD=off\n/)
  t.is(bare.code, 1)
})

test.serial('every command of the seven tells of itself, and of its exit codes', async (t) => {
  const { stdout, code } = await memmap('--help')
  const all = stdout.toString()
  t.is(code, 0)
  for (const name of ['count', 'find', 'residency', 'maps', 'shm', 'locks', 'doctor']) {
    t.regex(all, new RegExp(`\n  ${name} +\\S`))
    const help = await memmap(name, '--help')
    t.deepEqual([help.code, help.stderr], [0, ''])
    const text = help.stdout.toString()
    t.true(text.startsWith(`usage: memmap ${name} `), name)
    t.regex(text, /\nExit code: 0 .*, 1 .*, 2 trouble/)
    t.regex(text, /--json/)
    t.true(text.split('\n').every((line) => line.length <= 120), name) // prettier-ignore
  }
  t.true(isPosix || all.includes('residency'))
})
