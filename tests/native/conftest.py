"""The native module of the package, in processes of their own: it keeps one recorder per process."""
import os
import pathlib
import sqlite3
import subprocess
import sys
import textwrap
import zlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKEN = 'deadbeefcafebabe' * 4
PREAMBLE = """
import os, sqlite3, sys
from headroom import _native as native
folder, token = sys.argv[1:]

def start(**rule):
    answer = native.start({'broker': 'sqlite://%s/perf.sqlite' % folder, 'state': folder, 'secrets': [],
        'rules': [{'users': ['admin'], **rule}]})
    assert not answer['error'], answer

def call(method='model.test', kind='rpc', claim=True):
    call = native.begin(kind, method, 'demo')
    if claim:
        call.claim(1, 'admin', token)
    call.verify(1, 'admin')
    return call

"""


class Program:
    """Runs a program with `native`, `start` and `call`; gives what it printed."""

    token = TOKEN

    def __init__(self, folder):
        self.folder = folder

    @property
    def build(self):
        return pathlib.Path(os.environ.get('HEADROOM_BUILD', ROOT / 'build' / 'release'))

    def __call__(self, program):
        environment = {**os.environ, 'PYTHONPATH': str(self.build / 'python')}
        done = subprocess.run([sys.executable, '-c', PREAMBLE + textwrap.dedent(program), str(self.folder), TOKEN],
            env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def stored(self):
        """Every byte of the store, and of the parts that it keeps deflated."""
        connection = sqlite3.connect(self.folder / 'perf.sqlite')
        connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        deflated = [row[0] for row in connection.execute('SELECT bytes FROM part WHERE size > 0')]
        connection.close()
        return b''.join([(self.folder / 'perf.sqlite').read_bytes(), *map(zlib.decompress, deflated)])


@pytest.fixture
def run(tmp_path):
    return Program(tmp_path)
