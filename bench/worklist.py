#!/usr/bin/python3
"""What it costs to tell a user the counts of a thousand work lists, from memory and by SQL, beside the ways that are usual.

    bin/bench worklist [--quick] [--json FILE] [--documents N] [--sample N] [--only PART...]

Parts: live, fresh (bench/worklist/fresh.py), sql, duckdb. The documents are made up (bench/worklist/world.hpp): 200 types, 12 states, 1,000 owners, 5,000 security uids
by Zipf's law; a list wants 1 to 4 types and 1 to 3 states; a user has 100 uids and what he owns. Every way counts the same lists for the
same users over the same documents, those in SQL in one PostgreSQL with the settings and indexes that are printed, and none counts unless its
numbers are those of adding up documents one by one. Counters in memory are filled through `LiveCounters::put`, without a database. `--quick`
does it with few documents and lists and without DuckDB, and judges nothing but the counts.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'tests'), str(ROOT / 'bench'), str(ROOT / 'bench' / 'worklist')]

import duckdb_peer  # noqa: E402
import fresh  # noqa: E402
import sql_sides  # noqa: E402
from recorder import figures  # noqa: E402
from servers import Servers, paths  # noqa: E402

ALLOWANCE = 100e6  # bytes that counters may take whatever the number of documents
KEYS = {'dense': ('dense whole numbers', 20), 'sparse': ('scattered whole numbers', 36), 'text': ('texts of 14 characters', 36)}


class Sizes:

    def __init__(self, options):
        self.judge = not options.quick
        self.documents, self.lists, self.users, self.sample = (20_000, 60, 20, 2) if options.quick else (10_000_000, 1_000, 1_000, 2)
        self.documents = options.documents or self.documents
        self.sample = options.sample or self.sample
        self.rounds = 2 if options.quick else 5

    def load(self, *words):
        """The arguments of bench/worklist/load.cpp."""
        return [paths.build() / 'bench/worklist/worklist_load', *words, '--documents', str(self.documents), '--lists', str(self.lists),
            '--users', str(self.users), '--sample', str(self.sample), '--rounds', str(self.rounds), '--threads', str(os.cpu_count())]

    def ask(self, *words):
        done = subprocess.run(self.load(*words), stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError('worklist_load %s ended with status %d' % (words[0], done.returncode))
        return json.loads(done.stdout)

    def at_most(self, what, unit, value, goal, digits=1, peer='-'):
        return figures.row(what, unit, '%.*f' % (digits, value), '<= %g' % goal, value <= goal if self.judge else None, peer)

    def at_least(self, what, unit, value, goal, digits=1, peer='-'):
        return figures.row(what, unit, '%.*f' % (digits, value), '>= %g' % goal, value >= goal if self.judge else None, peer)


def live_rows(sizes):
    for keys, (what, most) in KEYS.items():
        found = sizes.ask('live', keys)
        if keys == 'dense':
            yield from speed_rows(sizes, found)
        a_row = max(0, found['resident'] - ALLOWANCE) / sizes.documents
        yield sizes.at_most('memory of a document beyond 100 MB, keys %s' % what, 'bytes', a_row, most,
            peer='%d MB in all, %d MB counted' % (found['resident'] / 1e6, found['size']['bytes'] / 1e6))
        yield figures.row('loaded by put, keys %s' % what, 'rows/s', '%.0f' % (1000 * sizes.documents / found['load']))


def speed_rows(sizes, found):
    count = found['count']
    yield sizes.at_most("one user's %d counts from memory, p99 over %d users" % (sizes.lists, sizes.users), 'ms', count['p99'], 1, 3,
        'median %.3f' % count['median'])
    yield sizes.at_most('all %d counters recomputed, %d threads' % (sizes.lists * sizes.users, os.cpu_count()), 'ms', found['count_all'], 150)
    yield sizes.at_least('row changes applied in transactions of 1,000, one thread', 'rows/s', found['changes_a_second'], 1_000_000, 0,
        'one by one %.0f' % found['changes_one_by_one'])
    yield sizes.at_most('a definition changed, the slowest of 7', 'ms', found['definition'], 50)
    yield sizes.at_most('everything rebuilt, %d threads' % os.cpu_count(), 'ms', found['rebuild'], 250,
        peer='%d classes of documents' % found['size']['classes'])


def sql_rows(sizes):
    with Servers() as servers:
        yield from sql_sides.rows(servers, sizes)


def fresh_rows(sizes):
    with Servers() as servers:
        yield from fresh.rows(servers, sizes)


def duckdb_rows(sizes):
    if sizes.judge:
        yield from duckdb_peer.rows(sizes)


PARTS = {'live': live_rows, 'fresh': fresh_rows, 'sql': sql_rows, 'duckdb': duckdb_rows}


def main():
    parser = figures.arguments('worklist', __doc__, PARTS)
    parser.add_argument('--documents', type=int, metavar='N', help='so many documents in place of 10 million')
    parser.add_argument('--sample', type=int, metavar='N', help='users that the ways by SQL count for, in place of 2')
    options = parser.parse_args()
    sizes = Sizes(options)
    return figures.run((one for name in options.only for one in PARTS[name](sizes)), options.json)


if __name__ == '__main__':
    sys.exit(main())
