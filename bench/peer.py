"""The benchmark's rows with Python's own mmap and fcntl.

A command a line on standard input, its words between tabs; an answer a line on standard output: nanoseconds for one
operation and a result to compare. The process stays, and so do its maps.
"""

import array
import fcntl
import mmap
import re
import struct
import sys
from time import perf_counter_ns

SLICE = 1 << 20
RECORD = 64
DOUBLE = struct.Struct('<d')

kept = {}


def mapped(path, access):
    if (path, access) not in kept:
        mode = 'rb' if access == mmap.ACCESS_READ else 'r+b'
        with open(path, mode) as file:
            kept[path, access] = mmap.mmap(file.fileno(), 0, access=access)
    return kept[path, access]


def indexes_of(path, times):
    if path not in kept:
        numbers = array.array('I')
        with open(path, 'rb') as file:
            numbers.frombytes(file.read())
        kept[path] = numbers
    return kept[path][:times]


def run_open(path, times):
    total = 0
    start = perf_counter_ns()
    for _ in range(int(times)):
        with open(path, 'rb', buffering=0) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
            total += memory[0]
    return (perf_counter_ns() - start) / int(times), total


def run_find(path, needle):
    memory = mapped(path, mmap.ACCESS_READ)
    start = perf_counter_ns()
    found = memory.find(needle.encode())
    return perf_counter_ns() - start, found


def run_count(path, needle):
    # mmap has no count, its slices do; each reaches into the next by what a match there may still need.
    memory = mapped(path, mmap.ACCESS_READ)
    word = b'\n' if needle == '\\n' else needle.encode()
    count = 0
    start = perf_counter_ns()
    for at in range(0, len(memory), SLICE):
        count += memory[at : at + SLICE + len(word) - 1].count(word)
    return perf_counter_ns() - start, count


def run_matches(path, pattern):
    memory = mapped(path, mmap.ACCESS_READ)
    matches = total = 0
    start = perf_counter_ns()
    for match in re.finditer(pattern.encode(), memory):
        matches += 1
        total += match.end() - match.start()
    return perf_counter_ns() - start, f'{matches} {total}'


def run_lines(path):
    memory = mapped(path, mmap.ACCESS_READ)
    memory.seek(0)
    lines = total = 0
    start = perf_counter_ns()
    for line in iter(memory.readline, b''):
        lines += 1
        total += len(line) - 1
    return perf_counter_ns() - start, f'{lines} {total}'


def run_reads(path, indexes, times):
    memory = mapped(path, mmap.ACCESS_READ)
    indexes = indexes_of(indexes, int(times))
    read = DOUBLE.unpack_from
    total = 0.0
    start = perf_counter_ns()
    for index in indexes:
        total += read(memory, index * 8)[0]
    return (perf_counter_ns() - start) / len(indexes), struct.unpack('<Q', DOUBLE.pack(total))[0]


def run_writes(path, indexes, times):
    memory = mapped(path, mmap.ACCESS_WRITE)
    indexes = indexes_of(indexes, int(times))
    records = len(memory) // RECORD
    record = b'.' * RECORD
    start = perf_counter_ns()
    for index in indexes:
        offset = index % records * RECORD
        memory[offset : offset + RECORD] = record
    return (perf_counter_ns() - start) / len(indexes), len(indexes)


def run_move(path, length):
    memory = mapped(path, mmap.ACCESS_WRITE)
    length = int(length)
    start = perf_counter_ns()
    memory.move(len(memory) - length, 0, length)
    return perf_counter_ns() - start, length


def run_lock_pairs(path, times):
    with open(path, 'r+b', buffering=0) as file:
        start = perf_counter_ns()
        for _ in range(int(times)):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_UN)
        return (perf_counter_ns() - start) / int(times), times


COMMANDS = {
    'open': run_open,
    'find': run_find,
    'count': run_count,
    'matches': run_matches,
    'lines': run_lines,
    'reads': run_reads,
    'writes': run_writes,
    'move': run_move,
    'lock-pairs': run_lock_pairs,
}

for line in sys.stdin:
    name, *words = line.rstrip('\n').split('\t')
    try:
        answer = COMMANDS[name](*words)
        print(*answer, sep='\t', flush=True)
    except Exception as error:  # whatever it is, the benchmark wants to hear of it
        print('error', f'{type(error).__name__}: {error}', sep='\t', flush=True)
