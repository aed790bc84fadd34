// Times, and what can be said of them on a machine that others use too: contenders run in turns, so that what slows
// one slows all; each turn gives a ratio; and medians are taken.

/** One run of a contender. */
export interface Run {
  /** For one operation. */
  readonly nanoseconds: number
  /** What came out, to be the same with all. */
  readonly result: string
}

export type Contender = () => Run | Promise<Run>

/** So long everybody runs before it counts: V8 takes a few runs to make up its mind. */
const WARM_UP_MS = 500
/** Runs are repeated until the ratio is known this well … */
const CLOSE_ENOUGH = 0.03
/** … or this long has passed, … */
const LONG_ENOUGH_MS = 20_000
/** … but this often at least, … */
const ROUNDS_AT_LEAST = 7
/** … and at most, unless the ratio is to be known better than that. */
const ROUNDS_AT_MOST = 41

/** Times `work`, which does a number of operations. */
export function timed(operations: number, work: () => string | number | bigint): Run {
  const from = process.hrtime.bigint()
  const result = work()
  return { nanoseconds: Number(process.hrtime.bigint() - from) / operations, result: String(result) }
}

/** As {@link timed}, for work that waits. */
export async function timedAsync(operations: number, work: () => Promise<string | number | bigint>): Promise<Run> {
  const from = process.hrtime.bigint()
  const result = await work()
  return { nanoseconds: Number(process.hrtime.bigint() - from) / operations, result: String(result) }
}

/** The value that this part of a list lies below. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** The ratios of two contenders, turn by turn. */
export function ratios(over: readonly number[], under: readonly number[]): number[] {
  return over.map((value, turn) => value / (under[turn] ?? Number.NaN))
}

/**
 * Runs contenders in turns, once they are warm; nanoseconds an operation of each, turn by turn.
 *
 * @param compared the two whose ratio is to be known well.
 * @param closeEnough how well; for less than the usual the runs had better be short, since there are many.
 */
export async function inTurns<Name extends string>(
  contenders: ReadonlyMap<Name, Contender>,
  compared: readonly [Name, Name] | undefined,
  closeEnough = CLOSE_ENOUGH,
): Promise<Map<Name, number[]>> {
  const fine = closeEnough < CLOSE_ENOUGH
  const most = fine ? Number.POSITIVE_INFINITY : ROUNDS_AT_MOST
  const times = new Map<Name, number[]>()
  let expected: { name: Name; result: string } | undefined
  for (const [name, contender] of contenders) {
    const from = performance.now()
    const { result } = await contender()
    while (performance.now() - from < WARM_UP_MS) await contender()
    expected ??= { name, result }
    if (result !== expected.result) {
      throw new Error(`'${name}' got ${result}, and '${expected.name}' ${expected.result}`)
    }
    times.set(name, [])
  }
  const from = performance.now()
  for (let round = 1; round <= most; round++) {
    // Who comes behind another finds the caches as that one left them: for a fine difference, everybody behind everybody.
    const order = fine && round % 2 === 0 ? [...contenders].toReversed() : contenders
    for (const [name, contender] of order) times.get(name)?.push((await contender()).nanoseconds)
    if (round >= ROUNDS_AT_LEAST && (performance.now() - from > LONG_ENOUGH_MS || known(times, compared, closeEnough)))
      break
  }
  return times
}

function known<Name>(
  times: ReadonlyMap<Name, number[]>,
  compared: readonly [Name, Name] | undefined,
  closeEnough: number,
): boolean {
  if (compared === undefined) return false
  const all = ratios(times.get(compared[0]) ?? [], times.get(compared[1]) ?? [])
  // Half the distance of the quartiles, and of a median of n values that by the root of n.
  const spread = (quantile(all, 0.75) - quantile(all, 0.25)) / 2 / Math.sqrt(all.length)
  return spread / median(all) < closeEnough / 3
}
