"""Several services over one broker, Redis or PostgreSQL: who is there, who is in a channel, who may not come in any more."""
import asyncio
import contextlib
import subprocess
import time

import psycopg2
import pytest
from websockets.exceptions import ConnectionClosed

from servers.bus import Bus, Tab, admin, token
from servers.paths import executable

LEASE_S = 60


def redis_keys(servers):
    return {'broker': 'redis', 'url': servers.redis().url}


def postgresql_keys(servers):
    """A login of the service's own, which owns nothing."""
    server = servers.postgresql()
    schema = subprocess.run([executable(), 'bus', 'sql'], capture_output=True, text=True, check=True).stdout
    with contextlib.closing(psycopg2.connect(server.uri + 'postgres')) as connection:
        connection.autocommit = True
        connection.cursor().execute(schema)
    server.execute('CREATE ROLE node LOGIN IN ROLE headroom_node')
    return {'broker': 'postgresql', 'database': server.uri.replace('postgres@', 'node@') + 'postgres'}


@pytest.fixture(params=[redis_keys, postgresql_keys], ids=['redis', 'postgresql'])
def nodes(servers, request):
    keys = request.param(servers)
    return [Bus(servers, name='node%d' % number, **keys) for number in range(2)]


async def opened(bus, *users):
    tabs = [Tab(bus, user) for user in users]
    for tab in tabs:
        await tab.open()
        await tab.subscribe('room:1')
    return tabs


def state(bus, user):
    return bus.request('GET', '/bus/presence?user=' + user, bearer=admin())[1]['users'][user]


def test_who_is_at_one_service_is_seen_at_the_other(nodes):
    one, two = nodes

    async def story():
        await opened(one, 'ann')
        bob, = await opened(two, 'bob')
        assert (await bob.ask(watch={'users': ['ann', 'eve']}))['watch']
        await opened(one, 'eve')
        seen = {}
        while seen.get('eve') != 'online' or state(two, 'ann') != 'online':
            seen.update((await bob.receive())['presence']['users'])
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, one.daemon.stop)
        while seen.get('ann') != 'offline' or seen.get('eve') != 'offline':
            seen.update((await bob.receive())['presence']['users'])
        assert state(two, 'bob') == 'online'
    asyncio.run(story())
    assert 'headroom_bus_presence_heard_total' in two.request('GET', '/metrics')[1]


def test_the_users_of_a_service_that_is_killed_are_there_until_its_lease_ends_and_not_longer(nodes):
    one, two = nodes

    async def story():
        await opened(one, 'ann')
        bob, = await opened(two, 'bob')
        await bob.ask(watch={'users': ['ann']})
        while state(two, 'ann') != 'online':
            await asyncio.sleep(0.1)
        one.daemon.kill()
        killed = time.monotonic()
        seen = {}
        while seen.get('ann') != 'offline':
            pushed = await bob.receive(2 * LEASE_S)
            seen.update(pushed.get('presence', {}).get('users', {}))
        assert time.monotonic() - killed > LEASE_S / 2, 'it renewed its lease each quarter'
        assert (await bob.ask(who={'channel': 'room:1'}))['who']['users'] == ['bob']
    two.play(story)


def test_who_is_in_a_channel_is_told_of_both_services(nodes):
    one, two = nodes

    async def story():
        ann = Tab(one, 'ann')
        await ann.open()
        await ann.ask(subscribe={'channels': [{'channel': 'room:1', 'joins': True}]})
        bob, = await opened(two, 'bob')
        assert (await ann.receive()) == {'join': {'channel': 'room:1', 'user': 'bob'}}
        for tab in (ann, bob):
            while (await tab.ask(who={'channel': 'room:1'}))['who']['users'] != ['ann', 'bob']:
                await asyncio.sleep(0.1)
        await bob.close()
        assert (await ann.receive()) == {'leave': {'channel': 'room:1', 'user': 'bob'}}
    one.play(story)


async def refusal(bus, proof):
    """The code with which a token's connection ends; a service that has just started may have let it in first."""
    tab = Tab(bus, 'ann', proof)
    with contextlib.suppress(ConnectionClosed):
        await tab.open()
    return (await tab.closed())[0]


def test_who_is_disconnected_at_one_service_is_so_at_the_other_and_at_one_that_starts_later(nodes):
    one, two = nodes
    proof = token('ann', sid='her session')

    async def story():
        ann = Tab(two, 'ann', proof)
        await ann.open()
        bob, = await opened(two, 'bob')
        assert one.request('POST', '/bus/disconnect', {'session': 'her session'}, admin())[0] == 200
        assert (await ann.closed())[0] == 4101
        assert await refusal(one, proof) == 4101
        assert await refusal(two, proof) == 4101
        for bus in (one, two):
            bus.daemon.kill()
        two.start()
        assert await refusal(two, proof) == 4101, 'nobody who knew it runs any more'
    two.play(story)
