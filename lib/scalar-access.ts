// Checked access to single values at any 53-bit offset, under the names that Buffer has for it.
//
// A read is a bounds check, one DataView read and a look at the status word: no call of the addon, and yet it
// throws when the region is closed, the offset is out of range, or the page had vanished.

import * as args from './arguments.ts'
import type { Memory } from './memory.ts'

/** The key under which a region keeps its memory. */
export const MEMORY: unique symbol = Symbol('memmap.memory')
/** The same, for here: to V8 a const is constant where no other module can see it, and is looked up where one can. */
const OWN: typeof MEMORY = MEMORY

/** Buffer's whole read and write family: what users are told of it stands at `Region`. */
export abstract class ScalarAccess {
  /** @internal */
  abstract readonly [MEMORY]: Memory

  /** Reads a signed 8-bit integer. @group Reading numbers */
  readInt8(offset = 0): number {
    const memory = this[OWN]
    const value = memory.holds(offset, 1) ? memory.whole.getInt8(offset) : memory.fetch(offset, 1).getInt8(memory.local)
    memory.verify()
    return value
  }

  /** Reads an unsigned 8-bit integer. @group Reading numbers */
  readUInt8(offset = 0): number {
    const memory = this[OWN]
    const value = memory.holds(offset, 1)
      ? memory.whole.getUint8(offset)
      : memory.fetch(offset, 1).getUint8(memory.local)
    memory.verify()
    return value
  }

  /** Reads a signed 16-bit integer, little-endian. @group Reading numbers */
  readInt16LE(offset = 0): number {
    const memory = this[OWN]
    const value = memory.holds(offset, 2)
      ? memory.whole.getInt16(offset, true)
      : memory.fetch(offset, 2).getInt16(memory.local, true)
    memory.verify()
    return value
  }

  /** Reads a signed 16-bit integer, big-endian. @group Reading numbers */
  readInt16BE(offset = 0): number {
    const memory = this[OWN]
    const value = memory.holds(offset, 2)
      ? memory.whole.getInt16(offset, false)
      : memory.fetch(offset, 2).getInt16(memory.local, false)
    memory.verify()
    return value
  }

  /** Reads an unsigned 16-bit integer, little-endian. @group Reading numbers */
  readUInt16LE(offset = 0): number {
    const memory = this[OWN]
    const value = memory.holds(offset, 2)
      ? memory.whole.getUint16(offset, true)
      : memory.fetch(offset, 2).getUint16(memory.local, true)
    memory.verify()
    return value
  }

  /** Reads an unsigned 16-bit integer, big-endian. @group Reading numbers */
  readUInt16BE(offset = 0): number {
    const memory = this[OWN]
    const value = memory.holds(offset, 2)
      ? memory.whole.getUint16(offset, false)
      : memory.fetch(offset, 2).getUint16(memory.local, false)
    memory.verify()
    return value
  }

  /** Reads a signed 32-bit integer, little-endian. @group Reading numbers */
  readInt32LE(offset = 0): number {
    const memory = this[OWN]
    const value = memory.holds(offset, 4)
      ? memory.whole.getInt32(offset, true)
      : memory.fetch(offset, 4).getInt32(memory.local, true)
    memory.verify()
    return value
  }

  /** Reads a signed 32-bit integer, big-endian. @group Reading numbers */
  readInt32BE(offset = 0): number {
    const memory = this[OWN]
    const value = memory.holds(offset, 4)
      ? memory.whole.getInt32(offset, false)
      : memory.fetch(offset, 4).getInt32(memory.local, false)
    memory.verify()
    return value
  }

  /** Reads an unsigned 32-bit integer, little-endian. @group Reading numbers */
  readUInt32LE(offset = 0): number {
    const memory = this[OWN]
    const value = memory.holds(offset, 4)
      ? memory.whole.getUint32(offset, true)
      : memory.fetch(offset, 4).getUint32(memory.local, true)
    memory.verify()
    return value
  }

  /** Reads an unsigned 32-bit integer, big-endian. @group Reading numbers */
  readUInt32BE(offset = 0): number {
    const memory = this[OWN]
    const value = memory.holds(offset, 4)
      ? memory.whole.getUint32(offset, false)
      : memory.fetch(offset, 4).getUint32(memory.local, false)
    memory.verify()
    return value
  }

  /** Reads a signed 64-bit integer, little-endian. @group Reading numbers */
  readBigInt64LE(offset = 0): bigint {
    const memory = this[OWN]
    const held = memory.holdsWord(offset)
    const words = held ? memory.signedWords : memory.signedWord(offset)
    const value = words[held ? offset / 8 : 0] as bigint
    memory.verify()
    return value
  }

