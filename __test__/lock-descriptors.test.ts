// Locks of what a caller has open: the caller's descriptor is his, what he may not do we do not either, and what cannot be
// locked is refused, with nothing locked and nothing left open.

import { execFileSync, spawn } from 'node:child_process'
import type { StdioOptions } from 'node:child_process'
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, statSync, unlinkSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname } from 'node:path'

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { FileLock, SharedMemory } from 'memmap'
import type { LockOptions } from 'memmap'

import { ending, WELL } from './helpers/child.ts'
import type { ChildResult } from './helpers/child.ts'
import { codeOf, fileWith, opened, thrownBy } from './helpers/files.ts'
import { free, held, listsLocks, LockProcess, lockProgram, locksOf, outcome, soFar } from './helpers/lockers.ts'
import { canBeNobody, isLinux, isPosix } from './helpers/system.ts'
import { tmpFile, tmpFolder } from './helpers/tmp.ts'

const onPosix = isPosix ? test : test.skip
const onLinux = isLinux ? test : test.skip
/** Counts the descriptors of this process: nobody else may open any meanwhile. */
const onLinuxAlone = isLinux ? test.serial : test.serial.skip

const KINDS = ['range', 'file'] as const
const MODES = ['shared', 'exclusive'] as const

/** As openSync; closed when the test ends. */
function descriptorOf(t: ExecutionContext, path: string, flags: string | number, mode?: number): number {
  const descriptor = openSync(path, flags, mode)
  t.teardown(() => closeSync(descriptor))
  return descriptor
}

/** Each descriptor of this process, and what it may do: `O_RDONLY`, `O_WRONLY` or `O_RDWR` of which file. */
function accesses(): Map<string, string> {
  const found = new Map<string, string>()
  for (const descriptor of readdirSync('/proc/self/fd')) {
    try {
      const { dev, ino } = fstatSync(Number(descriptor))
      const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1]
      const access = ['O_RDONLY', 'O_WRONLY', 'O_RDWR'][Number.parseInt(flags ?? '', 8) & 3]
      found.set(descriptor, `${access} ${dev}:${ino}`)
    } catch {
      // The one that read the list.
    }
  }
  return found
}

test('a lock by descriptor outlives the closing of it, and of the FileHandle', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  for (const kind of KINDS) {
    const descriptor = openSync(path, 'r+')
    const lock = held(t, FileLock.tryAcquire(descriptor, { kind }))
    closeSync(descriptor)
    t.false(await other.canHave(path, { kind, mode: 'shared' }))
    t.false(free(path, { kind, mode: 'shared' }))
    // Whatever has that number now is not touched.
    const next = openSync(fileWith(t, 'another'), 'r+')
    lock.downgrade()
    lock.release()
    fstatSync(next)
    closeSync(next)
    t.true(await other.canHave(path, { kind }))
    const handle = await open(path, 'r+')
    const second = held(t, await FileLock.acquire(handle, { kind }))
    await handle.close()
    t.false(await other.canHave(path, { kind, mode: 'shared' }))
    second.release()
    t.true(await other.canHave(path, { kind }))
  }
})

test('a wait by descriptor goes on when it is closed', async (t) => {
  const path = fileWith(t, 'content')
  const other = new LockProcess(t)
  for (const kind of KINDS) {
    const id = await other.holds(path, { kind })
    const descriptor = openSync(path, 'r+')
    const waiting = FileLock.acquire(descriptor, { kind })
    closeSync(descriptor)
    t.is(await soFar(waiting), 'pending')
    await other.releases(id)
    const lock = held(t, await waiting)
    t.false(await other.canHave(path, { kind }))
    lock.release()
  }
})

test('releasing a lock leaves the descriptor as it was: open, and where it stood', async (t) => {
  const path = fileWith(t, 'content')
  const handle = await open(path, 'r+')
  t.teardown(() => void handle.close())
  await handle.read(Buffer.alloc(3), 0, 3)
  const lock = held(t, await FileLock.acquire(handle))
  lock.release()
  t.is(await handle.readFile('utf8'), 'tent')
})

test('locks of one descriptor exclude each other, and shared ones stay when others of them go', async (t) => {
  const path = fileWith(t, Buffer.alloc(100))
  const descriptor = descriptorOf(t, path, 'r+')
  const other = new LockProcess(t)
  const first = held(t, FileLock.tryAcquire(descriptor, { mode: 'shared', start: 0, end: 10 }))
  const second = held(t, FileLock.tryAcquire(descriptor, { mode: 'shared', start: 5, end: 15 }))
  t.is(FileLock.tryAcquire(descriptor, { start: 9, end: 10 }), null)
  first.release()
  t.false(await other.canHave(path, { start: 5, end: 6 }))
  t.true(await other.canHave(path, { start: 0, end: 5 }))
  second.release()
  t.true(await other.canHave(path))
})

