// memmap maps, run as its users run it, beside processes that have something mapped.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readlinkSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

import { COMMAND, complains, memmap, onScreen, plain, rowsOf } from './helpers/command.ts'
import { asOther, elsewhere, holder, onLinux, onTerminal, PAGE } from './helpers/holder.ts'
import { Talker } from './helpers/lockers.ts'
import { asNobody, isPosix } from './helpers/system.ts'

interface MapRow {
  readonly pid: number
  readonly start: string
  readonly end: string
  readonly bytes: number
  readonly resident: number | null
  readonly permissions: string
  readonly kind: string
  readonly offset: number | null
  readonly path: string
}

interface UserRow {
  readonly pid: number
  readonly owner: string
  readonly maps: number
  readonly mapped: number
  readonly command: string
}

onLinux('maps of the package in another process are told by kind, with bytes and what is in memory', async (t) => {
  const { pid, path, name } = await holder(t)
  const { code, rows, stderr } = await rowsOf<MapRow>('maps', String(pid))
  t.deepEqual([code, stderr], [0, ''])
  t.true(
    rows.every((row) => row.pid === pid && Number.parseInt(row.end, 16) - Number.parseInt(row.start, 16) === row.bytes),
  )
  t.deepEqual(rows.map(({ bytes }) => bytes), rows.map(({ bytes }) => bytes).toSorted((a, b) => b - a)) // prettier-ignore
  const of = (kind: string) => rows.filter((row) => row.kind === kind)
  t.deepEqual(
    of('file').filter((row) => row.path === path).map(({ bytes, permissions, offset }) => [bytes, permissions, offset]), // prettier-ignore
    [[4 * PAGE, 'rw-s', 2 * PAGE]],
  )
  const [anonymous, ...others] = of('anonymous')
  t.deepEqual([anonymous?.bytes, others], [16 * PAGE, []])
  // The system may map more pages than were touched.
  t.true((anonymous?.resident ?? 0) >= 3 * PAGE && (anonymous?.resident ?? 0) <= 16 * PAGE)
  t.deepEqual(
    of('named').map(({ path: named, bytes }) => [named, bytes]),
    [[`/dev/shm/${name}`, 2 * PAGE]],
  )
  t.is(of('closed').reduce((sum, { bytes }) => sum + bytes, 0), 5 * PAGE) // prettier-ignore
  t.true(of('addon').some(({ permissions, path: addon }) => permissions === 'r-xp' && addon.endsWith('.node')))
  t.deepEqual([...of('program'), ...of('private'), ...of('system')], [])
})

onLinux('--all, --filter and --sort; what is left out is counted', async (t) => {
  const { pid } = await holder(t)
  const all = await rowsOf<MapRow>('maps', '-a', '-s', 'address', String(pid))
  const addresses = all.rows.map(({ start }) => BigInt(`0x${start}`))
  t.deepEqual(
    addresses,
    addresses.toSorted((one, other) => (one < other ? -1 : 1)),
  )
  for (const kind of ['program', 'private', 'system', 'addon'])
    t.true(
      all.rows.some((row) => row.kind === kind),
      kind,
    )
  // Not process.execPath: that may be a script that starts it.
  const program = readlinkSync(`/proc/${pid}/exe`)
  t.true(all.rows.some(({ path, kind }) => path === program && kind === 'program'))
  const few = await rowsOf<MapRow>('maps', '-f', 'a line', String(pid))
  t.is(few.rows.length, 1)
  const byMemory = await rowsOf<MapRow>('maps', '--sort=memory', String(pid))
  const resident = byMemory.rows.map((row) => row.resident ?? 0)
  t.deepEqual(
    resident,
    resident.toSorted((one, other) => other - one),
  )
  const { code, stdout } = await memmap('maps', '-f', 'a line', String(pid))
  const [head, row, rest, end] = stdout.toString().split('\n')
  t.regex(head ?? '', /^ +ADDRESS +BYTES +IN MEMORY +PERM +KIND +PATH$/)
  t.regex(row ?? '', /16 KiB +\S+( KiB)? +rw-s +file +.*with a space\?and a line\.bin$/)
  t.regex(rest ?? '', /^1 maps, 16 KiB; \d+ more with --all$/)
  t.deepEqual([end, code], ['', 0])
  const none = await rowsOf<MapRow>('maps', '-f', 'no such path', String(pid))
  t.deepEqual([none.code, none.rows], [1, []])
})

onLinux('without a PID: the processes that have the addon, and not the one that asks', async (t) => {
  const { pid, path } = await holder(t)
  const { code, rows } = await rowsOf<UserRow>('maps')
  const found = rows.find((row) => row.pid === pid)
  t.is(code, 0)
  t.true((found?.mapped ?? 0) >= (4 + 16 + 2) * PAGE && (found?.maps ?? 0) > 50, JSON.stringify(found))
  t.true(found?.command.endsWith(`${path} ${found.command.split(' ').at(-1)}`), found?.command)
  // Other tests may run the command for something else meanwhile.
  t.false(rows.some(({ command }) => command.includes(`${COMMAND} maps`)))
  const some = await rowsOf<UserRow>('maps', '-f', path)
  t.deepEqual(
    some.rows.map((row) => row.pid),
    [pid],
  )
  const { stdout } = await memmap('maps', '--filter', path)
  t.regex(stdout.toString(), new RegExp(String.raw`^ *PID +OWNER +MAPS +MAPPED +COMMAND\n *${pid} `))
  t.is((await memmap('maps', '--filter', 'no such command')).code, 1)
})

