// Random steps of two processes against a model: who holds what says which lock can be had, and nothing else does. Not who
// asks, by which name, descriptor or region; not what else is opened, read and closed; not what was released before.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { linkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import test from 'ava'
import * as fc from 'fast-check'

import { listsLocks, locksOf } from './helpers/lockers.ts'
import { Random } from './helpers/random.ts'
import { isMac, isPosix } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'

/** `npm run test:lock-model` asks for more. */
const SEQUENCES = Number(process.env['MEMMAP_LOCK_SEQUENCES'] ?? 2000)
const MOST_STEPS = 12
/** Where the `shifted` region starts. */
const SHIFT = 5
const LENGTH = 8
/** Where ranges start and end: most of it beyond the end of the file. Behind the last one there is only `Infinity`. */
const PLACES = [...Array.from({ length: 14 }, (_, at) => at), 2 ** 31, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER - 2 * SHIFT]
/** Bytes that tell any two sets of ranges apart. */
const BYTES = PLACES.flatMap((place) => [place, place + SHIFT]).toSorted((one, other) => one - other)

const PROCESSES = [0, 1] as const
const SOURCES = ['path', 'link', 'descriptor', 'region', 'shifted', 'reader', 'mapped'] as const

type Process = (typeof PROCESSES)[number]
type Source = (typeof SOURCES)[number]
type Mode = 'shared' | 'exclusive'
type Kind = 'range' | 'file'

interface LockStep {
  readonly does: 'lock'
  readonly from: Source
  readonly kind: Kind
  readonly mode: Mode
  readonly start: number
  /** In places. */
  readonly length: number
}

interface OldStep {
  readonly does: 'release' | 'downgrade'
  /** One of those that the process was given, as the remainder. */
  readonly which: number
}

interface OtherStep {
  readonly does: 'close' | 'read'
  readonly from: Source
}

type Step = { readonly process: Process } & (LockStep | OldStep | OtherStep)

/** A lock that was had. */
interface Held {
  readonly process: Process
  readonly kind: Kind
  readonly start: number
  readonly end: number
  mode: Mode
  released: boolean
}

type Answer = boolean | string | null

/** A step as a process is told it, and what must come of it. */
interface Told {
  readonly process: Process
  readonly message: object
  readonly expected: Answer
}

class Model {
  readonly #locks: Held[] = []

  /** What a step does; nothing if there is no lock to do it to. */
  step(step: Step): Told | undefined {
    if (step.does === 'lock') return this.#lock(step)
    const { process } = step
    if ('from' in step) {
      return { process, message: { does: step.does, from: step.from }, expected: null }
    }
    const had = this.#locks.filter((lock) => lock.process === process)
    const index = step.which % had.length
    const lock = had[index]
    if (lock === undefined) return undefined
    const message = { does: step.does, index }
    if (step.does === 'release') lock.released = true
    else if (lock.released) return { process, message, expected: 'ERR_INVALID_STATE' }
    else lock.mode = 'shared'
    return { process, message, expected: null }
  }

  #lock({ process, from, kind, mode, ...range }: LockStep & { readonly process: Process }): Told {
    const start = kind === 'file' ? 0 : (PLACES[range.start] ?? 0)
    const end = kind === 'file' ? Infinity : (PLACES[range.start + range.length] ?? Infinity)
    const ends = end === Infinity ? {} : { end }
    const message = { does: 'lock', from, options: kind === 'file' ? { kind, mode } : { mode, start, ...ends } }
    // Windows locks any file that is open.
    const mayNot = from === 'reader' && kind === 'range' && mode === 'exclusive' && isPosix
    if (mayNot) return { process, message, expected: 'EBADF' }
    const shift = from === 'shifted' && kind === 'range' ? SHIFT : 0
    const lock: Held = { process, kind, mode, start: start + shift, end: end + shift, released: false }
    const had = !this.held().some((other) => conflict(lock, other))
    if (had) this.#locks.push(lock)
    return { process, message, expected: had }
  }

  held(): Held[] {
    return this.#locks.filter((lock) => !lock.released)
  }
}

function conflict(one: Held, other: Held): boolean {
  const both = one.kind === other.kind && one.start < other.end && other.start < one.end
  return both && (one.mode === 'exclusive' || other.mode === 'exclusive')
}

/** What is locked how, a letter for each of `BYTES`, and one for the file as such. */
function picture(locks: readonly Pick<Held, 'kind' | 'mode' | 'start' | 'end'>[]): string {
  const letter = (kind: Kind, byte: number): string => {
    const over = locks.filter((lock) => lock.kind === kind && lock.start <= byte && byte < lock.end)
    if (over.length === 0) return '-'
    return over.some(({ mode }) => mode === 'exclusive') ? 'X' : 's'
  }
  return `${BYTES.map((byte) => letter('range', byte)).join('')} ${letter('file', 0)}`
}

/** The same, as the kernel sees it. */
function pictureOfKernel(path: string): string {
  const locks = locksOf(path).map((line) => {
    const [family, mode, start, end] = line.split(' ')
    assert.ok(family === 'OFDLCK' || family === 'FLOCK', line)
    return {
      kind: family === 'FLOCK' ? ('file' as const) : ('range' as const),
      mode: mode === 'WRITE' ? ('exclusive' as const) : ('shared' as const),
      start: Number(start),
      end: Number(end),
    }
  })
  return picture(locks)
}