  /** Reads a signed 64-bit integer, big-endian. @group Reading numbers */
  readBigInt64BE(offset = 0): bigint {
    const memory = this[OWN]
    const value = memory.holds(offset, 8)
      ? memory.whole.getBigInt64(offset, false)
      : memory.fetch(offset, 8).getBigInt64(memory.local, false)
    memory.verify()
    return value
  }

  /** Reads an unsigned 64-bit integer, little-endian. @group Reading numbers */
  readBigUInt64LE(offset = 0): bigint {
    const memory = this[OWN]
    const held = memory.holdsWord(offset)
    const words = held ? memory.unsignedWords : memory.unsignedWord(offset)
    const value = words[held ? offset / 8 : 0] as bigint
    memory.verify()
    return value
  }

  /** Reads an unsigned 64-bit integer, big-endian. @group Reading numbers */
  readBigUInt64BE(offset = 0): bigint {
    const memory = this[OWN]
    const value = memory.holds(offset, 8)
      ? memory.whole.getBigUint64(offset, false)
      : memory.fetch(offset, 8).getBigUint64(memory.local, false)
    memory.verify()
    return value
  }

  /** Reads a 32-bit float, little-endian. @group Reading numbers */
  readFloatLE(offset = 0): number {
    const memory = this[OWN]
    const value = memory.holds(offset, 4)
      ? memory.whole.getFloat32(offset, true)
      : memory.fetch(offset, 4).getFloat32(memory.local, true)
    memory.verify()
    return value
  }

  /** Reads a 32-bit float, big-endian. @group Reading numbers */
  readFloatBE(offset = 0): number {
    const memory = this[OWN]
    const value = memory.holds(offset, 4)
      ? memory.whole.getFloat32(offset, false)
      : memory.fetch(offset, 4).getFloat32(memory.local, false)
    memory.verify()
    return value
  }

  /** Reads a 64-bit float, little-endian. @group Reading numbers */
  readDoubleLE(offset = 0): number {
    const memory = this[OWN]
    const value = memory.holds(offset, 8)
      ? memory.whole.getFloat64(offset, true)
      : memory.fetch(offset, 8).getFloat64(memory.local, true)
    memory.verify()
    return value
  }

  /** Reads a 64-bit float, big-endian. @group Reading numbers */
  readDoubleBE(offset = 0): number {
    const memory = this[OWN]
    const value = memory.holds(offset, 8)
      ? memory.whole.getFloat64(offset, false)
      : memory.fetch(offset, 8).getFloat64(memory.local, false)
    memory.verify()
    return value
  }

  /** Reads a signed integer of 1 to 6 bytes, little-endian. @group Reading numbers */
  readIntLE(offset: number, byteLength: number): number {
    const memory = this[OWN]
    const size = args.integer('byteLength', byteLength, 1, 6)
    const view = memory.locate(offset, size)
    let value = 0
    for (let at = size - 1; at >= 0; at--) value = value * 0x100 + view.getUint8(memory.local + at)
    memory.verify()
    const half = 2 ** (8 * size - 1)
    return value < half ? value : value - 2 * half
  }

  /** Reads an unsigned integer of 1 to 6 bytes, little-endian. @group Reading numbers */
  readUIntLE(offset: number, byteLength: number): number {
    const memory = this[OWN]
    const size = args.integer('byteLength', byteLength, 1, 6)
    const view = memory.locate(offset, size)
    let value = 0
    for (let at = size - 1; at >= 0; at--) value = value * 0x100 + view.getUint8(memory.local + at)
    memory.verify()
    return value
  }

  /** Reads a signed integer of 1 to 6 bytes, big-endian. @group Reading numbers */
  readIntBE(offset: number, byteLength: number): number {
    const memory = this[OWN]
    const size = args.integer('byteLength', byteLength, 1, 6)
    const view = memory.locate(offset, size)
    let value = 0
    for (let at = 0; at < size; at++) value = value * 0x100 + view.getUint8(memory.local + at)
    memory.verify()
    const half = 2 ** (8 * size - 1)
    return value < half ? value : value - 2 * half
  }

  /** Reads an unsigned integer of 1 to 6 bytes, big-endian. @group Reading numbers */
  readUIntBE(offset: number, byteLength: number): number {
    const memory = this[OWN]
    const size = args.integer('byteLength', byteLength, 1, 6)
    const view = memory.locate(offset, size)
    let value = 0
    for (let at = 0; at < size; at++) value = value * 0x100 + view.getUint8(memory.local + at)
    memory.verify()
    return value
  }

