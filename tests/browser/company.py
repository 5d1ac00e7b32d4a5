"""A company whose work lists are counted live: PostgreSQL, and `headroom serve` with people who sign in and tokens of the bus."""
import contextlib
import json
import subprocess
import urllib.request

import psycopg2

import world as worlds
from servers import executable, free_port, wait_until
from servers.postgresql import PostgreSQL
from servers.recorder import Recorder

KEY = 'a-key-of-the-tests-0123456789abcdef0123456789'

# Who owns a document sees it, and whoever has its security uid. User 7 is the one whose lists are looked at.
SCHEMA = '''
CREATE TABLE app_user (id integer PRIMARY KEY, name varchar NOT NULL);
CREATE TABLE user_role (user_id integer NOT NULL, role varchar NOT NULL);
CREATE TABLE user_security (user_id integer NOT NULL, uid integer NOT NULL);
CREATE TABLE sale (id integer PRIMARY KEY, state varchar, due date, owner integer, security_uid integer);
CREATE TABLE sale_line (sale integer NOT NULL, quantity integer);
CREATE TABLE invoice (id integer PRIMARY KEY, type varchar, state varchar, due date, owner integer, security_uid integer);
CREATE TABLE shipment (id integer PRIMARY KEY, state varchar, planned date, owner integer, security_uid integer);
CREATE INDEX ON sale (security_uid, state);
CREATE INDEX ON sale (owner);
INSERT INTO app_user SELECT n, 'user ' || n FROM generate_series(1, 79) AS n;
INSERT INTO user_role SELECT n, 'Owner' FROM generate_series(1, 79) AS n;
INSERT INTO user_role VALUES (7, 'Manager');
INSERT INTO user_security SELECT n, 1 + (n * 5 + u * 3) % 24 FROM generate_series(1, 79) AS n, generate_series(0, 3) AS u;
INSERT INTO sale SELECT n, (ARRAY['draft', 'quotation', 'confirmed', 'processing', 'done', 'done', 'done', 'cancelled'])[1 + n * 31 % 8],
  DATE '2026-01-01' + n * 17 % 900, 1 + n % 79, 1 + n / 8 % 24 FROM generate_series(1, 12000) AS n;
INSERT INTO sale_line SELECT n, n % 40 FROM generate_series(1, 12000) AS n;
INSERT INTO invoice SELECT n, (ARRAY['out', 'in'])[1 + n % 2], (ARRAY['draft', 'validated', 'posted', 'paid', 'paid', 'paid', 'paid'])[1 + n * 13 % 7],
  DATE '2026-01-01' + n * 7 % 700, 1 + n % 79, 1 + n * 5 % 24 FROM generate_series(1, 9000) AS n;
INSERT INTO shipment SELECT n, (ARRAY['waiting', 'assigned', 'packed', 'done', 'done', 'done', 'done', 'done', 'done'])[1 + n * 11 % 9],
  DATE '2026-01-01' + n * 3 % 500, 1 + n % 79, 1 + n * 7 % 24 FROM generate_series(1, 7000) AS n;
ANALYZE;
CREATE PUBLICATION headroom_worklist FOR TABLE sale, invoice, shipment WITH (publish_via_partition_root = true);
'''

SECURITY = [{'column': 'owner', 'role': 'Owner'}, {'column': 'security_uid'}]


def _catalog(source, **columns):
    return {**source, 'columns': {'id': 'integer', 'state': 'text', 'owner': 'integer', 'security_uid': 'integer', **columns}, 'security': SECURITY}


CATALOGS = {
    'sale': _catalog({'table': 'sale'}, due='date'),
    'invoice': _catalog({'table': 'invoice'}, type='text', due='date'),
    'shipment': _catalog({'table': 'shipment'}, planned='date'),
    'large_sale': _catalog({'query': 'SELECT s.id, s.state, s.owner, s.security_uid FROM sale AS s WHERE EXISTS '
        '(SELECT 1 FROM sale_line AS l WHERE l.sale = s.id AND l.quantity > 35)'}),
    }


def _list(category, workflow, id_, title, catalog, criteria, url=None, **more):
    return {'id': id_, 'workflow': workflow, 'title': title + ' (%(count)s)', 'category': category, 'catalog': catalog, 'criteria': criteria,
        **({'url': url} if url else {}), **more}


