"""Tryton's sessions on /bus/ws: what trytond notifies reaches the connections of its user, and of nobody else."""
import asyncio
import json
import secrets
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
import websockets
from conftest import log_folder
from test_bus_tryton import Site, authorization, notifier  # noqa: F401

from servers import Servers, wait_until
from servers.bus import Tab, token
from servers.notifier import Notifier


@pytest.fixture(scope='module')
def world():
    """One trytond for all tests: what each leaves in its database is in nobody's way."""
    with Servers() as servers:
        yield Site(servers)


@pytest.fixture
def site(world, request):
    """With a service of the test's own."""
    world.bus = world.serve(bus={})
    yield world
    world.headroom.stop()
    wait_until(lambda: world.connections() == 0, 20, 'the end of its connections')
    if getattr(request.node, 'report_call', None) is None or request.node.report_call.failed:
        world.servers.save_logs(log_folder() / request.node.name)


def session_token(client, database):
    return 'Session %s %s' % (database, authorization(client).split()[1])


def tab_of(site, client, database=None):
    """A connection by that client's session; its user as the bus names him."""
    database = database or site.database
    return Tab(site.bus, '%d@%s' % (client.user_id, database), session_token(client, database))


async def denied(tab, *channels):
    for channel in channels:
        answer = await tab.subscribe(channel)
        assert answer.get('error', {}).get('code') == 'denied', answer
        answer = await tab.ask(history={'channel': channel})
        assert answer.get('error', {}).get('code') == 'denied', answer


def test_a_message_of_trytond_reaches_the_connections_of_its_user_once(site, notifier):
    async def story():
        tabs = [tab_of(site, site.client) for _ in range(3)]
        bob = tab_of(site, site.second_user())
        client = 'client:%s@%s' % (uuid.uuid4(), site.database)
        for tab in [*tabs, bob]:
            answer = await tab.open()
            assert answer['connect']['user'] == tab.user, answer
            await tab.subscribe('user:' + tab.user)
        await tabs[1].subscribe(client)
        notifier.notify({'title': 'Caf\u00e9', 'body': 'it\'s "ready"', 'user': site.client.user_id}, {'title': 'other', 'user': 99})
        notifier.notify({'title': 'for one tab', 'client': client.split(':')[1].split('@')[0]})
        notifier.notify({'title': 'for Bob', 'user': int(bob.user.split('@')[0])})
        for tab in tabs:
            (message,) = await tab.wait_for(1) if tab is not tabs[1] else (await tab.wait_for(2))[:1]
            assert message['title'] == 'Caf\u00e9' and message['body'] == 'it\'s "ready"' and message['type'] == 'notification', message
        assert (await tabs[1].wait_for(2))[1]['title'] == 'for one tab'
        assert [message['title'] for message in await bob.wait_for(1)] == ['for Bob']
        # A poll gets the same.
        assert site.bus.read(site.client, 1)[0]['message']['title'] == 'Caf\u00e9'
        assert site.connections() == 1
        assert site.metric(site.bus, 'held_sessions') == 2
        assert site.metric(site.bus, 'told_total') == 4
    site.bus.play(story)


def test_a_poll_takes_a_session_as_its_token_and_all_commands_at_once(site, notifier):
    user = '%d@%s' % (site.client.user_id, site.database)
    commands = [{'connect': {'token': session_token(site.client, site.database)}}, {'subscribe': {'channels': ['user:' + user]}}]
    body = '\n'.join(json.dumps({'id': number, **command}) for number, command in enumerate(commands, 1))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(site.bus.request, body, {}, path='/bus/poll')
        wait_until(lambda: site.metric(site.bus, 'bus_subscriptions', prefix='headroom_') == 1, 20, 'the subscription of the poll')
        notifier.notify({'title': 'polled', 'user': site.client.user_id})
        status, _, content = waiting.result()
    connected, subscribed, pushed = json.loads(content)
    assert status == 200
    assert connected['connect']['user'] == user
    assert subscribed['subscribe']['channels'][0]['offset'] == 0
    assert pushed['message']['data']['title'] == 'polled'


