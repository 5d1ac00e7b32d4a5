"""headroom.trytond.Bus: what a transaction of a real trytond publishes stands in the outbox, and is not lost to who was away."""
import subprocess

import pytest
from test_bus_sessions import tab_of
from test_bus_tryton import Bus, Site, authorization

from servers.notifier import Notifier
from servers.paths import executable

# Twenty transactions that are open at once; each has its snapshot before the first of them commits.
AT_ONCE = '''
import sys, threading
from trytond.bus import notify
from trytond.transaction import Transaction
database, user, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
all_open = threading.Barrier(number, timeout=60)
failed = []
def publish(n):
    try:
        with Transaction().start(database, 0) as transaction:
            with transaction.connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM ir_session, current_setting('transaction_isolation') AS isolation"
                    " WHERE isolation = 'repeatable read'")
                assert cursor.fetchone()[0] > 0
            all_open.wait()
            notify('message %d' % n, user=user)
            all_open.wait()
    except Exception as error:
        failed.append('%s: %s' % (type(error).__name__, error))
threads = [threading.Thread(target=publish, args=(n,)) for n in range(number)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print('failed', failed)
'''


class Outbox(Site):
    """A site whose trytond publishes through the outbox of its database."""

    def __init__(self, servers, **bus):
        super().__init__(servers, {'bus': {'class': 'headroom.trytond.Bus', 'allow_subscribe': 'True', **bus}})

    def install(self):
        schema = subprocess.run([executable(), 'bus', 'sql'], capture_output=True, text=True, check=True).stdout
        self.postgresql.execute(schema, self.database)
        self.bus = self.serve(bus={'broker': 'postgresql', 'database': self.postgresql.uri + self.database})
        return self


@pytest.fixture
def site(servers):
    return Outbox(servers).install()


def titles(messages):
    return [message['title'] for message in messages]


def test_what_commits_is_told_once_and_what_rolls_back_never_was(site):
    async def story():
        tab = tab_of(site, site.client)
        user = site.client.user_id
        await tab.open()
        await tab.subscribe('user:' + tab.user)
        with Notifier(site.tryton) as notifier:
            notifier.roll_back({'title': 'never', 'user': user})
            notifier.notify({'title': 'one', 'user': user}, {'title': 'two', 'body': 'Caf\u00e9', 'user': user})
            assert titles(await tab.wait_for(2)) == ['one', 'two']
            await tab.socket.close()
            notifier.notify({'title': 'meanwhile', 'user': user})
            notifier.roll_back({'title': 'never', 'user': user})
            await tab.open()
            answer = await tab.subscribe('user:' + tab.user)
            assert answer['recovered'], answer
            # More than a notification holds: who polls does not hear of it.
            notifier.notify({'title': 'large', 'body': 'x' * 20_000, 'user': user})
            notifier.notify({'title': 'after', 'user': user})
        assert titles(await tab.wait_for(5)) == ['one', 'two', 'meanwhile', 'large', 'after']
        assert [message['offset'] for message in tab.messages] == [1, 2, 3, 4, 5], 'notified and published, told once'
        polled = site.bus.read(site.client, 4)
        assert titles(answer['message'] for answer in polled) == ['one', 'two', 'meanwhile', 'after']
        ids = [message['message_id'] for message in await tab.wait_for(5)]
        assert [answer['message']['message_id'] for answer in polled] == [ids[0], ids[1], ids[2], ids[4]]
    site.bus.play(story)


def test_a_killed_service_loses_nothing(site):
    async def story():
        tab = tab_of(site, site.client)
        await tab.open()
        await tab.subscribe('user:' + tab.user)
        with Notifier(site.tryton) as notifier:
            notifier.notify({'title': 'before', 'user': site.client.user_id})
            await tab.wait_for(1)
            site.headroom.kill()
            notifier.notify({'title': 'meanwhile', 'user': site.client.user_id})
            site.headroom.start()
            await tab.open()
            answer = await tab.subscribe('user:' + tab.user)
            assert answer['recovered'], answer
        assert titles(await tab.wait_for(2)) == ['before', 'meanwhile']
    site.bus.play(story)


def test_twenty_transactions_at_once_publish_to_one_channel_and_none_fails(site):
    async def story():
        tab = tab_of(site, site.client)
        await tab.open()
        await tab.subscribe('user:' + tab.user)
        process = site.tryton.python(AT_ONCE, site.database, site.client.user_id, 20)
        assert process.wait(60) == 0
        assert 'failed []' in process.log.read_text()
        assert sorted(titles(await tab.wait_for(20))) == sorted('message %d' % n for n in range(20))
    site.bus.play(story)


def test_nobody_waits_in_trytond(site):
    own = Bus(site.server.port, site.database)
    good = {'Content-Type': 'application/json', 'Authorization': authorization(site.client)}
    assert own.request('{}', good)[0] == 501
    assert own.request('{}', {**good, 'Authorization': 'Session YWRtaW46MTphYmM='})[0] == 401


def test_a_client_is_redirected_before_it_is_refused(servers):
    site = Outbox(servers, url_host='http://bus.example/')
    own = Bus(site.server.port, site.database)
    good = {'Content-Type': 'application/json', 'Authorization': authorization(site.client)}
    assert own.request('{}', good)[0] == 308


def test_without_an_outbox_it_notifies_as_trytond_does(servers):
    site = Outbox(servers)
    bus = site.serve()
    with Notifier(site.tryton) as notifier:
        notifier.notify({'title': 'one', 'user': site.client.user_id})
        notifier.notify({'title': 'two', 'user': site.client.user_id})
    assert titles(answer['message'] for answer in bus.read(site.client, 2)) == ['one', 'two']


def test_no_notification_is_sent_where_that_is_off(servers):
    site = Outbox(servers, notify='False').install()

    async def story():
        tab = tab_of(site, site.client)
        await tab.open()
        await tab.subscribe('user:' + tab.user)
        with Notifier(site.tryton) as notifier:
            notifier.notify({'title': 'one', 'user': site.client.user_id})
        assert titles(await tab.wait_for(1)) == ['one']
        assert site.metric(site.bus, 'messages_total') == 0
        assert site.metric(site.bus, 'told_total') == 0
    site.bus.play(story)
