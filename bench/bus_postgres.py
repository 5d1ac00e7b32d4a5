#!/usr/bin/python3
"""The bus over PostgreSQL: publishing beside a plain INSERT of the same row, from a commit to a client, and what it leaves behind.

    bin/bench bus_postgres [--quick] [--json FILE] [--only PART...] [--messages N]

A PostgreSQL 15 of its own, durable as it is by default (fsync, synchronous_commit = on), and `headroom serve` on it, which orders and
reads all that is published, on the same cores. pgbench publishes: 16 clients, prepared statements, one statement per transaction.

publish   headroom.publish and a plain INSERT of the same row (the outbox's columns and a primary key) in turn; the ratio is that of
          neighbours.
cost      CPU of the server for one of either, with one client and without the service. On a busy machine only the ratio says something.
latency   From the call of headroom.publish, so with its commit, until the message has reached a subscriber's socket, at half of the
          rate that is the goal, or of the rate that was reached. The clock is that of this machine.
logical   Publishes a second through the write-ahead log (source = "logical") and through the table, each on a server of its own, in turn; and
          the latency, as above, of both at the same rate.
bloat     After N messages of 1,000 channels (--messages 10000000 is the size of the goal; 1,000 are published in one transaction), when all that
          can be cleaned was: dead and free space in the tables, as pgstattuple finds it, and the whole schema over its size when it was copied
          row by row into a fresh one, indexes and all.

No figure counts unless every message that pgbench counts is in the stream once, and its offsets have no gap. `--quick` is short, and
judges only that.
"""
import base64
import json
import os
import re
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg2

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'tests'), str(ROOT / 'bench')]

from recorder import figures  # noqa: E402
from servers import Servers  # noqa: E402
from servers.bus import Bus, token  # noqa: E402
from servers.paths import executable  # noqa: E402
from servers.postgresql import PostgreSQL  # noqa: E402
from servers.process import wait_until  # noqa: E402

SETTINGS = ['fsync = on', 'synchronous_commit = on', 'full_page_writes = on', 'shared_buffers = 128MB', 'min_wal_size = 1GB', 'max_wal_size = 4GB']
SEGMENTS = 40  # of 16 MB: more than are written while the latency is measured
PLAIN = """CREATE TABLE plain (slot smallint NOT NULL, source bigserial PRIMARY KEY, tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ticket bigint, channel text NOT NULL, id text, data text NOT NULL)"""
PAYLOAD = json.dumps({'type': 'notification', 'title': 'x' * 160})
SCRIPTS = {
    'plain': "INSERT INTO plain (slot, channel, data) VALUES (0, 'orders', '%s');\n" % PAYLOAD,
    'publish': "SELECT headroom.publish('orders', '%s');\n" % PAYLOAD,
    'timed': "SELECT headroom.publish('orders', '{\"at\":' || extract(epoch FROM clock_timestamp()) || ',\"title\":\"%s\"}');\n" % ('x' * 160),
    'many': "SELECT headroom.publish('channel' || i, '%s') FROM generate_series(1, 1000) i;\n" % PAYLOAD}
MANY = 1000
GOAL_PER_S, GOAL_RATIO, GOAL_P99_MS, GOAL_BLOAT = 10_000, 0.7, 20, 0.1
TABLES = ['outbox_%d' % i for i in range(4)] + ['stream_%d' % i for i in range(6)] + ['batch_%d' % i for i in range(6)] + [
    'channel', 'leader', 'origin']


class Sizes:

    def __init__(self, options):
        self.judge = not options.quick
        self.rounds, self.seconds = (1, 1) if options.quick else (5, 5)
        self.latency_s = 2 if options.quick else 20
        self.messages = options.messages or (20_000 if options.quick else 1_000_000)


