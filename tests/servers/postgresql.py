"""A PostgreSQL 15 of its own: made by initdb, without fsync, on a unix socket and a loopback port."""
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from .process import Process, free_port

binaries = Path('/usr/lib/postgresql/15/bin')
CONFIGURATION = """
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 200
shared_buffers = 64MB
log_min_messages = warning
jit = off
autovacuum_naptime = 1
"""


def _as_postgres(folder):
    """PostgreSQL refuses to run as root; its own user is there where its Debian package is. Where that user may not pass the
    folders above `folder` (a checkout in root's home), it keeps root's right to pass them."""
    if os.getuid() != 0:
        return []
    command = ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', '--pdeathsig=KILL']
    if not all(parent.stat().st_mode & 0o001 for parent in folder.resolve().parents):
        command += ['--inh-caps=+dac_override', '--ambient-caps=+dac_override']
    return [*command, '--']


def _give_to_postgres(folder):
    if os.getuid() == 0:
        user = pwd.getpwnam('postgres')
        os.chown(folder, user.pw_uid, user.pw_gid)


class PostgreSQL:
    """One server with its data in `folder`/postgresql, which is empty until `initialize` or `restore`."""

    def __init__(self, folder):
        self.folder = Path(folder) / 'postgresql'
        self.data = self.folder / 'data'
        self.port = free_port()
        self._make_folder()
        self._prefix = _as_postgres(self.folder)
        self.process = Process('postgresql', [*self._prefix, binaries / 'postgres', '-D', self.data,
                '-h', '127.0.0.1', '-p', self.port, '-k', self.folder],
            self.folder, ready=self._answers, stop_signal=signal.SIGINT)

    def _make_folder(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        _give_to_postgres(self.folder)
        self.folder.chmod(0o755)

    def exists(self):
        return (self.data / 'PG_VERSION').exists()

    def initialize(self):
        """Makes an empty server."""
        subprocess.run([*self._prefix, binaries / 'initdb', '-D', self.data, '-U', 'postgres', '-A', 'trust',
                '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'], check=True, capture_output=True, cwd=self.folder)
        with open(self.data / 'postgresql.conf', 'a') as configuration:
            configuration.write(CONFIGURATION)
        return self

    def restore(self, archive):
        """Takes over the data that `save` kept."""
        subprocess.run(['tar', '-xpf', archive, '-C', self.folder], check=True)
        return self

    def _answers(self):
        return subprocess.run([binaries / 'pg_isready', '-q', '-h', '127.0.0.1', '-p', str(self.port)]).returncode == 0

    def start(self):
        self.process.start()
        return self

    def stop(self):
        self.process.stop()

    @property
    def uri(self):
        """As trytond's `[database] uri` wants it."""
        return 'postgresql://postgres@127.0.0.1:%d/' % self.port

    def execute(self, statement, database='postgres'):
        """Runs one statement outside any transaction; returns its rows as lines of tab-separated text."""
        done = subprocess.run([binaries / 'psql', '-X', '-q', '-At', '-F', '\t', '-v', 'ON_ERROR_STOP=1', '-h', '127.0.0.1',
                '-p', str(self.port), '-U', 'postgres', '-d', database, '-c', statement],
            capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.splitlines()

    def has(self, database):
        return bool(self.execute("SELECT 1 FROM pg_database WHERE datname = '%s'" % database))

    def create(self, database, template='template0'):
        self.execute('CREATE DATABASE "%s" TEMPLATE "%s"' % (database, template))

    def save(self, archive):
        """Stops the server and keeps its data in a file."""
        self.stop()
        partial = archive.with_suffix('.partial')
        subprocess.run(['tar', '-cpf', partial, '-C', self.folder, 'data'], check=True)
        partial.rename(archive)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)
