"""A Tryton with the module headroom_worklist, documents in all states of two companies, and users with different rights.

Documents come in over SQL, in states that would take each of them a dozen calls; what counts them is trytond itself.
"""
import contextlib
import json
import os
import random
import subprocess

import psycopg2
import psycopg2.extras
from trytond.pyson import Date, Eval, PYSONDecoder, PYSONEncoder

from . import paths
from .database import PASSWORD
from .postgresql import PostgreSQL  # noqa: F401 (what `tryton.servers.postgresql()` is)

MODULE = 'headroom_worklist'
LOGIN_PASSWORD = 'lighthouse9QWZ'
DOCUMENTS = 120  # of each table

STATES = {
    'stock_shipment_in': ['draft', 'received', 'done', 'cancelled'],
    'stock_shipment_in_return': ['draft', 'waiting', 'assigned', 'done'],
    'stock_shipment_out': ['draft', 'waiting', 'assigned', 'picked', 'packed', 'done'],
    'stock_shipment_out_return': ['draft', 'received', 'done'],
    'stock_shipment_internal': ['request', 'draft', 'waiting', 'assigned', 'shipped', 'done'],
    'stock_inventory': ['draft', 'done'],
    'account_invoice': ['draft', 'validated', 'posted', 'paid'],
    'sale_sale': ['draft', 'quotation', 'confirmed', 'processing', 'done', 'cancelled'],
    'stock_move': ['draft', 'assigned', 'done', 'staging'],
    }

# Login: groups, companies (the first is the current one), and whether he sees all of them.
USERS = {
    'anna': (['sale.group_sale'], [1], 'one'),
    'bob': (['stock.group_stock', 'stock.group_stock_admin'], [2], 'one'),
    'carla': (['account.group_account', 'sale.group_sale'], [2, 1], 'all'),
    'dora': (['stock.group_stock', 'sale.group_sale', 'sale.group_sale_admin', 'account.group_account'], [1, 2], 'one'),
    'emil': (['sale.group_sale'], [], 'all'),
    }

# More tabs of the sales, by name: those that a list can say, and those that it can't, with a word of the reason.
SAID = {
    'Late': [('sale_date', '<', Date()), ('state', 'in', ['draft', 'quotation'])],
    'Lately': [('sale_date', '>=', Date(delta_days=-3)), ('sale_date', '<=', Date(delta_months=1))],
    'First hundred': [('number', 'like', 'S1%'), ('number', '!=', 'S12')],
    'Open': [('state', 'not in', ['done', 'cancelled'])],
    'Without number or old': ['OR', ('number', '=', None), ('sale_date', '<', Date(2020, 1, 1))],
    'Mine': [('create_uid', '=', Eval('_user', -1))],
    'Of this company': [('company', '=', Eval('company', -1)), ('state', '!=', 'draft')],
    'Of known customers': [('party.code', '!=', '1'), ['OR', ('party.active', '=', True), ('number', '=', 'S3')]],
    'Of none': [('state', 'in', [])],
    'By amount': [('untaxed_amount_cache', '>', 100), ('untaxed_amount_cache', '<=', 5000)],
    'Without amount': [('untaxed_amount_cache', 'not in', [None, 0])],
    'All that there are': [],
    }
UNSAID = {
    'By reference': ([('reference', 'ilike', 'a%')], 'ilike'),
    'With lines': ([('lines.quantity', '>', 1)], 'rows of another table'),
    'By name': ([('party', '=', 'Customer 01')], "by the record's name"),
    'Over two': ([('party.create_uid.login', '=', 'admin')], 'over more than one other record'),
    'Range of texts': ([('number', '>', 'S2')], 'no ranges of texts'),
    }


def activate(tryton, *modules):
    """With the module of this checkout, as it stands in python/."""
    with tryton.servers.folder.joinpath('password').open('w') as file:
        file.write(PASSWORD + '\n')
    done = subprocess.run(['trytond-admin', '-c', str(tryton.configuration), '-d', tryton.database, '--email', 'admin@example.com', '-u',
            MODULE, *modules], env={**os.environ, **tryton.environment, 'TRYTONPASSFILE': file.name}, capture_output=True, text=True,
        stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-4000:]


