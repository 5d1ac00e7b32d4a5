"""What the browser looks at: a real trytond, a user who works in it while a rule records, and `headroom serve`."""
import os
import sqlite3
import subprocess
import threading
import time

import psycopg2

from servers import executable, free_port, wait_until
from servers.client import RPCError
from servers.recorder import THING, Recorder

TOKEN = 'a-token-of-the-tests-0123456789abcdef'
PEOPLE = {'ada': ('administrator', 'ada-password-of-the-tests'), 'vic': ('viewer', 'vic-password-of-the-tests')}
OBEYED = 2.2  # seconds
SALE_LINES = ['product', 'product.rec_name', 'quantity', 'unit_price', 'amount', 'taxes']


class Kept:
    """`headroom serve` over a store that is there already, and nobody who works."""

    def __init__(self, servers, *options):
        self.servers = servers
        url = servers.store_url()
        subprocess.run([os.environ['HEADROOM_SAMPLE_STORE'], url, *options], check=True, stdin=subprocess.DEVNULL)
        self.url = self.serve(url)

    def serve(self, store):
        port = free_port()
        folder = self.servers.folder
        (folder / 'token').write_text(TOKEN + '\n')
        (folder / 'token').chmod(0o600)
        configuration = folder / 'headroom.toml'
        configuration.write_text('[perf]\nstore = "%s"\nstate = "%s"\n\n[serve]\nlisten = "127.0.0.1:%d"\ntoken_file = "%s"\n' % (
                store, folder, port, folder / 'token'))
        self.daemon = self.servers.headroom(configuration, port)
        return 'http://127.0.0.1:%d' % port

    def peak_mebibytes(self):
        """The most memory that the daemon had at once."""
        with open('/proc/%d/status' % self.daemon.pid) as status:
            peak, = (line.split()[1] for line in status if line.startswith('VmHWM:'))
        return int(peak) / 1024


