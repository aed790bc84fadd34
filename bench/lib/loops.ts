// The loops of random access, to be imported anew for each who runs them (`?` and a name): V8 specialises a loop for
// what it has met, and would judge one contender by what another did. Each does a part of the work at a call and is
// called often, as functions of real programs are: the code that V8 makes for a loop it is caught in is another.

/** What Buffer and Region both have. */
export interface Scalars {
  readDoubleLE(offset: number): number
  readUInt32LE(offset: number): number
  readBigUInt64LE(offset: number): bigint
}

type Indexes = Uint32Array

/** Indexes read at a call. */
export const PART = 1000

export function doubles(array: Float64Array, indexes: Indexes, from: number, sum: number): number {
  for (let i = from; i < from + PART; i++) sum += array[indexes[i] as number] as number
  return sum
}

export function bigints(array: BigInt64Array, indexes: Indexes, from: number, sum: bigint): bigint {
  for (let i = from; i < from + PART; i++) sum = BigInt.asIntN(64, sum + (array[indexes[i] as number] as bigint))
  return sum
}

export function throughDataView(view: DataView, indexes: Indexes, from: number, sum: number): number {
  for (let i = from; i < from + PART; i++) sum += view.getFloat64((indexes[i] as number) * 8, true)
  return sum
}

export function readDoubleLE(bytes: Scalars, indexes: Indexes, from: number, sum: number): number {
  for (let i = from; i < from + PART; i++) sum += bytes.readDoubleLE((indexes[i] as number) * 8)
  return sum
}

export function readUInt32LE(bytes: Scalars, indexes: Indexes, from: number, sum: number): number {
  for (let i = from; i < from + PART; i++) sum += bytes.readUInt32LE((indexes[i] as number) * 8)
  return sum
}

export function readBigUInt64LE(bytes: Scalars, indexes: Indexes, from: number, sum: bigint): bigint {
  for (let i = from; i < from + PART; i++) {
    sum = BigInt.asUintN(64, sum + bytes.readBigUInt64LE((indexes[i] as number) * 8))
  }
  return sum
}
