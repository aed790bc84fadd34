// After one failed flush the region stays failed: the system reports a lost write once only.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'

import { ending, runChild, WELL } from './helpers/child.ts'
import { isLinux } from './helpers/system.ts'
import { tmpFolder } from './helpers/tmp.ts'

// Of this architecture: emulated, we may find the machine's own.
const MACHINE = { x64: 'x86_64', arm64: 'aarch64' }[process.arch as string] ?? process.arch
const hasCompiler =
  isLinux && spawnSync('gcc', ['-dumpmachine'], { encoding: 'utf8' }).stdout?.startsWith(MACHINE) === true
const withCompiler = hasCompiler ? test : test.skip

/** Stands before the C library's: fails once where the program asks for it, and counts. */
const SHIM = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/mman.h>

static int armed(const char *name) {
  static int failed;
  const char *chosen = getenv("MEMMAP_SHIM_FAILS");
  const char *trigger = getenv("MEMMAP_SHIM_TRIGGER");
  if (!chosen || strcmp(chosen, name) || failed || !trigger) return 0;
  FILE *file = fopen(trigger, "r");
  if (!file) return 0;
  fclose(file);
  failed = 1;
  return 1;
}

static void count(const char *name) {
  const char *path = getenv("MEMMAP_SHIM_LOG");
  FILE *file = path ? fopen(path, "a") : NULL;
  if (file) { fprintf(file, "%s\\n", name); fclose(file); }
}

int msync(void *address, size_t length, int flags) {
  static int (*real)(void *, size_t, int);
  if (!real) real = dlsym(RTLD_NEXT, "msync");
  if (armed("msync")) { errno = EIO; return -1; }
  return real(address, length, flags);
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
  count("fdatasync");
  if (armed("fdatasync")) { errno = EIO; return -1; }
  return real(fd);
}
`

function shim(folder: string): string {
  const [source, library] = [join(folder, 'shim.c'), join(folder, 'shim.so')]
  writeFileSync(source, SHIM)
  const { status, stderr } = spawnSync('gcc', ['-shared', '-fPIC', '-o', library, source, '-ldl'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return library
}

for (const call of ['msync', 'fdatasync']) {
  withCompiler(
    `a ${call} that fails once: every later flush fails too, and reads go on (skipped without gcc)`,
    async (t) => {
      const folder = tmpFolder(t)
      const env = {
        LD_PRELOAD: shim(folder),
        MEMMAP_SHIM_FAILS: call,
        MEMMAP_SHIM_TRIGGER: join(folder, 'now'),
        MEMMAP_SHIM_LOG: join(folder, 'log'),
      }
      const result = await runChild('system/flush-failure.mjs', [folder, call], { env })
      t.deepEqual(ending(result), WELL)
    },
  )
}

withCompiler("what was written reaches the disk also after protect('read') (skipped without gcc)", async (t) => {
  const folder = tmpFolder(t)
  const env = { LD_PRELOAD: shim(folder), MEMMAP_SHIM_LOG: join(folder, 'log') }
  const result = await runChild('system/flush-protected.mjs', [folder], { env })
  t.deepEqual(ending(result), WELL)
})