class World:
    """Runs in the folder of `servers`."""

    def __init__(self, servers, backend='sqlite', kind='scenario', **settings):
        self.servers = servers
        self.backend = backend
        self.recorder = Recorder(servers, **{'body_limit': '2m', **settings})
        self.tryton = servers.tryton(backend, recorder=self.recorder.section, kind=kind)
        self.server = self.tryton.serve()
        self.client = None
        self.rule = None
        self.resting = []

    def serve(self):
        """Starts `headroom serve`; returns the address of its pages."""
        port = free_port()
        folder = self.servers.folder
        (folder / 'token').write_text(TOKEN + '\n')
        (folder / 'token').chmod(0o600)
        with open(self.recorder.configuration, 'a') as configuration:
            configuration.write('\n[perf.databases]\n%s = "%s"\n' % (self.tryton.database, self.database_url))
            configuration.write('\n[serve]\nlisten = "127.0.0.1:%d"\ntoken_file = "%s"\npassword_file = "%s"\n' % (
                    port, folder / 'token', folder / 'people'))
        for name, (role, password) in PEOPLE.items():
            subprocess.run([executable(), 'serve', 'password', 'add', name, '--role', role, '--file', folder / 'people'],
                input=password + '\n', text=True, check=True, capture_output=True)
        self.servers.headroom(self.recorder.configuration, port)
        return 'http://127.0.0.1:%d' % port

    @property
    def database_url(self):
        if self.backend == 'postgresql':
            return self.servers.postgresql().uri + self.tryton.database
        return 'sqlite://%s/db/%s.sqlite' % (self.servers.folder, self.tryton.database)

    def record(self, *options):
        """From now on the calls of the user are recorded: every process obeys a rule within two seconds."""
        self.rule = self.recorder.report('trace', 'add', '--user', 'admin', '--for', '1h', *options)[0]['rule']
        time.sleep(OBEYED)

    def end_record(self):
        self.recorder.run('trace', 'remove', self.rule)

    def log_in(self):
        """A session of its own for what follows."""
        self.client = self.tryton.client(self.server)

    def call(self, method, *arguments):
        return self.client.call('model.' + method, *arguments)

    def sell(self):
        """Copies, opens, edits and confirms a sale, as a user does."""
        sale, = self.call('sale.sale.search', [], 0, 1, None)
        sale, = self.call('sale.sale.copy', [sale])
        self.call('sale.sale.fields_view_get', None, 'form')
        record, = self.call('sale.sale.read', [sale], ['number', 'party.rec_name', 'lines', 'state', 'total_amount'])
        self.call('sale.line.read', record['lines'], SALE_LINES)
        for line in record['lines'][:2]:
            self.call('sale.line.on_change_quantity', {'id': line, 'quantity': 3.0, 'type': 'line'})
        self.call('sale.sale.quote', [sale])
        self.call('sale.sale.confirm', [sale])

    def run(self, number, times=1):
        """Calls that each run the same statement so often."""
        for _ in range(int(times)):
            self.client.call(THING + 'run', [1] * int(number))

    def sleep(self, seconds):
        self.client.call(THING + 'sleep', seconds)

    def rest(self, seconds):
        """A call that sleeps, in a thread of its own; `end_rest` waits for the end of all."""
        self.resting.append(threading.Thread(target=self.client.clone().call, args=(THING + 'sleep', seconds)))
        self.resting[-1].start()

    def end_rest(self):
        for thread in self.resting:
            thread.join()

    def hang(self, seconds):
        """A call that keeps the interpreter's lock, in a thread of its own; `end_hang` waits for its end."""
        client = self.client.clone()
        self.hanging = threading.Thread(target=client.call, args=(THING + 'hold_gil', seconds))
        self.hanging.start()
        wait_until(lambda: self.recorder.running(THING + 'hold_gil'), 20, 'the running call')

    def end_hang(self):
        self.hanging.join()

    def echo(self, text):
        self.client.call(THING + 'echo', {'name': text})

    def echo_until_recorded(self, text):
        """A new rule is obeyed within two seconds."""
        def recorded():
            self.echo(text)
            rows = self.recorder.report('session', 'admin')
            return any('thing.echo' in call['method'] for row in rows for call in self.recorder.report('call', row['session']))
        wait_until(recorded, 20, 'a recorded echo')

    def rename_method(self, old, new):
        """Names come from requests; this puts one into the store that no module has."""
        with sqlite3.connect(self.recorder.path, timeout=10) as store:
            assert store.execute('UPDATE method SET name = ? WHERE name = ?', (new, old)).rowcount == 1

    def fail(self):
        for method, arguments in (('user_error', [[1]]), ('exception', [[2]]), ('retry', ['a token', 2, [1, 2]])):
            try:
                self.client.call(THING + method, *arguments)
            except RPCError:
                pass  # the recorder's business

    def change(self):
        self.client.call(THING + 'change', [4], 5, 1)

    def hold_row(self):
        """As a person who left psql open, under a name that is one only where it is escaped."""
        self.holder = psycopg2.connect(self.database_url, application_name='psql <b>&"\x1b[31m')
        self.holder.cursor().execute("UPDATE headroom_test_thing SET name = 'held' WHERE id = 1")

    def wait_for_row(self):
        """A call that waits for the person, on a thread of its own."""
        self.waiting = threading.Thread(target=self.client.clone().call, args=(THING + 'change', [4], 6, 1))
        self.waiting.start()

    def let_row_go(self):
        self.holder.close()
        self.waiting.join()

    def slow_statement(self):
        self.client.call(THING + 'slow_statement', 0.2)

    def wait_for(self, number, session_number=1):
        """Until the store holds so many sessions and calls."""
        def stored():
            rows = [row for row in self.recorder.report('session') if len(row['session']) == 16]
            return len(rows) >= session_number and sum(row['nb'] for row in rows) >= number and rows
        return wait_until(stored, 20, '%d calls in %d sessions' % (number, session_number))
