#!/usr/bin/python3
"""Publishing through PostgreSQL, one message per transaction, beside pgbench's plain INSERT of the same row.

    bench/bus/postgres.py [--quick] [--json FILE]

A PostgreSQL 15 of its own, durable as it is by default (fsync, synchronous_commit = on). Both are run by pgbench with 16 clients,
prepared statements, one statement per transaction, in turn; the ratio is that of neighbours. While messages are published, a
sequencer gives them offsets and a reader reads the stream, as in a node, on the same cores: their work counts too. Afterwards the
stream is checked: every message that pgbench counts is there once, and the offsets have no gap. `--quick` is short, and judges
only that.

The plain table has the outbox's columns and a primary key.
"""
import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg2

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / 'tests')]

from servers import Servers  # noqa: E402
from servers.postgresql import PostgreSQL  # noqa: E402

PARTS = ['roles', 'tables', 'publish', 'read', 'sequence', 'rights']
SETTINGS = ["fsync = on", "synchronous_commit = on", "full_page_writes = on", "shared_buffers = 128MB", "max_wal_size = 4GB"]
PAYLOAD = json.dumps({'type': 'notification', 'title': 'x' * 160})
PLAIN = """CREATE TABLE plain (slot smallint NOT NULL, source bigserial PRIMARY KEY, tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ticket bigint, channel text NOT NULL, id text, data text NOT NULL)"""
SCRIPTS = {
    'plain': "INSERT INTO plain (slot, channel, data) VALUES (0, 'orders', '%s');\n" % PAYLOAD,
    'publish': "SELECT headroom.publish('orders', '%s');\n" % PAYLOAD}
GOAL_PER_S, GOAL_RATIO = 10_000, 0.7


def start(folder):
    server = PostgreSQL(folder).initialize()
    with open(server.data / 'postgresql.conf', 'a') as configuration:
        configuration.write('\n'.join([*SETTINGS, '']))
    server.start()
    schema = '\n'.join((ROOT / 'src/bus/sql' / (part + '.sql')).read_text() for part in PARTS)
    with connect(server) as connection, connection.cursor() as cursor:
        cursor.execute(schema)
        cursor.execute(PLAIN)
    return server


def connect(server):
    return psycopg2.connect(server.uri + 'postgres')


class Node(threading.Thread):
    """A sequencer with its cleaning, and a reader, as a node has them: busy every 5 ms."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.connection, self.reading = connect(server), connect(server)
        self.connection.autocommit = self.reading.autocommit = True
        self.term = self.ask(self.connection, "SELECT headroom.campaign('bench', 300)")[0][0]
        self.seq, self.published, self.stopping = 0, None, False

    @staticmethod
    def ask(connection, statement, parameters=()):
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall()

    def run(self):
        cleaned = time.monotonic()
        while not self.stopping:
            found = self.ask(self.connection, 'SELECT headroom.sequence(%s, 1000, %s)', (self.term, False))[0][0]
            self.read()
            if time.monotonic() - cleaned > 2:
                self.ask(self.connection, 'SELECT headroom.clean_outbox(%s)', (self.term,))
                cleaned = time.monotonic()
            if found < 1000:
                time.sleep(0.005)

    def read(self):
        while True:
            rows = self.ask(self.reading, 'SELECT seq FROM headroom.poll(%s, 256)', (self.seq,))[1:]
            for (seq,) in rows:
                if seq != self.seq + 1:
                    raise AssertionError('the stream has a gap before %d' % seq)
                self.seq = seq
            if len(rows) < 256:
                return


def run_pgbench(server, name, seconds, clients=16):
    script = server.folder / (name + '.sql')
    script.write_text(SCRIPTS[name])
    done = subprocess.run(['pgbench', '-n', '-M', 'prepared', '-c', str(clients), '-j', '1', '-T', str(seconds), '-f', script,
            '-h', '127.0.0.1', '-p', str(server.port), '-U', 'postgres', 'postgres'], check=True, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    value = {key: next(line for line in lines if line.startswith(key)) for key in ('tps', 'number of transactions actually')}
    return float(value['tps'].split()[2]), int(value['number of transactions actually'].split()[-1].split('/')[0])


def measure(folder, quick=False):
    """The figures; raises AssertionError when a message is missing."""
    server = start(folder)
    try:
        node = Node(server)
        node.start()
        rounds, seconds = (1, 1) if quick else (5, 5)
        rates, published = {'plain': [], 'publish': []}, 0
        for _ in range(rounds):
            for name in rates:
                rate, count = run_pgbench(server, name, seconds)
                rates[name].append(rate)
                published += count if name == 'publish' else 0
        lag = wait_for(node, published)
        check(server, node, published)
    finally:
        server.stop()
    ratios = [publish / plain for plain, publish in zip(rates['plain'], rates['publish'])]
    return {'plain_per_s': rates['plain'], 'publish_per_s': rates['publish'], 'ratios': ratios, 'published': published, 'lag_s': lag}


def wait_for(node, published):
    """How long the node needed after the last publisher to have read everything."""
    began = time.monotonic()
    while node.seq < published and node.is_alive() and time.monotonic() - began < 300:
        time.sleep(0.005)
    lag = time.monotonic() - began
    node.stopping = True
    node.join()
    return lag


def check(server, node, published):
    assert node.seq == published, 'published %d, read %d' % (published, node.seq)
    with connect(server) as connection, connection.cursor() as cursor:
        cursor.execute('SELECT count(*), count(DISTINCT source), max(channel_offset) FROM headroom.stream')
        found = cursor.fetchone()
    assert found == (published, published, published), 'published %d, in the stream %s' % (published, found)


def print_figures(figures):
    rate, ratio = statistics.median(figures['publish_per_s']), statistics.median(figures['ratios'])
    print('plain INSERT     %8.0f /s' % statistics.median(figures['plain_per_s']))
    print('headroom.publish %8.0f /s  goal %d  %s' % (rate, GOAL_PER_S, 'reached' if rate >= GOAL_PER_S else 'missed'))
    print('ratio            %8.2f     goal %.2f  %s  [%.2f .. %.2f]' % (ratio, GOAL_RATIO, 'reached' if ratio >= GOAL_RATIO else 'missed',
        min(figures['ratios']), max(figures['ratios'])))
    print('%d messages, each in the stream once; %.2f s after the last commit all were read' % (figures['published'], figures['lag_s']))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true')
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    with Servers() as servers:
        figures = measure(servers.folder, arguments.quick)
    print_figures(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + '\n')


if __name__ == '__main__':
    main()
