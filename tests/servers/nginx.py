"""nginx with the configurations of the example and of the guide, their addresses replaced by those of a test."""
import signal
import subprocess

from . import paths
from .process import Process, free_port, listening

GUIDE = paths.project_root / 'docs' / 'bus.md'
EXAMPLE = paths.project_root / 'examples' / 'nginx' / 'tryton.conf'
MAIN = """
daemon off;
user root;
pid %(folder)s/nginx.pid;
error_log stderr warn;
worker_processes 1;
worker_rlimit_nofile 16384;
events { worker_connections 12000; }
http {
  access_log %(folder)s/nginx-access.log;
  client_body_temp_path %(folder)s/body;
  proxy_temp_path %(folder)s/proxy;
  fastcgi_temp_path %(folder)s/fastcgi;
  uwsgi_temp_path %(folder)s/uwsgi;
  scgi_temp_path %(folder)s/scgi;
  include %(folder)s/%(site)s;
}
"""
BUS_SITE = """
access_log off;
map $http_upgrade $connection_upgrade { default upgrade; '' close; }
server {
  listen 127.0.0.1:%d backlog=4096;
  %s
}
"""


def start_file(folder, site):
    """Writes nginx.conf, which includes that file of the folder; its path."""
    made = folder / 'nginx.conf'
    made.write_text(MAIN % {'folder': folder, 'site': site})
    return made


def command(configuration):
    return ['/usr/sbin/nginx', '-e', 'stderr', '-c', configuration]


class BusProxy:
    """nginx before the bus as docs/bus.md tells it, with its very lines."""

    def __init__(self, servers, headroom_port):
        self.port = free_port()
        folder = servers.folder / ('nginx-%d' % self.port)
        folder.mkdir()
        location = GUIDE.read_text().split('```nginx\n')[1].split('```')[0]
        assert '127.0.0.1:7400' in location, location
        (folder / 'bus.conf').write_text(BUS_SITE % (self.port, location.replace('127.0.0.1:7400', '127.0.0.1:%d' % headroom_port)))
        self.process = servers.start(Process('nginx-%d' % self.port, command(start_file(folder, 'bus.conf')), folder,
                ready=lambda: listening(self.port), stop_signal=signal.SIGTERM))

    @property
    def worker(self):
        """The process that holds the connections."""
        worker, = self.process.children()
        return worker


class Nginx:
    """Listens on `port` (HTTP/1.1) and `tls_port` (HTTP/2, a certificate of its own)."""

    def __init__(self, folder, trytond_port, headroom_port):
        self.folder = folder / 'nginx'
        self.folder.mkdir()
        self.port, self.tls_port = free_port(), free_port()
        self._make_certificate()
        text = EXAMPLE.read_text()
        for old, new in (('127.0.0.1:8000', '127.0.0.1:%d' % trytond_port), ('127.0.0.1:7400', '127.0.0.1:%d' % headroom_port),
                ('127.0.0.1:8080', '127.0.0.1:%d' % self.port), ('127.0.0.1:8443', '127.0.0.1:%d' % self.tls_port),
                ('/etc/ssl/certs/tryton.pem', str(self.folder / 'tryton.pem')),
                ('/etc/ssl/private/tryton.key', str(self.folder / 'tryton.key'))):
            assert old in text, old
            text = text.replace(old, new)
        (self.folder / 'tryton.conf').write_text(text)
        self.process = Process('nginx', command(start_file(self.folder, 'tryton.conf')), self.folder,
            ready=lambda: listening(self.port) and listening(self.tls_port), stop_signal=signal.SIGTERM)

    def _make_certificate(self):
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1',
                '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', self.folder / 'tryton.key',
                '-out', self.folder / 'tryton.pem'], check=True, capture_output=True)
