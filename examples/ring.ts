// A parent gives work to a child process through a ring in shared memory, and gets the results through another: the SHA-256 of
// each file, with the parent's event loop free meanwhile.
//
//   node --import=@oxc-node/core/register examples/ring.ts FILE…
//
// The memory has no name. The child gets it as a descriptor, as it gets its output, so that nobody else can open it and nothing is left
// behind however the two end. Windows has no such descriptors: give the memory a name there, `SharedMemory.create(name, …)`, and
// pass that.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { MmapFile, Ring, SharedMemory } from 'memmap'

const CAPACITY = 65_536
const RING = Ring.byteLengthFor(CAPACITY)
/** Where a child finds what it was given behind its input, output and errors. */
const DESCRIPTOR = 3
const AS_CHILD = '--child'

interface Result {
  readonly path: string
  readonly sha256?: string
  readonly error?: string
}

/** Both sides say the same; zeroed memory is an empty ring, so it does not matter who is first. */
function ringsIn(memory: SharedMemory): { jobs: Ring; results: Ring } {
  return { jobs: new Ring(memory, 0, CAPACITY), results: new Ring(memory, RING, CAPACITY) }
}

function sha256(path: string): Result {
  try {
    const file = MmapFile.open(path)
    const hash = createHash('sha256')
    try {
      // Copies, since a method throws where the file is cut off meanwhile: of a window zeros would be hashed.
      for (let start = 0; start < file.byteLength; start += 2 ** 20) hash.update(file.slice(start, start + 2 ** 20))
    } finally {
      file.close()
    }
    return { path, sha256: hash.digest('hex') }
  } catch (error) {
    return { path, error: error instanceof Error ? error.message : String(error) }
  }
}

/** In the child: has nothing else to do, so it may stand still while it waits. */
function work(): void {
  const memory = SharedMemory.fromFd(DESCRIPTOR)
  const { jobs, results } = ringsIn(memory)
  for (let job = jobs.popSync(); job !== null; job = jobs.popSync()) {
    results.pushSync(JSON.stringify(sha256(job.toString())))
  }
  results.end()
  memory.close()
}

/** The results, as they come. */
async function* hashes(paths: readonly string[]): AsyncGenerator<Result, void, undefined> {
  const memory = SharedMemory.anonymous(2 * RING)
  if (memory.fd === undefined) throw new Error('this system has no descriptors of memory')
  const { jobs, results } = ringsIn(memory)
  const args = [...process.execArgv, fileURLToPath(import.meta.url), AS_CHILD]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', memory.fd] })
  // A child that is gone neither pops nor pushes: without this both sides here would wait for ever.
  const gone = new AbortController()
  const exit = once(child, 'exit').then(
    ([code, signal]: (number | string | null)[]) => {
      if (code !== 0) gone.abort(new Error(`the child ended with ${signal ?? code}`))
    },
    (error: unknown) => gone.abort(error),
  )
  try {
    const options = { signal: gone.signal }
    // Beside the loop: where the ring is full, this waits until the child has caught up.
    const giving = (async () => {
      for (const path of paths) await jobs.push(path, options)
      jobs.end()
    })()
    giving.catch(() => {}) // whatever ends it ends the loop, too
    for (let result = await results.pop(options); result !== null; result = await results.pop(options)) {
      yield JSON.parse(result.toString()) as Result
    }
    await giving
  } finally {
    if (!results.ended) child.kill() // nobody wants the rest
    await exit
    memory.close()
  }
}

async function main(paths: readonly string[]): Promise<number> {
  if (paths.length === 0) {
    console.error('usage: ring.ts FILE…')
    return 2
  }
  let exitCode = 0
  try {
    for await (const { path, sha256: hash, error } of hashes(paths)) {
      if (hash !== undefined) console.log(`${hash}  ${path}`)
      else {
        console.error(`ring: ${error}`)
        exitCode = 1
      }
    }
  } catch (error) {
    console.error(`ring: ${error instanceof Error ? error.message : error}`)
    exitCode = 1
  }
  return exitCode
}

if (process.argv[2] === AS_CHILD) work()
else process.exitCode = await main(process.argv.slice(2))
