// What no argument and no option of a ring can be.

/** Neither bytes nor a number nor a region. */
export const VALUES: readonly unknown[] = [
  undefined,
  null,
  true,
  {},
  [],
  () => 0,
  Symbol('s'),
  1n,
  new Date(NaN),
  -1,
  1.5,
  NaN,
]

/** Options that nobody takes. */
export const OPTIONS: readonly unknown[] = [
  null,
  1,
  'timeout',
  [],
  { timeout: -1 },
  { timeout: NaN },
  { timeout: '1' },
  { timeout: null },
  { timeOut: 1 },
  { into: 1 },
  { into: [] },
  { into: new ArrayBuffer(8) },
  { signal: 1 },
  { signal: {} },
]
