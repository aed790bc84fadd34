// Which file is meant: a path, the bytes of one, or a descriptor.

import { fileURLToPath } from 'node:url'
import { isUint8Array } from 'node:util/types'

import * as args from './arguments.ts'
import { invalidArgType, invalidArgValue } from './errors.ts'

export interface Source {
  readonly path: string | undefined
  readonly bytes: Buffer | undefined
  readonly descriptor: number
}

export function sourceOf(file: unknown): Source {
  if (typeof file === 'string') return byPath(file)
  if (typeof file === 'number') return byDescriptor(args.integer('file', file, 0, 2 ** 31 - 1))
  if (file instanceof URL) return byPath(pathOf(file))
  if (isUint8Array(file)) {
    const bytes = Buffer.copyBytesFrom(file)
    if (bytes.includes(0)) throw invalidArgValue('file', file, 'must be a path without NUL bytes')
    return { path: undefined, bytes, descriptor: -1 }
  }
  if (typeof file === 'object' && file !== null && 'fd' in file && typeof file.fd === 'number') {
    // A FileHandle that was closed has -1, and gets EBADF as a closed descriptor does.
    return byDescriptor(args.integer('file.fd', file.fd, -1, 2 ** 31 - 1))
  }
  throw invalidArgType('file', 'of type string or number or an instance of Buffer, URL or FileHandle', file)
}

function pathOf(url: URL): string {
  try {
    return fileURLToPath(url)
  } catch (error) {
    // What only inherits from a URL has none inside, and V8 has no code for that.
    if (error instanceof TypeError && !('code' in error)) throw invalidArgType('file', 'a URL', url)
    throw error
  }
}

function byPath(path: string): Source {
  if (path.includes('\0')) throw invalidArgValue('file', path, 'must be a path without NUL bytes')
  return { path, bytes: undefined, descriptor: -1 }
}

function byDescriptor(descriptor: number): Source {
  return { path: undefined, bytes: undefined, descriptor }
}
