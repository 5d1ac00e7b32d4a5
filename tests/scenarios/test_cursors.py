"""Cursors written in Python, as psycopg 3's are, under the native module: iteration is part of the statement."""
import os
import subprocess

import pytest

from servers import paths, run_headroom

PROGRAM = """
import sys, time
from headroom import _native as native

class Rows:
    rowcount = -1
    def execute(self, query, params=None):
        self.left = 3
        return self
    def load(self):
        if not self.left:
            return None
        time.sleep(0.02)
        self.left -= 1
        return (self.left,)

class Iterator(Rows):
    def __iter__(self):
        return self
    def __next__(self):
        row = self.load()
        if row is None:
            raise StopIteration
        return row

class Generator(Rows):
    def __iter__(self):
        while True:
            row = self.load()
            if row is None:
                return
            yield row

class Failing(Rows):
    def __iter__(self):
        yield from [(2,), (1,)]
        raise RuntimeError('lost')

native.start({'broker': sys.argv[1], 'state': sys.argv[2], 'role': 'test', 'version': 'headroom in a test',
    'rules': [{'users': ['admin']}]})
base = {'generator': Generator, 'iterator': Iterator, 'failing': Failing}[sys.argv[3]]
cursor = native.cursor_class(base, 'postgresql')()
def rows():
    found = []
    try:
        for row in cursor.execute('SELECT "a" FROM "thing"'):
            found.append(row)
            time.sleep(0.1)  # what is done with a row is no time of the statement
    except RuntimeError as error:
        assert (base, str(error)) == (Failing, 'lost')
    return found

with native.begin('rpc', 'model.thing.read', 'db') as call:
    call.claim(1, 'admin', 'token')
    call.verify(1, 'admin')
    inside = rows()
assert inside == rows() == ([(2,), (1,)] if base is Failing else [(2,), (1,), (0,)])
assert native.flush(10) and native.stop(10)
"""


@pytest.mark.parametrize(('shape', 'rows', 'seconds'),
    [('generator', 3, 0.06), ('iterator', 3, 0.06), ('failing', 2, 0)])
def test_iteration_is_part_of_the_statement(tmp_path, shape, rows, seconds):
    store = 'sqlite://%s/perf.sqlite' % tmp_path
    done = subprocess.run([paths.python, '-c', PROGRAM, store, str(tmp_path), shape], capture_output=True, text=True,
        timeout=60, env={**os.environ, 'PYTHONPATH': paths.python_path()})
    assert (done.returncode, done.stderr) == (0, '')
    session, = run_headroom('--store', store, 'session', '--json')
    call, = run_headroom('--store', store, 'call', session['session'], '1', '--json')
    statement, = call['statements']
    assert (statement['number'], statement['rows']) == (1, rows)
    assert statement['time'] >= seconds
