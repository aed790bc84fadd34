// memmap shm and memmap shm rm, run as their users run them.

import { existsSync, rmSync, writeFileSync } from 'node:fs'

import test from 'ava'
import { SharedMemory } from 'memmap'

import { COMMAND, complains, memmap, plain, rowsOf, says, typing } from './helpers/command.ts'
import { asOther, elsewhere, holder, onLinux, onTerminal } from './helpers/holder.ts'
import { freeName, kept } from './helpers/shared.ts'
import { asNobody, isPosix, programOf } from './helpers/system.ts'

const onPosix = isPosix ? test.serial : test.serial.skip

interface Row {
  readonly name: string
  readonly ours: boolean
  readonly owner: string
  readonly mode: string
  readonly byteLength: number
  readonly allocated: number
  readonly since: string | null
  readonly processes: readonly { readonly pid: number; readonly command: string }[]
}

const there = (name: string): boolean => existsSync(`/dev/shm/${name}`)

onLinux('named memory is listed with its owner, bytes, age, and who has it open or mapped', async (t) => {
  const alone = freeName(t)
  const from = Date.now()
  const { pid: other, name } = await holder(t)
  kept(t, SharedMemory.open(name))
  SharedMemory.create(alone, 5000, { mode: 0o640 }).close()
  const { code, rows, stderr } = await rowsOf<Row>('shm')
  t.deepEqual([code, stderr], [0, ''])
  const found = rows.find((row) => row.name === name)
  t.deepEqual(found?.processes.map(({ pid }) => pid).toSorted(), [other, process.pid].toSorted())
  t.true(found?.processes.find(({ pid }) => pid === other)?.command.includes('holds.mjs'))
  const nobodys = rows.find((row) => row.name === alone)
  t.like(nobodys, { ours: true, mode: '0640', byteLength: 5000, processes: [] })
  t.true((nobodys?.allocated ?? 0) >= 5000)
  t.is(nobodys?.owner, process.getuid?.() === 0 ? 'root' : nobodys?.owner)
  const since = nobodys?.since
  if (since !== null && since !== undefined) t.true(Math.abs(Date.parse(since) - from) < 60_000, since)
  const { stdout } = await memmap('shm')
  t.regex(stdout.toString(), /^NAME +OWNER +MODE +BYTES +ALLOCATED +AGE +PROCESSES\n/)
  t.regex(stdout.toString(), new RegExp(String.raw`\n${alone} +\w+ +640 +4\.9 KiB +8 KiB +(\d+ s|-) +-\n`))
  t.regex(stdout.toString(), new RegExp(String.raw`\n${name} .*\b${other} ${programOf(other)}`))
})

onLinux(
  'names of other programs are listed, marked where the package could not have given them, and not removed',
  async (t) => {
    const names = [
      `t ${process.pid} a space`,
      `t-${process.pid}-line\nend\x1b[31m`,
      `t-${process.pid}-${'x'.repeat(30)}`,
    ]
    for (const name of names) {
      writeFileSync(`/dev/shm/${name}`, 'theirs')
      t.teardown(() => rmSync(`/dev/shm/${name}`, { force: true }))
    }
    const { rows } = await rowsOf<Row>('shm')
    for (const name of names) t.like(rows.find((row) => row.name === name), { ours: false, byteLength: 6 }) // prettier-ignore
    const { stdout } = await memmap('shm')
    t.true(stdout.toString().includes(`t-${process.pid}-line?end?[31m *`))
    t.true(stdout.toString().includes('\n* no name that this package could have given\n'))
    for (const name of [...names, '.', '..', '../tmp', '/x', '']) {
      complains(t, await memmap('shm', 'rm', '-y', name), /^memmap: .*A name has 1 to 30 of the characters/)
    }
    for (const name of names) t.true(there(name))
  },
)

onPosix('rm --yes removes names, each; one that is not there is a line and 2, and the others go', async (t) => {
  const [one, other, nobody] = [freeName(t), freeName(t), freeName(t)]
  const region = kept(t, SharedMemory.create(one, 100))
  region.writeUInt8(7, 0)
  SharedMemory.create(other, 100).close()
  const { code, stdout, stderr } = await memmap('shm', 'rm', '--yes', one, nobody, other)
  t.deepEqual([code, stdout.toString()], [2, `removed ${one}\nremoved ${other}\n`])
  t.regex(stderr, new RegExp(`^memmap: ENOENT: .*'${nobody}'\n$`))
  t.throws(() => SharedMemory.open(one), { code: 'ENOENT' })
  t.throws(() => SharedMemory.open(other), { code: 'ENOENT' })
  t.is(region.readUInt8(0), 7, 'who has it keeps it')
  SharedMemory.create(one, 100).close()
  says(t, await memmap('shm', 'rm', '-y', '--json', one), `{"name":"${one}","removed":true}\n`)
})

onPosix('without a terminal and --yes nothing is removed', async (t) => {
  const name = freeName(t)
  kept(t, SharedMemory.create(name, 100))
  complains(
    t,
    await memmap('shm', 'rm', name),
    new RegExp(`^memmap: '${name}' is not removed: there is no terminal to ask at; --yes`),
  )
  kept(t, SharedMemory.open(name))
})

onTerminal('at a terminal it asks, and says what it is about (skipped without python3)', async (t) => {
  const name = freeName(t)
  kept(t, SharedMemory.create(name, 5000))
  for (const no of ['n\\n', '\\n', 'yesterday\\n', '\\x04']) {
    const { shown, code } = await typing(no, '[y/N]', 'shm', 'rm', name)
    t.regex(
      plain(shown),
      new RegExp(
        String.raw`^Remove '${name}' \(4\.9 KiB of \w+, in use by a process: ${process.pid} ${programOf(process.pid)}\)\? \[y/N\] `,
      ),
    )
    t.is(code, 1, no)
    t.true(there(name))
  }
  const interrupted = await typing('\\x03', '[y/N]', 'shm', 'rm', name)
  t.is(interrupted.code, 130)
  t.true(there(name))
  const { shown, code } = await typing('y\\n', '[y/N]', 'shm', 'rm', name)
  t.true(plain(shown).endsWith(`removed ${name}\n`), shown)
  t.is(code, 0)
  t.false(there(name))
})

asOther("another user's memory is not removed: a line, and 2 (skipped where we are not root)", async (t) => {
  const name = freeName(t)
  kept(t, SharedMemory.create(name, 100))
  const { code, stdout, stderr } = await asNobody([COMMAND, 'shm', 'rm', '-y', name])
  t.deepEqual([code, stdout], [2, ''])
  t.regex(stderr, new RegExp(`^memmap: (EACCES|EPERM): .*'${name}'\n$`))
  t.true(there(name))
  t.regex((await asNobody([COMMAND, 'shm'])).stdout, new RegExp(String.raw`\n${name} +root +600 .*\n`))
})

test.serial('what cannot be understood is told in one line, with 2', async (t) => {
  complains(t, await memmap('shm', 'ls'), /^memmap: shm does not know 'ls'; there is rm/)
  complains(t, await memmap('shm', 'rm'), /^memmap: it is not said which name to remove/)
  complains(t, await memmap('shm', '--all'), /^memmap: Unknown option '--all'/)
})

elsewhere('where the system has no list of names, it says so', async (t) => {
  complains(t, await memmap('shm'), /^memmap: .* has no list of the names of shared memory/)
})
