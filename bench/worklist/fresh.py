"""How fresh the counts of `headroom serve` are: from a COMMIT's answer to the event that a listener has read, what writers pay for it, and how long
a very large transaction and a backlog take. Over a durable PostgreSQL (fsync, synchronous_commit = on); no figure counts unless the numbers told
are those that a statement counts."""
import contextlib
import http.client
import json
import os
import queue
import random
import selectors
import signal
import socket
import statistics
import threading
import time

import psycopg2

from recorder import figures
from servers.postgresql import PostgreSQL
from servers.process import free_port, wait_until

SETTINGS = {'wal_level': 'logical', 'fsync': 'on', 'synchronous_commit': 'on', 'full_page_writes': 'on', 'shared_buffers': '1GB',
    'max_wal_size': '8GB', 'jit': 'off'}
TYPES, STATES, OWNERS, UIDS, UIDS_OF_A_USER = 200, 12, 1_000, 5_000, 100
MARK = 1  # the document whose state goes to and fro; user 1 owns it, and the list `mark/0` counts it
SEED = 20261130


class Shop:
    """The tables, the definitions, and the service."""

    def __init__(self, servers, documents, lists, users):
        self.servers, self.documents, self.lists, self.users = servers, documents, lists, users
        self.postgresql = PostgreSQL(servers.folder).initialize()
        with open(self.postgresql.data / 'postgresql.conf', 'a') as configuration:
            configuration.writelines('%s = %s\n' % setting for setting in SETTINGS.items())
        servers.start(self.postgresql.process)
        self.postgresql.create('shop')
        self.fill()
        self.port = free_port()
        (servers.folder / 'worklists.yaml').write_text(self.definitions())
        self.configuration = servers.folder / 'headroom.toml'
        self.configuration.write_text('\n'.join(['[perf]', 'store = "%s"' % servers.store_url(), 'state = "%s"' % (servers.folder / 'state'),
            '[serve]', 'listen = "127.0.0.1:%d"' % self.port, '[worklist]', 'live = true', 'file = "worklists.yaml"',
            'url = "%s"' % (self.postgresql.uri + 'shop'), 'timeout = "1m"', 'rights_age = "1h"']) + '\n')

    def fill(self):
        with contextlib.closing(self.connect()) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute('CREATE TABLE document (id bigint, type text, state text, owner integer, security_uid integer)')
            cursor.execute('''INSERT INTO document SELECT i, 'type' || (random() * %d)::int, 'state' || (random() * %d)::int,
                1 + (random() * %d)::int, 1 + (%d * random() ^ 3)::int FROM generate_series(1, %%s) i''' % (
                    TYPES - 1, STATES - 1, OWNERS - 1, UIDS - 1), (self.documents,))
            cursor.execute('ALTER TABLE document ADD PRIMARY KEY (id)')
            cursor.execute("UPDATE document SET owner = 1, type = 'mark', state = 'off' WHERE id = %s", (MARK,))
            cursor.execute('CREATE TABLE user_uid (user_id integer, uid integer)')
            cursor.execute('SELECT setseed(0.5)')
            cursor.execute('INSERT INTO user_uid SELECT u, 1 + (random() * %d)::int FROM generate_series(1, %d) u, generate_series(1, %d)' % (
                UIDS - 1, self.users, UIDS_OF_A_USER))
            cursor.execute('VACUUM ANALYZE document')
            cursor.execute('CREATE PUBLICATION headroom_worklist FOR TABLE document')

    def definitions(self):
        choose = random.Random(SEED)
        lines = ['catalogs:', '  document:', '    table: document',
            '    columns: {id: integer, type: text, state: text, owner: integer, security_uid: integer}', '    security:',
            '      - {column: owner, role: Owner}', '      - {column: security_uid}', 'users:',
            '  security_uids: SELECT DISTINCT uid FROM user_uid WHERE user_id = :user', 'lists:',
            '  - {id: "0", workflow: mark, title: Marked, catalog: document, criteria: {type: mark, state: "on"}}']
        for number in range(1, self.lists):
            types = ', '.join('type%d' % one for one in choose.sample(range(TYPES), choose.randint(1, 4)))
            states = ', '.join('state%d' % one for one in choose.sample(range(STATES), choose.randint(1, 3)))
            lines.append('  - {id: "%d", workflow: list, title: List, catalog: document, criteria: {type: [%s], state: [%s]}}' % (
                number, types, states))
        return '\n'.join(lines) + '\n'

    def connect(self):
        return psycopg2.connect(self.postgresql.uri + 'shop')

    def serve(self):
        """Seconds until the counts are current."""
        begin = time.perf_counter()
        self.daemon = self.servers.headroom(self.configuration, self.port)
        wait_until(lambda: self.status()['state'] == 'current', 300, 'the counts are current')
        return time.perf_counter() - begin

    def ask(self, path):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request('GET', path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def status(self):
        return self.ask('/api/worklist')[1]

    def end_of_log(self):
        return self.postgresql.execute('SELECT pg_current_wal_insert_lsn()', 'shop')[0]

    def reach(self, lsn, seconds=300):
        """Waits until all before it is counted."""
        end = time.perf_counter() + seconds
        while self.ask('/api/worklist/users/1/lists/mark/0?way=live&wait=10s&lsn=' + lsn)[0] != 200:
            if time.perf_counter() > end:
                raise RuntimeError('the counts did not reach %s within %d s: %s' % (lsn, seconds, self.status()))

    def check(self, users):
        """What is told is what statements count: of the mark, and of twenty lists."""
        self.reach(self.end_of_log())
        for user in users:
            live = {one['list']: one['count'] for one in self.ask('/api/worklist/users/%d/counts?all=1&way=live' % user)[1]['lists']}
            with contextlib.closing(self.connect()) as connection:
                cursor = connection.cursor()
                for line in self.definitions().splitlines()[11:31]:
                    number, types, states = line.split('"')[1], line.split('type: [')[1].split(']')[0], line.split('state: [')[1].split(']')[0]
                    cursor.execute('''SELECT count(*) FROM document WHERE type = ANY (%s) AND state = ANY (%s) AND (owner = %s OR security_uid IN
                        (SELECT uid FROM user_uid WHERE user_id = %s))''', (types.split(', '), states.split(', '), user, user))
                    counted, = cursor.fetchone()
                    if live['list/' + number] != counted:
                        raise RuntimeError('user %d, list/%s: %d in place of %d' % (user, number, live['list/' + number], counted))


class Listeners:
    """Clients of users 1 and on; when the first one's mark changes is told with the time at which it was read."""

    def __init__(self, shop, count):
        self.marks = queue.Queue()
        self.selector = selectors.DefaultSelector()
        self.ending = False
        self.bytes = {}
        for user in range(1, count + 1):
            connection = socket.create_connection(('127.0.0.1', shop.port))
            connection.sendall(b'GET /api/worklist/users/%d/events HTTP/1.1\r\nHost: localhost\r\n\r\n' % user)
            connection.setblocking(False)
            self.bytes[connection] = b''
            self.selector.register(connection, selectors.EVENT_READ, user)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.ending:
            for key, _ in self.selector.select(0.2):
                got = key.fileobj.recv(1 << 20)
                if not got:
                    self.selector.unregister(key.fileobj)
                elif key.data == 1:
                    self.hear(key.fileobj, got, time.perf_counter())

    def hear(self, connection, got, now):
        *events, self.bytes[connection] = (self.bytes[connection] + got).split(b'\n\n')
        for event in events:
            if b'event: counts' in event:
                counts = json.loads(event.split(b'data: ')[1])['counts']
                if 'mark/0' in counts:
                    self.marks.put((counts['mark/0'], now))

    def close(self):
        self.ending = True
        self.thread.join()
        for connection in self.bytes:
            connection.close()


class Writer:
    """Transactions of so many rows, the mark among them."""

    def __init__(self, shop, rows):
        self.shop, self.rows = shop, rows
        self.connection = shop.connect()
        self.random = random.Random(rows)
        self.on = False

    def commit(self):
        """When COMMIT was answered, and how long the transaction took."""
        self.on = not self.on
        begin = time.perf_counter()
        cursor = self.connection.cursor()
        cursor.execute('UPDATE document SET state = %s WHERE id = %s', ('on' if self.on else 'off', MARK))
        if self.rows > 1:
            first = self.random.randrange(2, self.shop.documents - self.rows)
            cursor.execute("UPDATE document SET state = 'state' || (random() * %s)::int WHERE id BETWEEN %s AND %s",
                (STATES - 1, first, first + self.rows - 2))
        self.connection.commit()
        end = time.perf_counter()
        return end, end - begin

    def close(self):
        if self.on:
            self.commit()
        self.connection.close()


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def delays(shop, listeners, rows, rounds):
    """Milliseconds from COMMIT's answer to the event, one transaction after the other."""
    writer, found = Writer(shop, rows), []
    for _ in range(rounds):
        committed, _ = writer.commit()
        while True:
            number, heard = listeners.marks.get(timeout=60)
            if number == int(writer.on):
                break
        found.append(1000 * max(0.0, heard - committed))
    writer.close()
    return found


def writer_ms(shop, rounds):
    writer = Writer(shop, 10)
    found = [1000 * writer.commit()[1] for _ in range(rounds)]
    writer.close()
    return found


def fresh_rows(shop, sizes):
    for count in sizes.listeners:
        listeners = Listeners(shop, count)
        with contextlib.closing(listeners):
            listeners.marks.get(timeout=120)
            for rows in (1, 10, 1_000):
                found = delays(shop, listeners, rows, sizes.commits)
                yield sizes.at_most('commit of %d rows to the event read, p99, %d listeners' % (rows, count), 'ms', percentile(found, 0.99), 20,
                    peer='median %.1f, most %.1f, of %d' % (statistics.median(found), max(found), len(found)))
    shop.check((1, 2))


def writer_rows(shop, sizes):
    """With and without the service that reads the log, in turn."""
    with_it, without = [], []
    for turn in range(2 * sizes.turns):
        if turn % 2:
            shop.daemon.stop()
            without += writer_ms(shop, sizes.commits)
            shop.serve()
        else:
            with_it += writer_ms(shop, sizes.commits)
    ratio = statistics.median(with_it) / statistics.median(without)
    yield sizes.at_most('a writer\'s transaction of 10 rows, with the service over without, median', 'ratio', ratio, 1.05, 3,
        'median %.2f and %.2f ms, p99 %.1f and %.1f' % (statistics.median(with_it), statistics.median(without), percentile(with_it, 0.99),
            percentile(without, 0.99)))


def large_rows(shop, sizes):
    states, ending = [], threading.Event()

    def look():
        while not ending.wait(0.1):
            state = shop.status()['state']
            if state not in states[-1:]:
                states.append(state)
    thread = threading.Thread(target=look)
    thread.start()
    begin = time.perf_counter()
    shop.postgresql.execute("UPDATE document SET state = 'state' || (id %% %d) WHERE id > 1 AND id <= %d" % (STATES, sizes.large), 'shop')
    committed = time.perf_counter()
    shop.reach(shop.end_of_log())
    delay = time.perf_counter() - committed
    time.sleep(0.3)
    ending.set()
    thread.join()
    yield figures.row('a transaction of %d rows, from its COMMIT until it is counted' % sizes.large, 's', '%.1f' % delay,
        peer='%.1f s to write; states: %s' % (committed - begin, ', '.join(states)))
    shop.check((1, 3))


def backlog_rows(shop, sizes):
    """The service stands still meanwhile; less than the time after which it would take the database for silent."""
    os.kill(shop.daemon.pid, signal.SIGSTOP)
    with contextlib.closing(shop.connect()) as connection:
        cursor, changed, begin = connection.cursor(), 0, time.perf_counter()
        cursor.execute('SET synchronous_commit = off')
        while changed < sizes.backlog and time.perf_counter() - begin < 6:
            cursor.execute("UPDATE document SET state = 'state' || (random() * %s)::int WHERE id BETWEEN %s AND %s", (STATES - 1,
                2 + changed % (shop.documents - 2_000), 1_001 + changed % (shop.documents - 2_000)))
            connection.commit()
            changed += cursor.rowcount
    lsn, begin = shop.end_of_log(), time.perf_counter()
    os.kill(shop.daemon.pid, signal.SIGCONT)
    shop.reach(lsn)
    seconds = time.perf_counter() - begin
    if shop.status()['rebuilds']:
        raise RuntimeError('the service counted anew in place of reading on')
    yield sizes.at_least('draining a backlog of %d row changes from the log' % changed, 'rows/s', changed / seconds, 100_000, 0)
    shop.check((1, 4))


class Scale:
    """What this part adds to the sizes of the others."""

    def __init__(self, sizes):
        quick = not sizes.judge
        self.at_most, self.at_least = sizes.at_most, sizes.at_least
        self.listeners, self.commits, self.turns = ((3,), 20, 1) if quick else ((1, 100, 1_000), 300, 3)
        self.large, self.backlog = (5_000, 20_000) if quick else (1_000_000, 400_000)
        self.users = max(self.listeners)


def rows(servers, sizes):
    scale = Scale(sizes)
    print('PostgreSQL: ' + ', '.join('%s = %s' % setting for setting in SETTINGS.items()), flush=True)
    shop = Shop(servers, sizes.documents, sizes.lists, scale.users)
    cold = shop.serve()
    yield sizes.at_most('cold start: %d documents copied and counted' % sizes.documents, 's', cold, 12)
    shop.check((1, 2))
    yield from fresh_rows(shop, scale)
    yield from large_rows(shop, scale)
    yield from backlog_rows(shop, scale)
    yield from writer_rows(shop, scale)
