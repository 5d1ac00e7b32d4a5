"""What bin/demo does once everything is built. See there for its arguments."""
import argparse
import contextlib
import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from servers import Client, Process, Servers, executable, free_port, project_root, run_headroom, wait_until
from servers import database
from servers.postgresql import PostgreSQL
from servers.process import listening
from servers.tryton import Tryton

FOLDER = project_root / 'var' / 'demo'
DATABASE = 'demo'
USER, PASSWORD = 'admin', database.PASSWORD
SALES = 2
begin = time.monotonic()


def say(text):
    print('[%4d s] %s' % (time.monotonic() - begin, text), file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text):
    start = time.monotonic()
    say(text + ' ...')
    yield
    say('%s: done in %.1f s' % (text, time.monotonic() - start))


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    FOLDER.mkdir(parents=True, exist_ok=True)
    with only_one(), Servers(FOLDER) as servers:
        store = start_store(servers, options.redis)
        tryton = installation(servers, options.postgresql, store)
        configuration, api = configure_headroom(store)
        with step('starting trytond with the recorder'):
            server = tryton.serve(port=preferred_port(8000))
        with step('starting headroom serve'):
            servers.headroom(configuration, api)
        with step('a client works: users, then sales'):
            before = recorded(configuration)
            calls = work(Client(server.port, DATABASE))
        with step('waiting for the records'):
            session = wait_until(lambda: new_session(configuration, before, calls), 15, 'the records of the client')
        reports(configuration, session)
        farewell(configuration, server.port, api, kept=not (options.once and options.redis))
        if not options.once:
            wait_for_interrupt()
        say('stopping')


def arguments():
    parser = argparse.ArgumentParser(prog='bin/demo')
    parser.add_argument('--once', action='store_true')
    parser.add_argument('--postgresql', action='store_true')
    parser.add_argument('--redis', action='store_true')
    return parser.parse_args()


