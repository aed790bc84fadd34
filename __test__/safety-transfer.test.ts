import test from 'ava'

import { endsWell, HAS_TRANSFER } from './helpers/life.ts'

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

const WAYS = {
  transfer: 'ArrayBuffer.prototype.transfer',
  'transfer-resized': 'ArrayBuffer.prototype.transfer with a length',
  'transfer-post-message': 'ArrayBuffer.prototype.transfer and postMessage to a worker',
  'structured-clone': 'structuredClone with a transfer list',
  'post-message': 'postMessage to a worker with a transfer list',
}

for (const [way, name] of Object.entries(WAYS)) {
  for (const access of ['read', 'write', 'copy']) {
    onLinux(`a buffer moved away by ${name} reads file or zeros after close ('${access}')`, async (t) => {
      if (way.startsWith('transfer') && !HAS_TRANSFER) {
        t.log(`skipped: ${process.version} has no ArrayBuffer.prototype.transfer`)
        t.pass()
        return
      }
      await endsWell(t, 'transfer', [way, access])
    })
  }
}

// Node runs the finalizers of a thread's buffers when the thread ends, moved or not.
const moved = process.platform === 'linux' && HAS_TRANSFER ? test.serial : test.serial.skip
moved('a buffer moved to another thread outlives the thread that mapped it', async (t) => {
  await endsWell(t, 'moved-to-thread')
})
