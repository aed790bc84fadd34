// One file, mapped here and by Python's mmap in a process of its own: each sees what the other stores.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

import test from 'ava'
import type { ExecutionContext } from 'ava'

import { fileWith, HAS_READ_WINDOWS, opened } from './helpers/files.ts'
import { Random } from './helpers/random.ts'
import { hasPython, isLinux } from './helpers/system.ts'

const withPython = hasPython ? test : test.skip
// Python resizes a map on Linux only; Windows resizes no file that is mapped elsewhere.
const withResize = isLinux ? withPython : test.skip

/** Python with the file mapped shared, which runs a line and answers with a line. */
const PROGRAM = [
  'import mmap, struct, sys',
  'f = open(sys.argv[1], "r+b")',
  'm = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_WRITE)',
  'for line in sys.stdin:',
  '  try:',
  '    print(repr(eval(line)), flush=True)',
  '  except SyntaxError:',
  '    exec(line)',
  '    print("done", flush=True)',
].join('\n')

class Python {
  readonly #child: ChildProcess
  readonly #answers: AsyncIterator<string>

  constructor(t: ExecutionContext, path: string) {
    this.#child = spawn('python3', ['-c', PROGRAM, path], { stdio: ['pipe', 'pipe', 'inherit'] })
    t.teardown(() => void this.#child.kill())
    if (this.#child.stdout === null) throw new Error('no output')
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  async run(line: string): Promise<string> {
    this.#child.stdin?.write(`${line}\n`)
    const answer = await this.#answers.next()
    return answer.done === true ? 'ended' : answer.value
  }
}

withPython(
  'Python and Node map the same file, and each sees the other’s bytes (skipped without python3)',
  async (t) => {
    const random = new Random(t)
    const path = fileWith(t, Buffer.alloc(20_000))
    const region = opened(t, path, { access: 'write' })
    const window = region.subarray()
    const python = new Python(t, path)
    for (let round = 0; round < 30; round++) {
      const at = random.integer(0, 19_900)
      const bytes = random.bytes(random.integer(1, 100))
      if (round % 2 === 0) {
        region.set(bytes, at)
        t.is(await python.run(`m[${at}:${at + bytes.length}].hex()`), `'${bytes.toString('hex')}'`)
      } else {
        t.is(await python.run(`m[${at}:${at + bytes.length}] = bytes.fromhex('${bytes.toString('hex')}')`), 'done')
        t.true(region.slice(at, at + bytes.length).equals(bytes))
        t.true(window.subarray(at, at + bytes.length).equals(bytes))
      }
    }
    for (const value of [Math.PI, -0, 1e-300, Number.POSITIVE_INFINITY]) {
      region.writeDoubleLE(value, 1001)
      t.is(
        await python.run('struct.unpack_from("<d", m, 1001)[0] == struct.unpack("<d", bytes(m[1001:1009]))[0]'),
        'True',
      )
      t.is(await python.run(`struct.pack_into(">d", m, 2001, struct.unpack_from("<d", m, 1001)[0])`), 'None')
      t.true(Object.is(region.readDoubleBE(2001), value))
    }
    region.fill('-', { start: 5000, end: 6000 })
    region.set('needle', 5500)
    t.is(await python.run('(m.find(b"needle"), m.rfind(b"needle"), m.size(), len(m))'), '(5500, 5500, 20000, 20000)')
    t.is(await python.run('m.move(7000, 5500, 6)'), 'None')
    t.is(region.lastIndexOf('needle'), 7000)
    t.is(await python.run('m.flush()'), 'None')
    await region.flush()
    t.true(readFileSync(path).equals(region.slice()))
  },
)

withPython(
  "what a 'copy' or a stray store in a 'read' window changes, Python never sees (skipped without python3)",
  async (t) => {
    const path = fileWith(t, 'content')
    const python = new Python(t, path)
    opened(t, path, { access: 'copy' }).fill('X')
    const read = opened(t, path)
    if (HAS_READ_WINDOWS) read.subarray(0, 1).fill('X')
    t.is(await python.run('m[:]'), "b'content'")
    t.is(await python.run("m[1:3] = b'__'"), 'done')
    t.is(read.toString().slice(3), 'tent')
  },
)

withResize(
  'a file that Python resizes is refreshed here, and the other way round (Linux; skipped without python3)',
  async (t) => {
    const path = fileWith(t, 'content')
    const region = opened(t, path, { access: 'write' })
    const python = new Python(t, path)
    t.is(await python.run('m.resize(12)'), 'None')
    t.is(await python.run("m[7:12] = b' more'"), 'done')
    t.true(region.refresh())
    t.is(region.toString(), 'content more')
    opened(t, path, { access: 'write', length: 20 }).set('end', 17)
    t.is(await python.run('m.size()'), '20')
    t.true(region.refresh())
    t.is(region.toString('latin1', -3), 'end')
  },
)