@contextlib.contextmanager
def only_one():
    with open(FOLDER / 'lock', 'w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit('demo: another bin/demo runs in this checkout; stop it first')
        yield


def preferred_port(port):
    return free_port() if listening(port) else port


def start_store(servers, redis):
    """The store's URL."""
    if not redis:
        return servers.store_url()
    with step('starting Redis'):
        return servers.redis().url


def installation(servers, postgresql, store):
    """Tryton with its database, which is made at the first start."""
    recorder = {
        'broker': store,
        'state': str(FOLDER / 'state'),
        'users': USER,
        'db': 'model.sale.*',
        'query': '0.003',
        }
    where = postgresql_database(servers) if postgresql else sqlite_database()
    return Tryton(servers, 'tryton', DATABASE, recorder=recorder, **where)


def sqlite_database():
    folder = FOLDER / 'db'
    if not (folder / (DATABASE + '.sqlite')).exists():
        with step('making the Tryton database on SQLite, with sale and stock'):
            database.copy_sqlite('business', folder, DATABASE)
    return {'database_path': folder}


def postgresql_database(servers):
    server = PostgreSQL(FOLDER)
    if not server.exists():
        with step('making the Tryton database on PostgreSQL, with sale and stock'):
            server.restore(database.postgresql_archive('business'))
    with step('starting PostgreSQL'):
        servers.start(server.process)
        if not server.has(DATABASE):
            server.create(DATABASE, template='business')
    return {'database_uri': server.uri}


def configure_headroom(store):
    """Writes headroom.toml; returns its path and the port of the API."""
    port = preferred_port(7400)
    path = FOLDER / 'headroom.toml'
    path.write_text('[perf]\nstore = "%s"\nstate = "%s"\n\n[serve]\nlisten = "127.0.0.1:%d"\n' % (
            store, FOLDER / 'state', port))
    return path, port


def work(client):
    """What a user does with the web client. Returns the number of calls of its session."""
    client.login(USER, PASSWORD)
    calls = Counting(client)
    calls('res.user.get_preferences', False)
    client.context.update(calls('res.user.get_preferences', True))
    open_users(calls)
    modify_user(calls)
    for sale in calls('sale.sale.search', [['state', '=', 'draft']], 0, SALES, None) or [copy_sale(calls)]:
        sell(calls, sale)
    client.close()
    return calls.count


class Counting:
    """Calls `model.NAME` and counts."""

    def __init__(self, client):
        self.client = client
        self.count = 0

    def __call__(self, method, *arguments):
        self.count += 1
        return self.client.call('model.' + method, *arguments)


def open_users(calls):
    """Administration, Users, Users: the menu, the action behind it, its list."""
    menus = calls('ir.ui.menu.search', [['parent', '=', None]], 0, None, None)
    calls('ir.ui.menu.read', menus, ['name', 'childs', 'favorite', 'active', 'icon', 'parent', 'rec_name'])
    entry, = calls('ir.ui.menu.search', [['complete_name', 'like', '%Users / Users']], 0, 1, None)
    calls('ir.action.keyword.get_keyword', 'tree_open', ['ir.ui.menu', entry])
    view = calls('res.user.fields_view_get', None, 'tree')
    calls('res.user.search_read', [], 0, 1000, None, sorted(set(view['fields']) | {'rec_name'}))


def modify_user(calls):
    view = calls('res.user.fields_view_get', None, 'form')
    user, = calls('res.user.search', [['login', '=', USER]], 0, 1, None)
    readable = [name for name, field in view['fields'].items() if field['type'] not in ('one2many', 'many2many', 'binary')]
    calls('res.user.read', [user], readable + ['rec_name', '_timestamp'])
    calls('res.user.write', [user], {'signature': 'Regards %d' % random.randrange(1000)})
    calls('res.user.read', [user], ['signature', 'rec_name', '_timestamp'])


def copy_sale(calls):
    """Every draft of the first start is confirmed by now: the next ones are copies."""
    done, = calls('sale.sale.search', [['state', '!=', 'cancelled']], 0, 1, None)
    return calls('sale.sale.copy', [done])[0]


def sell(calls, sale):
    """Opens, edits and confirms one sale."""
    calls('sale.sale.fields_view_get', None, 'form')
    record, = calls('sale.sale.read', [sale], ['number', 'party', 'party.rec_name', 'lines', 'state', 'total_amount'])
    lines = record['lines']
    calls('sale.line.read', lines, ['product', 'product.rec_name', 'quantity', 'unit_price', 'amount', 'taxes'])
    for line in lines[:3]:
        calls('sale.line.on_change_quantity', {'id': line, 'quantity': 3.0, 'type': 'line'})
    calls('sale.sale.write', [sale], {'lines': [['write', [line], {'quantity': 3.0}] for line in lines[:3]]})
    calls('sale.sale.quote', [sale])
    calls('sale.sale.confirm', [sale])
    calls('sale.sale.read', [sale], ['number', 'state', 'shipments', 'invoices', 'total_amount'])


def recorded(configuration):
    """Sessions that the store holds already."""
    return {row['session'] for row in run_headroom('session', '--json', '--config', configuration)}


def new_session(configuration, before, calls):
    for row in run_headroom('session', USER, '--json', '--config', configuration):
        if row['session'] not in before and row['nb'] >= calls:
            return row['session']


def reports(configuration, session):
    """Prints each report under the command that repeats it, as a terminal shows it."""
    width = [] if sys.stdout.isatty() else ['--width', '140']
    shown = os.path.relpath(configuration, project_root)
    prefix = session[:8]
    for report in (['session'], ['method', prefix], ['table', prefix], ['repeat', prefix], ['query', prefix]):
        command = [*report, '--config', shown, '--limit', '12']
        print('\n$ bin/headroom ' + ' '.join(command), flush=True)
        subprocess.run([executable(), *command, '--no-pager', *width], cwd=project_root, check=True)


def farewell(configuration, port, api, kept):
    print('\nTryton: http://127.0.0.1:%d/ (database %s, user %s, password %s)' % (port, DATABASE, USER, PASSWORD))
    print('Headroom: http://127.0.0.1:%d/' % api)
    print('The commands above repeat the reports; `bin/headroom help` lists the others.' if kept else
        'The records end with Redis; without --once the commands above repeat the reports.', flush=True)


def wait_for_interrupt():
    say('running; Ctrl-C stops everything')
    try:
        signal.pause()
    except KeyboardInterrupt:
        pass


if __name__ == '__main__':
    main()
