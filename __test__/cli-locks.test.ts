// memmap locks, run as its users run it, beside processes that hold locks and wait for them.

import { spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { dirname, join } from 'node:path'

import test from 'ava'
import { MmapFile, Mutex } from 'memmap'

import { COMMAND, complains, hasTerminal, memmap, onScreen, plain, rowsOf, says } from './helpers/command.ts'
import { fileWith } from './helpers/files.ts'
import { eventually, listsLocks, LockProcess, locksOf, PYTHON, Talker } from './helpers/lockers.ts'
import { kept } from './helpers/shared.ts'
import { asNobody, canBeNobody, isLinux, isPosix } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'

const onLinux = listsLocks ? test.serial : test.serial.skip
const withPython = listsLocks && PYTHON !== undefined ? test.serial : test.serial.skip
const asOther = listsLocks && canBeNobody ? test.serial : test.serial.skip
const onTerminal = listsLocks && hasTerminal ? test.serial : test.serial.skip
const onWindows = isPosix ? test.serial.skip : test.serial

interface Row {
  readonly file: string
  readonly state: 'held' | 'waiting'
  readonly mode: 'exclusive' | 'shared'
  readonly kind: string
  readonly start: number | string
  readonly end: number | string | null
  readonly owner: null | { readonly position: number; readonly number: number }
  readonly processes: readonly { readonly pid: number; readonly command: string }[]
}

/** A row in short. */
function short({ state, mode, kind, start, end, processes }: Row): unknown[] {
  return [state, mode, kind, start, end, processes.map(({ pid }) => pid).toSorted((one, other) => one - other)]
}

const pidOf = (other: LockProcess): number => other.child.pid ?? 0

onLinux('ranges of this package are shown with who holds them, and files as such', async (t) => {
  const path = fileWith(t, 'x'.repeat(1000))
  const [one, other] = [new LockProcess(t), new LockProcess(t)]
  await one.holds(path, { start: 10, end: 20 })
  await other.holds(path, { start: 100, end: 200, mode: 'shared' })
  await one.holds(path, { start: 5000, mode: 'shared' })
  await other.holds(path, { kind: 'file', mode: 'shared' })
  const { code, rows, stderr } = await rowsOf<Row>('locks', path)
  t.deepEqual([code, stderr], [0, ''])
  t.true(rows.every((row) => row.file === path && row.owner === null))
  t.deepEqual(rows.map(short), [
    ['held', 'shared', 'flock', 0, null, [pidOf(other)]],
    ['held', 'exclusive', 'open-file', 10, 20, [pidOf(one)]],
    ['held', 'shared', 'open-file', 100, 200, [pidOf(other)]],
    ['held', 'shared', 'open-file', 5000, null, [pidOf(one)]],
  ])
  t.true(rows[0]?.processes[0]?.command.endsWith('process.mjs'))
  const { stdout } = await memmap('locks', path)
  const [head, first, second, , last, end] = stdout.toString().split('\n')
  t.regex(head ?? '', /^STATE {2}MODE +KIND +RANGE +PROCESSES$/)
  t.regex(first ?? '', new RegExp(`^held +shared +flock +the file +${pidOf(other)} `))
  t.regex(second ?? '', new RegExp(String.raw`^held +exclusive +open-file +\[10, 20\) +${pidOf(one)} .*process\.mjs$`))
  t.regex(last ?? '', /\[5000, end\)/)
  t.true(end === '' || end?.includes('may not be looked at'))
})

onLinux('the same range held by several is told of each of them; who waits, and for what', async (t) => {
  const path = fileWith(t, 'x')
  const holders = [new LockProcess(t), new LockProcess(t), new LockProcess(t)]
  for (const holder of holders) await holder.holds(path, { start: 0, end: 10, mode: 'shared' })
  const [waiter, third] = [new LockProcess(t), new LockProcess(t)]
  await waiter.begin('acquire', path, { start: 5, end: 15 }).begun
  await third.holds(path, { kind: 'file' })
  await waiter.begin('acquire', path, { kind: 'file' }).begun
  t.true(await eventually(() => locksOf(path).filter((line) => line.startsWith('->')).length === 2))
  const { rows } = await rowsOf<Row>('locks', path)
  t.deepEqual(
    rows.filter(({ state, kind }) => state === 'held' && kind === 'open-file').flatMap(({ processes }) => processes.map(({ pid }) => pid)).toSorted(), // prettier-ignore
    holders.map(pidOf).toSorted(),
  )
  t.deepEqual(
    rows
      .filter(({ state }) => state === 'waiting')
      .map(short)
      .toSorted(),
    [
      ['waiting', 'exclusive', 'flock', 0, null, [pidOf(waiter)]],
      ['waiting', 'exclusive', 'open-file', 5, 15, [pidOf(waiter)]],
    ],
  )
  await waiter.kill()
  t.true(await eventually(() => locksOf(path).every((line) => !line.startsWith('->'))))
  t.true((await rowsOf<Row>('locks', path)).rows.every(({ state }) => state === 'held'))
})

withPython(
  'locks of other programs: of processes, and of an open file that a child has, too (skipped without python3)',
  async (t) => {
    const path = fileWith(t, 'x')
    const lines = [
      'import fcntl, os, sys, time',
      'f = open(sys.argv[1], "r+b")',
      'g = open(sys.argv[1], "r+b")',
      'fcntl.lockf(f, fcntl.LOCK_EX, 10, 100)',
      'fcntl.flock(g, fcntl.LOCK_SH)',
      'p = os.fork()',
      'p or (time.sleep(60), os._exit(0))',
      'print(p, flush=True)',
      'time.sleep(60)',
    ]
    const other = new Talker(t, PYTHON ?? '', ['-c', lines.join('\n'), path])
    const child = Number(await other.hears())
    t.teardown(() => process.kill(child))
    const { rows } = await rowsOf<Row>('locks', path)
    const pid = other.child.pid ?? 0
    t.deepEqual(rows.map(short), [
      ['held', 'shared', 'flock', 0, null, [pid, child].toSorted((one, next) => one - next)],
      ['held', 'exclusive', 'process', 100, 110, [pid]],
    ])
    t.regex(rows[1]?.processes[0]?.command ?? '', /import fcntl.*\n/)
    // In rows for people each lock is one.
    t.regex(
      (await memmap('locks', path)).stdout.toString(),
      /^STATE.*\nheld .*\nheld .*\n(\S.* may not be looked at.*\n)?$/,
    )
  },
)

onLinux('the byte of a mutex owner is told as what it is, and goes with it', async (t) => {
  const path = fileWith(t, Buffer.alloc(8192))
  const region = kept(t, MmapFile.open(path, { access: 'write' }))
  const guard = new Mutex(region, 4096).lockSync()
  const { rows } = await rowsOf<Row>('locks', path)
  t.is(rows.length, 1)
  const [row] = rows
  t.deepEqual([row?.kind, row?.mode, row?.state], ['owner', 'exclusive', 'held'])
  t.is(row?.owner?.position, 4096)
  t.deepEqual(row?.processes.map(({ pid }) => pid), [process.pid]) // prettier-ignore
  // 2^62, then the place in units of 32 bytes, then the owner's number of 24 bits.
  const byte = 2n ** 62n + (4096n / 32n) * 2n ** 24n + BigInt(row?.owner?.number ?? 0)
  t.deepEqual([row?.start, row?.end], [String(byte), String(byte + 1n)])
  t.regex((await memmap('locks', path)).stdout.toString(), /owner \d+ of the mutex or semaphore at byte 4096 /)
  guard.release()
  region.close()
  says(t, await memmap('locks', '--json', path), '', 1)
})

test.serial(
  'a file without locks is 1; one that is not there, and what cannot be understood, is a line and 2',
  async (t) => {
    const folder = tmpFolder(t)
    if (isPosix) {
      const { code, stdout } = await memmap('locks', fileWith(t, ''))
      t.is(code, 1)
      t.regex(stdout.toString(), /^(.* may not be looked at by this user\n)?$/)
      complains(
        t,
        await memmap('locks', join(folder, 'no\nwhere')),
        /^memmap: ENOENT: no such file or directory, \w+ '.*no where'$/,
      )
    }
    if (isLinux) says(t, await memmap('locks', '--json', folder), '', 1)
    complains(t, await memmap('locks'), /^memmap: no file is given/)
    complains(t, await memmap('locks', 'a', 'b'), /^memmap: locks takes one file/)
    complains(t, await memmap('locks', '-x', 'a'), /^memmap: Unknown option '-x'/)
  },
)

onLinux('locks of a folder are shown: flock takes them', async (t) => {
  if (spawnSync('flock', ['--version']).status !== 0) return t.pass('there is no flock(1)')
  const folder = tmpFolder(t)
  const command = [process.execPath, COMMAND, 'locks', '--json', folder]
  const { stdout } = spawnSync('flock', [folder, ...command], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: undefined },
  })
  const { kind, mode } = JSON.parse(stdout) as Row
  t.deepEqual([kind, mode], ['flock', 'exclusive'])
})

