// How often a hunt is repeated: a little in `npm test`, as often as its issue asks in `npm run torture`.

/** Whether this is `npm run torture`. */
export const isTorture = process.env['MEMMAP_TORTURE'] === '1'

/** `quick` of them in `npm test`, `all` in `npm run torture`. */
export function trials(quick: number, all: number): number {
  return isTorture ? all : quick
}
