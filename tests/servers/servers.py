"""Owns the servers and the folder of one test (or of the demo), and ends them in reverse order."""
import shutil
import signal
import tempfile
from pathlib import Path

from . import database, paths
from .postgresql import PostgreSQL
from .process import Process, free_port, listening
from .redis_server import Redis
from .tryton import Tryton


class Servers:
    """`folder` None is a temporary one that goes with the servers; one that is given stays."""

    def __init__(self, folder=None):
        self._temporary = folder is None
        self.folder = Path(folder or tempfile.mkdtemp(prefix='headroom-'))
        self.folder.chmod(0o755)
        self.processes = []
        self._postgresql = None
        self._count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def start(self, process):
        """Starts a process and owns it from now on."""
        self.processes.append(process)
        return process.start()

    def stop(self):
        for process in reversed(self.processes):
            process.stop()

    def close(self):
        self.stop()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def save_logs(self, target):
        """Copies the logs of all servers, for a test that failed."""
        for log in self.folder.rglob('*.log'):
            kept = Path(target) / log.relative_to(self.folder)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(log, kept)

    def postgresql(self):
        """The PostgreSQL server of this set, with the template databases in it."""
        if self._postgresql is None:
            self._postgresql = PostgreSQL(self.folder).restore(database.postgresql_archive('scenario'))
            self.start(self._postgresql.process)
        return self._postgresql

    def redis(self, password=None, options=()):
        """`options` as on redis-server's command line."""
        server = Redis(self.folder, password, options)
        self.start(server.process)
        return server

    def store_url(self, name='perf'):
        """A SQLite store in this folder, apart from the databases of trytond."""
        state = self.folder / 'state'
        state.mkdir(exist_ok=True)
        return 'sqlite://%s/%s.sqlite' % (state, name)

    def tryton(self, backend='sqlite', recorder=None, sections=None, kind='scenario'):
        """An installation with a fresh database on 'sqlite' or 'postgresql'."""
        self._count += 1
        name = 'tryton%d' % self._count
        if backend == 'sqlite':
            folder = self.folder / 'db'
            database.copy_sqlite(kind, folder, name)
            where = {'database_path': folder}
        else:
            self.postgresql().create(name, template=kind)
            where = {'database_uri': self._postgresql.uri}
        return Tryton(self, name, name, recorder=recorder, sections=sections, **where)

    def headroom(self, configuration, port=None):
        """`headroom serve` with this configuration file, which must name the same port."""
        process = Process('headroom-%d' % (port or 0),
            [paths.executable(), 'serve', '--config', configuration], self.folder,
            ready=(lambda: listening(port)) if port else None, stop_signal=signal.SIGTERM)
        return self.start(process)

    @staticmethod
    def free_port():
        return free_port()