/** The kernel's list is no snapshot, and may leave one out while other files' locks come and go: once as it should be is so. */
function kernelAgrees(path: string, expected: string): void {
  if (!listsLocks) return
  for (let again = 0; again < 20; again++) if (pictureOfKernel(path) === expected) return
  assert.equal(pictureOfKernel(path), expected, `the kernel has ${locksOf(path).join(', ')}`)
}

/** A process that does as it is told. */
class Other {
  readonly #child
  readonly #waiting: ((answers: readonly Answer[]) => void)[] = []
  readonly #gone: Promise<never>

  constructor(args: readonly string[]) {
    const program = fileURLToPath(new URL('fixtures/locks/model.mjs', import.meta.url))
    this.#child = spawn(process.execPath, [program, ...args], {
      env: { ...process.env, NODE_OPTIONS: undefined },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#child.stdin.on('error', () => {})
    this.#gone = new Promise((_, reject) => {
      this.#child.once('exit', (code, signal) => reject(new Error(`a process ended: ${code ?? signal}`)))
    })
    this.#gone.catch(() => {})
    let text = ''
    this.#child.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += more
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        this.#waiting.shift()?.(JSON.parse(text.slice(0, end)) as Answer[])
        text = text.slice(end + 1)
      }
    })
  }

  does(messages: readonly object[]): Promise<readonly Answer[]> {
    this.#child.stdin.write(`${JSON.stringify(messages)}\n`)
    return Promise.race([new Promise<readonly Answer[]>((resolve) => this.#waiting.push(resolve)), this.#gone])
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

/** Does all steps in their order; those that follow each other in one process are told it at once. */
async function play(told: readonly Told[], others: readonly Other[]): Promise<void> {
  for (let from = 0; from < told.length;) {
    const process = told[from]?.process
    const next = told.findIndex((one, at) => at > from && one.process !== process)
    const batch = told.slice(from, next === -1 ? told.length : next)
    const answers = await others[process ?? 0]?.does(batch.map(({ message }) => message))
    batch.forEach(({ message, expected }, at) => {
      // Windows keeps ordinary readers out of what is locked, too.
      if (!isPosix && 'does' in message && message.does === 'read') return
      assert.equal(answers?.[at], expected, `step ${from + at}, process ${process}: ${JSON.stringify(message)}`)
    })
    from += batch.length
  }
}

const anyProcess = fc.constantFrom(...PROCESSES)
const anySource = fc.constantFrom(...SOURCES)
const lockStep = fc.record({
  process: anyProcess,
  does: fc.constant('lock' as const),
  from: anySource,
  // On macOS a lock of the file is one of all its ranges.
  kind: fc.constantFrom<Kind[]>('range', 'range', 'range', 'range', isMac ? 'range' : 'file'),
  mode: fc.constantFrom<Mode[]>('shared', 'exclusive'),
  start: fc.nat(PLACES.length - 1),
  length: fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 1, max: 5 }) },
    fc.integer({ min: 1, max: PLACES.length }),
  ),
})
const oldStep = fc.record({
  process: anyProcess,
  does: fc.constantFrom('release' as const, 'release' as const, 'downgrade' as const),
  which: fc.nat(MOST_STEPS),
})
const otherStep = fc.record({
  process: anyProcess,
  does: fc.constantFrom('close' as const, 'read' as const),
  from: anySource,
})
const anySteps = fc.array<Step>(
  fc.oneof({ weight: 6, arbitrary: lockStep }, { weight: 3, arbitrary: oldStep }, { weight: 2, arbitrary: otherStep }),
  { minLength: 2, maxLength: MOST_STEPS, size: 'max' },
)

test(`a lock is had if nobody holds one in its way, and only then: ${SEQUENCES} sequences of two processes`, async (t) => {
  t.timeout(60_000 + SEQUENCES * 20)
  const { seed } = new Random(t)
  const path = join(tmpFolder(t), 'locked')
  const link = `${path}-too`
  writeFileSync(path, Buffer.alloc(LENGTH))
  linkSync(path, link)
  const others = PROCESSES.map(() => new Other([path, link, String(SHIFT)]))
  t.teardown(() => others.forEach((other) => other.kill()))

  const counts = { had: 0, refused: 0, other: 0 }
  const sequence = async (steps: readonly Step[]): Promise<void> => {
    const model = new Model()
    const told = steps.map((step) => model.step(step)).filter((one) => one !== undefined)
    try {
      await play(told, others)
      kernelAgrees(path, picture(model.held()))
    } finally {
      await Promise.all(others.map((other) => other.does([{ does: 'end' }])))
    }
    kernelAgrees(path, picture([]))
    if (listsLocks) assert.deepEqual(locksOf(path), [])
    for (const { expected } of told) counts[expected === true ? 'had' : expected === false ? 'refused' : 'other']++
  }
  const begun = performance.now()
  await fc.assert(fc.asyncProperty(anySteps, sequence), { seed, numRuns: SEQUENCES })
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  t.log(`${counts.had} locks had, ${counts.refused} refused, ${counts.other} other steps: ${seconds} s`)
  t.true(counts.had > SEQUENCES && counts.refused > SEQUENCES / 2, 'both happen often')
})
