"""The bus over a real PostgreSQL: what a transaction publishes is there when it commits, also after the service was killed."""
import contextlib
import subprocess

import psycopg2
import pytest

from servers.bus import Bus, Tab
from servers.paths import executable
from servers.process import wait_until


@pytest.fixture
def database(servers):
    """A database with the schema, a login for the service, and one for the application."""
    server = servers.postgresql()
    server.execute('CREATE DATABASE shop')
    schema = subprocess.run([executable(), 'bus', 'sql'], capture_output=True, text=True, check=True).stdout
    with contextlib.closing(psycopg2.connect(server.uri + 'shop')) as connection:
        connection.autocommit = True
        connection.cursor().execute(schema)
    for login, role in (('node', 'headroom_node'), ('application', 'headroom_publisher')):
        server.execute('CREATE ROLE %s LOGIN' % login)
        server.execute('GRANT %s TO %s' % (role, login))
    return server.uri.replace('postgres@', '%s@') + 'shop'


@contextlib.contextmanager
def application(database):
    """trytond's way: one transaction, REPEATABLE READ."""
    with contextlib.closing(psycopg2.connect(database % 'application')) as connection:
        connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_REPEATABLE_READ)
        yield connection


def publish(connection, channel, text):
    connection.cursor().execute('SELECT headroom.publish(%s, %s)', (channel, text))


def test_what_commits_is_told_and_what_rolls_back_never_was(servers, database):
    bus = Bus(servers, broker='postgresql', database=database % 'node')

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


def test_a_killed_service_loses_nothing(servers, database):
    bus = Bus(servers, broker='postgresql', database=database % 'node')

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


def test_no_password_is_logged_or_answered(servers, database):
    secret = 'pass-word-of-the-node'
    bus = Bus(servers, broker='postgresql', database=(database % 'node').replace('node@', 'node:%s@' % secret))
    assert secret not in bus.daemon.tail(1000)
    assert secret not in str(bus.status())
