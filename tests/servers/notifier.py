"""A process of trytond that notifies: each call is a transaction of its own, as that of a user would be."""
import json
import os
import subprocess

from . import paths

CODE = '''
import json, sys
from trytond.bus import Bus, notify
from trytond.transaction import Transaction
for line in sys.stdin:
    database, commits, calls = json.loads(line)
    with Transaction().start(database, 0) as transaction:
        for call in calls:
            channel = call.pop('channel', None)
            Bus.publish(channel, call) if channel else notify(**call)
        if not commits:
            transaction.rollback()
    print('done', flush=True)
'''


class Notifier:
    """Calls `trytond.bus.notify` of an installation, or publishes on a `channel`."""

    def __init__(self, tryton):
        self.database = tryton.database
        environment = {**os.environ, **tryton.environment, 'TRYTOND_CONFIG': str(tryton.configuration)}
        self._process = subprocess.Popen([paths.python, '-c', CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=environment, text=True, cwd=tryton.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()

    def notify(self, *calls):
        """One transaction with these calls; returns when it is committed."""
        self._run(True, calls)

    def roll_back(self, *calls):
        """One that is not."""
        self._run(False, calls)

    def _run(self, commits, calls):
        self._process.stdin.write(json.dumps([self.database, commits, calls]) + '\n')
        self._process.stdin.flush()
        if self._process.stdout.readline() != 'done\n':
            raise RuntimeError('the notifier ended')
