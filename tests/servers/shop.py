"""The Django project of examples/django: a fresh database, and its processes."""
import http.cookiejar
import re
import signal
import urllib.error
import urllib.parse
import urllib.request

from . import paths
from .process import Process, free_port, listening

PROJECT = paths.project_root / 'examples' / 'django'
PASSWORD = 'Kq4-demo-Password77'


class Shop:
    """One installation on 'sqlite' or 'postgresql'. `settings` are keys of [perf]; they come through the environment."""

    def __init__(self, servers, backend, settings):
        self.servers = servers
        self.folder = servers.folder / 'shop'
        self.folder.mkdir()
        self._count = 0
        self.environment = {
            'PYTHONPATH': '%s:%s' % (paths.python_path(), PROJECT), 'PYTHONUNBUFFERED': '1', 'SHOP_PASSWORD': PASSWORD,
            'PYTHONDONTWRITEBYTECODE': '1', 'DJANGO_SETTINGS_MODULE': 'shop.settings',
            'SHOP_SQLITE': str(self.folder / 'shop.sqlite'),
            **{'HEADROOM_PERF_' + key.upper(): str(value) for key, value in settings.items()}}
        if backend == 'postgresql':
            server = servers.postgresql()
            server.create('shop')
            self.environment.update(PGDATABASE='shop', PGHOST='127.0.0.1', PGPORT=str(server.port), PGUSER='postgres')
        self._manage('migrate', '--run-syncdb', '-v', '0')
        self._manage('fill')

    def _process(self, kind, command, **options):
        self._count += 1
        return self.servers.start(Process('shop-%s-%d' % (kind, self._count), command, self.folder, self.environment,
                **options))

    def _manage(self, *arguments):
        process = self._process('manage', [paths.python, PROJECT / 'manage.py', *arguments])
        if process.wait(120):
            raise RuntimeError('manage.py %s failed\n%s' % (arguments[0], process.tail()))

    def serve(self):
        """Django's own server."""
        port = free_port()
        process = self._process('runserver', [paths.python, PROJECT / 'manage.py', 'runserver', '--noreload',
                '127.0.0.1:%d' % port], ready=lambda: listening(port))
        process.port = port
        return process

    def serve_uwsgi(self, processes=2, threads=4):
        port = free_port()
        process = self._process('uwsgi', ['uwsgi', '--plugin', 'python3', '--http-socket', '127.0.0.1:%d' % port,
                '--master', '--die-on-term', '--no-orphans', '--processes', processes, '--threads', threads,
                '--enable-threads', '--wsgi-file', PROJECT / 'shop' / 'wsgi.py', '--need-app', '--disable-logging'],
            ready=lambda: listening(port), stop_signal=signal.SIGTERM)
        process.port = port
        return process


class Browser:
    """What a browser does: it keeps cookies and fills in the form of the log-in."""

    def __init__(self, port):
        self._base = 'http://127.0.0.1:%d' % port
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))

    def get(self, path, data=None):
        """Status and body; redirections are followed."""
        data = urllib.parse.urlencode(data).encode() if data is not None else None
        try:
            with self._opener.open(self._base + path, data, timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def login(self, user, password=PASSWORD):
        form = self.get('/admin/login/')[1].decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)[1]
        return self.get('/admin/login/', {'csrfmiddlewaretoken': token, 'username': user, 'password': password,
                'next': '/'})

    @property
    def session(self):
        return next(cookie.value for cookie in self._cookies if cookie.name == 'sessionid')
