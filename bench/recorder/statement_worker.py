"""What one statement costs in a recorded call: bare, through the recorder's cursor, and the original's way, in turn.

    statement_worker.py '{"dialect": ..., "connect": ..., "store": ..., "state": ..., "redis": PORT, ...}'

A statement is `SELECT 1` with the fetch of its row, the smallest that a driver can run; what is added does not depend on
it. Ours and bare run in pairs of blocks, of which the order changes; the original's way, whose trips take some
hundred times as long, runs a smaller block between them. Times of the first two are CPU of the thread, which is what
they cost; those that are compared with the original's are wall time, since its trips are waited for.
"""
import json
import sqlite3
import sys
import time

from headroom import _native
from original import OriginalRecorder, trips

METHOD = 'model.bench.statement'
TEXT = 'SELECT 1'


def open_connection(settings):
    if settings['dialect'] == 'sqlite':
        return sqlite3.connect(':memory:'), _SQLiteCursor
    import psycopg2
    from psycopg2.extensions import cursor
    return psycopg2.connect(settings['connect']), cursor


class _SQLiteCursor(sqlite3.Cursor):
    pass


class Ways:
    """Each runs a number of statements in one call and gives the nanoseconds of wall and CPU time a statement."""

    def __init__(self, settings):
        self.connection, self.base = open_connection(settings)
        self.recording = _native.cursor_class(self.base, settings['dialect'])
        self.original = OriginalRecorder(settings['redis'], '0123456789abcdef')

    def cursor(self, kind):
        if kind is self.base and self.base is _SQLiteCursor:
            return self.base(self.connection)
        return kind(self.connection)

    def bare(self, number):
        return _run(self.cursor(self.base), number)

    def ours(self, number):
        with _native.begin('rpc', METHOD, 'bench') as call:
            call.claim(1, 'admin', 'a' * 64)
            call.verify(1, 'admin')
            return _run(self.cursor(self.recording), number)

    def originals(self, number):
        cursor = self.cursor(self.base)
        self.original.enter('admin', METHOD)
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        for _ in range(number):
            begin = time.perf_counter()
            cursor.execute(TEXT)
            cursor.fetchall()
            self.original.statement('x', time.perf_counter() - begin)
        passed = time.perf_counter_ns() - wall, time.thread_time_ns() - cpu
        self.original.leave()
        return [value / number for value in passed]


def _run(cursor, number):
    execute, fetch = cursor.execute, cursor.fetchall
    wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
    for _ in range(number):
        execute(TEXT)
        fetch()
    return [(time.perf_counter_ns() - wall) / number, (time.thread_time_ns() - cpu) / number]


def main():
    settings = json.loads(sys.argv[1])
    rule = {'users': ['admin']}
    _native.start({'broker': settings['store'], 'state': settings['state'], 'role': 'bench', 'version': 'bench',
            'rules': [rule]})
    ways = Ways(settings)
    block, few = settings['block'], max(1, settings['block'] // 50)
    for way in (ways.bare, ways.ours):
        way(block)
    ways.originals(few)
    before = trips(settings['redis'])
    rounds = []
    for turn in range(settings['rounds']):
        first, second = ('bare', 'ours') if turn % 2 else ('ours', 'bare')
        times = {first: getattr(ways, first)(block)}
        times['originals'] = ways.originals(few)
        times[second] = getattr(ways, second)(block)
        rounds.append(times)
    flushed = _native.flush(30.0)
    json.dump({'rounds': rounds, 'trips': trips(settings['redis']) - before - 1, 'flushed': flushed,
            'expected_trips': settings['rounds'] * (9 + 4 * few), 'calls': settings['rounds'] + 1,
            'statements': block * (settings['rounds'] + 1)}, sys.stdout)


if __name__ == '__main__':
    main()
