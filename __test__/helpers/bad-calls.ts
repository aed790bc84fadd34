// Calls with values that no method was made for, and how they have to end.

import type { ExecutionContext } from 'ava'

import { LENGTH, TYPED } from './bad-values.ts'
import { thrownBy } from './files.ts'
import { isLinux } from './system.ts'

/** What is in a file or a region before such calls. */
export const BYTES = Buffer.from(Array.from({ length: LENGTH }, (_, at) => (at * 7 + (at >> 8)) & 0xff))

/** Calls with a value in the place of an argument, and looks at how it ended. */
export function tryValue(t: ExecutionContext, said: string, takes: boolean, work: () => unknown): boolean {
  const error = thrownBy(work)
  if (takes) {
    if (error !== undefined) t.fail(`${said} should be taken: ${String(error)}`)
    return true
  }
  if (error === undefined) t.fail(`${said} was taken`)
  else if (typeof error.code !== 'string' || !TYPED.has(error.code))
    t.fail(`${said}: ${String(error.code)} ${error.stack}`)
  else if (!(error instanceof TypeError) && !(error instanceof RangeError)) t.fail(`${said}: ${error.name}`)
  return false
}

// What the system says of arguments that are in order: no room, no such thing, no such descriptor; on some, that it has none.
const OF_THE_SYSTEM = isLinux ? /^E(?!RR_)[A-Z0-9]+$/ : /^(?:E(?!RR_)[A-Z0-9]+|ERR_FEATURE_UNAVAILABLE_ON_PLATFORM)$/

/** As tryValue, but a value that is in order may still be too much for the system. */
export async function trySystem(t: ExecutionContext, said: string, takes: boolean, work: () => unknown): Promise<void> {
  let error: unknown
  try {
    await work()
  } catch (reason) {
    error = reason
  }
  const code = error instanceof Error ? String(Reflect.get(error, 'code')) : undefined
  if (takes) {
    if (error !== undefined && !OF_THE_SYSTEM.test(code ?? '')) t.fail(`${said} should be taken: ${String(error)}`)
  } else if (error === undefined) t.fail(`${said} was taken`)
  else if (!TYPED.has(code ?? '')) t.fail(`${said}: ${code} ${String(error)}`)
  else if (!(error instanceof TypeError) && !(error instanceof RangeError)) t.fail(`${said}: ${String(error)}`)
}
