"""`headroom serve` sends recorded calls to an OpenTelemetry receiver: a small one of our own that keeps the rules of OTLP/HTTP, and
refuses, delays and goes away like real ones."""
import http.server
import json
import os
import subprocess
import threading
import time
import urllib.request

import pytest

from otlp_rules import check_request
from servers import Servers

sample_store = os.environ['HEADROOM_SAMPLE_STORE']


class Receiver(http.server.ThreadingHTTPServer):
    """Answers with the next of `statuses`, then always 200; keeps what it took."""

    def __init__(self, statuses=()):
        super().__init__(('127.0.0.1', 0), Handler)
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


@pytest.fixture
def receiver():
    made = Receiver([503, 429])
    yield made
    made.shutdown()
    made.server_close()


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
    servers.headroom(path, port)
    return store, port


def metrics(port):
    with urllib.request.urlopen('http://127.0.0.1:%d/metrics' % port) as answer:
        lines = answer.read().decode().splitlines()
    return {line.rsplit(' ', 1)[0]: float(line.rsplit(' ', 1)[1]) for line in lines if not line.startswith('#')}


def test_new_calls_arrive_once_after_the_receiver_was_busy(servers, receiver):
    store, port = serve(servers, 'http://127.0.0.1:%d/v1/traces' % receiver.port, 'header = "Authorization: Bearer abc"\n')
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
    store, port = serve(servers, 'http://127.0.0.1:1/v1/traces', 'queue = 100\n')
    subprocess.run([sample_store, store, '--now', '250'], check=True)
    dropped = 'headroom_otlp_calls_total{result="dropped"}'
    wait_until(lambda: metrics(port).get(dropped) == 150, 'the queue is not bounded')
    with urllib.request.urlopen('http://127.0.0.1:%d/health' % port) as answer:
        assert json.load(answer)['status'] == 'ok'
