"""The bus over a real PostgreSQL: what a transaction publishes is there when it commits, also after the service was killed."""
import asyncio
import contextlib
import http.client
import json
import os
import subprocess
import threading
import time

import psycopg2
import pytest
import websockets

from servers.bus import Bus, Tab, admin
from servers.paths import executable
from servers.process import wait_until

OPEN_S = float(os.environ.get('HEADROOM_OPEN_SECONDS', '17'))  # more than the outbox fills one slot; 600 is the site's ten minutes


@pytest.fixture(params=['outbox', 'logical'])
def source(request):
    return request.param


@pytest.fixture
def database(servers, source):
    """A database with the schema, a login for the service, and one for the application."""
    server = servers.postgresql()
    if source == 'logical':
        server.execute('ALTER SYSTEM SET wal_level = logical')
        server.stop()
        server.start()
    server.execute('CREATE DATABASE shop')
    schema = subprocess.run([executable(), 'bus', 'sql'], capture_output=True, text=True, check=True).stdout
    with contextlib.closing(psycopg2.connect(server.uri + 'shop')) as connection:
        connection.autocommit = True
        connection.cursor().execute(schema)
    for login, role in (('node', 'headroom_node'), ('application', 'headroom_publisher')):
        server.execute('CREATE ROLE %s LOGIN' % login)
        server.execute('GRANT %s TO %s' % (role, login))
    server.execute('ALTER ROLE node REPLICATION')
    return server.uri.replace('postgres@', '%s@') + 'shop'


def nodes_on(servers, database, source, *names):
    """Services that are ready: publications go the way that they are to go."""
    nodes = [Bus(servers, name=name, broker='postgresql', database=database % 'node', source=source) for name in names]
    if source == 'logical':
        wait_until(lambda: any('headroom_bus_log_reading 1\n' in node.request('GET', '/metrics')[1] for node in nodes), 20, 'the log is read')
    return nodes


def left_in_outbox(database):
    with contextlib.closing(psycopg2.connect(database % 'postgres')) as connection:
        cursor = connection.cursor()
        cursor.execute('SELECT count(*) FROM headroom.outbox')
        return cursor.fetchone()[0]


@contextlib.contextmanager
def application(database):
    """trytond's way: one transaction, REPEATABLE READ."""
    with contextlib.closing(psycopg2.connect(database % 'application')) as connection:
        connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_REPEATABLE_READ)
        yield connection


def publish(connection, channel, text):
    connection.cursor().execute('SELECT headroom.publish(%s, %s)', (channel, text))


def test_what_commits_is_told_and_what_rolls_back_never_was(servers, database, source):
    bus, = nodes_on(servers, database, source, 'bus')

    async def story():
        tab = Tab(bus, 'ann')
        await tab.open()
        await tab.subscribe('room:1')
        with application(database) as connection:
            publish(connection, 'room:1', '"never"')
            connection.rollback()
            publish(connection, 'room:1', '1')
            publish(connection, 'room:1', '2')
            connection.commit()
        answer = await tab.ask(publish={'channel': 'room:1', 'data': 3})
        assert answer['publish']['offset'] == 3
        assert await tab.wait_for(3) == [1, 2, 3]
    bus.play(story)
    # A batch is counted when it is committed, and readers may be faster.
    for metric in ('headroom_bus_sequencer 1\n', 'headroom_bus_sequenced_total 3\n'):
        wait_until(lambda: metric in bus.request('GET', '/metrics')[1], 10, metric)
    assert source == 'outbox' or left_in_outbox(database) == 0


def test_a_killed_service_loses_nothing(servers, database, source):
    bus, = nodes_on(servers, database, source, 'bus')

    async def story():
        tab = Tab(bus, 'ann')
        await tab.open()
        await tab.subscribe('room:1')
        with application(database) as connection:
            publish(connection, 'room:1', '1')
            connection.commit()
            assert await tab.wait_for(1) == [1]
            bus.daemon.kill()
            for number in (2, 3):
                publish(connection, 'room:1', str(number))
                connection.commit()
            bus.start()
            await tab.open()
            answer = await tab.subscribe('room:1')
            assert answer['recovered'], answer
            publish(connection, 'room:1', '4')
            connection.commit()
        assert await tab.wait_for(4) == [1, 2, 3, 4]
    bus.play(story)


def test_a_transaction_left_open_delays_nobody_and_its_message_still_comes(servers, database, source):
    bus, = nodes_on(servers, database, source, 'bus')

    async def story():
        tab = Tab(bus, 'ann')
        await tab.open()
        await tab.subscribe('room:1')
        with application(database) as left_open, application(database) as others:
            publish(left_open, 'room:1', '"late"')
            end = time.monotonic() + OPEN_S
            count = 0
            while time.monotonic() < end:
                count += 1
                publish(others, 'room:1', str(count))
                others.commit()
                assert (await tab.wait_for(count))[-1] == count
                await asyncio.sleep(0.05)
            left_open.commit()
            assert await tab.wait_for(count + 1) == [*range(1, count + 1), 'late']
    bus.play(story)


