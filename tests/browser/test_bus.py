"""The bus as tabs use it; each test is a Node program beside this file."""
import os
import sys
from pathlib import Path

import pytest

import programs
from servers import Servers, free_port
from servers.process import Process, listening

PACKAGE = Path(os.environ['HEADROOM_BUILD']) / 'web/pages/bus'
KEY = 'a-key-of-the-tests-0123456789abcdef0123456789'


class Bus:
    """The server of the bus, which may be stopped, killed and started again on its port."""

    def __init__(self, servers):
        self.servers = servers
        self.port = free_port()
        self.url = 'http://127.0.0.1:%d' % self.port
        self.process = None

    def start(self):
        self.process = self.servers.start(Process('bus', [sys.executable, programs.HERE / 'bus_standin.py', self.port, PACKAGE],
            self.servers.folder, ready=lambda: listening(self.port)))

    def stop(self):
        self.process.stop()

    def kill(self):
        self.process.kill()


@pytest.fixture
def tabs(servers):
    """Runs a Node program of this folder against a bus of its own."""
    bus = Bus(servers)
    bus.start()

    def run(name):
        environment = {'HEADROOM_URL': bus.url, 'HEADROOM_BUS_KEY': KEY, 'HEADROOM_BUS_PACKAGE': str(PACKAGE)}
        assert programs.run(name, bus, environment), '%s failed' % name
    return run


def test_twenty_tabs_have_one_connection_and_a_dead_or_frozen_one_harms_nobody(tabs):
    tabs('bus_tabs.mjs')


def test_what_was_acknowledged_is_seen_or_said_to_be_lost_when_server_or_network_fail(tabs):
    tabs('bus_server.mjs')


def test_users_never_share_and_pages_over_plain_http_or_left_behave(tabs):
    tabs('bus_users.mjs')


def test_twenty_tabs_of_sao_have_one_connection_and_show_a_notification_once(tabs):
    tabs('bus_sao.mjs')
