"""Recorded calls at a steady rate, through the native module as trytond loads it, until stdin ends.

    steady_work.py '{"store": URL, "state": FOLDER, "per_second": 500}'

For each line on stdin it tells {"calls": ..., "cpu": SECONDS}: what it made since the last one, and the CPU that this
process took for it, the recorder's own thread included.
"""
import json
import sqlite3
import sys
import threading
import time

from headroom import _native

STATEMENTS = 8


class _PlainCursor(sqlite3.Cursor):
    pass


class Work:

    def __init__(self):
        self.made = 0
        self.ended = threading.Event()
        self.connection = sqlite3.connect(':memory:')
        self.cursor_class = _native.cursor_class(_PlainCursor, 'sqlite')

    def run(self, per_second):
        begun = time.monotonic()
        while not self.ended.is_set():
            self.call()
            self.made += 1
            time.sleep(max(0, begun + self.made / per_second - time.monotonic()))

    def call(self):
        with _native.begin('rpc', 'model.bench.method%d.read' % (self.made % 40), 'bench') as call:
            call.claim(1, 'admin', 'a' * 64)
            call.verify(1, 'admin')
            cursor = self.cursor_class(self.connection)
            for number in range(STATEMENTS):
                cursor.execute('SELECT %d' % number)
                cursor.fetchall()

    def answer(self):
        calls, cpu = 0, time.process_time()
        for _ in sys.stdin:
            now = self.made, time.process_time()
            print(json.dumps({'calls': now[0] - calls, 'cpu': now[1] - cpu}), flush=True)
            calls, cpu = now
        self.ended.set()


def main():
    settings = json.loads(sys.argv[1])
    _native.start({'broker': settings['store'], 'state': settings['state'], 'rules': [{'users': ['admin']}], 'role': 'bench',
        'version': 'bench'})
    work = Work()
    threading.Thread(target=work.answer, daemon=True).start()
    work.run(settings['per_second'])
    if not _native.stop(30.0) or _native.status()['dropped_records']:
        sys.exit('records were lost: %s' % _native.status())


if __name__ == '__main__':
    main()