LISTS = [
    _list('Sales', 'sale', 'draft', 'Draft sales', 'sale', {'state': 'draft'}, 'model/sale.sale?state=%(state)s'),
    _list('Sales', 'sale', 'quotation', 'Quotations to follow up', 'sale', {'state': 'quotation'}, 'model/sale.sale?state=%(state)s'),
    _list('Sales', 'sale', 'late', 'Late sales', 'sale', {'state': ['confirmed', 'processing'], 'due': {'below': 'today'}}, 'model/sale.sale?late=1'),
    _list('Sales', 'sale', 'mine', 'My open sales', 'sale', {'state': ['draft', 'quotation', 'confirmed']}, 'model/sale.sale?mine=1', roles=['Owner']),
    _list('Sales', 'sale', 'large', 'Large sales to check', 'large_sale', {'state': 'processing'}, 'model/sale.sale?large=1'),
    _list('Sales', 'sale', 'approve', 'Sales to approve', 'sale', {'state': 'to approve'}, 'model/sale.sale?approve=1', guard={'roles': 'Manager'}),
    _list('Accounting', 'invoice', 'draft', 'Invoices to validate', 'invoice', {'state': 'draft'}, 'model/account.invoice?state=%(state)s'),
    _list('Accounting', 'invoice', 'post', 'Invoices to post', 'invoice', {'state': 'validated'}, 'model/account.invoice?state=%(state)s'),
    _list('Accounting', 'invoice', 'overdue', 'Overdue customer invoices', 'invoice', {'state': 'posted', 'type': 'out', 'due': {'below': 'today'}},
        'model/account.invoice?overdue=1'),
    _list('Accounting', 'invoice', 'pay', 'Supplier invoices to pay', 'invoice', {'state': 'posted', 'type': 'in'}, 'model/account.invoice?pay=1'),
    _list('Warehouse', 'shipment', 'assign', 'Shipments to assign', 'shipment', {'state': 'waiting'}, 'model/stock.shipment.out?state=%(state)s'),
    _list('Warehouse', 'shipment', 'pack', 'Shipments to pack', 'shipment', {'state': 'assigned'}, 'model/stock.shipment.out?state=%(state)s'),
    _list('Warehouse', 'shipment', 'late', 'Late shipments', 'shipment', {'state': ['waiting', 'assigned', 'packed'], 'planned': {'below': 'today'}},
        'model/stock.shipment.out?late=1'),
    _list('Warehouse', 'shipment', 'secret', 'Shipments of the board', 'shipment', {'state': 'packed'}, guard={'roles': 'Board'}),
    ]

MARKUP = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
HOSTILE = [
    _list(MARKUP, 'odd', 'markup', MARKUP + '\u202e\u001b[31m', 'sale', {'state': 'draft'}, 'javascript:document.title=3'),
    _list('Odd', 'odd', 'hidden', 'Hidden scheme', 'sale', {'state': 'draft'}, 'java\tscript:document.title=4'),
    _list('Odd', 'odd', 'data', "'\"&&lt;quotes", 'sale', {'state': 'draft'}, 'data:text/html,<script>document.title=5</script>'),
    _list('Odd', 'odd', 'quoted', 'Quoted', 'sale', {'state': 'draft'}, 'https://erp.example.com/?a="><script>document.title=6</script>'),
    ]

SETTINGS = '''
[serve]
listen = "127.0.0.1:%(port)d"
token_file = "%(folder)s/token"
password_file = "%(folder)s/people"

[bus]
enabled = true
secret_files = ["%(folder)s/secret"]

'''
WORKLIST = '''
[worklist]
live = true
file = "%(folder)s/worklists.yaml"
url = "%(uri)s"
application = "https://erp.example.com/"
'''


class Company:
    """`on` False: the service without its work lists."""

    def __init__(self, servers, lists=(), on=True):
        self.servers = servers
        self.port = free_port()
        self.url = 'http://127.0.0.1:%d' % self.port
        folder = servers.folder
        self._write_secrets(folder)
        settings = SETTINGS
        if on:
            self._make_database()
            (folder / 'worklists.yaml').write_text(self._definitions([*LISTS, *lists]))
            settings += WORKLIST
        self.configuration = Recorder(servers).configuration
        with open(self.configuration, 'a') as configuration:
            configuration.write(settings % {'port': self.port, 'folder': folder, 'uri': self.postgresql.uri + 'company' if on else ''})
        self.start()
        if on:
            self.wait_until_current()

    @staticmethod
    def _write_secrets(folder):
        for name, text in (('token', worlds.TOKEN), ('secret', KEY)):
            (folder / name).write_text(text + '\n')
            (folder / name).chmod(0o600)
        for name, (role, password) in worlds.PEOPLE.items():
            subprocess.run([executable(), 'serve', 'password', 'add', name, '--role', role, '--file', folder / 'people'],
                input=password + '\n', text=True, check=True, capture_output=True)

    def _make_database(self):
        self.postgresql = PostgreSQL(self.servers.folder).initialize()
        with open(self.postgresql.data / 'postgresql.conf', 'a') as configuration:
            configuration.write('wal_level = logical\nsynchronous_commit = on\n')
        self.servers.start(self.postgresql.process)
        self.postgresql.create('company')
        with contextlib.closing(psycopg2.connect(self.postgresql.uri + 'company')) as connection:
            connection.autocommit = True
            connection.cursor().execute(SCHEMA)

    @staticmethod
    def _definitions(lists):
        """JSON is YAML."""
        users = {'table': 'app_user', 'roles': 'SELECT role FROM user_role WHERE user_id = :user',
            'security_uids': 'SELECT uid FROM user_security WHERE user_id = :user'}
        return json.dumps({'catalogs': CATALOGS, 'users': users, 'lists': lists})

    def start(self):
        self.process = self.servers.headroom(self.configuration, self.port)

    def stop(self):
        self.process.stop()

    def execute(self, statement):
        self.postgresql.execute(statement, 'company')

    def wait_until_current(self):
        request = urllib.request.Request(self.url + '/api/worklist', headers={'Authorization': 'Bearer ' + worlds.TOKEN})

        def state():
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)['state']
        wait_until(lambda: state() == 'current', 30, 'the lists are counted live')
