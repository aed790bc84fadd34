// Advice: always a boolean or a typed error, and never a byte lost.

import test from 'ava'
import type { Advice } from 'memmap'

import { codeOf, thrownBy } from './helpers/files.ts'
import { isPrivate, kinds, made, pattern, protectionsOf } from './helpers/kinds.ts'
import { call } from './helpers/scalars.ts'

const ADVICE: readonly Advice[] = [
  'normal',
  'random',
  'sequential',
  'willneed',
  'dontneed',
  'cold',
  'pageout',
  'hugepage',
  'nohugepage',
]
const LENGTH = 50_000
const BYTES = pattern(LENGTH)

for (const kind of kinds()) {
  test(`${kind}: every piece of advice is taken or not known, and no byte is lost`, (t) => {
    const { region } = made(t, kind, BYTES)
    const bytes = Buffer.from(BYTES)
    if (region.access !== 'read') {
      // Bytes that are in the pages of this region alone, where it is private.
      bytes.set(Buffer.from('written'), 12_345)
      region.set('written', 12_345)
    }
    for (const advice of ADVICE) {
      if (advice === 'dontneed' && isPrivate(kind)) {
        const error = thrownBy(() => region.advise(advice))
        t.is(error?.code, 'ERR_INVALID_STATE')
        t.regex(error?.message ?? '', /pageout/)
        t.is(
          codeOf(() => region.advise(advice, { start: 5, end: 10 })),
          'ERR_INVALID_STATE',
        )
      } else {
        t.is(typeof region.advise(advice), 'boolean', advice)
        for (const range of [
          { start: 1 },
          { end: -1 },
          { start: 4097, end: 9000 },
          { start: -5000 },
          { start: 3, end: 3 },
        ])
          t.is(typeof region.advise(advice, range), 'boolean', advice)
      }
      t.true(region.equals(bytes), advice)
    }
    if (isPrivate(kind)) {
      for (const protection of protectionsOf(kind).filter((one) => one !== 'write')) {
        region.protect(protection)
        t.is(
          codeOf(() => region.advise('dontneed')),
          'ERR_INVALID_STATE',
          `protected '${protection}'`,
        )
      }
      region.protect('write')
      t.true(region.equals(bytes))
    }
  })

  test(`${kind}: ranges clamp as everywhere, and what is no advice is a TypeError`, (t) => {
    const { region } = made(t, kind, BYTES)
    const ranges = [
      { start: 2 ** 53 - 1 },
      { end: -(2 ** 53) + 1 },
      { start: 10, end: 5 },
      { start: -99_999, end: 99_999 },
    ]
    for (const range of ranges) t.is(typeof region.advise('willneed', range), 'boolean')
    for (const advice of ['', 'Normal', 'free', 'remove', 'dontfork', 4, null, undefined, {}]) {
      const error = thrownBy(() => call(region, 'advise', advice))
      t.true(error instanceof TypeError, String(advice))
      t.regex(String(error?.code), /^ERR_INVALID_ARG_(TYPE|VALUE)$/)
    }
    region.close()
    t.is(
      codeOf(() => region.advise('normal')),
      'ERR_REGION_CLOSED',
    )
  })
}
