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
    const isThere = HAS_TRANSFER || !way.startsWith('transfer')
    const here = isThere ? onLinux : test.serial.skip
    const why = isThere ? '' : ` (skipped: ${process.version} has no ArrayBuffer.prototype.transfer)`
    here(`a buffer moved away by ${name} reads file or zeros after close ('${access}')${why}`, async (t) => {
      await endsWell(t, 'transfer', [way, access])
    })
  }
}

// Node runs the finalizers of a thread's buffers when the thread ends, moved or not.
const moved = process.platform === 'linux' && HAS_TRANSFER ? test.serial : test.serial.skip
moved('a buffer moved to another thread outlives the thread that mapped it', async (t) => {
  await endsWell(t, 'moved-to-thread')
})
