"""The bus as tabs use it; each test is a Node program beside this file."""
import json

import programs
from servers import free_port
from servers.database import PASSWORD
from servers.nginx import Nginx
from servers.notifier import Notifier
from servers.recorder import Recorder

SECOND = ['bob', 'Wq7-bluE.9sky']
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


class SaoSite:
    """trytond on PostgreSQL, `headroom serve` with both buses, and the example's nginx before them."""

    def __init__(self, servers):
        self.tryton = servers.tryton('postgresql')
        self.postgresql = servers.postgresql()
        server = self.tryton.serve()
        self.client = self.tryton.client(server)
        self.client.call('model.res.user.create', [{'name': SECOND[0], 'login': SECOND[0], 'password': SECOND[1]}])
        bus = Bus(servers)
        with open(bus.configuration, 'a') as configuration:
            configuration.write('\n[bus.tryton]\nuri = "%s"\ndatabases = ["%s"]\n' % (self.postgresql.uri, self.tryton.database))
        bus.start()
        self.url = bus.url
        nginx = Nginx(servers.folder, server.port, bus.port)
        servers.start(nginx.process)
        self.address = 'http://127.0.0.1:%d' % nginx.port
        self.notifier = Notifier(self.tryton)

    def notify(self, *calls):
        self.notifier.notify(*calls)

    def end_sessions(self):
        self.postgresql.execute('DELETE FROM ir_session', self.tryton.database)


def browse(bus, name):
    bus.start()
    environment = {'HEADROOM_URL': bus.url, 'HEADROOM_BUS_KEY': KEY}
    assert programs.run(name, bus, environment), '%s failed' % name


def test_twenty_tabs_have_one_connection_and_a_dead_or_frozen_one_harms_nobody(servers):
    browse(Bus(servers), 'bus_tabs.mjs')


def test_what_was_acknowledged_is_seen_or_said_to_be_lost_when_server_or_network_fail(servers):
    browse(Bus(servers), 'bus_server.mjs')


def test_users_never_share_and_pages_over_plain_http_or_left_behave(servers):
    browse(Bus(servers), 'bus_users.mjs')


def test_a_side_effect_runs_in_one_tab_first_of_all_in_the_one_that_is_looked_at(servers):
    browse(Bus(servers), 'bus_once.mjs')


def test_twenty_tabs_of_sao_have_one_connection_and_handle_a_notification_once(servers):
    site = SaoSite(servers)
    sao = {'address': site.address, 'database': site.tryton.database, 'people': [['admin', PASSWORD], SECOND]}
    with site.notifier:
        environment = {'HEADROOM_URL': site.url, 'HEADROOM_SAO': json.dumps(sao)}
        assert programs.run('bus_sao.mjs', site, environment), 'bus_sao.mjs failed'
