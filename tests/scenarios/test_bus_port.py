"""Several services on one port ([bus] listen): the kernel spreads clients over them, and they share a Redis."""
import asyncio

import pytest

from servers import free_port
from servers.bus import Bus, Tab, admin, lines


class Port(Bus):
    """Where clients come in: one of the services answers."""

    def __init__(self, servers, count=2):
        redis = servers.redis()
        self.port = free_port()
        self.tabs = []
        self.services = [Bus(servers, name='bus%d' % number, broker='redis', url=redis.url, listen='127.0.0.1:%d' % self.port)
            for number in range(count)]

    def connections(self):
        return [service.status()['connections'] for service in self.services]

    async def opened(self, count):
        """So many tabs that are subscribed; each service has some."""
        tabs = [Tab(self, 'user%d' % number) for number in range(count)]
        for tab in tabs:
            await tab.open()
            await tab.subscribe('room:1')
        assert sum(self.connections()) == count and min(self.connections()) > 0, self.connections()
        return tabs


@pytest.fixture
def port(servers):
    return Port(servers)


async def back(tab):
    """Comes back when its connection has ended; whether it had."""
    try:
        await tab.ask(ping={})
        return False
    except Exception:
        await tab.open()
        assert (await tab.subscribe('room:1'))['recovered']
        return True


def test_what_is_published_at_one_service_reaches_the_clients_of_all(port):
    async def story():
        tabs = await port.opened(24)
        for number in range(10):
            port.services[number % 2].publish('room:1', number)
        for number in range(10, 20):
            await tabs[number].ask(publish={'channel': 'room:1', 'data': number})
        for tab in tabs:
            assert await tab.wait_for(20) == list(range(20)), tab.user
    port.play(story)


def test_clients_of_a_service_that_is_killed_go_on_at_the_other_by_the_same_address(port):
    async def story():
        tabs = await port.opened(24)
        port.publish('room:1', 1)
        for tab in tabs:
            await tab.wait_for(1)
        lost = port.services[0].status()['connections']
        port.services[0].daemon.kill()
        port.publish('room:1', 2)
        assert [await back(tab) for tab in tabs].count(True) == lost
        port.publish('room:1', 3)
        for tab in tabs:
            assert await tab.wait_for(3) == [1, 2, 3], tab.user
        assert port.services[1].status()['connections'] == 24
    port.play(story)


def test_a_service_that_stops_sends_its_clients_to_the_others(port):
    async def story():
        tabs = await port.opened(24)
        await asyncio.get_running_loop().run_in_executor(None, port.services[0].daemon.stop)
        port.publish('room:1', 1)
        for tab in tabs:
            await back(tab)
            assert await tab.wait_for(1) == [1], tab.user
    port.play(story)


def test_nothing_but_the_bus_is_served_there(port):
    for path in ('/metrics', '/api/bus/status', '/api/overview', '/api/nothing'):
        status, answer = port.request('GET', path)
        assert status == 404 and 'several services' in answer['error']['message'], (path, answer)
    assert port.request('GET', '/bus/status', bearer=admin())[0] == 200
    assert port.request('GET', '/bus/status')[0] == 401
    published = port.publish('room:1', 1)
    entry = {'channel': 'room:1', 'since': {'offset': 0, 'epoch': published['epoch']}}
    status, answer = port.request('POST', '/bus/poll', lines('ann', {'subscribe': {'channels': [entry]}}))
    assert status == 200 and [one['message']['data'] for one in answer if 'message' in one] == [1], answer
