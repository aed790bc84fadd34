// What `memmap doctor` makes of what the system says: for each thing how it is, whether that is well, and what to do.

import { shortSize, size, whole } from './display.ts'

/** What a finding comes to: all is well; there is something to change for some purpose; something will go wrong. */
export type State = 'ok' | 'note' | 'warning'

export interface Finding {
  readonly check: string
  readonly state: State
  /** How it is. */
  readonly value: string
  /** What that means, where it is not all well. */
  readonly advice?: string
  /** What changes it. */
  readonly command?: string
}

/** What is known. */
export interface Facts {
  /** Limits and settings of the system by name; those that it has. */
  readonly settings: ReadonlyMap<string, string>
  readonly limits: { readonly maps: number; readonly maxMaps: number; readonly pinnable: number }
  readonly capabilities: Readonly<Record<string, string>>
  readonly environment: Readonly<Record<string, string | undefined>>
}

const MIB = 2 ** 20
/** What Linux has allowed since long ago; less was set by somebody. */
const USUAL_MAPS = 65_530
const USUAL_DESCRIPTORS = 1024
const MANY = 1_048_576
/** What containers give. */
const SMALL_SHARED_MEMORY = 64 * MIB
const LITTLE_TO_PIN = 64 * 1024
const LITTLE_LEFT = 8 * MIB

type Check = (facts: Facts) => Finding | undefined

/** In the order in which they are shown. */
export function findings(facts: Facts): Finding[] {
  return CHECKS.map((check) => check(facts)).filter((finding) => finding !== undefined)
}

const CHECKS: readonly Check[] = [
  maps,
  addresses,
  privateMemory,
  overcommit,
  descriptors,
  memory,
  group,
  hugePages,
  sharedHugePages,
  reservedHugePages,
  pinned,
  sharedMemory,
  waits,
  guard,
  windows,
  sharedArrayBuffer,
]

/** A setting, as a number. */
function number({ settings }: Facts, name: string): number | undefined {
  const value = Number(settings.get(name) ?? Number.NaN)
  return Number.isNaN(value) ? undefined : value
}

function maps({ limits: { maps: count, maxMaps } }: Facts): Finding | undefined {
  if (maxMaps === Infinity) return undefined
  const value = `${whole(maxMaps)} a process; this one, which does nothing, has ${whole(count)}`
  if (maxMaps >= MANY) return { check: 'maps', state: 'ok', value }
  const state = maxMaps < USUAL_MAPS ? 'warning' : 'note'
  const advice = 'A region takes one or two. For tens of thousands of open regions raise it; open() stops at 90 %.'
  return { check: 'maps', state, value, advice, command: `sudo sysctl -w vm.max_map_count=${MANY}` }
}

/** A limit of ulimit's that should not be there. */
function limited(facts: Facts, name: string, check: string, advice: string, command: string): Finding | undefined {
  const value = facts.settings.get(name)
  if (value === undefined) return undefined
  if (value === 'unlimited') return { check, state: 'ok', value: 'no limit' }
  return { check, state: 'warning', value: size(Number(value)), advice, command }
}

function addresses(facts: Facts): Finding | undefined {
  const advice = 'Maps beyond that, with all else the process has, are ENOMEM, whatever memory there is.'
  return limited(facts, 'addressSpaceLimit', 'addresses', advice, 'ulimit -v unlimited')
}

function privateMemory(facts: Facts): Finding | undefined {
  const advice = "Regions of access 'read' beyond that are truly read-only, and have no windows; 'copy' is ENOMEM."
  return limited(facts, 'dataLimit', 'private memory', advice, 'ulimit -d unlimited')
}

