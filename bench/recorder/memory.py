"""Rows: the memory that the recorder adds to a worker, while its store is away and over a million calls.

Beside each worker a second one of the same kind idles, as there are several in an installation: pages of programs and
libraries that workers share are no worker's own.
"""
import contextlib
import json
import os
import sqlite3
import subprocess
import time

from servers import paths
from servers.database import PASSWORD
from servers.recorder import Recorder

from .figures import row
from .rpc import HERE

MEBIBYTE = 1 << 20
MOST, FLAT = 16, 0.5  # MiB


def worker(servers, recorder, size):
    """The steps of one worker; with a recorder its store is locked from `warm` to `away`."""
    tryton = servers.tryton('sqlite', recorder=recorder.section if recorder else None)
    settings = {'database': tryton.database, 'password': PASSWORD, 'recorder': recorder is not None, **size}
    with started(tryton, settings) as (_, other), started(tryton, settings) as (process, lines):
        next(other)
        steps = [next(lines)]
        with locked(recorder) if recorder else contextlib.nullcontext():
            steps.append(answered(process, lines))
        time.sleep(min(10, size['away']) if recorder else 0)  # the recorder tries again by itself
        steps.append(answered(process, lines))
        steps += lines
    if steps[-1]['at'] != 'end':
        raise RuntimeError('memory_worker.py ended early; see above')
    return steps


@contextlib.contextmanager
def started(tryton, settings):
    """A worker and the lines that it prints; it is killed at the end, whatever it does."""
    process = subprocess.Popen([paths.python, HERE / 'memory_worker.py', json.dumps(settings)], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, 'PYTHONPATH': paths.python_path(), 'TRYTOND_CONFIG': str(tryton.configuration)})
    with process:
        try:
            yield process, map(json.loads, process.stdout)
        finally:
            process.kill()


@contextlib.contextmanager
def locked(recorder):
    """Keeps every writer out of the store."""
    with contextlib.closing(sqlite3.connect(recorder.path, timeout=10, isolation_level=None)) as connection:
        connection.execute('BEGIN IMMEDIATE')
        yield


def answered(process, lines):
    process.stdin.write('\n')
    process.stdin.flush()
    return next(lines)


def rows(servers, size, judge):
    recorder = Recorder(servers, servers.store_url('memory'), users='admin')
    with_recorder, without = worker(servers, recorder, size), worker(servers, None, size)
    check(with_recorder, recorder, size)
    added = [(ours['bytes'] - theirs['bytes']) / MEBIBYTE for ours, theirs in zip(with_recorder, without)]
    for step, value in list(zip(with_recorder, added))[:3]:
        yield row('memory added to a worker: %s' % NAMES[step['at']], 'MiB', '%.1f' % value,
            peer='worker without: %.0f' % (without[0]['bytes'] / MEBIBYTE))
    highest = max(added)
    yield row('memory added to a worker: the most at any time', 'MiB', '%.1f' % highest, '<= %d' % MOST,
        highest <= MOST if judge else None, '%d distinct texts, store away for %g s' % (size['texts'], size['away']))
    calls = [value for step, value in zip(with_recorder, added) if step['at'] == 'calls']
    growth = calls[-1] - calls[len(calls) // 4]
    yield row('memory added grows over the last three quarters of %d calls' % size['calls'], 'MiB', '%.2f' % growth,
        '<= %g' % FLAT, growth <= FLAT if judge else None,
        'dropped: %d' % with_recorder[-1]['counters']['dropped_records'])


NAMES = {'warm': 'trytond is warm', 'away': 'while the store is away', 'back': 'the store is back'}


def check(steps, recorder, size):
    """Every call was recorded or counted as dropped, and records did have to wait."""
    counters = steps[-1]['counters']
    made = size['texts'] // 100 + steps[1]['calls'] + size['calls']
    stored = int(recorder_count(recorder))
    assert stored + counters['dropped_records'] >= made, (stored, counters, made)
    assert stored > 0 and counters['calls'] >= made, (stored, counters, made)


def recorder_count(recorder):
    with sqlite3.connect('file:%s?mode=ro' % recorder.path, uri=True) as connection:
        return connection.execute('SELECT count(*) FROM call').fetchone()[0]
