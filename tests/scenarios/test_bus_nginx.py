"""The example's nginx in front of trytond and Headroom: one address, and SAO on it as its users have it."""
import json
import select
import subprocess
from pathlib import Path

import pytest
from test_bus_tryton import Bus, Site, Waiting, many_files  # noqa: F401

from servers import wait_until
from servers.client import Client
from servers.crowd import Crowd, threads_of
from servers.database import PASSWORD
from servers.nginx import Nginx
from servers.notifier import Notifier


@pytest.fixture
def site(servers):
    made = Site(servers)
    made.bus = made.serve()
    made.nginx = Nginx(servers.folder, made.server.port, made.bus.address[1])
    servers.start(made.nginx.process)
    made.front = Bus(made.nginx.port, made.database)
    with Notifier(made.tryton) as made.notifier:
        yield made


def test_one_address_serves_calls_and_bus(site):
    with Client(site.nginx.port, site.database).login('admin', PASSWORD) as client:
        assert client.call('model.headroom_test.thing.run', [1]) == 1
        waiting = Waiting(site.front, client)
        wait_until(lambda: site.metric(site.bus, 'waiting') == 1, 20, 'the waiting poll')
        site.notifier.notify({'title': 'through nginx', 'user': client.user_id})
        assert waiting.result()[1]['message']['title'] == 'through nginx'
        # As a browser sends it: its origin is this address, and another is refused.
        own = 'http://127.0.0.1:%d' % site.nginx.port
        assert site.front.poll(client, Origin=own)[0] == 200
        assert site.front.poll(client, Origin='http://evil.example')[0] == 403
        assert site.front.poll(client, Cookie='headroom=of-the-pages')[0] == 200


def test_many_who_wait_behind_nginx_take_no_thread_of_trytond(site, many_files):
    before = threads_of(site.server.pid)
    crowd = Crowd(site.front.address, site.front.path, site.client, 500)
    try:
        wait_until(lambda: site.metric(site.bus, 'waiting') == 500, 60, 'all polls')
        assert threads_of(site.server.pid) == before
        site.notifier.notify({'channel': 'everybody', 'type': 'broadcast'})
        assert len(crowd.answers()) == 500
    finally:
        crowd.close()


class Sao:
    """SAO in a browser, whose lines are read one by one."""

    def __init__(self, address, database):
        script = Path(__file__).parent / 'sao_bus.mjs'
        self.process = subprocess.Popen(['node', script, address, database, 'admin', PASSWORD], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, bufsize=0, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def line(self):
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        assert ready, 'SAO says nothing'
        return self.process.stdout.readline().decode().rstrip('\n')


def test_a_message_reaches_the_user_of_sao_over_http_2(site):
    with Sao('https://127.0.0.1:%d' % site.nginx.tls_port, site.database) as sao:
        assert sao.line() == 'waiting'
        wait_until(lambda: site.metric(site.bus, 'waiting') == 1, 20, 'the waiting poll')
        for number in range(3):
            site.notifier.notify({'title': 'message %d' % number, 'body': 'for you', 'user': site.client.user_id})
        for number in range(3):
            assert sao.line() == 'shown ' + json.dumps(['message %d' % number, 'for you'], separators=(',', ':'))
        wait_until(lambda: site.metric(site.bus, 'waiting') == 1, 20, 'the next poll')
        assert site.metric(site.bus, 'delivered_total') == 3
    wait_until(lambda: site.metric(site.bus, 'waiting') == 0, 20, 'the end of the poll')
