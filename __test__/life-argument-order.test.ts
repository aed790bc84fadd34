import test from 'ava'

import { endsWell } from './helpers/life.ts'

test.serial(
  'an argument whose conversion closes the region is met with ERR_REGION_CLOSED by every method',
  async (t) => {
    t.true(Number(await endsWell(t, 'closing-arguments')) > 150)
  },
)
