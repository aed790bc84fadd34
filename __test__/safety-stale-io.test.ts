import test from 'ava'

import { endsWell, number } from './helpers/life.ts'

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

for (const [size, name] of [
  [4096, 'one page'],
  [65_536, '64 KiB'],
  [4 * 2 ** 20, '4 MiB'],
] as const) {
  onLinux(
    `fs.read and fs.write queued on windows of ${name} harm no file when the region is closed first`,
    async (t) => {
      const facts = await endsWell(t, 'stale-io', [size])
      // Two requests a round. They wait behind the busy pool, so they come too late; not to be relied on for each.
      t.true(number(facts, 'refused') > number(facts, 'rounds'), JSON.stringify(facts))
    },
  )
}