  /** Writes a signed 8-bit integer; returns the offset behind it. @group Writing numbers */
  writeInt8(value: number, offset = 0): number {
    const memory = this[OWN]
    const checked = args.integer('value', value, -0x80, 0x7f)
    const view = memory.locateForWriting(offset, 1)
    view.setInt8(memory.local, checked)
    memory.commit(view, 1)
    return Number(offset) + 1
  }

  /** Writes an unsigned 8-bit integer; returns the offset behind it. @group Writing numbers */
  writeUInt8(value: number, offset = 0): number {
    const memory = this[OWN]
    const checked = args.integer('value', value, 0, 0xff)
    const view = memory.locateForWriting(offset, 1)
    view.setUint8(memory.local, checked)
    memory.commit(view, 1)
    return Number(offset) + 1
  }

  /** Writes a signed 16-bit integer, little-endian; returns the offset behind it. @group Writing numbers */
  writeInt16LE(value: number, offset = 0): number {
    const memory = this[OWN]
    const checked = args.integer('value', value, -0x8000, 0x7fff)
    const view = memory.locateForWriting(offset, 2)
    view.setInt16(memory.local, checked, true)
    memory.commit(view, 2)
    return Number(offset) + 2
  }

  /** Writes a signed 16-bit integer, big-endian; returns the offset behind it. @group Writing numbers */
  writeInt16BE(value: number, offset = 0): number {
    const memory = this[OWN]
    const checked = args.integer('value', value, -0x8000, 0x7fff)
    const view = memory.locateForWriting(offset, 2)
    view.setInt16(memory.local, checked, false)
    memory.commit(view, 2)
    return Number(offset) + 2
  }

  /** Writes an unsigned 16-bit integer, little-endian; returns the offset behind it. @group Writing numbers */
  writeUInt16LE(value: number, offset = 0): number {
    const memory = this[OWN]
    const checked = args.integer('value', value, 0, 0xffff)
    const view = memory.locateForWriting(offset, 2)
    view.setUint16(memory.local, checked, true)
    memory.commit(view, 2)
    return Number(offset) + 2
  }

  /** Writes an unsigned 16-bit integer, big-endian; returns the offset behind it. @group Writing numbers */
  writeUInt16BE(value: number, offset = 0): number {
    const memory = this[OWN]
    const checked = args.integer('value', value, 0, 0xffff)
    const view = memory.locateForWriting(offset, 2)
    view.setUint16(memory.local, checked, false)
    memory.commit(view, 2)
    return Number(offset) + 2
  }

  /** Writes a signed 32-bit integer, little-endian; returns the offset behind it. @group Writing numbers */
  writeInt32LE(value: number, offset = 0): number {
    const memory = this[OWN]
    const checked = args.integer('value', value, -0x80000000, 0x7fffffff)
    const view = memory.locateForWriting(offset, 4)
    view.setInt32(memory.local, checked, true)
    memory.commit(view, 4)
    return Number(offset) + 4
  }

  /** Writes a signed 32-bit integer, big-endian; returns the offset behind it. @group Writing numbers */
  writeInt32BE(value: number, offset = 0): number {
    const memory = this[OWN]
    const checked = args.integer('value', value, -0x80000000, 0x7fffffff)
    const view = memory.locateForWriting(offset, 4)
    view.setInt32(memory.local, checked, false)
    memory.commit(view, 4)
    return Number(offset) + 4
  }

  /** Writes an unsigned 32-bit integer, little-endian; returns the offset behind it. @group Writing numbers */
  writeUInt32LE(value: number, offset = 0): number {
    const memory = this[OWN]
    const checked = args.integer('value', value, 0, 0xffffffff)
    const view = memory.locateForWriting(offset, 4)
    view.setUint32(memory.local, checked, true)
    memory.commit(view, 4)
    return Number(offset) + 4
  }

  /** Writes an unsigned 32-bit integer, big-endian; returns the offset behind it. @group Writing numbers */
  writeUInt32BE(value: number, offset = 0): number {
    const memory = this[OWN]
    const checked = args.integer('value', value, 0, 0xffffffff)
    const view = memory.locateForWriting(offset, 4)
    view.setUint32(memory.local, checked, false)
    memory.commit(view, 4)
    return Number(offset) + 4
  }

