"""The bus over a real Redis: several services share one server; a service is killed under load, the server is killed."""
import asyncio
import contextlib
import http.client
import subprocess
import threading
import time

import pytest

from servers.bus import Bus, Tab, admin
from servers.kept import Kept
from servers.paths import executable, run_headroom
from servers.process import free_port, wait_until

CLIENTS, CHANNELS, MESSAGES = 1000, 3, 300
PATIENCE_S = 120
DURABLE = ('--appendonly', 'yes', '--appendfsync', 'everysec', '--auto-aof-rewrite-percentage', '0')


class Client(Tab):
    """A tab that notes what it was told to be lost, and goes on from there."""

    def __init__(self, bus, user):
        super().__init__(bus, user)
        self.lost = []

    def keep(self, pushed):
        super().keep(pushed)
        if 'lost' in pushed:
            lost = pushed['lost']
            self.lost.append(lost)
            self.positions[lost['channel']] = {'offset': lost['offset'], 'epoch': lost['epoch']}


async def opened(bus, *users):
    tabs = [Client(bus, user) for user in users]
    for tab in tabs:
        await tab.open()
        await tab.subscribe('room:1')
    return tabs


def services(servers, redis, count=2, **keys):
    return [Bus(servers, name='node%d' % number, broker='redis', url=redis.url, **keys) for number in range(count)]


def test_what_is_published_at_either_service_reaches_the_clients_of_both(servers):
    one, two = services(servers, servers.redis())

    async def story():
        ann, = await opened(one, 'ann')
        bob, = await opened(two, 'bob')
        for number in range(1, 101):
            tab = ann if number % 2 else bob
            answer = await tab.ask(publish={'channel': 'room:1', 'data': number, 'id': 'id%d' % number})
            assert answer['publish']['offset'] == number
        again = await ann.ask(publish={'channel': 'room:1', 'data': 'again', 'id': 'id2'})
        assert again['publish']['offset'] == 2 and again['publish']['repeated'], 'an id of the other service'
        for tab in (ann, bob):
            assert await tab.wait_for(100) == list(range(1, 101))
            assert [message['offset'] for message in tab.messages] == list(range(1, 101))
        assert ann.positions == bob.positions
    one.play(story)
    metrics = one.request('GET', '/metrics')[1]
    assert 'headroom_bus_redis_reading 1' in metrics and 'headroom_bus_redis_entries_total 100' in metrics
    assert 'headroom_bus_redis_published_total 51' in metrics, 'each service counts its own'


class Publisher(threading.Thread):
    """Publishes numbers, each until one of the services acknowledges it."""

    def __init__(self, buses):
        super().__init__(daemon=True)
        self.buses = buses
        self.acknowledged = []

    def run(self):
        deadline = time.monotonic() + PATIENCE_S
        for number in range(MESSAGES):
            channel = 'room:%d' % (number % CHANNELS)
            while not self.publish(number, channel):
                if time.monotonic() > deadline:
                    return
            self.acknowledged.append((channel, number))

    def publish(self, number, channel):
        bus = self.buses[number % len(self.buses)]
        body = {'channel': channel, 'data': {'n': number}, 'id': 'id%d' % number}
        try:
            return bus.request('POST', '/bus/publish', body, admin())[0] == 200
        except (OSError, http.client.HTTPException):
            self.buses = [each for each in self.buses if each.daemon.running()]
            return False


