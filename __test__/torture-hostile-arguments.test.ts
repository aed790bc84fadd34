// Every public function, method, getter and setter, called with values that nobody made it for.

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { Random } from './helpers/random.ts'
import { tmpFolder } from './helpers/tmp.ts'
import { trials } from './helpers/trials.ts'

const CALLS = trials(2000, 100_000)

interface Counts {
  readonly calls: number
  readonly errors: number
  readonly own: number
  readonly answers: number
  readonly unchanged: number
  readonly closedUnder: number
  readonly members: number
  readonly touched: number
  readonly codes: Readonly<Record<string, number>>
}

test(`every public member lives through hostile arguments: a code for each error, and nothing changed: ${CALLS} calls`, async (t) => {
  t.timeout(1_200_000)
  const seed = new Random(t).integer(1, 2 ** 30)
  const child = await runChild('torture/hostile-arguments.mjs', [tmpFolder(t), CALLS, seed], {
    nodeArgs: ['--expose-gc'],
    timeout: 1_200_000,
  })
  t.deepEqual(ending(child), WELL)
  if (child.code !== 0) return
  const counts = JSON.parse(child.stdout) as Counts
  const { calls, errors, own, answers, unchanged, closedUnder, members, touched, codes } = counts
  t.log(
    `${calls} trials, ${errors} errors with a code, ${own} of the values' own, ${answers} right, 0 wrong, 0 deaths; ` +
      `${members} members, ${touched} called; after ${unchanged} errors the region was looked at and as before; ` +
      `closed by an argument ${closedUnder} times`,
  )
  t.log(codes)
  t.is(touched, members)
  // What is hunted happens: there are this many members, most calls are refused, and some are not.
  t.true(members > 500 && errors > calls / 3 && answers > calls / 10 && own > 0 && closedUnder > 0)
})