  /** Writes a signed 64-bit integer, little-endian; returns the offset behind it. @group Writing numbers */
  writeBigInt64LE(value: bigint, offset = 0): number {
    const memory = this[OWN]
    const checked = args.bigint('value', value, -0x8000000000000000n, 0x7fffffffffffffffn)
    const view = memory.locateForWriting(offset, 8)
    view.setBigInt64(memory.local, checked, true)
    memory.commit(view, 8)
    return Number(offset) + 8
  }

  /** Writes a signed 64-bit integer, big-endian; returns the offset behind it. @group Writing numbers */
  writeBigInt64BE(value: bigint, offset = 0): number {
    const memory = this[OWN]
    const checked = args.bigint('value', value, -0x8000000000000000n, 0x7fffffffffffffffn)
    const view = memory.locateForWriting(offset, 8)
    view.setBigInt64(memory.local, checked, false)
    memory.commit(view, 8)
    return Number(offset) + 8
  }

  /** Writes an unsigned 64-bit integer, little-endian; returns the offset behind it. @group Writing numbers */
  writeBigUInt64LE(value: bigint, offset = 0): number {
    const memory = this[OWN]
    const checked = args.bigint('value', value, 0n, 0xffffffffffffffffn)
    const view = memory.locateForWriting(offset, 8)
    view.setBigUint64(memory.local, checked, true)
    memory.commit(view, 8)
    return Number(offset) + 8
  }

  /** Writes an unsigned 64-bit integer, big-endian; returns the offset behind it. @group Writing numbers */
  writeBigUInt64BE(value: bigint, offset = 0): number {
    const memory = this[OWN]
    const checked = args.bigint('value', value, 0n, 0xffffffffffffffffn)
    const view = memory.locateForWriting(offset, 8)
    view.setBigUint64(memory.local, checked, false)
    memory.commit(view, 8)
    return Number(offset) + 8
  }

  /** Writes a 32-bit float, little-endian; returns the offset behind it. @group Writing numbers */
  writeFloatLE(value: number, offset = 0): number {
    const memory = this[OWN]
    const checked = args.float('value', value)
    const view = memory.locateForWriting(offset, 4)
    view.setFloat32(memory.local, checked, true)
    memory.commit(view, 4)
    return Number(offset) + 4
  }

  /** Writes a 32-bit float, big-endian; returns the offset behind it. @group Writing numbers */
  writeFloatBE(value: number, offset = 0): number {
    const memory = this[OWN]
    const checked = args.float('value', value)
    const view = memory.locateForWriting(offset, 4)
    view.setFloat32(memory.local, checked, false)
    memory.commit(view, 4)
    return Number(offset) + 4
  }

  /** Writes a 64-bit float, little-endian; returns the offset behind it. @group Writing numbers */
  writeDoubleLE(value: number, offset = 0): number {
    const memory = this[OWN]
    const checked = args.float('value', value)
    const view = memory.locateForWriting(offset, 8)
    view.setFloat64(memory.local, checked, true)
    memory.commit(view, 8)
    return Number(offset) + 8
  }

  /** Writes a 64-bit float, big-endian; returns the offset behind it. @group Writing numbers */
  writeDoubleBE(value: number, offset = 0): number {
    const memory = this[OWN]
    const checked = args.float('value', value)
    const view = memory.locateForWriting(offset, 8)
    view.setFloat64(memory.local, checked, false)
    memory.commit(view, 8)
    return Number(offset) + 8
  }

