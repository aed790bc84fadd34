// Buffer's read and write family as a cursor has it: without the offset, which is its position. `Cursor` makes the methods from
// the region's own.

/** Reads and writes at the cursor's position, and moves it on. */
export interface CursorScalars {
  /** Reads a signed 8-bit integer. @group Reading numbers */
  readInt8(): number
  /** Reads an unsigned 8-bit integer. @group Reading numbers */
  readUInt8(): number
  /** Reads a signed 16-bit integer, little-endian. @group Reading numbers */
  readInt16LE(): number
  /** Reads a signed 16-bit integer, big-endian. @group Reading numbers */
  readInt16BE(): number
  /** Reads an unsigned 16-bit integer, little-endian. @group Reading numbers */
  readUInt16LE(): number
  /** Reads an unsigned 16-bit integer, big-endian. @group Reading numbers */
  readUInt16BE(): number
  /** Reads a signed 32-bit integer, little-endian. @group Reading numbers */
  readInt32LE(): number
  /** Reads a signed 32-bit integer, big-endian. @group Reading numbers */
  readInt32BE(): number
  /** Reads an unsigned 32-bit integer, little-endian. @group Reading numbers */
  readUInt32LE(): number
  /** Reads an unsigned 32-bit integer, big-endian. @group Reading numbers */
  readUInt32BE(): number
  /** Reads a signed 64-bit integer, little-endian. @group Reading numbers */
  readBigInt64LE(): bigint
  /** Reads a signed 64-bit integer, big-endian. @group Reading numbers */
  readBigInt64BE(): bigint
  /** Reads an unsigned 64-bit integer, little-endian. @group Reading numbers */
  readBigUInt64LE(): bigint
  /** Reads an unsigned 64-bit integer, big-endian. @group Reading numbers */
  readBigUInt64BE(): bigint
  /** Reads a 32-bit float, little-endian. @group Reading numbers */
  readFloatLE(): number
  /** Reads a 32-bit float, big-endian. @group Reading numbers */
  readFloatBE(): number
  /** Reads a 64-bit float, little-endian. @group Reading numbers */
  readDoubleLE(): number
  /** Reads a 64-bit float, big-endian. @group Reading numbers */
  readDoubleBE(): number
  /** Reads a signed integer of 1 to 6 bytes, little-endian. @group Reading numbers */
  readIntLE(byteLength: number): number
  /** Reads an unsigned integer of 1 to 6 bytes, little-endian. @group Reading numbers */
  readUIntLE(byteLength: number): number
  /** Reads a signed integer of 1 to 6 bytes, big-endian. @group Reading numbers */
  readIntBE(byteLength: number): number
  /** Reads an unsigned integer of 1 to 6 bytes, big-endian. @group Reading numbers */
  readUIntBE(byteLength: number): number
  /** Writes a signed 8-bit integer. @group Writing numbers */
  writeInt8(value: number): void
  /** Writes an unsigned 8-bit integer. @group Writing numbers */
  writeUInt8(value: number): void
  /** Writes a signed 16-bit integer, little-endian. @group Writing numbers */
  writeInt16LE(value: number): void
  /** Writes a signed 16-bit integer, big-endian. @group Writing numbers */
  writeInt16BE(value: number): void
  /** Writes an unsigned 16-bit integer, little-endian. @group Writing numbers */
  writeUInt16LE(value: number): void
  /** Writes an unsigned 16-bit integer, big-endian. @group Writing numbers */
  writeUInt16BE(value: number): void
  /** Writes a signed 32-bit integer, little-endian. @group Writing numbers */
  writeInt32LE(value: number): void
  /** Writes a signed 32-bit integer, big-endian. @group Writing numbers */
  writeInt32BE(value: number): void
  /** Writes an unsigned 32-bit integer, little-endian. @group Writing numbers */
  writeUInt32LE(value: number): void
  /** Writes an unsigned 32-bit integer, big-endian. @group Writing numbers */
  writeUInt32BE(value: number): void
  /** Writes a signed 64-bit integer, little-endian. @group Writing numbers */
  writeBigInt64LE(value: bigint): void
  /** Writes a signed 64-bit integer, big-endian. @group Writing numbers */
  writeBigInt64BE(value: bigint): void
  /** Writes an unsigned 64-bit integer, little-endian. @group Writing numbers */
  writeBigUInt64LE(value: bigint): void
  /** Writes an unsigned 64-bit integer, big-endian. @group Writing numbers */
  writeBigUInt64BE(value: bigint): void
  /** Writes a 32-bit float, little-endian. @group Writing numbers */
  writeFloatLE(value: number): void
  /** Writes a 32-bit float, big-endian. @group Writing numbers */
  writeFloatBE(value: number): void
  /** Writes a 64-bit float, little-endian. @group Writing numbers */
  writeDoubleLE(value: number): void
  /** Writes a 64-bit float, big-endian. @group Writing numbers */
  writeDoubleBE(value: number): void
  /** Writes a signed integer of 1 to 6 bytes, little-endian. @group Writing numbers */
  writeIntLE(value: number, byteLength: number): void
  /** Writes an unsigned integer of 1 to 6 bytes, little-endian. @group Writing numbers */
  writeUIntLE(value: number, byteLength: number): void
  /** Writes a signed integer of 1 to 6 bytes, big-endian. @group Writing numbers */
  writeIntBE(value: number, byteLength: number): void
  /** Writes an unsigned integer of 1 to 6 bytes, big-endian. @group Writing numbers */
  writeUIntBE(value: number, byteLength: number): void
  /** The same as {@link readUInt8}. @group Other names */
  readUint8(): number
  /** The same as {@link readUInt16LE}. @group Other names */
  readUint16LE(): number
  /** The same as {@link readUInt16BE}. @group Other names */
  readUint16BE(): number
  /** The same as {@link readUInt32LE}. @group Other names */
  readUint32LE(): number
  /** The same as {@link readUInt32BE}. @group Other names */
  readUint32BE(): number
  /** The same as {@link readBigUInt64LE}. @group Other names */
  readBigUint64LE(): bigint
  /** The same as {@link readBigUInt64BE}. @group Other names */
  readBigUint64BE(): bigint
  /** The same as {@link readUIntLE}. @group Other names */
  readUintLE(byteLength: number): number
  /** The same as {@link readUIntBE}. @group Other names */
  readUintBE(byteLength: number): number
  /** The same as {@link writeUInt8}. @group Other names */
  writeUint8(value: number): void
  /** The same as {@link writeUInt16LE}. @group Other names */
  writeUint16LE(value: number): void
  /** The same as {@link writeUInt16BE}. @group Other names */
  writeUint16BE(value: number): void
  /** The same as {@link writeUInt32LE}. @group Other names */
  writeUint32LE(value: number): void
  /** The same as {@link writeUInt32BE}. @group Other names */
  writeUint32BE(value: number): void
  /** The same as {@link writeBigUInt64LE}. @group Other names */
  writeBigUint64LE(value: bigint): void
  /** The same as {@link writeBigUInt64BE}. @group Other names */
  writeBigUint64BE(value: bigint): void
  /** The same as {@link writeUIntLE}. @group Other names */
  writeUintLE(value: number, byteLength: number): void
  /** The same as {@link writeUIntBE}. @group Other names */
  writeUintBE(value: number, byteLength: number): void
}
