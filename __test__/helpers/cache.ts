// What the system remembers of files.

import { spawnSync } from 'node:child_process'

/** Needs python3. Lets the system forget what it has of a file. */
export function dropCache(path: string): void {
  const program = 'import os, sys; fd = os.open(sys.argv[1], os.O_RDWR); os.fsync(fd); os.posix_fadvise(fd, 0, 0, 4)'
  const { status, stderr } = spawnSync('python3', ['-c', program, path], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
}
