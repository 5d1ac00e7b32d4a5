"""`headroom serve` sends recorded calls to an OpenTelemetry receiver: a small one of our own that keeps the rules of OTLP/HTTP, and
refuses, delays and goes away like real ones; over TLS too."""
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.request

import pytest

from otlp_rules import check_request
from servers import Servers, executable

sample_store = os.environ['HEADROOM_SAMPLE_STORE']


class Receiver(http.server.ThreadingHTTPServer):
    """Answers with the next of `statuses`, then always 200; keeps what it took. Over TLS with a certificate."""

    def __init__(self, statuses=(), certificate=None):
        super().__init__(('127.0.0.1', 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.statuses, self.requests, self.spans = list(statuses), [], []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        self.server.requests.append((self.path, dict(self.headers)))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status == 200:
            self.server.spans += check_request(json.loads(body))
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.end_headers()
        self.wfile.write(b'{}')

    def log_message(self, *_):
        pass


def receiving(made):
    """Ends it after the test."""
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def receiver():
    yield from receiving(Receiver([503, 429]))


class Authority:
    """A certificate authority of its own, `file`, that no system trusts; it signs for one name or address."""

    def __init__(self, folder):
        self.folder = folder
        self.file = folder / 'ca.pem'
        self.openssl('req', '-x509', *self.key('ca.key'), '-subj', '/CN=test-authority', '-out', self.file)

    def certificate(self, name):
        """A PEM file with the key and the certificate."""
        self.openssl('req', '-new', *self.key('server.key'), '-subj', '/CN=receiver', '-out', 'server.csr')
        (self.folder / 'names').write_text('subjectAltName=%s\n' % name)
        self.openssl('x509', '-req', '-in', 'server.csr', '-CA', self.file, '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2',
            '-extfile', 'names', '-out', 'server.crt')
        made = self.folder / 'server.pem'
        made.write_text((self.folder / 'server.key').read_text() + (self.folder / 'server.crt').read_text())
        return made

    def openssl(self, *arguments):
        subprocess.run(['openssl', *arguments], cwd=self.folder, check=True, capture_output=True)

    @staticmethod
    def key(file):
        return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file]


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('authority'))


@pytest.fixture
def secure_receiver(authority):
    yield from receiving(Receiver(certificate=authority.certificate('IP:127.0.0.1,DNS:localhost')))


def wait_until(condition, what, seconds=40):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def serve(servers, endpoint, more=''):
    store = servers.store_url()
    subprocess.run([sample_store, store, '--now', '3'], check=True)
    port = Servers.free_port()
    path = servers.folder / 'serve.toml'
    path.write_text('[perf]\nstore = "%s"\nstate = "%s"\n[serve]\nlisten = "127.0.0.1:%d"\n[otlp]\nendpoint = "%s"\n%s' % (
        store, servers.folder, port, endpoint, more))
    return store, port, servers.headroom(path, port)


def metrics(port):
    with urllib.request.urlopen('http://127.0.0.1:%d/metrics' % port) as answer:
        lines = answer.read().decode().splitlines()
    return {line.rsplit(' ', 1)[0]: float(line.rsplit(' ', 1)[1]) for line in lines if not line.startswith('#')}


def test_new_calls_arrive_once_after_the_receiver_was_busy(servers, receiver):
    store, port, _ = serve(servers, 'http://127.0.0.1:%d/v1/traces' % receiver.port, 'header = "Authorization: Bearer abc"\n')
    subprocess.run([sample_store, store, '--now', '120'], check=True)
    wait_until(lambda: len(receiver.spans) >= 120, 'the calls did not arrive')
    time.sleep(5)
    assert len(receiver.spans) == 120, 'those from before the start stay, and none comes twice'
    assert len({span['spanId'] for span in receiver.spans}) == 120
    path, headers = receiver.requests[0]
    assert path == '/v1/traces'
    assert headers['Content-Type'] == 'application/json' and headers['Authorization'] == 'Bearer abc'
    seen = metrics(port)
    assert seen['headroom_otlp_calls_total{result="sent"}'] == 120
    assert seen['headroom_otlp_retries_total'] == 2