function overcommit(facts: Facts): Finding | undefined {
  const mode = facts.settings.get('overcommit')
  if (mode === undefined) return undefined
  const check = 'overcommit'
  if (mode !== '2') return { check, state: 'ok', value: mode === '1' ? '1, always' : '0, by judgement' }
  const left = (number(facts, 'commitLimit') ?? 0) - (number(facts, 'committed') ?? 0)
  return {
    check,
    state: 'warning',
    value: `2, never; ${shortSize(Math.max(0, left))} left to be promised`,
    advice: "Private maps count in full: regions of access 'read' beyond that have no windows, 'copy' is ENOMEM.",
    command: 'sudo sysctl -w vm.overcommit_memory=0',
  }
}

function descriptors(facts: Facts): Finding | undefined {
  const most = facts.settings.get('descriptorLimit')
  if (most === undefined) return undefined
  const check = 'open files'
  if (most === 'unlimited' || Number(most) > 4 * USUAL_DESCRIPTORS) {
    return { check, state: 'ok', value: most === 'unlimited' ? 'no limit' : whole(Number(most)) }
  }
  const state = Number(most) < USUAL_DESCRIPTORS ? 'warning' : 'note'
  const advice = 'A region keeps its file open, unless it was opened with keepOpen: false.'
  return { check, state, value: whole(Number(most)), advice, command: 'ulimit -n 65536' }
}

function memory(facts: Facts): Finding | undefined {
  const all = number(facts, 'memory')
  const available = number(facts, 'memoryAvailable')
  if (all === undefined || available === undefined) return undefined
  return { check: 'memory', state: 'ok', value: `${size(all)}, ${size(available)} available` }
}

function group(facts: Facts): Finding | undefined {
  const most = number(facts, 'groupMemory')
  const used = number(facts, 'groupMemoryUsed')
  if (most === undefined || used === undefined) return undefined
  return {
    check: 'container',
    state: 'note',
    value: `${size(used)} of ${size(most)} used`,
    advice:
      'Pages of mapped files count and are given back under pressure; shared memory counts and is not: beyond the limit the ' +
      'process is killed. It is set by docker run --memory, or by MemoryMax of systemd.',
  }
}

function hugePages({ settings }: Facts): Finding | undefined {
  const mode = settings.get('hugePages')
  if (mode === undefined) return undefined
  if (mode !== 'never') return { check: 'huge pages', state: 'ok', value: mode }
  return {
    check: 'huge pages',
    state: 'note',
    value: mode,
    advice: 'hugePages: true has no effect on PrivateMemory and files.',
    command: 'echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled',
  }
}

function sharedHugePages({ settings }: Facts): Finding | undefined {
  const mode = settings.get('sharedHugePages')
  if (mode === undefined) return undefined
  if (mode !== 'never' && mode !== 'deny') return { check: 'huge pages, shared', state: 'ok', value: mode }
  return {
    check: 'huge pages, shared',
    state: 'note',
    value: mode,
    advice: "SharedMemory has ordinary pages, also after advise('hugepage').",
    command: 'echo advise | sudo tee /sys/kernel/mm/transparent_hugepage/shmem_enabled',
  }
}

function reservedHugePages(facts: Facts): Finding | undefined {
  const reserved = number(facts, 'hugePagesReserved')
  if (reserved === undefined || reserved === 0) return undefined
  return {
    check: 'huge pages, reserved',
    state: 'note',
    value: `${whole(reserved)} of ${size(number(facts, 'hugePageSize') ?? 0)}`,
    advice: 'This package asks for transparent huge pages, and uses none of these; nobody else can have the memory.',
    command: 'sudo sysctl -w vm.nr_hugepages=0',
  }
}

function pinned({ limits: { pinnable }, settings }: Facts): Finding | undefined {
  const check = 'pinned memory'
  if (pinnable === Infinity) return { check, state: 'ok', value: 'no limit' }
  if (!settings.has('pinLimit')) return undefined
  return {
    check,
    state: pinnable < LITTLE_TO_PIN ? 'warning' : 'note',
    value: `${size(pinnable)} left`,
    advice:
      'pin() of more is ENOMEM or EPERM; root (CAP_IPC_LOCK) has no limit. A user may have as much ' +
      "as '* - memlock unlimited' in /etc/security/limits.conf allows, a container as docker run --ulimit memlock=-1.",
    command: 'ulimit -l unlimited',
  }
}

