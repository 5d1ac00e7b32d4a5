"""Rows: the instructions that the recorder adds to a real call of trytond, counted by callgrind.

The CPU time of two equal copies of trytond differs by more than what is looked for here; their instructions do not, so
this tells 0.1 % of a call, whatever else the machine does. What it can't tell is what an instruction costs: cold caches
and system calls. Only the thread that runs the calls is counted; the recorder's own thread runs beside it.
"""
import json
import os
import re
import subprocess
from pathlib import Path

from servers import paths
from servers.database import PASSWORD
from servers.recorder import Recorder

from .figures import row
from .rpc import HERE, NAMES, SECTIONS

#: The goals are microseconds; beside them stood these shares of a call.
GOALS = {'untraced': 0.5, 'traced': 2}


def counted(servers, mode, size):
    """Instructions per call, by method and by whether the hooks are in."""
    # By number: a login would be looked up in the database once a minute, and callgrind makes minutes of seconds.
    section = {**SECTIONS[mode], 'users': '1' if mode == 'traced' else '999'}
    tryton = servers.tryton('sqlite', recorder=Recorder(servers, servers.store_url(mode), **section).section)
    folder = Path(servers.folder, 'callgrind-%s' % mode)
    folder.mkdir()
    command = ['valgrind', '--tool=callgrind', '--separate-threads=yes', '--log-file=%s' % (folder / 'log.%p'),
        '--callgrind-out-file=%s' % (folder / 'out.%p'), paths.python, HERE / 'instructions_worker.py',
        json.dumps({'database': tryton.database, 'password': PASSWORD, **size})]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True,
        env={**os.environ, 'PYTHONPATH': paths.python_path(), 'PYTHONHASHSEED': '0',
            'TRYTOND_CONFIG': str(tryton.configuration)})
    sums = {}
    for child in map(json.loads, done.stdout.splitlines()):
        sign = 1 if child['calls'] else -1
        key = child['method'], child['hooked']
        sums[key] = sums.get(key, 0) + sign * of_first_thread(folder, child['pid'])
    return {key: total / size['calls'] for key, total in sums.items()}


def of_first_thread(folder, pid):
    text = Path(folder, 'out.%d-01' % pid).read_text()
    return int(re.search(r'^(?:totals|summary): (\d+)', text, re.MULTILINE).group(1))


def rows(servers, mode, size, judge):
    found = counted(servers, mode, size)
    for method in sorted({method for method, _ in found}):
        bare, hooked = found[method, False], found[method, True]
        share = 100 * (hooked - bare) / bare
        yield row('%s: %s, instructions' % (NAMES[mode], method), '%', '%.2f' % share, '<= %g' % GOALS[mode],
            share <= GOALS[mode] if judge else None, '%+.0f of %.1f million' % (hooked - bare, bare / 1e6))
