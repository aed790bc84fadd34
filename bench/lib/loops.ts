// The loops of random access, to be imported anew for each who runs them (`?` and a name): V8 specialises a loop for
// what it has met, and would judge one contender by what another did.

/** What Buffer and Region both have. */
export interface Scalars {
  readDoubleLE(offset: number): number
  readUInt32LE(offset: number): number
  readBigUInt64LE(offset: number): bigint
}

type Indexes = Uint32Array

export function doubles(array: Float64Array, indexes: Indexes): number {
  let sum = 0
  for (let i = 0; i < indexes.length; i++) sum += array[indexes[i] as number] as number
  return sum
}

export function bigints(array: BigInt64Array, indexes: Indexes): bigint {
  let sum = 0n
  for (let i = 0; i < indexes.length; i++) sum = BigInt.asIntN(64, sum + (array[indexes[i] as number] as bigint))
  return sum
}

export function throughDataView(view: DataView, indexes: Indexes): number {
  let sum = 0
  for (let i = 0; i < indexes.length; i++) sum += view.getFloat64((indexes[i] as number) * 8, true)
  return sum
}

export function readDoubleLE(bytes: Scalars, indexes: Indexes): number {
  let sum = 0
  for (let i = 0; i < indexes.length; i++) sum += bytes.readDoubleLE((indexes[i] as number) * 8)
  return sum
}

export function readUInt32LE(bytes: Scalars, indexes: Indexes): number {
  let sum = 0
  for (let i = 0; i < indexes.length; i++) sum += bytes.readUInt32LE((indexes[i] as number) * 8)
  return sum
}

export function readBigUInt64LE(bytes: Scalars, indexes: Indexes): bigint {
  let sum = 0n
  for (let i = 0; i < indexes.length; i++) {
    sum = BigInt.asUintN(64, sum + bytes.readBigUInt64LE((indexes[i] as number) * 8))
  }
  return sum
}
