// Errors as Node makes them: a class, a stable `code`, a message that says what is wrong and what to do.

import { constants } from 'node:buffer'
import { inspect } from 'node:util'

import type { Access } from './types.ts'

export interface CodedError extends Error {
  code: string
}

function coded<E extends Error>(error: E, code: string): E & CodedError {
  return Object.assign(error, { code })
}

function received(value: unknown): string {
  if (value === null || value === undefined) return ` Received ${value}`
  if (typeof value === 'function') return ` Received function ${value.name}`
  if (typeof value === 'object') {
    const name = Object.getPrototypeOf(value)?.constructor?.name
    return typeof name === 'string' && name !== ''
      ? ` Received an instance of ${name}`
      : ` Received ${inspect(value, { depth: -1 })}`
  }
  return ` Received type ${typeof value} (${inspect(value).slice(0, 28)})`
}

export function invalidArgType(name: string, expected: string, value: unknown): TypeError & CodedError {
  const kind = name.includes('.') ? 'property' : 'argument'
  return coded(new TypeError(`The "${name}" ${kind} must be ${expected}.${received(value)}`), 'ERR_INVALID_ARG_TYPE')
}

export function invalidArgValue(name: string, value: unknown, why: string): TypeError & CodedError {
  const kind = name.includes('.') ? 'property' : 'argument'
  const shown = inspect(value).slice(0, 128)
  return coded(new TypeError(`The ${kind} '${name}' ${why}. Received ${shown}`), 'ERR_INVALID_ARG_VALUE')
}

export function outOfRange(name: string, expected: string, value: unknown): RangeError & CodedError {
  return coded(
    new RangeError(`The value of "${name}" is out of range. It must be ${expected}. Received ${inspect(value)}`),
    'ERR_OUT_OF_RANGE',
  )
}

export function unknownEncoding(encoding: string): TypeError & CodedError {
  return coded(new TypeError(`Unknown encoding: ${encoding}`), 'ERR_UNKNOWN_ENCODING')
}

export function stringTooLong(): Error & CodedError {
  const most = `0x${constants.MAX_STRING_LENGTH.toString(16)}`
  return coded(new Error(`Cannot create a string longer than ${most} characters`), 'ERR_STRING_TOO_LONG')
}

export function illegalConstructor(instead: string): TypeError & CodedError {
  return coded(new TypeError(`Illegal constructor: use ${instead}`), 'ERR_ILLEGAL_CONSTRUCTOR')
}

export function regionClosed(): Error & CodedError {
  return coded(new Error('The region is closed; open it again to use it'), 'ERR_REGION_CLOSED')
}

export function isRegionClosed(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_REGION_CLOSED'
}

export function regionReadOnly(access: Access, protection: string): Error & CodedError {
  const message =
    access === 'read'
      ? "The region was opened with access 'read'; open it with 'write' to change the file, or with 'copy' to change a private copy"
      : `The region is protected '${protection}'; protect('write') lets it be changed`
  return coded(new Error(message), 'ERR_REGION_READONLY')
}

export function staleHandle(): Error & CodedError {
  return coded(
    new Error(
      'The handle is stale: the region it stands for was closed, or is of another process; keep it open, and share it again',
    ),
    'ERR_REGION_CLOSED',
  )
}

export function unavailable(message: string): Error & CodedError {
  return coded(new Error(message), 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM')
}

export function platformUnsupported(message: string, cause?: unknown): Error & CodedError {
  return coded(new Error(message, { cause }), 'ERR_MEMMAP_PLATFORM')
}

export function lockOverlap(): Error & CodedError {
  return coded(
    new Error(
      'This isolate has the mutex itself, and could not release it while it waits; release it first, or await lock()',
    ),
    'ERR_LOCK_OVERLAP',
  )
}

export function lockTimeout(where: string, timeout: number): Error & CodedError {
  return coded(
    new Error(
      `The lock of ${where} was not free within ${timeout} ms: somebody else has it; wait longer, or try again later`,
    ),
    'ERR_LOCK_TIMEOUT',
  )
}

export function ringTimeout(what: string, timeout: number): Error & CodedError {
  return coded(new Error(`The ring ${what} within ${timeout} ms; wait longer, or try again later`), 'ERR_RING_TIMEOUT')
}

export function ringEnded(): Error & CodedError {
  return coded(
    new Error('The ring has ended: nothing is pushed any more; a new one needs memory of its own, or zeros'),
    'ERR_RING_ENDED',
  )
}
