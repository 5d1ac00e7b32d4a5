#!/usr/bin/python3
"""What the recorder costs inside trytond, and how fast its store answers, beside the promised figures and the peers.

    bin/bench perf [--quick] [--json FILE] [--only PART...]

Parts: instructions, untraced, traced, statement, sampled, profilers, store, memory. Everything runs against real
servers: trytond 6.0 on SQLite and PostgreSQL, Redis for the original's way. What is compared runs in turn; a figure
comes with its 95 % bootstrap interval (or, from the profilers, its quartiles). What was recorded is checked before a
clock counts. `--quick` does the same on small sizes and judges nothing but the results; it leaves out the instructions,
whose counting takes minutes at any size. The files are under a memory file system where there is one: the time of a
disk is nobody's CPU.
"""
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'tests'), str(ROOT / 'bench')]

import profilers  # noqa: E402
from recorder import figures, instructions, memory, rpc, statement, store  # noqa: E402
from servers import Servers  # noqa: E402

MEMORY_FILES = '/dev/shm'
BACKENDS = ('sqlite', 'postgresql')


class Sizes:

    def __init__(self, quick):
        self.judge = not quick
        self.quick = quick
        self.calls = dict(calls=40, block=5, generations=2, warm=5) if quick else \
            dict(calls=5000, block=10, generations=40, warm=40)
        self.sampled = dict(self.calls) if quick else dict(calls=1000, block=10, generations=10, warm=50)
        self.statements = dict(block=500, rounds=4) if quick else dict(block=2000, rounds=200)
        self.store_calls = 20_000 if quick else 1_000_000
        self.memory = dict(texts=10_000, warm=5, away=3, calls=20_000) if quick else \
            dict(texts=10_000, warm=100, away=60, calls=1_000_000)
        self.instructions = dict(calls=2, warm=1) if quick else dict(calls=40, warm=15)
        self.backends = BACKENDS[:1] if quick else BACKENDS


def instructed(servers, sizes):
    for mode in ('untraced', 'traced'):
        yield from instructions.rows(servers, mode, sizes.instructions, sizes.judge)


def untraced(servers, sizes):
    for backend in sizes.backends:
        yield from rpc.added_rows(servers, backend, 'untraced', sizes.calls, sizes.judge)


def traced(servers, sizes):
    for backend in sizes.backends:
        yield from rpc.added_rows(servers, backend, 'traced', sizes.calls, sizes.judge)


def statements(servers, sizes):
    redis = servers.redis()
    for backend in BACKENDS:
        yield from statement.rows(servers, backend, redis, sizes.statements, sizes.judge)


def sampled(servers, sizes):
    yield from rpc.profiler_rows(servers, sizes.sampled, sizes.judge)


def profiled(servers, sizes):
    yield from profilers.rows(sizes.quick)


def stored(servers, sizes):
    yield from store.rows(servers, sizes.store_calls, sizes.judge)


def remembered(servers, sizes):
    yield from memory.rows(servers, sizes.memory, sizes.judge)


PARTS = {'instructions': instructed, 'untraced': untraced, 'traced': traced, 'statement': statements, 'sampled': sampled, 'profilers': profiled,
    'store': stored, 'memory': remembered}


def arguments():
    parser = figures.arguments('perf', __doc__, PARTS)
    parser.set_defaults(only=None)
    options = parser.parse_args()
    options.only = options.only or [part for part in PARTS if not options.quick or part != 'instructions']
    return options


def all_rows(options):
    for name in options.only:
        with Servers() as servers:
            yield from PARTS[name](servers, Sizes(options.quick))


def main():
    options = arguments()
    if os.path.isdir(MEMORY_FILES) and os.access(MEMORY_FILES, os.W_OK):
        tempfile.tempdir = MEMORY_FILES
    return figures.run(all_rows(options), options.json)


if __name__ == '__main__':
    sys.exit(main())
