// The same named memory in Python: its own class, and mmap over /dev/shm.

import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'

import test from 'ava'
import { SharedMemory } from 'memmap'

import { freeName, kept, shmPath } from './helpers/shared.ts'
import { hasPython, isLinux } from './helpers/system.ts'

const withPython = isLinux && hasPython ? test : test.skip
const why = hasPython ? '' : ' (skipped: no python3)'

function python(code: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('python3', ['-c', code, ...args], { encoding: 'utf8', timeout: 60_000 })
  if (status !== 0) throw new Error(stderr)
  return stdout.trim()
}

// Python before 3.13 removes what it only opened, unless its tracker is told.
const OPEN = `
import sys
from multiprocessing import shared_memory, resource_tracker
shm = shared_memory.SharedMemory(name=sys.argv[1])
resource_tracker.unregister(shm._name, 'shared_memory')
`

withPython(`Python's SharedMemory reads what we wrote, and we what it wrote${why}`, (t) => {
  const name = freeName(t)
  const memory = kept(t, SharedMemory.create(name, 10_001))
  memory.set('from Node')
  memory.writeDoubleLE(Math.PI, 9993)
  const said = python(
    `${OPEN}
import struct
print(shm.size, bytes(shm.buf[:9]).decode(), struct.unpack_from('<d', shm.buf, 9993)[0])
shm.buf[0:11] = b'from Python'
shm.buf[10000] = 255
shm.close()`,
    name,
  )
  t.is(said, `10001 from Node ${Math.PI}`)
  t.is(memory.toString('utf8', 0, 11), 'from Python')
  t.is(memory.readUInt8(10_000), 255)
  t.is(SharedMemory.open(name).byteLength, 10_001, "Python's end took nothing away")
})

withPython(`what Python's SharedMemory made we open, and what mmap maps is the same${why}`, (t) => {
  const name = freeName(t)
  python(
    `
import sys
from multiprocessing import shared_memory, resource_tracker
shm = shared_memory.SharedMemory(name=sys.argv[1], create=True, size=5000)
resource_tracker.unregister(shm._name, 'shared_memory')
shm.buf[4990:5000] = b'0123456789'
shm.close()`,
    name,
  )
  const memory = kept(t, SharedMemory.open(name, { byteLength: statSync(shmPath(name)).size }))
  t.is(memory.toString('utf8', 4990, 5000), '0123456789')
  memory.set('abc', 4990)
  const said = python(
    `
import mmap, sys
with open(sys.argv[1], 'r+b') as file, mmap.mmap(file.fileno(), 0) as map:
    print(map[4990:5000].decode())
    map[0:4] = b'mmap'`,
    shmPath(name),
  )
  t.is(said, 'abc3456789')
  t.is(memory.toString('utf8', 0, 4), 'mmap')
})
