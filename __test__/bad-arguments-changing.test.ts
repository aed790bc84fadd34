// Arguments that are something else when they are used than when they were given: those whose reading closes the region,
// and bytes whose memory was transferred, closed or resized.

import test from 'ava'
import type { MmapFile } from 'memmap'

import { BYTES } from './helpers/bad-calls.ts'
import { background, BACKGROUND_SEARCHES, SEARCHES } from './helpers/bad-searches.ts'
import { codeOf, fileWith, opened, WINDOWED } from './helpers/files.ts'
import { call, READERS, WRITERS } from './helpers/scalars.ts'

const number = (region: MmapFile) => ({
  valueOf: () => {
    region.close()
    return 1
  },
})
const options = (region: MmapFile) => ({
  get start() {
    region.close()
    return 1
  },
})

test('an option whose reading closes the region is read first, and the call then finds it closed', async (t) => {
  const closing = (make: (region: MmapFile) => unknown) => {
    const region = opened(t, fileWith(t, BYTES), { access: 'write' })
    t.is(
      codeOf(() => make(region)),
      'ERR_REGION_CLOSED',
    )
    t.is(region.byteLength, 0)
  }
  for (const { name, good } of SEARCHES) {
    closing((region) => call(region, name, good, options(region)))
    closing((region) => call(region, name, good, { end: number(region) }))
  }
  for (const { name, good } of SEARCHES.filter((search) => search.options === background)) {
    closing((region) => call(region, name, good, { threads: number(region) }))
  }
  for (const { name, good } of BACKGROUND_SEARCHES) {
    for (const given of [
      options,
      (region: MmapFile) => ({ end: number(region) }),
      (region: MmapFile) => ({ threads: number(region) }),
    ]) {
      const region = opened(t, fileWith(t, BYTES))
      const promise = call(region, name, good, given(region))
      const error: unknown = await t.throwsAsync(async () => promise)
      t.is(error instanceof Error && Reflect.get(error, 'code'), 'ERR_REGION_CLOSED', name)
    }
  }
  for (const name of ['slice', 'subarray', 'at', 'readUInt8', 'cursor'])
    closing((region) => call(region, name, number(region)))
  closing((region) => call(region, 'toString', 'utf8', number(region)))
  closing((region) => call(region, 'view', Uint8Array, number(region)))
  closing((region) => call(region, 'set', 'abc', number(region)))
  closing((region) => call(region, 'move', 0, 1, number(region)))
  closing((region) => call(region, 'move', number(region), 1, 1))
  closing((region) => call(region, 'fill', 1, options(region)))
  closing((region) => call(region, 'lines', options(region)))
  closing((region) => call(region, 'windows', 10, options(region)))
  closing((region) => call(region, 'flushSync', options(region)))
  for (const { name, size, kind } of WRITERS) {
    const value = kind === 'bigint' ? 1n : 1
    const rest = size === undefined ? [3] : []
    closing((region) => call(region, name, value, number(region), ...rest))
    if (kind !== 'bigint') closing((region) => call(region, name, number(region), 0, ...rest))
  }
  for (const { name, size } of READERS)
    closing((region) => call(region, name, number(region), ...(size === undefined ? [3] : [])))
})

/** A buffer whose memory has gone elsewhere. */
function detached(): ArrayBuffer {
  const buffer = new ArrayBuffer(8)
  structuredClone(buffer, { transfer: [buffer] })
  return buffer
}

test('bytes whose memory was transferred elsewhere are none, or refused with a code; nothing is written', async (t) => {
  const region = opened(t, fileWith(t, BYTES), { access: 'write' })
  const view = new DataView(new ArrayBuffer(8), 2)
  structuredClone(view.buffer, { transfer: [view.buffer] })
  for (const gone of [detached(), view]) {
    for (const name of ['set', 'fill', 'equals', 'indexOf', 'lastIndexOf', 'includes', 'count', 'indexesOf']) {
      t.is(
        codeOf(() => call(region, name, gone)),
        'ERR_INVALID_ARG_TYPE',
        name,
      )
    }
    for (const name of ['count', 'indexesOf', 'matchAll']) {
      t.is(
        codeOf(() => call(region, name, ['x', gone])),
        'ERR_INVALID_ARG_TYPE',
        name,
      )
    }
  }
  const bytes = new Uint8Array(8)
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  t.is(region.set(bytes, 3), 0)
  t.is(
    codeOf(() => call(region, 'fill', bytes)),
    'ERR_INVALID_ARG_VALUE',
  )
  t.false(region.equals(bytes))
  // A needle that is gone finds as one that is empty.
  t.is(region.indexOf(bytes), 0)
  t.is(await region.indexOfAsync(bytes), 0)
  t.is(await region.countAsync(bytes), region.count(''))
  for await (const index of region.indexesOf(bytes, { start: 2, end: 3 })) t.true(index === 2 || index === 3)
  const window = opened(t, fileWith(t, BYTES), { access: WINDOWED })
  const closed = window.subarray()
  window.close()
  t.is(region.set(closed), 0)
  t.true(region.equals(BYTES))
})

test('a buffer that can be resized gives the bytes it has now', (t) => {
  const region = opened(t, fileWith(t, BYTES), { access: 'copy' })
  const buffer: unknown = Reflect.construct(ArrayBuffer, [4, { maxByteLength: 16 }])
  if (!(buffer instanceof ArrayBuffer)) return t.fail()
  const [all, part] = [new Uint8Array(buffer), new Uint8Array(buffer, 2, 2)]
  all.set(Buffer.from('ABCD'))
  t.is(region.set(all), 4)
  t.is(region.set(part, 4), 2)
  t.is(region.toString('latin1', 0, 6), 'ABCDCD')
  call(buffer, 'resize', 16)
  t.is(region.set(all, 0), 16)
  t.is(region.toString('latin1', 0, 6), 'ABCD\0\0')
  call(buffer, 'resize', 1)
  t.is(region.set(part, 0), 0)
  t.is(region.set(all, 1), 1)
  t.is(region.toString('latin1', 0, 4), 'AACD')
})