class Tabs:
    """The database of an installation, and its users' tabs as SAO counts them."""

    def __init__(self, tryton, seed=7):
        self.tryton = tryton
        self.url = tryton.servers.postgresql().uri + tryton.database
        self.random = random.Random(seed)
        self.companies = {}
        with contextlib.closing(psycopg2.connect(self.url)) as connection:
            with connection, connection.cursor() as cursor:
                self._fill(_Rows(cursor))

    def run(self, statement, *values):
        with contextlib.closing(psycopg2.connect(self.url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else None

    def _fill(self, rows):
        first, = rows.column('SELECT min(id) FROM company_company')
        party = rows.insert('party_party', name='Second', active=True, code='C2')
        self.companies = {1: first, 2: rows.copy('company_company', first, party=party)}
        self._fill_users(rows)
        self._fill_tabs(rows)
        parties = rows.column('SELECT id FROM party_party ORDER BY id LIMIT 20')
        rows.run('UPDATE party_party SET active = false WHERE id = %s', parties[3])
        rows.run('UPDATE party_party SET active = NULL WHERE id = %s', parties[4])
        suppliers = rows.column("SELECT id FROM stock_location WHERE type IN ('supplier', 'storage') ORDER BY id")
        customers = rows.column("SELECT id FROM stock_location WHERE type IN ('customer', 'production', 'lost_found') ORDER BY id")
        users = rows.column('SELECT id FROM res_user ORDER BY id')
        choose = self.random.choice
        for table, states in STATES.items():
            for number in range(DOCUMENTS):
                values = {'state': choose(states), 'company': self.companies[choose([1, 1, 2])], 'create_uid': choose(users)}
                if table == 'sale_sale':
                    values.update(invoice_state=choose(['none', 'waiting', 'paid', 'exception']), party=choose(parties),
                        shipment_state=choose(['none', 'waiting', 'sent', 'exception']), untaxed_amount_cache=choose([None, 0, 99, 4200, 9000]),
                        number=choose([None, 'S%d' % number]), sale_date=choose([None, '2019-05-01', '2999-01-01', self._near()]))
                elif table == 'account_invoice':
                    values.update(type=choose(['in', 'out']), number=None)
                elif table == 'stock_move':
                    values.update(from_location=choose(suppliers), to_location=choose(customers),
                        shipment=choose([None, 'stock.shipment.in,1']))
                rows.insert(table, **values)

    def _near(self):
        """A day of these weeks."""
        return psycopg2.extensions.AsIs("current_date + %d" % self.random.randint(-40, 40))

    def _fill_users(self, rows):
        menu, = rows.column("SELECT menu FROM res_user WHERE login = 'admin'")
        for login, (groups, companies, shown) in USERS.items():
            mine = [self.companies[one] for one in companies]
            user = rows.insert('res_user', name=login, login=login, active=True, menu=menu, company=mine[0] if mine else None,
                company_filter=shown)
            for one in mine:
                rows.insert('res_user-company_company', user=user, company=one)
            for group in groups:
                rows.insert('res_user-res_group', user=user, group=rows.id(group))
        # Who is in the group sees his own sales, and whatever has a number.
        model, = rows.column("SELECT id FROM ir_model WHERE model = 'sale.sale'")
        group = rows.insert('ir_rule_group', name='Own or numbered', model=model, global_p=False, default_p=False, perm_read=True,
            perm_write=False, perm_create=False, perm_delete=False)
        for domain in ([('create_uid', '=', Eval('user', {}).get('id', -1))], [('number', '!=', None)]):
            rows.insert('ir_rule', rule_group=group, domain=PYSONEncoder().encode(domain))
        rows.insert('ir_rule_group-res_group', rule_group=group, group=rows.id('sale.group_sale'))

    def _fill_tabs(self, rows):
        window = rows.id('sale.act_sale_form')
        more = {**SAID, **{name: domain for name, (domain, _) in UNSAID.items()}}
        for number, (name, domain) in enumerate(more.items()):
            rows.insert('ir_action_act_window_domain', name=name, domain=PYSONEncoder().encode(domain), count=True, active=True,
                act_window=window, sequence=100 + number)

    def set_passwords(self, admin):
        """Logs nobody in: only a call can hash a password."""
        ids = dict(self.run('SELECT login, id FROM res_user'))
        for login in USERS:
            admin.call('model.res.user.write', [ids[login]], {'password': LOGIN_PASSWORD})

    def client(self, server, login):
        return self.tryton.client(server, login, PASSWORD if login == 'admin' else LOGIN_PASSWORD)


class _Rows:
    """Rows of tables whose columns one does not care for."""

    def __init__(self, cursor):
        self.cursor = cursor
        self._required = {}

    def run(self, statement, *values):
        self.cursor.execute(statement, values)

    def column(self, statement, *values):
        self.run(statement, *values)
        return [row[0] for row in self.cursor]

    def id(self, name):
        """Of a record by its module and XML id."""
        found, = self.column('SELECT db_id FROM ir_model_data WHERE module = %s AND fs_id = %s', *name.split('.'))
        return found

    def insert(self, table, **values):
        for name, kind, target in self._columns(table):
            if values.get(name) is None and name not in ('id',):
                values[name] = self._any(kind, target)
        names = ', '.join('"%s"' % name for name in values)
        marks = ', '.join(['%s'] * len(values))
        found, = self.column('INSERT INTO "%s" (%s) VALUES (%s) RETURNING id' % (table, names, marks), *values.values())
        return found

    def copy(self, table, id_, **values):
        self.run('SELECT to_jsonb(t) FROM "%s" AS t WHERE id = %%s' % table, id_)
        kept = {key: value for key, value in self.cursor.fetchone()[0].items() if key != 'id'}
        return self.insert(table, **{**kept, **values})

    def _columns(self, table):
        """Those that have to be there: name, type, and the table that they point to."""
        if table not in self._required:
            self.run('''SELECT a.attname, format_type(a.atttypid, NULL), f.confrelid::regclass::text
                FROM pg_attribute AS a LEFT JOIN pg_constraint AS f ON f.conrelid = a.attrelid AND f.contype = 'f'
                AND f.conkey = ARRAY[a.attnum]
                WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped AND NOT a.atthasdef''',
                '"%s"' % table)
            self._required[table] = self.cursor.fetchall()
        return self._required[table]

    def _any(self, kind, target):
        if target:
            return self.column('SELECT min(id) FROM %s' % target)[0]
        return {'date': '2026-01-15', 'boolean': True, 'character varying': 'x', 'text': 'x'}.get(kind, 1)


# As SAO does
# ------------------------------------------------------------------------------------------------------------------------


def counted_tabs(client, tabs):
    """For tabs of `explain`: pairs of the tab's id with the domain and the context that SAO sends to `search_count`."""
    windows = {}
    for one in client.call('model.ir.action.act_window.domain.read', [tab['id'] for tab in tabs], ['act_window', 'domain']):
        if one['act_window'] not in windows:
            windows[one['act_window']], = client.call('model.ir.action.act_window.read', [one['act_window']],
                ['pyson_domain', 'pyson_context'])
        window = windows[one['act_window']]
        context = {**client.context, '_user': client.user_id, 'active_id': None, 'active_model': None, 'active_ids': []}
        own = PYSONDecoder(context).decode(window['pyson_context'])
        decoder = PYSONDecoder({**context, **own, 'context': {**context, **own}})
        domain = ['AND', decoder.decode(one['domain'] or '[]'), decoder.decode(window['pyson_domain'])]
        yield one['id'], _as_json(domain), own


def _as_json(value):
    """With dates as the protocol has them."""
    if isinstance(value, (list, tuple)):
        return [_as_json(one) for one in value]
    if hasattr(value, 'isoformat'):
        return {'__class__': 'date', 'year': value.year, 'month': value.month, 'day': value.day}
    return value


def gathered(tryton, output):
    """Runs the module's command. Returns what it tells of every user's tabs."""
    done = subprocess.run([paths.python, '-m', MODULE, '-c', str(tryton.configuration), '-d', tryton.database, '-o', str(output), '--json'],
        env={**os.environ, **tryton.environment}, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)