class Follower(Tab):
    """A client that goes to the other node when its own is gone, and must never be told of a loss."""

    async def follow(self, nodes, channel):
        self.bus = nodes[0]
        self.moves = 0
        while True:
            try:
                await self.open()
                answer = await self.subscribe(channel)
                assert self.moves == 0 or answer['recovered'], answer
                while True:
                    pushed = await self.receive(60)
                    assert 'message' in pushed, pushed
                    self.keep(pushed)
            except (OSError, websockets.exceptions.WebSocketException):
                self.bus = nodes[(nodes.index(self.bus) + 1) % len(nodes)]
                self.moves += 1
                await asyncio.sleep(0.05)


class Publisher(threading.Thread):
    """Publishes one after the other with ids; what is not acknowledged is sent again, to the other node."""

    def __init__(self, nodes, name):
        super().__init__(daemon=True)
        self.nodes, self.prefix = nodes, name
        self.acknowledged = []
        self.ending = threading.Event()

    def run(self):
        number = 0
        while not self.ending.wait(0.01):
            number += 1
            data = '%s-%d' % (self.prefix, number)
            while not self.attempt(data):
                self.nodes = self.nodes[1:] + self.nodes[:1]
                time.sleep(0.05)
            self.acknowledged.append(data)

    def attempt(self, data):
        try:
            return self.nodes[0].request('POST', '/bus/publish', {'channel': 'room:1', 'data': data, 'id': data}, admin())[0] == 200
        except (OSError, http.client.HTTPException):
            return False


def is_sequencer(node):
    return 'headroom_bus_sequencer 1\n' in node.request('GET', '/metrics')[1]


def sequencer_of(nodes):
    return wait_until(lambda: [node for node in nodes if is_sequencer(node)], 20, 'a node that orders')[0]


def test_another_node_takes_over_when_the_one_that_orders_is_killed_under_load(servers, database, source):
    nodes = nodes_on(servers, database, source, 'one', 'two')
    rounds = 3

    async def story():
        followers = [Follower(nodes[0], 'user%d' % number) for number in range(10)]
        following = [asyncio.create_task(each.follow(nodes[number % 2:] + nodes[:number % 2], 'room:1')) for number, each in enumerate(followers)]
        publishers = [Publisher(nodes[number % 2:] + nodes[:number % 2], 'p%d' % number) for number in range(4)]

        async def until(condition, what):
            end = time.monotonic() + 60
            while not condition():
                assert time.monotonic() < end, what
                for task in following:
                    assert not task.done(), task.exception()
                await asyncio.sleep(0.02)

        def acknowledged():
            return sum(len(each.acknowledged) for each in publishers)

        await until(lambda: all(each.positions for each in followers), 'everybody has subscribed')
        with application(database) as left_open:
            publish(left_open, 'room:1', '"left open"')
            for each in publishers:
                each.start()
            for _ in range(rounds):
                before = acknowledged()
                await until(lambda: acknowledged() > before + 100, 'messages are acknowledged')
                killed = await asyncio.to_thread(sequencer_of, nodes)
                killed.daemon.kill()
                other, = (node for node in nodes if node is not killed)
                await asyncio.to_thread(wait_until, lambda: is_sequencer(other), 20, 'the other node orders')
                at_change = acknowledged()
                await until(lambda: acknowledged() > at_change + 100, 'publishing goes on')
                await asyncio.to_thread(killed.start)
            for each in publishers:
                each.ending.set()
            for each in publishers:
                await asyncio.to_thread(each.join, 60)
            left_open.commit()
        wanted = sorted([*(data for each in publishers for data in each.acknowledged), 'left open'])
        await until(lambda: all(len(each.messages) >= len(wanted) for each in followers), 'everybody has everything')
        for each in followers:
            assert sorted(message['data'] for message in each.messages) == wanted, 'every acknowledged message, once'
            offsets = [message['offset'] for message in each.messages]
            assert offsets == list(range(1, len(wanted) + 1)), 'in order, without a gap'
        assert sum(each.moves for each in followers) >= rounds
        for task in following:
            task.cancel()
    nodes[0].play(story)
    with contextlib.closing(psycopg2.connect(database % 'postgres')) as connection:
        cursor = connection.cursor()
        cursor.execute('SELECT term FROM headroom.leader')
        assert cursor.fetchone()[0] >= rounds + 1


def test_check_says_what_is_missing_and_what_to_run(servers, database, source):
    def found(asked):
        bus.configuration.write_text(bus.configuration.read_text().replace('source = "%s"' % source, 'source = "%s"' % asked))
        checked = subprocess.run([executable(), 'bus', 'check', '--json', '--config', bus.configuration], capture_output=True, text=True)
        rows = json.loads(checked.stdout)
        return [row for row in rows if row['subject'] == '[bus] database']
    bus, = nodes_on(servers, database, source, 'bus')
    assert all(row['state'] != 'error' for row in found(source)), found(source)
    if source == 'logical':
        wait_until(lambda: 'headroom_bus_log_in_use 1\n' in bus.request('GET', '/metrics')[1], 20, 'the state of the log in the metrics')
        assert 'max_slot_wal_keep_size' in found('logical')[-1]['text']
    else:
        texts = [row['text'] for row in found('logical')]
        assert any('ALTER SYSTEM SET wal_level = logical' in text for text in texts), texts
        assert any('CREATE PUBLICATION headroom_bus' in text for text in texts), texts


def test_no_password_is_logged_or_answered(servers, database):
    secret = 'pass-word-of-the-node'
    bus = Bus(servers, broker='postgresql', database=(database % 'node').replace('node@', 'node:%s@' % secret))
    assert secret not in bus.daemon.tail(1000)
    assert secret not in str(bus.status())