def test_who_was_away_goes_on_where_he_was(site, notifier):
    async def story():
        tab = tab_of(site, site.client)
        await tab.open()
        await tab.subscribe('user:' + tab.user)
        notifier.notify({'title': 'before', 'user': site.client.user_id})
        await tab.wait_for(1)
        await tab.socket.close()
        notifier.notify({'title': 'meanwhile', 'user': site.client.user_id})
        await tab.open()
        answer = await tab.subscribe('user:' + tab.user)
        assert answer['recovered'], answer
        notifier.notify({'title': 'after', 'user': site.client.user_id})
        assert [message['title'] for message in await tab.wait_for(3)] == ['before', 'meanwhile', 'after']
    site.bus.play(story)


def test_nobody_reads_what_is_of_another_user_or_database(site, notifier):
    other = site.servers.tryton('postgresql')
    site.headroom.stop()
    site.bus = site.serve(bus={}, databases=[site.database, other.database])
    client = 'client:%s@%s' % (uuid.uuid4(), site.database)
    own = 'user:%d@%s' % (site.client.user_id, site.database)

    async def story():
        admin = tab_of(site, site.client)
        await admin.open()
        for channel in (own, client):
            assert 'offset' in await admin.subscribe(channel)
        notifier.notify({'title': 'secret', 'user': site.client.user_id})
        await admin.wait_for(1)

        bob = tab_of(site, site.second_user())
        await bob.open()
        await denied(bob, own, client, own.split('@')[0], own + ':x', 'everybody@' + other.database)
        assert 'offset' in await bob.subscribe('everybody@' + site.database)

        # The same user id in another database, whose session the first does not know.
        stranger_client = other.client(other.serve())
        stranger = tab_of(site, stranger_client, other.database)
        await stranger.open()
        await denied(stranger, own, client, 'everybody@' + site.database)
        assert 'offset' in await stranger.subscribe('user:' + stranger.user)
        for asked in ('presence', 'watch'):
            shown = (await stranger.ask(**{asked: {'users': [admin.user, stranger.user]}}))[asked]['users']
            assert shown == {admin.user: 'offline', stranger.user: 'online'}, shown
        forged = tab_of(site, stranger_client, site.database)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await forged.open()
        assert closed.value.rcvd.code == 4100

        # Tokens of our own, of a user of that name even.
        named = Tab(site.bus, 'x', token('7', channels=['room:*']))
        await named.open()
        await denied(named, own, client)
        for wrong in ('Session', 'Session %s x' % site.database, 'Session nowhere %s' % admin.proof.split()[2]):
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await Tab(site.bus, 'x', wrong).open()
            assert closed.value.rcvd.code == 4201, wrong
        assert [message['data']['title'] for message in admin.messages] == ['secret']
        assert not bob.messages and not stranger.messages
    site.bus.play(story)


def test_a_logout_ends_the_connections_of_its_session(site):
    async def story():
        leaving = site.tryton.client(site.server)
        tabs = [tab_of(site, leaving), tab_of(site, leaving), tab_of(site, site.client)]
        for tab in tabs:
            await tab.open()
            await tab.subscribe('user:' + tab.user)
        leaving.logout()
        assert [(await tab.closed())[0] for tab in tabs[:2]] == [4101, 4101]
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await tabs[0].open()
        assert closed.value.rcvd.code == 4100
        assert 'ping' in await tabs[2].ask(ping={})
        wait_until(lambda: site.metric(site.bus, 'held_sessions') == 1, 20, 'the end of the session')
    site.bus.play(story)


def test_a_page_of_another_site_is_refused(site):
    async def story():
        tab = tab_of(site, site.client)
        with pytest.raises(websockets.exceptions.InvalidStatusCode) as refused:
            await tab.open(origin='http://evil.example')
        assert refused.value.status_code == 403
        await tab.open(origin='http://127.0.0.1:%d' % site.bus.address[1])
    site.bus.play(story)


