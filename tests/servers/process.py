"""A child process with a log, a deadline for being ready, and an end that is sure.

A child leads a session of its own, so that its whole process group can be signalled and be seen to be gone; and the
kernel kills it when this process dies, so that an interrupted test run leaves nothing behind either.
"""
import ctypes
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def free_port():
    """A loopback TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds, what):
    """Polls until `condition()` is true and returns its value. Raises TimeoutError that names `what`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError('%s: not within %g s' % (what, seconds))
        time.sleep(0.05)


def listening(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(('127.0.0.1', port)) == 0


def _before_exec():
    # A shell that runs its jobs in the background has SIGINT ignored, and children would inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """One server. `ready` is a function that tells whether it serves; `stop_signal` is what its manual names for an
    orderly end."""

    def __init__(self, name, command, folder, environment=None, ready=None, ready_within=60,
            stop_signal=signal.SIGINT):
        self.name = name
        self.command = [str(part) for part in command]
        self.folder = Path(folder)
        self.log = self.folder / (name + '.log')
        self.environment = {**os.environ, **(environment or {})}
        self.stop_signal = stop_signal
        self._ready = ready
        self._ready_within = ready_within
        self._child = None

    @property
    def pid(self):
        return self._child.pid

    def start(self):
        with open(self.log, 'ab') as log:
            self._child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env=self.environment, start_new_session=True, preexec_fn=_before_exec)
        if self._ready:
            try:
                wait_until(self._serves, self._ready_within, self.name + ' ready')
            except Exception as error:
                self.kill()
                raise RuntimeError('%s did not start: %s\n%s' % (self.name, error, self.tail())) from error
        return self

    def _serves(self):
        if self._child.poll() is not None:
            raise RuntimeError('it ended with status %s' % self._child.returncode)
        return self._ready()

    def running(self):
        return self._child is not None and self._child.poll() is None

    def tail(self, lines=40):
        """The end of the log."""
        text = self.log.read_text(errors='replace') if self.log.exists() else ''
        return '\n'.join(text.splitlines()[-lines:])

    def wait(self, seconds):
        """The exit status of a process that ends by itself."""
        return self._child.wait(seconds)

    def stop(self, seconds=20):
        """An orderly end; the hard one when that takes too long. Returns the exit status, None when it never started."""
        if self._child is None:
            return None
        if self.running():
            self._child.send_signal(self.stop_signal)
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        return self.kill()

    def kill(self):
        """Ends the whole group at once (SIGKILL), as a crash would."""
        try:
            os.killpg(self._child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        status = self._child.wait(20)
        wait_until(lambda: not self.group_exists(), 10, self.name + ' gone')
        return status

    def group_exists(self):
        """Some process of its group is left."""
        try:
            os.killpg(self._child.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def children(self):
        """Process ids of the children that run now, for example the workers of uWSGI."""
        path = Path('/proc/%d/task/%d/children' % (self.pid, self.pid))
        return [int(pid) for pid in path.read_text().split()]