function sharedMemory(facts: Facts): Finding | undefined {
  const check = 'shared memory'
  if (facts.capabilities['namedSharedMemory'] === 'absent') {
    const command = 'sudo mkdir -p /dev/shm && sudo mount -t tmpfs -o mode=1777 tmpfs /dev/shm'
    return { check, state: 'warning', value: 'none', advice: 'Named SharedMemory cannot be made.', command }
  }
  const all = number(facts, 'sharedMemorySize')
  const left = number(facts, 'sharedMemoryLeft')
  if (all === undefined || left === undefined) return undefined
  const value = `${size(left)} of ${size(all)} left`
  if (all > SMALL_SHARED_MEMORY && left > LITTLE_LEFT) return { check, state: 'ok', value }
  return {
    check,
    state: left <= LITTLE_LEFT ? 'warning' : 'note',
    value,
    advice:
      'Named SharedMemory beyond that is ENOSPC; `memmap shm` lists what takes it. A container gets more by ' +
      'docker run --shm-size=2g.',
    command: 'sudo mount -o remount,size=2G /dev/shm',
  }
}

function waits({ capabilities, settings, environment }: Facts): Finding | undefined {
  const check = 'waits'
  const ring = settings.get('ioUring')
  if (ring === undefined) return { check, state: 'ok', value: capabilities['waitAsync'] ?? 'absent' }
  const asked = environment['MEMMAP_WAITER'] ?? ''
  if (asked !== '' && asked !== 'ring') {
    const advice = 'waitAsync goes the way that this variable says, which is for tests.'
    return { check, state: 'note', value: `MEMMAP_WAITER=${asked}`, advice, command: 'unset MEMMAP_WAITER' }
  }
  if (ring === 'true') return { check, state: 'ok', value: 'by io_uring' }
  const disabled = settings.get('ioUringDisabled') ?? '0'
  const advice = 'waitAsync goes by a thread; of more than 127 waits at a time some are looked at up to 5 ms apart.'
  const value = `io_uring is not to be had, kernel ${settings.get('kernel') ?? 'unknown'}`
  if (disabled !== '0') {
    const command = 'sudo sysctl -w kernel.io_uring_disabled=0'
    return { check, state: 'note', value: `io_uring is disabled (${disabled})`, advice, command }
  }
  const needs = 'It takes a kernel from 6.7 on, and in a container a seccomp profile that lets io_uring through.'
  return { check, state: 'note', value, advice: `${advice} ${needs}` }
}

function guard({ capabilities, environment }: Facts): Finding {
  const check = 'fault guard'
  if (environment['MEMMAP_GUARD'] === 'off') {
    return {
      check,
      state: 'warning',
      value: 'MEMMAP_GUARD=off',
      advice: 'A file that is truncated under its map, or a full disk, ends the process.',
      command: 'unset MEMMAP_GUARD',
    }
  }
  const how = capabilities['faultGuard'] ?? 'absent'
  if (how === 'native') return { check, state: 'ok', value: 'on' }
  const advice = 'Methods that copy or search are guarded; scalar reads and windows are not.'
  return { check, state: 'note', value: how, advice }
}

function windows({ capabilities }: Facts): Finding | undefined {
  if (capabilities['windowsOfReadRegions'] !== 'absent') return undefined
  const advice = "Regions of access 'read' have no windows: use slice, read… and search, or access 'copy'."
  return { check: 'windows', state: 'note', value: 'not of what is only read', advice }
}

function sharedArrayBuffer({ capabilities }: Facts): Finding {
  const check = 'SharedArrayBuffer'
  if (capabilities['sharedArrayBuffer'] === 'native') return { check, state: 'ok', value: 'of mapped memory' }
  const advice = 'sharedArrayBuffer() takes Node 22.23, 24.21, 26.10 or newer; wait and notify work without it.'
  return { check, state: 'note', value: `not with Node ${process.version}`, advice }
}
