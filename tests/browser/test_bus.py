"""The bus as tabs use it; each test is a Node program beside this file."""
import os
import sys
from pathlib import Path

import programs
from servers import free_port
from servers.process import Process, listening
from servers.recorder import Recorder

PACKAGE = Path(os.environ['HEADROOM_BUILD']) / 'web/pages/bus'
KEY = 'a-key-of-the-tests-0123456789abcdef0123456789'

SETTINGS = '''
[serve]
listen = "127.0.0.1:%d"
hosts = ["plain.test"]

[bus]
enabled = true
secret_files = ["%s"]
reconnect_window = "1s"

[bus.channels]
"room:" = "subscribe=granted publish=granted joins=yes history=1000 history_age=1h"
"room:short" = "subscribe=granted publish=granted history=5 history_age=1h"
'''


class Bus:
    """`headroom serve` with the bus, which may be stopped, killed and started again on its port."""

    def __init__(self, servers):
        self.servers = servers
        self.port = free_port()
        self.url = 'http://127.0.0.1:%d' % self.port
        self.configuration = Recorder(servers).configuration
        self.process = None
        self._configure(servers.folder / 'secret')

    def _configure(self, secret):
        secret.write_text(KEY + '\n')
        secret.chmod(0o600)
        with open(self.configuration, 'a') as configuration:
            configuration.write(SETTINGS % (self.port, secret))

    def start(self):
        self.process = self.servers.headroom(self.configuration, self.port)

    def stop(self):
        self.process.stop()

    def kill(self):
        self.process.kill()


class StandIn(Bus):
    """bus_standin.py, in place of the server, for what needs no database."""

    def start(self):
        self.process = self.servers.start(Process('standin', [sys.executable, programs.HERE / 'bus_standin.py', self.port, PACKAGE],
            self.servers.folder, ready=lambda: listening(self.port)))


def browse(bus, name):
    bus.start()
    environment = {'HEADROOM_URL': bus.url, 'HEADROOM_BUS_KEY': KEY, 'HEADROOM_BUS_PACKAGE': str(PACKAGE)}
    assert programs.run(name, bus, environment), '%s failed' % name


def test_twenty_tabs_have_one_connection_and_a_dead_or_frozen_one_harms_nobody(servers):
    browse(Bus(servers), 'bus_tabs.mjs')


def test_what_was_acknowledged_is_seen_or_said_to_be_lost_when_server_or_network_fail(servers):
    browse(Bus(servers), 'bus_server.mjs')


def test_users_never_share_and_pages_over_plain_http_or_left_behave(servers):
    browse(Bus(servers), 'bus_users.mjs')


def test_a_side_effect_runs_in_one_tab_first_of_all_in_the_one_that_is_looked_at(servers):
    browse(Bus(servers), 'bus_once.mjs')


def test_twenty_tabs_of_sao_have_one_connection_and_show_a_notification_once(servers):
    browse(StandIn(servers), 'bus_sao.mjs')