/** A file without a name, or with one that means another by now, by a descriptor that may do so much. */
const NAMELESS: Readonly<Record<string, (t: ExecutionContext) => number>> = {
  'a deleted file': (t) => {
    const path = fileWith(t, 'content')
    const descriptor = descriptorOf(t, path, 'r+')
    unlinkSync(path)
    return descriptor
  },
  'an unnamed file': (t) =>
    // O_TMPFILE, which Node has no name for.
    descriptorOf(t, tmpFolder(t), constants.O_RDWR | constants.O_DIRECTORY | 0o20000000, 0o600),
  'a memfd': (t) => {
    const memory = SharedMemory.anonymous(4096)
    t.teardown(() => memory.close())
    return memory.fd ?? -1
  },
  'shared memory': (t) => {
    const path = `/dev/shm/memmap-lock-${process.pid}`
    const descriptor = descriptorOf(t, path, 'w+', 0o600)
    t.teardown(() => unlinkSync(path))
    return descriptor
  },
}

for (const [what, make] of Object.entries(NAMELESS)) {
  onLinux(
    `${what} is locked by its descriptor, and what is asked of it again waits (skipped but on Linux)`,
    async (t) => {
      const descriptor = make(t)
      for (const kind of KINDS) {
        const lock = held(t, FileLock.tryAcquire(descriptor, { kind }))
        if (listsLocks) t.is(locksOf(descriptor).length, 1)
        t.false(lock.replaced)
        t.false(free(descriptor, { kind, mode: 'shared' }))
        t.is(await outcome(FileLock.acquire(descriptor, { kind, timeout: 10 })), 'ERR_LOCK_TIMEOUT')
        const waiting = FileLock.acquire(descriptor, { kind, mode: 'shared' })
        t.is(await soFar(waiting, 10), 'pending')
        lock.downgrade()
        const second = held(t, await waiting)
        lock.release()
        t.false(free(descriptor, { kind }))
        second.release()
        t.true(free(descriptor, { kind }))
        if (listsLocks) t.deepEqual(locksOf(descriptor), [])
      }
    },
  )
}

onLinux('another process excludes us from a file without a name that both have (skipped but on Linux)', async (t) => {
  const descriptor = NAMELESS['a deleted file']?.(t) ?? -1
  const theirs = await runWith([descriptor], 'borrowed.mjs', ['reopens'])
  t.deepEqual(ending(theirs), WELL)
})

onLinuxAlone('for a lock no file is opened with more access than the caller has (skipped but on Linux)', async (t) => {
  const path = fileWith(t, 'content')
  for (const [flags, access, modes] of [
    ['r', 'O_RDONLY', ['shared']],
    ['r+', 'O_RDWR', MODES],
    [constants.O_WRONLY, 'O_WRONLY', ['exclusive']],
    ['a', 'O_WRONLY', ['exclusive']],
  ] as const) {
    const descriptor = openSync(path, flags)
    for (const kind of KINDS) {
      for (const mode of kind === 'file' ? MODES : modes) {
        for (const acquire of [
          () => FileLock.tryAcquire(descriptor, { kind, mode }),
          () => FileLock.acquire(descriptor, { kind, mode }),
        ]) {
          const before = accesses()
          const lock = held(t, await acquire())
          const more = [...accesses()].filter(([number]) => !before.has(number)).map(([, what]) => what)
          const { dev, ino } = statSync(path)
          t.deepEqual(more, [`${access} ${dev}:${ino}`], `${access}, ${kind}, ${mode}`)
          lock.release()
          t.deepEqual(accesses(), before)
        }
      }
    }
    closeSync(descriptor)
  }
  // A region that is read only never asks for more either.
  const region = opened(t, path)
  for (const work of [() => region.tryLock({ mode: 'shared' }), () => region.tryLock({ kind: 'file' })]) {
    const lock = held(t, work())
    t.false([...accesses().values()].some((what) => what === `O_RDWR ${statSync(path).dev}:${statSync(path).ino}`))
    lock.release()
  }
})