def test_a_receiver_that_is_away_costs_the_service_nothing_but_dropped_calls(servers):
    store, port, _ = serve(servers, 'http://127.0.0.1:1/v1/traces', 'queue = 100\n')
    subprocess.run([sample_store, store, '--now', '250'], check=True)
    dropped = 'headroom_otlp_calls_total{result="dropped"}'
    wait_until(lambda: metrics(port).get(dropped) == 150, 'the queue is not bounded')
    with urllib.request.urlopen('http://127.0.0.1:%d/health' % port) as answer:
        assert json.load(answer)['status'] == 'ok'


@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost'])
def test_over_tls_calls_reach_a_receiver_that_the_named_authority_vouches_for(servers, secure_receiver, authority, host):
    store, _, _ = serve(servers, 'https://%s:%d' % (host, secure_receiver.port), 'ca_file = "%s"\n' % authority.file)
    subprocess.run([sample_store, store, '--now', '20'], check=True)
    wait_until(lambda: len(secure_receiver.spans) >= 20, 'the calls did not arrive')
    assert secure_receiver.requests[0][0] == '/v1/traces'


def test_over_tls_the_authorities_of_the_system_count_where_none_is_named(servers, secure_receiver, authority, monkeypatch):
    monkeypatch.setenv('SSL_CERT_FILE', str(authority.file))
    store, _, _ = serve(servers, 'https://127.0.0.1:%d' % secure_receiver.port)
    subprocess.run([sample_store, store, '--now', '20'], check=True)
    wait_until(lambda: len(secure_receiver.spans) >= 20, 'the calls did not arrive')


def refused_with(words, servers, receiver, more=''):
    """Nothing is sent to a receiver that is not trusted; the log says why, in one line."""
    store, port, process = serve(servers, 'https://127.0.0.1:%d' % receiver.port, more)
    subprocess.run([sample_store, store, '--now', '20'], check=True)
    wait_until(lambda: words in process.log.read_text(), 'the log does not say: ' + words)
    line, = [line for line in process.log.read_text().splitlines() if words in line]
    assert 'traces: 127.0.0.1:%d: its certificate is not trusted' % receiver.port in line and 'ca_file' in line
    assert receiver.requests == []
    seen = metrics(port)
    assert seen['headroom_otlp_retries_total'] >= 1 and seen['headroom_otlp_queued_calls'] == 20


def test_over_tls_a_receiver_that_nobody_vouches_for_gets_nothing(servers, secure_receiver):
    refused_with('unable to get local issuer certificate', servers, secure_receiver)


def test_over_tls_a_certificate_for_another_host_is_not_enough(servers, authority):
    for receiver in receiving(Receiver(certificate=authority.certificate('DNS:elsewhere.test,IP:127.0.0.2'))):
        refused_with('IP address mismatch', servers, receiver, 'ca_file = "%s"\n' % authority.file)


@pytest.mark.parametrize('endpoint, text, words', [
    ('https://127.0.0.1', None, "can't be read as PEM certificates"), ('https://127.0.0.1', 'no certificate', "can't be read as PEM"),
    ('http://127.0.0.1', '', 'only an https:// endpoint has a certificate')])
def test_a_ca_file_that_is_of_no_use_is_told_at_the_start(tmp_path, endpoint, text, words):
    file = tmp_path / 'ca.pem'
    if text is not None:
        file.write_text(text)
    configuration = tmp_path / 'headroom.toml'
    configuration.write_text('[perf]\nstore = "sqlite://%s/perf.sqlite"\nstate = "%s"\n[serve]\nlisten = "127.0.0.1:0"\n'
        '[otlp]\nendpoint = "%s"\nca_file = "%s"\n' % (tmp_path, tmp_path, endpoint, file))
    done = subprocess.run([executable(), 'serve', '--config', configuration], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert words in done.stderr and 'ca_file' in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