class World:
    """The database, and the service on it when it is asked for."""

    def __init__(self, serves=True, source='outbox'):
        self.servers = Servers()
        self.bus = None
        try:
            self.database = PostgreSQL(self.servers.folder).initialize()
            with open(self.database.data / 'postgresql.conf', 'a') as configuration:
                configuration.write('\n'.join([*SETTINGS, *(['wal_level = logical'] if source == 'logical' else []), '']))
            self.servers.start(self.database.process)
            self.connection = psycopg2.connect(self.database.uri + 'postgres')
            self.connection.autocommit = True
            self.ask(subprocess.run([executable(), 'bus', 'sql'], check=True, capture_output=True, text=True).stdout + ';SELECT 1')
            self.ask(PLAIN + ';SELECT 1')
            if serves:
                self.bus = Bus(self.servers, broker='postgresql', database=self.database.uri + 'postgres', source=source,
                    channels={'*': 'subscribe=users publish=users'})
                wait_until(lambda: self.one('SELECT term FROM headroom.leader') > 0, 20, 'the service orders')
            if serves and source == 'logical':
                wait_until(lambda: self.one('SELECT logged FROM headroom.log_state()'), 20, 'publications go into the log')
        except BaseException:
            self.servers.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()
        self.servers.close()

    def ask(self, statement):
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def one(self, statement):
        return self.ask(statement)[0][0]

    def settle(self):
        """As a server that has run for a while: a segment of the log is an old one under another name. A new one is written as a whole, and
        every commit waits for it."""
        for _ in range(SEGMENTS):
            self.ask("SELECT pg_logical_emit_message(false, 'bench', ''), pg_switch_wal()")
        self.ask('CHECKPOINT; SELECT 1')

    def pgbench(self, name, *limits, clients=16):
        """Transactions a second, and how many there were."""
        script = self.servers.folder / (name + '.sql')
        script.write_text(SCRIPTS[name])
        done = subprocess.run(['pgbench', '-n', '-M', 'prepared', '-c', str(clients), '-j', '1', *map(str, limits), '-f', script,
                '-h', '127.0.0.1', '-p', str(self.database.port), '-U', 'postgres', 'postgres'], check=True, capture_output=True, text=True)
        lines = done.stdout.splitlines()
        value = {key: next(line for line in lines if line.startswith(key)) for key in ('tps', 'number of transactions actually')}
        return float(value['tps'].split()[2]), int(value['number of transactions actually'].split()[-1].split('/')[0])

    def read(self):
        return self.one('SELECT seq FROM headroom.batch ORDER BY batch DESC LIMIT 1')

    def wait_for(self, published):
        """How long the service needed after the last publisher until everything had its offset."""
        began = time.monotonic()
        wait_until(lambda: self.read() >= published, 600, '%d messages in the stream' % published)
        return time.monotonic() - began

    def check(self, published):
        """Only of messages that are still kept."""
        found, = self.ask('SELECT count(*), count(DISTINCT source), max(channel_offset) FROM headroom.stream')
        assert found == (published, published, published), 'published %d, in the stream %s' % (published, found)

    def cpu_s(self):
        """Of all processes of the database, those that ended included."""
        postmaster = self._postmaster()
        ticks = sum(map(int, self._stat(postmaster)[11:15]))
        for child in Path('/proc/%d/task/%d/children' % (postmaster, postmaster)).read_text().split():
            ticks += sum(map(int, self._stat(int(child))[11:13]))
        return ticks / os.sysconf('SC_CLK_TCK')

    def _postmaster(self):
        return int((self.database.data / 'postmaster.pid').read_text().split()[0])

    @staticmethod
    def _stat(pid):
        return Path('/proc/%d/stat' % pid).read_text().rsplit(')', 1)[1].split()


# Publishing

def publish_rows(sizes):
    rates, published = {'plain': [], 'publish': []}, 0
    with World() as world:
        for _ in range(sizes.rounds):
            for name in rates:
                rate, count = world.pgbench(name, '-T', sizes.seconds)
                rates[name].append(rate)
                published += count if name == 'publish' else 0
        lag = world.wait_for(published)
        world.check(published)
    rate = statistics.median(rates['publish'])
    ratios = [publish / plain for plain, publish in zip(rates['plain'], rates['publish'])]
    ratio = figures.interval(ratios, statistics.median)
    yield figures.row('publishes, one a transaction, ordered and read beside it', '1/s', '%.0f' % rate, '>= %d' % GOAL_PER_S,
        rate >= GOAL_PER_S if sizes.judge else None, 'INSERT %.0f' % statistics.median(rates['plain']))
    yield figures.row('the same over a plain INSERT', 'ratio', figures.shown(ratio, 2), '>= %g' % GOAL_RATIO,
        ratio[0] >= GOAL_RATIO if sizes.judge else None)
    yield figures.row('all %d messages have their offsets after the last commit' % published, 's', '%.2f' % lag)