  /** Writes a signed integer of 1 to 6 bytes, little-endian; returns the offset behind it. @group Writing numbers */
  writeIntLE(value: number, offset: number, byteLength: number): number {
    const memory = this[OWN]
    const size = args.integer('byteLength', byteLength, 1, 6)
    const checked = args.integer('value', value, -(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1)
    const view = memory.locateForWriting(offset, size)
    let rest = checked < 0 ? checked + 2 ** (8 * size) : checked
    for (let at = 0; at < size; at++) {
      view.setUint8(memory.local + at, rest % 0x100)
      rest = Math.floor(rest / 0x100)
    }
    memory.commit(view, size)
    return Number(offset) + size
  }

  /** Writes an unsigned integer of 1 to 6 bytes, little-endian; returns the offset behind it. @group Writing numbers */
  writeUIntLE(value: number, offset: number, byteLength: number): number {
    const memory = this[OWN]
    const size = args.integer('byteLength', byteLength, 1, 6)
    const checked = args.integer('value', value, 0, 2 ** (8 * size) - 1)
    const view = memory.locateForWriting(offset, size)
    let rest = checked
    for (let at = 0; at < size; at++) {
      view.setUint8(memory.local + at, rest % 0x100)
      rest = Math.floor(rest / 0x100)
    }
    memory.commit(view, size)
    return Number(offset) + size
  }

  /** Writes a signed integer of 1 to 6 bytes, big-endian; returns the offset behind it. @group Writing numbers */
  writeIntBE(value: number, offset: number, byteLength: number): number {
    const memory = this[OWN]
    const size = args.integer('byteLength', byteLength, 1, 6)
    const checked = args.integer('value', value, -(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1)
    const view = memory.locateForWriting(offset, size)
    let rest = checked < 0 ? checked + 2 ** (8 * size) : checked
    for (let at = size - 1; at >= 0; at--) {
      view.setUint8(memory.local + at, rest % 0x100)
      rest = Math.floor(rest / 0x100)
    }
    memory.commit(view, size)
    return Number(offset) + size
  }

  /** Writes an unsigned integer of 1 to 6 bytes, big-endian; returns the offset behind it. @group Writing numbers */
  writeUIntBE(value: number, offset: number, byteLength: number): number {
    const memory = this[OWN]
    const size = args.integer('byteLength', byteLength, 1, 6)
    const checked = args.integer('value', value, 0, 2 ** (8 * size) - 1)
    const view = memory.locateForWriting(offset, size)
    let rest = checked
    for (let at = size - 1; at >= 0; at--) {
      view.setUint8(memory.local + at, rest % 0x100)
      rest = Math.floor(rest / 0x100)
    }
    memory.commit(view, size)
    return Number(offset) + size
  }

  /** The same as {@link readUInt8}. @group Other names */
  declare readUint8: (offset?: number) => number
  /** The same as {@link readUInt16LE}. @group Other names */
  declare readUint16LE: (offset?: number) => number
  /** The same as {@link readUInt16BE}. @group Other names */
  declare readUint16BE: (offset?: number) => number
  /** The same as {@link readUInt32LE}. @group Other names */
  declare readUint32LE: (offset?: number) => number
  /** The same as {@link readUInt32BE}. @group Other names */
  declare readUint32BE: (offset?: number) => number
  /** The same as {@link readBigUInt64LE}. @group Other names */
  declare readBigUint64LE: (offset?: number) => bigint
  /** The same as {@link readBigUInt64BE}. @group Other names */
  declare readBigUint64BE: (offset?: number) => bigint
  /** The same as {@link readUIntLE}. @group Other names */
  declare readUintLE: (offset: number, byteLength: number) => number
  /** The same as {@link readUIntBE}. @group Other names */
  declare readUintBE: (offset: number, byteLength: number) => number
  /** The same as {@link writeUInt8}. @group Other names */
  declare writeUint8: (value: number, offset?: number) => number
  /** The same as {@link writeUInt16LE}. @group Other names */
  declare writeUint16LE: (value: number, offset?: number) => number
  /** The same as {@link writeUInt16BE}. @group Other names */
  declare writeUint16BE: (value: number, offset?: number) => number
  /** The same as {@link writeUInt32LE}. @group Other names */
  declare writeUint32LE: (value: number, offset?: number) => number
  /** The same as {@link writeUInt32BE}. @group Other names */
  declare writeUint32BE: (value: number, offset?: number) => number
  /** The same as {@link writeBigUInt64LE}. @group Other names */
  declare writeBigUint64LE: (value: bigint, offset?: number) => number
  /** The same as {@link writeBigUInt64BE}. @group Other names */
  declare writeBigUint64BE: (value: bigint, offset?: number) => number
  /** The same as {@link writeUIntLE}. @group Other names */
  declare writeUintLE: (value: number, offset: number, byteLength: number) => number
  /** The same as {@link writeUIntBE}. @group Other names */
  declare writeUintBE: (value: number, offset: number, byteLength: number) => number
}

const NAMES = Object.getOwnPropertyNames(ScalarAccess.prototype).filter((name) => name !== 'constructor')

/** `readUint8` for `readUInt8`: Buffer has both, and so have we. */
const ALIASES = NAMES.filter((name) => name.includes('UInt')).map((name) => name.replace('UInt', 'Uint'))

export const READERS = [...NAMES, ...ALIASES].filter((name) => name.startsWith('read'))
export const WRITERS = [...NAMES, ...ALIASES].filter((name) => name.startsWith('write'))

for (const alias of ALIASES) {
  const method = Object.getOwnPropertyDescriptor(ScalarAccess.prototype, alias.replace('Uint', 'UInt'))
  if (method !== undefined) Object.defineProperty(ScalarAccess.prototype, alias, method)
}
