"""The processes of a Tryton installation: trytond, uWSGI with trytond, trytond-worker, trytond-cron."""
import signal

from . import paths
from .client import Client
from .configuration import write_configuration
from .database import PASSWORD
from .process import Process, free_port


class Tryton:
    """One installation: a database, a configuration, and as many processes of each kind as a test wants.

    `recorder` is the section `[perf]`, None runs trytond without Headroom; `sections` are further ones of trytond.conf.
    """

    def __init__(self, servers, name, database, database_uri='sqlite://', database_path=None, recorder=None,
            sections=None):
        self.servers = servers
        self.name = name
        self.database = database
        self.folder = servers.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._database = {'database_uri': database_uri, 'database_path': database_path}
        self._recorder = recorder
        self._sections = sections
        self._count = 0
        self.configuration = self._write('trytond.conf')

    def _write(self, name, port=None):
        return write_configuration(self.folder / name, port=port, recorder=self._recorder, sections=self._sections,
            **self._database)

    @property
    def environment(self):
        return {'PYTHONPATH': paths.python_path(), 'PYTHONUNBUFFERED': '1'}

    def _process(self, kind, command, **options):
        self._count += 1
        process = Process('%s-%s-%d' % (self.name, kind, self._count), command, self.folder,
            {**self.environment, **options.pop('environment', {})}, **options)
        return self.servers.start(process)

    def serve(self, port=None, coroutine=False, verbose=False, environment=None):
        """A trytond with a port of its own; it serves when this returns."""
        port = port or free_port()
        configuration = self._write('trytond-%d.conf' % port, port)
        options = ['--coroutine'] * coroutine + ['-vv'] * verbose
        process = self._process('trytond', ['trytond', '-c', configuration, '-d', self.database, *options],
            ready=lambda: self._answers(port), environment=environment or {})
        process.port = port
        return process

    def serve_uwsgi(self, processes=2, threads=4, enable_threads=True, lazy=False, options=()):
        """Debian's uWSGI: preloads trytond, then forks, unless `lazy`."""
        port = free_port()
        entry = self.folder / ('uwsgi_%d.py' % port)
        entry.write_text('from trytond.application import app\n')
        command = ['uwsgi', '--plugin', 'python3', '--http-socket', '127.0.0.1:%d' % port, '--master', '--die-on-term', '--no-orphans',
            '--processes', processes, '--wsgi-file', entry, '--callable', 'app', '--need-app', '--disable-logging',
            '--buffer-size', 32768, '--add-header', 'Connection: close']
        command += ['--threads', threads] * (threads > 1) + ['--enable-threads'] * enable_threads
        command += ['--lazy-apps'] * lazy + list(options)
        process = self._process('uwsgi', command, ready=lambda: self._answers(port), stop_signal=signal.SIGTERM,
            environment={'TRYTOND_CONFIG': str(self._write('uwsgi-%d.conf' % port)),
                'TRYTOND_DATABASE_NAMES': self.database})
        process.port = port
        return process

    def work(self, processes=2):
        """trytond-worker; `[queue] worker` must be true in the configuration."""
        return self._process('worker', ['trytond-worker', '-c', self.configuration, '-d', self.database,
                '-n', processes, '-t', 1, '-vv'])

    def cron(self, once=True):
        """trytond-cron; with `once` it ends by itself."""
        return self._process('cron', ['trytond-cron', '-c', self.configuration, '-d', self.database,
                *['--once'] * once, '-vv'])

    def python(self, code, *arguments):
        """A Python process with the paths and the configuration of this installation."""
        return self._process('python', [paths.python, '-c', code, *arguments],
            environment={'TRYTOND_CONFIG': str(self.configuration)})

    def _answers(self, port):
        try:
            with Client(port, self.database, timeout=2) as client:
                return bool(client.system('common.server.version'))
        except OSError:
            return False

    def client(self, server, user='admin', password=PASSWORD):
        """A client that has logged in and loaded its preferences."""
        client = Client(server.port, self.database).login(user, password)
        client.load_preferences()
        return client