def cost_rows(sizes):
    """Interleaved, since the processes of the server share caches with whatever else runs."""
    used = {'plain': [], 'publish': []}
    with World(serves=False) as world:
        for _ in range(sizes.rounds):
            for name in used:
                before = world.cpu_s()
                _, count = world.pgbench(name, '-T', sizes.seconds, clients=1)
                time.sleep(0.1)  # until the backend has ended
                used[name].append((world.cpu_s() - before) / count * 1e6)
    plain, publish = (statistics.median(used[name]) for name in ('plain', 'publish'))
    yield figures.row('CPU of the database for one publish', 'us', '%.1f' % publish, peer='INSERT %.1f, ratio %.2f' % (plain, publish / plain))


# Latency

class Subscriber(threading.Thread):
    """A WebSocket that notes when each message has come, with as little work as possible."""
    AT = re.compile(rb'"at":(\d+\.\d+),')

    def __init__(self, bus, channel):
        super().__init__(daemon=True)
        self.latencies_ms = []
        self.socket = socket.create_connection(('127.0.0.1', bus.port))
        self.socket.sendall(('GET /bus/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
            'Sec-WebSocket-Key: %s\r\n\r\n' % base64.b64encode(os.urandom(16)).decode()).encode())
        self.send(1, {'id': 1, 'connect': {'token': token('bench')}})
        self.send(1, {'id': 2, 'subscribe': {'channels': [channel]}})
        seen = b''
        while b'"id":2' not in seen:
            seen += self.socket.recv(65536)
        assert b'"epoch"' in seen, seen
        self.ponged = time.monotonic()

    def send(self, opcode, value=None):
        payload = b'' if value is None else json.dumps(value).encode()
        length = struct.pack('!BH', 0x80 | 126, len(payload)) if len(payload) > 125 else bytes([0x80 | len(payload)])
        self.socket.sendall(bytes([0x80 | opcode]) + length + bytes(4) + payload)  # a mask of zeros

    def run(self):
        left = b''
        while chunk := self.socket.recv(1 << 20):
            now = time.time()
            left += chunk
            end = 0
            for found in self.AT.finditer(left):
                self.latencies_ms.append((now - float(found[1])) * 1000)
                end = found.end()
            left = left[max(end, len(left) - 64):]
            if now - self.ponged > 10:
                self.ponged = now
                self.send(10)


def latencies_ms(world, sizes, rate, before):
    """Of all messages published at the rate, ascending; `before` were published already."""
    world.settle()
    subscriber = Subscriber(world.bus, 'orders')
    subscriber.start()
    _, count = world.pgbench('timed', '-T', sizes.latency_s, '-R', int(rate))
    wait_until(lambda: len(subscriber.latencies_ms) >= count, 60, '%d messages at the subscriber' % count)
    assert len(subscriber.latencies_ms) == count, 'a message came twice'
    world.check(before + count)
    return sorted(subscriber.latencies_ms)


def share(times, part):
    return times[int(part * (len(times) - 1))]


def latency_rows(sizes):
    with World() as world:
        reached, warm = world.pgbench('publish', '-T', sizes.seconds)
        world.wait_for(warm)
        rate = min(GOAL_PER_S, reached) / 2
        times = latencies_ms(world, sizes, rate, warm)
    p99 = share(times, 0.99)
    yield figures.row('publish and commit to a client at %.0f a second, median' % rate, 'ms', '%.1f' % statistics.median(times))
    yield figures.row('the same, p99', 'ms', '%.1f' % p99, '<= %d' % GOAL_P99_MS, p99 <= GOAL_P99_MS if sizes.judge else None,
        'longest %.1f' % times[-1])


