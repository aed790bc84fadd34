// What the system allows this process, and what it can do, against what the system itself says.

import { spawnSync } from 'node:child_process'
import { readFileSync, statfsSync } from 'node:fs'

import test from 'ava'
import { capabilities, limits, MmapFile } from 'memmap'

import { ending, runChild, WELL } from './helpers/child.ts'
import { fileWith } from './helpers/files.ts'
import { isLinux, isPosix } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'
import { countsCalls } from './helpers/waits.ts'

const onLinux = isLinux ? test.serial : test.serial.skip
const onPosix = isPosix ? test.serial : test.serial.skip

onPosix('the size of a page is what getconf says', (t) => {
  t.is(limits().pageSize, Number(spawnSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }).stdout))
})

test('all five are there, and numbers', (t) => {
  const found = limits()
  t.deepEqual(Object.keys(found).sort(), ['maps', 'maxMaps', 'pageSize', 'pinnable', 'sharedMemory'])
  for (const [name, value] of Object.entries(found)) {
    t.is(typeof value, 'number', name)
    t.false(Number.isNaN(value), name)
  }
  t.true(Number.isInteger(Math.log2(found.pageSize)))
})

const lines = () => readFileSync('/proc/self/maps', 'latin1').trimEnd().split('\n').length

onLinux('maps are the lines of /proc/self/maps, and most of them vm.max_map_count', (t) => {
  const before = lines()
  const { maps, maxMaps } = limits()
  const after = lines()
  // V8 maps memory of its own in between.
  t.true(maps >= Math.min(before, after) - 5 && maps <= Math.max(before, after) + 5, `${before} ${maps} ${after}`)
  t.is(maxMaps, Number(readFileSync('/proc/sys/vm/max_map_count', 'utf8')))
})

onLinux('maps go up with what is opened, and down again', (t) => {
  const path = fileWith(t, 'x')
  const before = limits().maps
  const regions = Array.from({ length: 500 }, () => MmapFile.open(path))
  const during = limits().maps
  t.true(during >= before + 450, `${before}, then ${during}`)
  for (const region of regions) region.close()
  t.true(limits().maps < before + 100)
})

onLinux('bytes left for shared memory are those of /dev/shm', (t) => {
  const { bavail, bsize } = statfsSync('/dev/shm')
  const off = Math.abs(limits().sharedMemory - bavail * bsize)
  // Others take and give some meanwhile.
  t.true(off < 512 * 2 ** 20, `${off} bytes`)
})

/** Root may pin what it likes, unless that is taken from it. */
const bound = process.getuid?.() === 0 ? ['setpriv', '--bounding-set', '-ipc_lock'] : []

for (const [limit, whom, under, pinnable] of [
  ['0', 'who is bound by it', bound, 0],
  ['65536', 'who is bound by it', bound, 65_536],
  ['unlimited', 'who is bound by it', bound, null],
  ['65536', 'this user', [], bound.length > 0 ? null : 65_536],
] as const) {
  const limited = ['prlimit', `--memlock=${limit}`, ...under]
  const [command = '', ...args] = [...limited, 'true']
  const canSet = isLinux && spawnSync(command, args).status === 0
  const whereSet = canSet ? test.serial : test.serial.skip
  whereSet(`pinnable under a limit of ${limit}, for ${whom} (skipped where it cannot be set)`, async (t) => {
    const result = await runChild('system/print-limits.mjs', [tmpFolder(t)], { under: limited })
    t.deepEqual(ending(result), WELL)
    // JSON has null for Infinity.
    t.like(JSON.parse(result.stdout), { pinnable })
  })
}

test('capabilities: each feature is native, emulated or absent', (t) => {
  const found = capabilities()
  for (const [feature, support] of Object.entries(found))
    t.true(['native', 'emulated', 'absent'].includes(support), feature)
  t.deepEqual(Object.keys(found).sort(), [
    'advise',
    'allocateOnExtend',
    'descriptorOfSharedMemory',
    'exactNamedLengths',
    'faultGuard',
    'fileLocks',
    'leaveOutOfCoreDumps',
    'lockWaits',
    'mapCount',
    'namedResize',
    'namedSharedMemory',
    'pin',
    'prefetch',
    'protect',
    'residency',
    'resizeMappedFile',
    'sealedSharedMemory',
    'sharedArrayBuffer',
    'wait',
    'waitAsync',
    'windowsOfReadRegions',
  ])
  t.deepEqual(capabilities(), found)
})

onLinux('on Linux all is native, but SharedArrayBuffer for older runtimes', (t) => {
  const { sharedArrayBuffer, prefetch, waitAsync, ...others } = capabilities()
  t.deepEqual([...new Set(Object.values(others))], ['native'])
  // By io_uring, which an older kernel has not, and a container's filter may forbid.
  t.true(waitAsync === 'native' || (!countsCalls && waitAsync === 'emulated'), waitAsync)
  t.not(prefetch, 'absent')
  t.true(sharedArrayBuffer === 'native' || sharedArrayBuffer === 'absent')
})
