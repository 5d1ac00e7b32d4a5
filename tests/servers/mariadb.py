"""A MariaDB of its own: not durable, on a unix socket and a loopback port, as nobody where the tests run as root."""
import os
import pwd
import signal
import subprocess
from pathlib import Path

from .process import Process, free_port, listening

USER = 'nobody'
PASSWORD = 'geheim'
OPTIONS = ['--skip-name-resolve', '--innodb-flush-method=nosync', '--innodb-log-file-size=16M', '--innodb-use-native-aio=0']
# The first thing the server runs, before it listens.
FIRST = """CREATE DATABASE IF NOT EXISTS shop;
CREATE OR REPLACE USER headroom@'127.0.0.1' IDENTIFIED BY '{0}';
GRANT ALL ON *.* TO headroom@'127.0.0.1' WITH GRANT OPTION;
CREATE OR REPLACE USER headroom@localhost IDENTIFIED BY '{0}';
GRANT ALL ON *.* TO headroom@localhost WITH GRANT OPTION;
"""


def _as_nobody():
    """MariaDB refuses to run as root."""
    if os.getuid() != 0:
        return []
    return ['setpriv', '--reuid=' + USER, '--regid=nogroup', '--clear-groups', '--pdeathsig=KILL', '--']


class MariaDB:
    """One server with its data in `folder`/mariadb, and an empty database "shop"."""

    def __init__(self, folder):
        self.folder = Path(folder) / 'mariadb'
        self.port = free_port()
        self.socket = self.folder / 'socket'
        self.folder.mkdir(parents=True)
        if os.getuid() == 0:
            os.chown(self.folder, pwd.getpwnam(USER).pw_uid, -1)
        self._initialize()
        self.process = Process('mariadb', [*_as_nobody(), 'mariadbd', '--no-defaults', *OPTIONS, '--datadir=%s' % (self.folder / 'data'),
                '--bind-address=127.0.0.1', '--port=%d' % self.port, '--socket=%s' % self.socket,
                '--pid-file=%s' % (self.folder / 'pid'), '--init-file=%s' % (self.folder / 'first.sql'),
                '--innodb-buffer-pool-size=64M', '--innodb-flush-log-at-trx-commit=0',
                '--character-set-server=utf8mb4', '--collation-server=utf8mb4_general_ci'],
            self.folder, ready=lambda: listening(self.port), stop_signal=signal.SIGTERM)

    def _initialize(self):
        subprocess.run([*_as_nobody(), 'mariadb-install-db', '--no-defaults', '--auth-root-authentication-method=normal',
                '--skip-test-db', *OPTIONS, '--datadir=%s' % (self.folder / 'data')], check=True, capture_output=True, cwd=self.folder)
        (self.folder / 'first.sql').write_text(FIRST.format(PASSWORD))

    def url(self, database='shop', user='headroom', password=PASSWORD, scheme='mariadb'):
        return '%s://%s:%s@127.0.0.1:%d/%s' % (scheme, user, password, self.port, database)

    def execute(self, statements, database='shop', mode=''):
        """Runs statements; returns rows as lines of tab-separated text. `mode` is their sql_mode."""
        done = subprocess.run(['mariadb', '--no-defaults', '--protocol=socket', '--socket=%s' % self.socket, '-u', 'headroom', '-p' + PASSWORD,
                '--batch', '--skip-column-names', '--default-character-set=utf8mb4', database],
            input="SET SESSION sql_mode = '%s';\n%s" % (mode, statements), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.splitlines()
