"""Rows: what the recorder adds to a real call of trytond. How the two sides are kept alike is told in sides.py."""
import json
import os
import statistics
import subprocess
from pathlib import Path

from servers import paths
from servers.database import PASSWORD
from servers.recorder import Recorder

from .figures import interval, row, shown, trimmed_mean

HERE = Path(__file__).parent
#: Of the user who calls. Untraced means that there is a rule, for somebody else.
SECTIONS = {
    'untraced': {'users': 'somebody.else'},
    'traced': {'users': 'admin'},
    'sampled': {'users': 'admin', 'sample': '*'},
    }


def run_worker(name, configuration, settings):
    """Runs a program of this folder to its end and returns what it printed."""
    done = subprocess.run([paths.python, HERE / name, json.dumps(settings)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, 'PYTHONPATH': paths.python_path(), 'TRYTOND_CONFIG': str(configuration)})
    if done.returncode:
        raise RuntimeError('%s ended with status %d; see above' % (name, done.returncode))
    return json.loads(done.stdout)


def measured(servers, backend, mode, size):
    """The cycles of both requests by method, after everything that was recorded has been checked."""
    recorder = Recorder(servers, servers.store_url('%s-%s' % (mode, backend)), **SECTIONS[mode])
    tryton = servers.tryton(backend, recorder=recorder.section)
    result = run_worker('rpc_worker.py', tryton.configuration,
        {'database': tryton.database, 'password': PASSWORD, **size})
    check(result, recorder, mode, size)
    return {method: cycles for method, cycles in zip(result['methods'], result['cycles'])}


def check(result, recorder, mode, size):
    """The side without hooks made no call for the recorder; the other made each, and all that are traced are stored."""
    stored = recorder.calls('')
    for counters in result['counters']:
        assert counters['off']['calls'] == 0, counters
        assert counters['on']['flushed'] and not counters['on']['dropped_records'], counters
        assert counters['on']['errors'] == 0, counters
    made = sum(counters['on']['calls'] for counters in result['counters'])
    measured_calls = sum(len(cycle['on']) for cycles in result['cycles'] for cycle in cycles)
    warm_calls = len(result['methods']) * size['generations'] * size['warm']
    assert made == measured_calls + warm_calls, (made, measured_calls, warm_calls)
    for method in result['methods']:
        found = [call for call in stored if call.method == method]
        # The process that forked made each call once before.
        expected = made // len(result['methods']) + 1 if mode != 'untraced' else 0
        assert len(found) == expected, (method, len(found), expected)
        assert all(call.statement_count > 0 for call in found)


def over_generations(cycles, value):
    values = {}
    for cycle in cycles:
        values.setdefault(cycle['generation'], []).append(value(cycle))
    return interval([trimmed_mean(some) for some in values.values()])


def added(cycles):
    """Microseconds of the thread's CPU that the hooks add to a call: mean and interval over generations."""
    return over_generations(cycles,
        lambda cycle: (statistics.fmean(cycle['on']) - statistics.fmean(cycle['off'])) / 1000)


def added_per_cent(cycles):
    bare = statistics.fmean(statistics.fmean(cycle['off']) for cycle in cycles) / 1000
    return [100 * value / bare for value in added(cycles)], bare


def process_added(cycles):
    """The same of the whole process: with the recorder's own thread and the sampler's."""
    return over_generations(cycles,
        lambda cycle: (cycle['on_process'] - cycle['off_process']) / 1000 / len(cycle['on']))


def process_per_cent(cycles):
    bare = statistics.fmean(cycle['off_process'] / len(cycle['off']) for cycle in cycles) / 1000
    return [100 * value / bare for value in process_added(cycles)]


GOALS = {'untraced': (30, 0.5), 'traced': (120, 2)}
NAMES = {'untraced': 'recorder loaded, user not traced', 'traced': 'user traced'}


def added_rows(servers, backend, mode, size, judge):
    most, most_per_cent = GOALS[mode]
    for method, cycles in measured(servers, backend, mode, size).items():
        micros = added(cycles)
        per_cent, bare = added_per_cent(cycles)
        what = '%s: %s, %s' % (NAMES[mode], method, backend)
        yield row(what, 'us CPU', shown(micros), '<= %d' % most, micros[0] <= most if judge else None,
            'of %.0f: %s %%, goal %g %%' % (bare, shown(per_cent, 2), most_per_cent))
        yield row('  the process, with the recorder\'s own thread', 'us CPU', shown(process_added(cycles)))


def profiler_rows(servers, size, judge):
    for method, cycles in measured(servers, 'sqlite', 'sampled', size).items():
        per_cent, bare = added_per_cent(cycles)
        yield row('traced and sampled at 1 kHz: %s, sqlite' % method, '% CPU', shown(per_cent, 2), '<= 5',
            per_cent[0] <= 5 if judge else None, 'of %.0f us without hooks' % bare)
        yield row('  the process, with the sampling thread', '% CPU', shown(process_per_cent(cycles), 2))
