"""The bus as its stories need it: alone, or beside trytond and behind nginx; and a trytond whose users have work lists."""
from servers import free_port
from servers.nginx import Nginx
from servers.notifier import Notifier
from servers.recorder import Recorder
from servers.tabs import LOGIN_PASSWORD, Tabs, activate

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

    def __init__(self, servers, kind='scenario'):
        self.tryton = servers.tryton('postgresql', kind=kind)
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


class WorkSite:
    """trytond with the module headroom_worklist on PostgreSQL, and a user with work in several tabs."""

    def __init__(self, servers, login='dora'):
        tryton = servers.tryton('postgresql')
        activate(tryton)
        self.tabs = Tabs(tryton)
        server = tryton.serve()
        with tryton.client(server) as admin:
            self.tabs.set_passwords(admin)
        with self.tabs.client(server, login) as client:
            rows = client.call('model.headroom.worklist.search_read', [('number', '>', 0)], 0, None, None, ['action', 'name', 'number'])
        self.sao = {'address': 'http://127.0.0.1:%d' % server.port, 'database': tryton.database, 'person': [login, LOGIN_PASSWORD],
            'waiting': [[row['action'], row['name'], row['number']] for row in rows]}