def test_postgresql_is_restarted_and_the_connection_stays(servers):
    site = Site(servers)
    site.bus = site.serve(bus={})

    async def story():
        tab = tab_of(site, site.client)
        await tab.open()
        await tab.subscribe('user:' + tab.user)
        site.postgresql.process.stop()
        wait_until(lambda: site.metric(site.bus, 'listening') == 0, 20, 'the loss')
        site.postgresql.process.start()
        wait_until(lambda: site.metric(site.bus, 'listening') == 1, 20, 'the connection')
        with Notifier(site.tryton) as again:
            again.notify({'title': 'after', 'user': site.client.user_id})
        assert [message['title'] for message in await tab.wait_for(1)] == ['after']
    site.bus.play(story)


SESSIONS, TABS = 100, 3


def look_ups(site):
    """When PostgreSQL ran the statement that looks sessions up, by its own log, in seconds."""
    lines = site.postgresql.process.log.read_text().splitlines()
    times = [line[:23] for line in lines if 'execute' in line and 'sha256' in line]
    return [datetime.strptime(one, '%Y-%m-%d %H:%M:%S.%f').timestamp() for one in times]


def many_sessions(site):
    """Clients with sessions as trytond's log-in leaves them; it takes a second for each, to check the password."""
    clients = [site.client.clone() for _ in range(SESSIONS)]
    for client in clients:
        client.session = secrets.token_hex(32)
    values = ', '.join("('%s', %d, CURRENT_TIMESTAMP)" % (client.session, client.user_id) for client in clients)
    site.postgresql.execute('INSERT INTO ir_session (key, create_uid, create_date) VALUES ' + values, site.database)
    return clients


def test_the_sessions_of_hundreds_that_come_back_are_looked_up_ten_times_a_second_at_most(site):
    clients = many_sessions(site)
    for statement in ("ALTER SYSTEM SET log_statement = 'all'", 'SELECT pg_reload_conf()'):
        site.postgresql.execute(statement)

    def checks():
        return site.metric(site.bus, 'session_checks_total')

    async def all_come(tabs):
        # One address may have 256 connections that have not said yet what they want.
        at_once = asyncio.Semaphore(200)

        async def come(tab):
            async with at_once:
                await tab.open()
        await asyncio.gather(*map(come, tabs))

    async def story():
        tabs = [tab_of(site, client) for client in clients for _ in range(TABS)]
        await all_come(tabs)
        site.headroom.kill()
        site.headroom.start()
        wait_until(lambda: site.metric(site.bus, 'listening') == 1, 20, 'the database')
        before = len(look_ups(site))
        assert checks() == 0
        await all_come(tabs)
        assert site.metric(site.bus, 'held_sessions') == SESSIONS
        back = checks()
        wait_until(lambda: checks() >= back + 5, 30, 'look-ups while they stay')
        counted = checks()
        times = look_ups(site)[before:]
        assert counted - 1 <= len(times) <= checks(), 'the service counts what the database runs'
        assert len(times) <= 10 * (times[-1] - times[0]) + 10, times
        assert back < SESSIONS, 'each look-up is of many'
    site.bus.play(story)


def test_no_log_holds_a_key(site, notifier):
    before = len(site.postgresql.process.log.read_text())
    for setting in ("log_statement = 'all'", 'log_min_duration_statement = 0', 'log_parameter_max_length = -1'):
        site.postgresql.execute('ALTER SYSTEM SET %s' % setting)
    site.postgresql.execute('SELECT pg_reload_conf()')

    async def story():
        for proof in (None, 'x'):
            tab = tab_of(site, site.client)
            if proof:
                tab.proof = tab.proof.replace('Session ', 'Session no')
            try:
                await tab.open()
                await tab.subscribe('user:' + tab.user)
            except websockets.ConnectionClosed:
                assert proof
        await asyncio.sleep(3)  # until it is looked up again
    site.bus.play(story)
    logged = site.postgresql.process.log.read_text()[before:]
    asked = [line for line in logged.splitlines() if 'sha256' in line or 'parameters' in line]
    assert asked and not any(site.client.session in line for line in asked)
    log = site.headroom.log.read_text()
    assert site.client.session not in log and authorization(site.client).split()[1] not in log
