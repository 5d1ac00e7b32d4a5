"""A Redis 7 of its own, without persistence unless options say otherwise, on a loopback port and a unix socket."""
import signal
import subprocess
from pathlib import Path

from .process import Process, free_port


class Redis:

    def __init__(self, folder, password=None, options=()):
        self.folder = Path(folder) / 'redis'
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.socket = self.folder / 'redis.sock'
        self.password = password
        command = ['redis-server', '--port', self.port, '--bind', '127.0.0.1', '--unixsocket', self.socket,
            '--save', '', '--appendonly', 'no', '--dir', self.folder, '--daemonize', 'no', *options]
        if password:
            command += ['--requirepass', password]
        self.process = Process('redis', command, self.folder, ready=self._answers, stop_signal=signal.SIGTERM)

    def _answers(self):
        return self.command('PING') == 'PONG'

    def command(self, *arguments):
        """The answer of one command, as redis-cli prints it."""
        login = ['--no-auth-warning', '-a', self.password] if self.password else []
        done = subprocess.run(['redis-cli', '--raw', '-p', str(self.port), *login, *map(str, arguments)],
            capture_output=True, text=True)
        return done.stdout.strip()

    def start(self):
        self.process.start()
        return self

    def stop(self):
        self.process.stop()

    @property
    def url(self):
        login = ':%s@' % self.password if self.password else ''
        return 'redis://%s127.0.0.1:%d/0' % (login, self.port)