def test_a_service_that_is_killed_under_load_is_replaced_by_the_other_and_nothing_is_lost_or_handled_twice(servers):
    one, two = services(servers, servers.redis(), connections_per_second=100000)
    with contextlib.closing(Kept([one, two], servers.folder, CLIENTS, CHANNELS)) as kept:
        assert one.status()['authenticated'] == two.status()['authenticated'] == CLIENTS // 2
        publisher = Publisher([one, two])
        publisher.start()
        wait_until(lambda: len(publisher.acknowledged) >= MESSAGES // 3, PATIENCE_S, 'a third of the messages')
        one.daemon.kill()
        publisher.join(PATIENCE_S)
        assert len(publisher.acknowledged) == MESSAGES
        found = kept.wait_for(publisher.acknowledged, PATIENCE_S)
        wrong = {key: found[key] for key in ('missing', 'twice', 'lost', 'disordered')}
        assert wrong == {'missing': 0, 'twice': 0, 'lost': 0, 'disordered': 0}, found
        assert found['handled'] == CLIENTS * MESSAGES, 'each message at the handler of each client'
        assert two.status()['authenticated'] == CLIENTS and two.status()['recovered'] >= CLIENTS // 2 * CHANNELS


def lose_end_of_log(redis, count):
    """What a crash of the machine does that had not written the log's end yet."""
    log, = (redis.folder / 'appendonlydir').glob('*.incr.aof')
    content = log.read_bytes()
    log.write_bytes(content[:-count])


def test_after_a_crash_of_redis_nothing_new_is_taken_for_what_was_lost(servers):
    redis = servers.redis(options=DURABLE)
    one, two = services(servers, redis)

    async def story():
        ann, away = await opened(one, 'ann', 'away')
        for number in range(20):
            one.publish('room:1', number)
        await ann.wait_for(20)
        await away.wait_for(20)
        before = dict(away.positions['room:1'])
        assert before['offset'] == 20
        away.socket.transport.abort()
        redis.process.kill()
        lose_end_of_log(redis, 2000)
        redis.process.start()
        offset = 0
        while offset < 25:  # past the old offset; the first ones wait until Redis is back
            offset = two.publish('room:1', 'new')['offset']
        assert offset < 20 + 25, 'some of the old ones were lost'
        while not ann.lost:
            ann.keep(await ann.receive())
        assert ann.lost[0]['epoch'] != before['epoch']
        away.bus = two
        await away.open()
        answer = await away.subscribe('room:1')
        assert answer.get('lost') and 'recovered' not in answer, 'the old offset is somebody else now'
        assert answer['offset'] >= 25 and answer['epoch'] != before['epoch']
        two.publish('room:1', 'the end')
        for tab in (ann, away):
            while tab.messages[-1]['data'] != 'the end':
                tab.keep(await tab.receive())
    one.play(story)
    for bus in (one, two):
        assert 'headroom_bus_redis_epochs_total 1' in bus.request('GET', '/metrics')[1]


def test_a_publisher_waits_while_redis_is_away_and_nobody_has_to_start_anything(servers):
    redis = servers.redis(options=DURABLE)
    bus, = services(servers, redis, 1)
    bus.publish('room:1', 1)
    redis.process.kill()
    wait_until(lambda: not bus.status()['available'], 20, 'the loss to be seen')
    assert 'redis://127.0.0.1' in bus.status()['problem']
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(bus.publish('room:1', 2)))
    waiting.start()
    redis.process.start()
    waiting.join(30)
    assert answers and answers[0]['offset'] == 2
    wait_until(lambda: bus.status()['available'], 20, 'it to be back')
    assert bus.status()['problem'] == ''


@pytest.mark.parametrize('options, remedy', [
    (('--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'), 'set maxmemory-policy noeviction'),
    (('--cluster-enabled', 'yes', '--cluster-port', free_port()), 'cluster-enabled no')])
def test_a_server_that_can_not_keep_the_bus_is_refused_at_the_start(servers, options, remedy):
    redis = servers.redis(options=options)
    with pytest.raises(RuntimeError):
        services(servers, redis, 1)
    configuration = servers.folder / 'node0.toml'
    done = subprocess.run([executable(), 'serve', '--config', configuration], capture_output=True, text=True, timeout=60)
    assert done.returncode in (1, 2)
    line, = done.stderr.splitlines()
    assert line.startswith('headroom: [bus] url: redis://127.0.0.1:%d/0: ' % redis.port) and remedy in line
    checked = run_headroom('bus', 'check', '--json', '--config', configuration, check=False)
    assert checked.returncode == 1 and remedy in checked.stdout


def test_the_password_is_neither_logged_nor_shown(servers):
    secret = 'pass-word-of-the-node'
    redis = servers.redis(password=secret)
    bus, = services(servers, redis, 1)
    bus.publish('room:1', 1)
    found = run_headroom('bus', 'check', '--json', '--config', bus.configuration)
    assert {'subject': '[bus] url', 'state': 'fine', 'text': 'the Redis server can keep the bus'} in found
    redis.process.kill()
    wait_until(lambda: bus.status()['problem'], 20, 'the loss to be seen')
    told = str(bus.status()) + str(bus.request('GET', '/metrics')) + bus.daemon.tail(1000)
    checked = run_headroom('bus', 'check', '--config', bus.configuration, check=False)
    assert checked.returncode == 1
    assert secret not in told + checked.stdout + checked.stderr
