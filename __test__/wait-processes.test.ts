// Waiting and calling between processes and workers: ours, and programs that know nothing of us but the system's futexes.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { MmapFile, SharedMemory } from 'memmap'
import type { Region } from 'memmap'

import { fileWith } from './helpers/files.ts'
import { eventually, soFar, spread } from './helpers/lockers.ts'
import { freeName, kept, shmPath } from './helpers/shared.ts'
import { hasPython, isLinux, isPosix } from './helpers/system.ts'
import { trials } from './helpers/trials.ts'
import { countsCalls, Partner } from './helpers/waits.ts'
import type { Shared } from './helpers/waits.ts'

const LENGTH = 65_536
const whereCallsCount = countsCalls ? test : test.skip
const withPython = isLinux && hasPython ? test : test.skip

interface Memory {
  readonly region: Region
  readonly shared: Shared
}

/** Each kind of memory that another process, or worker, can have too. */
const KINDS: Readonly<Record<string, (t: ExecutionContext) => Memory>> = {
  'named memory': (t) => {
    const name = freeName(t)
    const region = kept(t, SharedMemory.create(name, LENGTH))
    return { region, shared: { kind: 'name', where: name } }
  },
  'a file': (t) => {
    const path = fileWith(t, Buffer.alloc(LENGTH))
    const region = kept(t, MmapFile.open(path, { access: 'write' }))
    return { region, shared: { kind: 'file', where: path } }
  },
  ...(isPosix && {
    'memory without a name, by its descriptor': (t: ExecutionContext) => {
      const region = kept(t, SharedMemory.anonymous(LENGTH))
      return { region, shared: { kind: 'fd', where: region.fd ?? -1 } as const }
    },
  }),
}

/** Stores, then calls: what ends every wait, everywhere. */
function change(region: Region, offset: number, value: number): number {
  region.writeInt32LE(value, offset)
  return region.notify(offset)
}

async function bothWays(t: ExecutionContext, { region, shared }: Memory, how: 'process' | 'worker'): Promise<void> {
  const partner = new Partner(t, shared, how)
  for (const form of ['wait', 'waitAsync']) {
    const { done } = await partner.begin(form, 0, 0, { timeout: 30_000 })
    await sleep(60)
    t.is(await soFar(done, 20), 'pending', form)
    change(region, 0, 1)
    t.is(await done, 'ok', form)
    t.is(await partner.ask(form, 0, 0), 'not-equal', form)
    region.writeInt32LE(0, 0)
  }
  const wait = region.waitAsync(4096, 0)
  await partner.ask('store', 4096, 7)
  await partner.ask('notify', 4096)
  t.is(await wait, 'ok')
  // A call alone, of a word that stays as it is, while the other stands still.
  const { done } = await partner.begin('wait', 8, 0, { timeout: 30_000 })
  t.true(await eventually(() => region.notify(8, 1) === 1))
  t.is(await done, 'ok')
}

for (const [kind, make] of Object.entries(KINDS)) {
  test(`${kind}: another process waits, and calls`, async (t) => bothWays(t, make(t), 'process'))
}

test('a worker waits, and calls', async (t) => {
  const region = kept(t, SharedMemory.anonymous(LENGTH))
  await bothWays(t, { region, shared: { kind: 'handle', where: region.share() } }, 'worker')
})

test('a region that another process opened for reading hears, and calls', async (t) => {
  const path = fileWith(t, Buffer.alloc(LENGTH))
  const region = kept(t, MmapFile.open(path, { access: 'write' }))
  const partner = new Partner(t, { kind: 'file', where: path, access: 'read' })
  for (const form of ['wait', 'waitAsync']) {
    const { done } = await partner.begin(form, 8192, 0, { timeout: 30_000 })
    t.is(await soFar(done, 30), 'pending')
    change(region, 8192, 1)
    t.is(await done, 'ok')
    region.writeInt32LE(0, 8192)
  }
  const wait = region.waitAsync(0, 0)
  region.writeInt32LE(1, 0)
  await partner.ask('notify', 0)
  t.is(await wait, 'ok')
})

const FUTEX = `
import ctypes, mmap, sys
libc = ctypes.CDLL(None, use_errno=True)
SYS_futex = {'x86_64': 202, 'aarch64': 98}[__import__('platform').machine()]
class timespec(ctypes.Structure):
    _fields_ = [('sec', ctypes.c_long), ('nsec', ctypes.c_long)]
file = open(sys.argv[1], 'r+b')
memory = mmap.mmap(file.fileno(), 0)
def address(offset):
    return ctypes.addressof(ctypes.c_uint32.from_buffer(memory, offset))
def futex(operation, offset, value, seconds):
    time = timespec(seconds, 0)
    return libc.syscall(SYS_futex, ctypes.c_void_p(address(offset)), operation, value, ctypes.byref(time), None, 0)
print('ready', flush=True)
for line in sys.stdin:
    what, offset, value = line.split()
    if what == 'wait':
        print('waits', flush=True)
        print(futex(0, int(offset), int(value), 30), flush=True)
    else:
        print(futex(1, int(offset), int(value), 0), flush=True)
`