def logical_rows(sizes):
    """Both servers run all the time; one is idle while the other is measured."""
    with World() as table, World(source='logical') as log:
        worlds = {'table': table, 'log': log}
        rates, published, lags, times = ({name: start() for name in worlds} for start in (list, int, float, list))
        for _ in range(sizes.rounds):
            for name, world in worlds.items():
                rate, count = world.pgbench('publish', '-T', sizes.seconds)
                rates[name].append(rate)
                published[name] += count
                lags[name] = world.wait_for(published[name])
                world.check(published[name])
        assert log.one('SELECT count(*) FROM headroom.outbox') == 0, 'all of it went through the log'
        rate = min(GOAL_PER_S, *(statistics.median(each) for each in rates.values())) / 2
        for name, world in worlds.items():
            times[name] = latencies_ms(world, sizes, rate, published[name])
    ratios = [of_log / of_table for of_table, of_log in zip(rates['table'], rates['log'])]
    yield figures.row('publishes through the log, ordered and read beside it', '1/s', '%.0f' % statistics.median(rates['log']),
        peer='table %.0f' % statistics.median(rates['table']))
    yield figures.row('the same over the table', 'ratio', figures.shown(figures.interval(ratios, statistics.median), 2))
    yield figures.row('all messages of a round have their offsets after its last commit', 's', '%.2f' % lags['log'], peer='table %.2f' % lags['table'])
    for what, value in (('median', statistics.median), ('p99', lambda each: share(each, 0.99))):
        yield figures.row('publish and commit to a client through the log at %.0f a second, %s' % (rate, what), 'ms', '%.1f' % value(times['log']),
            peer='table %.1f' % value(times['table']))


# Bloat

def schema_bytes(world):
    return world.one("SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c WHERE relnamespace = 'headroom'::regnamespace AND relkind = 'r'")


def fresh_bytes(world):
    """What the rows that are left take in tables and indexes that hold nothing else. An empty table of the schema has its indexes' first pages
    in both."""
    total = 0
    for table in TABLES:
        world.ask('DROP TABLE IF EXISTS fresh; CREATE TABLE fresh (LIKE headroom.%s INCLUDING INDEXES INCLUDING STORAGE INCLUDING DEFAULTS);'
            'INSERT INTO fresh TABLE headroom.%s; SELECT 1' % (table, table))
        total += world.one("SELECT pg_total_relation_size('fresh')")
    return total + world.one("SELECT pg_total_relation_size('headroom.about') + pg_total_relation_size('headroom.revoked')")


def bloat_rows(sizes):
    with World() as world:
        world.ask('CREATE EXTENSION pgstattuple;SELECT 1')
        transactions = -(-sizes.messages // MANY)
        clients = 4
        published, largest = 0, 0
        while published < transactions * MANY:
            step = min(250, transactions - published // MANY)
            count = -(-step // clients)
            world.pgbench('many', '-t', count, clients=clients)
            published += count * clients * MANY
            world.wait_for(published)
            largest = max(largest, schema_bytes(world))
        # A slot of the outbox is emptied when the next one is filled, 15 s later at most.
        wait_until(lambda: world.one("SELECT sum(pg_relation_size(('headroom.outbox_' || i)::regclass)) FROM generate_series(0, 3) i") == 0,
            120, 'an empty outbox')
        left = schema_bytes(world)
        spare, whole = 0, 0
        for table in TABLES:
            size, dead, free = world.ask("SELECT table_len, dead_tuple_len, free_space FROM pgstattuple('headroom.%s')" % table)[0]
            whole, spare = whole + size, spare + dead + free
        fresh = fresh_bytes(world)
        offsets = world.one("SELECT sum(headroom.newest('channel' || i)) FROM generate_series(1, %d) i" % MANY)
        assert offsets == published, 'published %d, offsets up to %d' % (published, offsets)
    for what, bloat, of in (('dead and free space after %d messages' % published, spare / whole, whole),
            ('the schema beyond the same rows in fresh tables', max(left / fresh - 1, 0), fresh)):
        yield figures.row(what, 'share', '%.3f' % bloat, '<= %g' % GOAL_BLOAT, bloat <= GOAL_BLOAT, 'of %.0f MB' % (of / 1e6))
    yield figures.row('the schema with indexes: at most, and when the outbox was emptied', 'MB', '%.0f, %.0f' % (largest / 1e6, left / 1e6))


PARTS = {'publish': publish_rows, 'cost': cost_rows, 'latency': latency_rows, 'logical': logical_rows, 'bloat': bloat_rows}


def main():
    parser = figures.arguments('bus_postgres', __doc__, PARTS)
    parser.add_argument('--messages', type=int, metavar='N', help='of the part bloat')
    options = parser.parse_args()
    sizes = Sizes(options)
    return figures.run((one for name in options.only for one in PARTS[name](sizes)), options.json)


if __name__ == '__main__':
    sys.exit(main())
