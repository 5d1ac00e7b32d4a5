"""Clients of the browser's package in Node, by the thousand, and what their handlers got."""
import json
import selectors
import shutil
import subprocess
import time

from . import paths
from .bus import token

ANSWER_S = 60


class Kept:
    """Each client is a user of its own with a connection of its own, to one of the services in turn, as a balancer would send it, and
    is subscribed to "room:0" and so on. Messages are {"n": number}."""

    def __init__(self, buses, folder, clients, channels):
        package = folder / 'package'
        shutil.copytree(paths.build() / 'web' / 'pages' / 'bus', package)
        (package / 'package.json').write_text('{"type": "module"}\n')
        command = ['node', paths.project_root / 'tests' / 'servers' / 'kept.mjs', package, paths.project_root / 'web' / 'node_modules',
            str(channels), *[bus.url for bus in buses]]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.ask(tokens=[token('user%d' % number, seconds=86400) for number in range(clients)])
        except BaseException:
            self.close()
            raise

    def ask(self, **question):
        self._child.stdin.write(json.dumps(question) + '\n')
        self._child.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.stdout, selectors.EVENT_READ)
            if not selector.select(ANSWER_S):
                raise TimeoutError('the clients say nothing for %d s' % ANSWER_S)
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError('the clients ended with status %s' % self._child.wait(10))
        return json.loads(line)

    def check(self, acknowledged):
        """What the handlers lack of it, got twice or out of order, or were told lost; `acknowledged` are (channel, number)."""
        return self.ask(acknowledged=acknowledged)

    def wait_for(self, acknowledged, seconds):
        """As `check`, once nothing is missing or the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.check(acknowledged)
            if not found['missing'] or time.monotonic() > deadline:
                return found
            time.sleep(0.5)

    def close(self):
        self._child.kill()
        self._child.communicate()