withPython("a program that knows the system's futexes waits and calls (Linux)", async (t) => {
  const name = freeName(t)
  const region = kept(t, SharedMemory.create(name, LENGTH))
  const python = spawn('python3', ['-c', FUTEX, shmPath(name)], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => void python.kill('SIGKILL'))
  const lines: string[] = []
  createInterface(python.stdout).on('line', (line) => lines.push(line))
  const said = (): Promise<boolean> => eventually(() => lines.length > 0)
  t.true(await said())
  t.is(lines.shift(), 'ready')
  python.stdin.write('wait 4096 0\n')
  t.true(await said())
  t.is(lines.shift(), 'waits')
  t.true(await eventually(() => region.notify(4096) === 1))
  t.true(await said())
  t.is(lines.shift(), '0', 'FUTEX_WAIT says that it was called')
  const wait = region.waitAsync(8, 0)
  region.writeInt32LE(1, 8)
  python.stdin.write('wake 8 100\n')
  t.is(await wait, 'ok')
})

whereCallsCount('1,000 waits of another process on one word are called in the numbers said (io_uring)', async (t) => {
  const { region, shared } = KINDS['named memory']?.(t) ?? t.fail()
  const partner = new Partner(t, shared)
  const { done } = await partner.begin('many', 1000, 0, 0)
  // Its thread hands them to the kernel behind its back.
  await sleep(300)
  t.is(region.notify(0, 10), 10)
  t.is(await soFar(done, 50), 'pending')
  t.is(region.notify(0), 990)
  t.is(await done, 1000)
  t.is(region.notify(0), 0)
})

test('1,000 waits of another process on 1,000 words are called each', async (t) => {
  const memory = KINDS['named memory']?.(t)
  if (memory === undefined) return t.fail()
  const partner = new Partner(t, memory.shared)
  const { done } = await partner.begin('many', 1000, 0, 4)
  for (let at = 999; at >= 0; at--) change(memory.region, 4 * at, 1)
  t.is(await done, 1000)
})

test('no turn is missed between two processes, standing still and not', async (t) => {
  const memory = KINDS['named memory']?.(t)
  if (memory === undefined) return t.fail()
  const { region, shared } = memory
  const partner = new Partner(t, shared)
  const rounds = trials(2000, 1_000_000)
  for (const [at, form] of ['echo', 'echoAsync'].entries()) {
    const [asks, answers] = [128 * at, 128 * at + 64]
    const { done } = await partner.begin(form, rounds, asks, answers)
    for (let round = 0; round < rounds; round++) {
      change(region, asks, round + 1)
      // By a wait that is called each time: nobody looks at the word again by himself.
      if (round % 2 === 0) {
        while (region.readInt32LE(answers) === round) region.wait(answers, round)
      } else {
        while (region.readInt32LE(answers) === round) await region.waitAsync(answers, round)
      }
    }
    await done
  }
  t.pass()
})

const median = (of: readonly number[]): number => of.toSorted((one, other) => one - other)[of.length >> 1] ?? Infinity

test('a worker that stands still in a wait is terminated as soon as one that does nothing, but for 100 ms', async (t) => {
  const region = kept(t, SharedMemory.anonymous(LENGTH))
  const times: Record<'waits' | 'idle', number[]> = { waits: [], idle: [] }
  for (let round = 0; round < trials(5, 100); round++) {
    for (const how of ['waits', 'idle'] as const) {
      const partner = new Partner(t, { kind: 'handle', where: region.share() }, 'worker')
      const { done } = how === 'waits' ? await partner.begin('wait', 0, 0) : await partner.begin('notify', 4)
      await sleep(20)
      const begun = performance.now()
      await partner.worker?.terminate()
      times[how].push(performance.now() - begun)
      t.is(await done, how === 'waits' ? 'gone' : 0)
    }
  }
  for (const [how, milliseconds] of Object.entries(times)) t.log(`${how}: ${spread(milliseconds)}`)
  // The machine may be busy, for either of them.
  t.true(median(times.waits) - median(times.idle) < 100)
  t.is(region.notify(0), 0)
})

const ENDS: Readonly<Record<string, (partner: Partner) => unknown>> = {
  terminate: async (partner) => {
    await partner.begin('leaves')
    await partner.worker?.terminate()
  },
  'process.exit': (partner) => partner.begin('leaves', 'exit'),
  'an error that nobody catches': (partner) => partner.begin('leaves', 'throw'),
}

for (const [how, end] of Object.entries(ENDS)) {
  test(`a worker that ends with a wait under way leaves none behind: ${how}`, async (t) => {
    const region = kept(t, SharedMemory.anonymous(LENGTH))
    const mine = region.waitAsync(64, 0)
    for (let round = 0; round < trials(5, 200); round++) {
      const partner = new Partner(t, { kind: 'handle', where: region.share() }, 'worker')
      // Not by `once`, which an error ends.
      const gone = new Promise((resolve) => partner.worker?.on('exit', resolve))
      await end(partner)
      await gone
      if (countsCalls) t.true(await eventually(() => region.notify(0) === 0))
    }
    change(region, 64, 1)
    t.is(await mine, 'ok', 'and the waits of others go on')
  })
}

test('a process that is killed in a wait leaves the others their calls', async (t) => {
  const { region, shared } = KINDS['a file']?.(t) ?? { region: undefined, shared: undefined }
  if (region === undefined || shared === undefined) return t.fail()
  const [killed, other] = [new Partner(t, shared), new Partner(t, shared)]
  await killed.begin('wait', 0, 0)
  await killed.child?.kill('SIGKILL')
  const { done } = await other.begin('wait', 0, 0, { timeout: 60_000 })
  await soFar(done, 50)
  change(region, 0, 1)
  t.is(await done, 'ok')
})
