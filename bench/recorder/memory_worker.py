"""One trytond worker that works until told the end, and says how much memory is its own at each step.

    TRYTOND_CONFIG=... memory_worker.py '{"database": ..., "password": ..., "calls": ..., "away": SECONDS, ...}'

It runs twice, with the recorder and without, and does the same both times: real calls until trytond is warm, 10,000
distinct statement texts, calls while the store is away (somebody else holds its lock for that time), then a million
calls of eight statements each. Those are calls of the recorder alone: a million real ones would take hours and move
trytond's own memory. Without the recorder the statements run on the plain cursor.

Lines on stdin let it go on, lines on stdout tell {"at": STEP, "bytes": UNIQUE SET SIZE}.
"""
import json
import sqlite3
import sys
import time

from application import Application, everyday_requests

STATEMENTS = 8
SAMPLES = 20


def unique_set_size():
    """Bytes that would be freed if this process ended."""
    with open('/proc/self/smaps_rollup') as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith('Private_'))


def tell(step, **more):
    print(json.dumps({'at': step, 'bytes': unique_set_size(), **more}), flush=True)


class _PlainCursor(sqlite3.Cursor):
    pass


class Work:
    """Calls of the recorder, or the same statements without it."""

    def __init__(self, recorder):
        self.connection = sqlite3.connect(':memory:')
        self.cursor = _PlainCursor
        self.native = None
        if recorder:
            from headroom import _native
            self.native = _native
            self.cursor = _native.cursor_class(_PlainCursor, 'sqlite')
        self.connection.execute('CREATE TABLE "res_user" ("id" INTEGER, "name" TEXT)')

    def call(self, texts):
        if self.native is None:
            return self.run(texts)
        with self.native.begin('rpc', 'model.res.user.read', 'bench') as call:
            call.claim(1, 'admin', 'a' * 64)
            call.verify(1, 'admin')
            self.run(texts)

    def run(self, texts):
        for text in texts:
            # As trytond makes it: a cursor that is made past the connection stays in its list for ever.
            cursor = self.connection.cursor(self.cursor)
            cursor.execute(text)
            cursor.fetchall()

    def distinct(self, number):
        columns = ', '.join('"a"."name" AS "name_%d"' % column for column in range(25))
        for first in range(0, number, 100):
            self.call(['SELECT %s, "a"."id" AS "c%d" FROM "res_user" AS "a" WHERE "a"."id" = 1' % (columns, each)
                    for each in range(first, first + 100)])

    def usual(self, number):
        texts = ['SELECT "a"."id" AS "c%d" FROM "res_user" AS "a"' % each for each in range(STATEMENTS)]
        for _ in range(number):
            self.call(texts)


def main():
    settings = json.loads(sys.argv[1])
    application = Application(settings['database'], settings['password'])
    for request in everyday_requests(application):
        for _ in range(settings['warm']):
            request.answer()
    work = Work(settings['recorder'])
    tell('warm')
    sys.stdin.readline()
    end = time.monotonic() + settings['away']
    work.distinct(settings['texts'])
    calls = 0
    while time.monotonic() < end:
        work.usual(100)
        calls += 100
        time.sleep(0.02)
    tell('away', calls=calls)
    sys.stdin.readline()
    tell('back')
    for _ in range(SAMPLES):
        work.usual(settings['calls'] // SAMPLES)
        tell('calls')
    counters = {}
    if work.native:
        work.native.flush(60.0)
        counters = work.native.status()
    tell('end', counters=counters)


if __name__ == '__main__':
    main()
