import test from 'ava'

import { endsWell } from './helpers/life.ts'

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

for (const access of ['read', 'write', 'copy']) {
  onLinux(`a file cut off under its map is an error of every method, and no death ('${access}')`, async (t) => {
    await endsWell(t, 'faults', [access])
  })
}

// The look at the status word must not be hoisted out of a loop, whatever compiles it.
const TIERS = {
  'as it comes': [],
  'by the interpreter': ['--no-turbofan', '--no-maglev', '--no-sparkplug'],
  'by the baseline compiler': ['--no-turbofan', '--no-maglev', '--always-sparkplug'],
  'by Maglev': ['--no-turbofan', '--maglev'],
  'by TurboFan alone': ['--no-maglev', '--no-sparkplug'],
}
for (const [tier, nodeArgs] of Object.entries(TIERS)) {
  onLinux(`a hot loop of reads, run ${tier}, notices that the file was cut off`, async (t) => {
    for (const method of ['readUInt8', 'readUInt32LE', 'readDoubleLE', 'at', 'cursor']) {
      await endsWell(t, 'hot-loop-fault', [method], { nodeArgs, timeout: 20_000 })
    }
  })
}