onLinux('a process that is none, has ended, or has no maps: one line, or 1', async (t) => {
  const gone = spawn(process.execPath, ['--eval', ''], { env: { ...process.env, NODE_OPTIONS: undefined } })
  await once(gone, 'exit')
  complains(t, await memmap('maps', String(gone.pid)), new RegExp(`^memmap: there is no process ${gone.pid}$`))
  complains(t, await memmap('maps', '4294967295'), /^memmap: there is no process 4294967295$/)
  for (const pid of ['x', '0', '1.5', '4294967296', '1e3', '99999999999999999999', '', '0x1', '../1']) {
    complains(t, await memmap('maps', pid), /^memmap: '.*' is no number of a process$/)
  }
  complains(t, await memmap('maps', '--', '-1'), /^memmap: '-1' is no number of a process$/)
  complains(t, await memmap('maps', '1', '2'), /^memmap: maps takes one PID/)
  complains(t, await memmap('maps', '1', '--sort', 'x'), /^memmap: --sort takes bytes, memory, address, not 'x'$/)
  // Ended, and not waited for: it has a number, and no maps.
  const parent = new Talker(t, 'python3', [
    '-c',
    'import os, time; p = os.fork(); p or os._exit(0); time.sleep(.2); print(p, flush=True); time.sleep(60)',
  ])
  const { code, stdout } = await memmap('maps', await parent.hears())
  t.deepEqual([stdout.toString(), code], ['0 maps, 0\n', 1])
})

asOther(
  "another user's process may not be looked at: one line, and a count (skipped where we are not root)",
  async (t) => {
    const { pid } = await holder(t)
    const { code, stdout, stderr } = await asNobody([COMMAND, 'maps', String(pid)])
    t.deepEqual([code, stdout], [2, ''])
    t.is(stderr, `memmap: process ${pid} is another user's, or protected: only root may look at its maps\n`)
    const list = await asNobody([COMMAND, 'maps'])
    t.regex(list.stdout, /more processes may not be looked at by this user\n$/)
  },
)

onTerminal('on a terminal what is surely ours is green, and no row is longer than the line', async (t) => {
  const { pid } = await holder(t)
  const { shown, code } = await onScreen('maps', '-a', String(pid))
  t.regex(shown, /\x1b\[32m[^\n]*anonymous[^\n]*\x1b\[39m/) // eslint-disable-line no-control-regex -- a terminal's own
  t.true(plain(shown).split('\n').every((line) => line.length <= 80)) // prettier-ignore
  t.is(code, 0)
})

elsewhere(
  'maps of another process are told where this is not Linux, and null what the system does not tell',
  async (t) => {
    const { pid, path } = await holder(t)
    // By its folder: Wine resolves no path of a file that is mapped.
    const itsPath = join(realpathSync.native(dirname(path)), basename(path))
    const { code, rows, stderr } = await rowsOf<MapRow>('maps', String(pid))
    t.deepEqual([code, stderr], [0, ''])
    const [file, ...others] = rows.filter((row) => row.kind === 'file' && row.path === itsPath)
    t.deepEqual([file?.permissions, others], ['rw-s', []])
    // From where the system allows on, which is before the third page on Windows.
    t.true((file?.bytes ?? 0) >= 4 * PAGE && (file?.bytes ?? 0) <= 6 * PAGE, JSON.stringify(file))
    t.is(file?.offset, isPosix ? 2 * PAGE : null)
    const shared = rows.filter((row) => row.kind === 'shared')
    for (const pages of [16, 2]) {
      t.true(
        shared.some(
          ({ bytes, permissions, path: none }) => bytes === pages * PAGE && permissions === 'rw-s' && none === '',
        ),
        `${pages}`,
      )
    }
    t.true(
      rows.some(
        ({ kind, permissions, path: addon }) => kind === 'addon' && permissions === 'r-xp' && addon.endsWith('.node'),
      ),
    )
    const all = await rowsOf<MapRow>('maps', '-a', String(pid))
    t.true(all.rows.some((row) => row.path === realpathSync.native(process.execPath) && row.kind === 'program'))
    t.true(all.rows.some(({ kind }) => kind === 'private'))
  },
)

elsewhere('without a PID: who has the addon, where this is not Linux, by the path of the program', async (t) => {
  const { pid } = await holder(t)
  const { code, rows } = await rowsOf<UserRow>('maps')
  const found = rows.find((row) => row.pid === pid)
  t.is(code, 0)
  t.is(found?.command, realpathSync.native(process.execPath))
  t.true((found?.mapped ?? 0) >= (4 + 16 + 2) * PAGE && found?.owner !== '', JSON.stringify(found))
})

elsewhere('a number that is no process of this system: one line', async (t) => {
  complains(t, await memmap('maps', '4294967295'), /^memmap: there is no process 4294967295$/)
})