asOther(
  'a file that one may not read is shown; who holds it is not known to others (skipped where we are not root)',
  async (t) => {
    const path = fileWith(t, 'x')
    chmodSync(dirname(path), 0o755)
    chmodSync(path, 0o600)
    await new LockProcess(t).holds(path, { start: 1, end: 2 })
    const { code, stdout, stderr } = await asNobody([COMMAND, 'locks', path])
    t.deepEqual([code, stderr], [0, ''])
    t.regex(stdout, /held +exclusive +open-file +\[1, 2\) +not known\n/)
    t.regex(stdout, /more processes may not be looked at by this user\n$/)
  },
)

onTerminal('on a terminal who waits is yellow, and a row is no longer than the line', async (t) => {
  const path = fileWith(t, 'x')
  const [one, other] = [new LockProcess(t), new LockProcess(t)]
  await one.holds(path)
  await other.begin('acquire', path, { start: 3, end: 7 }).begun
  t.true(await eventually(() => locksOf(path).length === 2))
  const { shown, code } = await onScreen('locks', path)
  t.regex(shown, /\x1b\[33mwaiting[^\n]*\x1b\[39m/) // eslint-disable-line no-control-regex -- a terminal's own
  t.true(plain(shown).split('\n').every((line) => line.length <= 80)) // prettier-ignore
  t.is(code, 0)
})

onWindows('Windows does not tell: it says so', async (t) => {
  complains(t, await memmap('locks', fileWith(t, 'x')), /^memmap: Windows does not tell/)
})