/** Runs a program of fixtures/locks that gets descriptors from 3 on; as another user, if so told. */
function runWith(
  descriptors: readonly number[],
  name: string,
  args: readonly string[] = [],
  under: readonly string[] = [],
): Promise<ChildResult> {
  const [command = '', ...rest] = [...under, process.execPath, lockProgram(name), ...args]
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', ...descriptors]
  return new Promise((resolve, reject) => {
    const child = spawn(command, rest, { env: { ...process.env, NODE_OPTIONS: undefined }, stdio, timeout: 60_000 })
    let [stdout, stderr] = ['', '']
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}

const AS_NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
const asAnother = isLinux && canBeNobody && hasSetpriv() ? test : test.skip

function hasSetpriv(): boolean {
  try {
    execFileSync(AS_NOBODY[0] ?? '', [...AS_NOBODY.slice(1), 'true'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

asAnother(
  "a file of another user's that may not be opened again is locked by the descriptor one has (skipped but as root on Linux)",
  async (t) => {
    const path = fileWith(t, Buffer.alloc(100))
    execFileSync('chmod', ['600', path])
    for (const [flags, access] of [
      ['r+', 'O_RDWR'],
      ['r', 'O_RDONLY'],
      [constants.O_WRONLY, 'O_WRONLY'],
    ] as const) {
      const descriptor = descriptorOf(t, path, flags)
      const child = await runWith([descriptor], 'borrowed.mjs', ['borrows', access], AS_NOBODY)
      t.deepEqual(ending(child), WELL, access)
      if (listsLocks)
        t.deepEqual(locksOf(path), [], 'the descriptor is shared with us: what was locked by it is released')
    }
  },
)

asAnother(
  'shared locks by two descriptors that cannot be opened again are both given back (skipped but as root on Linux)',
  async (t) => {
    const path = fileWith(t, Buffer.alloc(100))
    execFileSync('chmod', ['600', path])
    const descriptors = [descriptorOf(t, path, 'r+'), descriptorOf(t, path, 'r+')]
    const child = await runWith(descriptors, 'borrowed.mjs', ['borrows-two'], AS_NOBODY)
    t.deepEqual(ending(child), WELL)
    if (listsLocks) t.deepEqual(locksOf(path), [])
    t.true(free(path))
  },
)

asAnother(
  'a lock by a descriptor that others have, too, ends with the process, also unreleased (skipped but as root on Linux)',
  async (t) => {
    const path = fileWith(t, Buffer.alloc(100))
    execFileSync('chmod', ['600', path])
    const descriptor = descriptorOf(t, path, 'r+')
    for (const how of ['exits', 'ends', 'fails', 'ends-in-worker']) {
      const child = await runWith([descriptor], 'borrowed.mjs', ['keeps', how], AS_NOBODY)
      t.deepEqual([child.code, child.signal], [how === 'fails' ? 1 : 0, null], child.stderr)
      t.is(child.stdout, 'locked\n')
      if (listsLocks) t.deepEqual(locksOf(path), [], how)
      t.true(free(path), how)
    }
  },
)

asAnother(
  'what a user may not open he does not lock by its path: EACCES, and no file is made (skipped but as root on Linux)',
  async (t) => {
    const path = fileWith(t, 'content')
    execFileSync('chmod', ['600', path])
    execFileSync('chmod', ['755', dirname(path)])
    const child = await runWith([], 'borrowed.mjs', ['by-path', path], AS_NOBODY)
    t.deepEqual(ending(child), WELL)
    if (listsLocks) t.deepEqual(locksOf(path), [])
  },
)

/** What cannot be locked, and what is said of it. */
interface Bad {
  readonly file: string | number
  readonly code: string
  readonly options?: LockOptions
}

async function refuses(t: ExecutionContext, what: string, { file, code, options = {} }: Bad): Promise<void> {
  for (const [call, error] of [
    ['tryAcquire', thrownBy(() => FileLock.tryAcquire(file, options))],
    ['acquireSync', thrownBy(() => FileLock.acquireSync(file, { ...options, timeout: 1000 }))],
    ['acquireSync without a timeout', thrownBy(() => FileLock.acquireSync(file, options))],
    [
      'acquire',
      await FileLock.acquire(file, options).then(
        (lock) => lock.release(),
        (reason: unknown) => reason,
      ),
    ],
  ] as const) {
    const given = error instanceof Error ? error : undefined
    if (given === undefined) {
      t.fail(`${what}: ${call} was not refused`)
      continue
    }
    t.is(Reflect.get(given, 'code'), code, `${what}: ${call}: ${given.message}`)
    t.is(typeof Reflect.get(given, 'errno'), 'number', what)
    t.regex(String(Reflect.get(given, 'syscall')), /^(fcntl|flock|open|dup)$/, what)
    t.is(Reflect.get(given, 'path'), typeof file === 'string' ? file : undefined, what)
    t.true(given.message.startsWith(`${code}: `), given.message)
  }
}

onLinuxAlone('what is no file, or not open, or not for this, is refused; nothing is locked or left open', async (t) => {
  const path = fileWith(t, 'content')
  const [reads, writes, appends] = [
    descriptorOf(t, path, 'r'),
    descriptorOf(t, path, constants.O_WRONLY),
    descriptorOf(t, path, 'a'),
  ]
  // O_PATH, which Node has no name for: one that may do nothing.
  const named = descriptorOf(t, path, 0o10000000)
  const fifo = tmpFile(t, 'fifo')
  execFileSync('mkfifo', [fifo])
  const socketPath = tmpFile(t, 'socket')
  const server = createServer().listen(socketPath)
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => void server.close())
  const folder = tmpFolder(t)
  const handle = await open(path, 'r+')
  await handle.close()
  const gone = openSync(path, 'r+')
  const bad: Readonly<Record<string, Bad>> = {
    'a closed descriptor': { file: gone, code: 'EBADF' },
    'a descriptor that never was': { file: 2 ** 31 - 1, code: 'EBADF' },
    'a descriptor that is read-only, exclusively': { file: reads, code: 'EBADF' },
    'a descriptor that is write-only, shared': { file: writes, code: 'EBADF', options: { mode: 'shared' } },
    'a descriptor that appends, shared': { file: appends, code: 'EBADF', options: { mode: 'shared' } },
    'a descriptor of a path only': { file: named, code: 'EBADF' },
    'a descriptor of a path only, shared': { file: named, code: 'EBADF', options: { mode: 'shared' } },
    'the descriptor of a named pipe': { file: descriptorOf(t, fifo, constants.O_RDWR), code: 'ENODEV' },
    'a device': { file: '/dev/null', code: 'ENODEV' },
    'the descriptor of a device': { file: descriptorOf(t, '/dev/zero', 'r+'), code: 'ENODEV' },
    'a socket by its path': { file: socketPath, code: 'ENODEV' },
    'a folder': { file: folder, code: 'EISDIR' },
    'a folder, shared': { file: folder, code: 'EISDIR', options: { mode: 'shared' } },
    'the descriptor of a folder': { file: descriptorOf(t, folder, 'r'), code: 'EISDIR', options: { mode: 'shared' } },
    'a named pipe': { file: fifo, code: 'ENODEV' },
    'a named pipe, shared': { file: fifo, code: 'ENODEV', options: { mode: 'shared' } },
    'a path through a file': { file: `${path}/deeper`, code: 'ENOTDIR' },
    'a path that is not there': { file: `${path}.not`, code: 'ENOENT' },
  }
  // The last that is opened, and nobody opens anything from here on: no other file gets its number.
  closeSync(gone)
  for (const [what, one] of Object.entries(bad)) {
    const before = accesses()
    const begun = performance.now()
    await refuses(t, what, one)
    if (!what.startsWith('a descriptor that'))
      await refuses(t, `${what}, as a file`, { ...one, options: { kind: 'file', ...one.options } })
    t.true(performance.now() - begun < 5000, what)
    t.deepEqual(accesses(), before, what)
    if (listsLocks) t.deepEqual(locksOf(path), [], what)
    t.true(free(path), what)
  }
  t.is(
    codeOf(() => FileLock.tryAcquire(handle)),
    'EBADF',
  )
  t.deepEqual(readdirSync(folder), [])
})

onPosix(
  'what cannot be locked is not made either, or changed: create on a folder, a named pipe, a device',
  async (t) => {
    const folder = tmpFolder(t)
    const fifo = tmpFile(t, 'fifo')
    execFileSync('mkfifo', [fifo])
    for (const [file, code] of [
      [folder, 'EISDIR'],
      [fifo, 'ENODEV'],
      ['/dev/null', 'ENODEV'],
    ] as const) {
      for (const kind of KINDS) {
        for (const mode of MODES) await refuses(t, file, { file, code, options: { create: true, kind, mode } })
      }
    }
    t.true(statSync(fifo).isFIFO())
    t.deepEqual(readdirSync(folder), [])
  },
)

onLinux(
  'sockets and pipes by descriptor, and what is no descriptor, in a process that has them (skipped but on Linux)',
  async (t) => {
    // Its input is a pipe.
    const child = await runWith([], 'borrowed.mjs', ['no-files'], ['sh', '-c', 'echo | "$0" "$@"'])
    t.deepEqual(ending(child), WELL)
  },
)
