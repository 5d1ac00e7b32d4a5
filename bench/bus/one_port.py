"""Sixty thousand clients of one port: a part of bench/bus.py.

A process may open 20,000 files, so several services share the port ([bus] listen), and the kernel spreads new connections over them by
the addresses of both ends. They share a PostgreSQL: what is published at one reaches the clients of all. As many load processes come
from 64 source addresses. While the memory is looked at a message comes to everybody every ten seconds, and each service pings all
of its own. Every client is subscribed and gets each message once, or the figures don't count.
"""
import contextlib
import time

from bus_sides import cpu_ns, private_bytes
from comeback import Nodes, Storm, dropped_by_listeners, publish, together
from recorder import figures
from servers import free_port, wait_until

SPARE = 1_000  # places of a service beyond its share: the kernel deals by chance
SETTLE_S = 30  # buffers that the first clients filled are given back


class Crowd:
    """All clients, over all services."""

    def __init__(self, opened, sizes):
        self.port = free_port()
        share = sizes.crowd // sizes.services
        self.nodes = opened.enter_context(Nodes(sizes.services, listen='127.0.0.1:%d' % self.port, connections=share + SPARE,
                connections_per_second=1_000_000))
        self.pids = [node.daemon.pid for node in self.nodes.all]
        self.storms = [opened.enter_context(contextlib.closing(Storm(node, self.port))) for node in self.nodes.all]
        self.numbers = iter(range(1, 1_000_000))
        self.number = 0

    def open(self, clients):
        """Seconds until the last one is subscribed."""
        began = time.monotonic()
        together(lambda storm: storm.ask('open', clients // len(self.storms)), self.storms)
        return time.monotonic() - began

    def beat(self):
        """One message to everybody, from each service in its turn."""
        node = self.nodes.all[self.number % len(self.nodes.all)]
        publish(node, self.numbers, 1)
        self.number += 1
        together(lambda storm: storm.ask('expect', self.number), self.storms)

    def found(self):
        together(lambda storm: storm.ask('idle'), self.storms)
        return {key: sum(storm.found[key] for storm in self.storms) for key in ('there', 'connected', 'lost', 'missed', 'twice')}

    def private_bytes(self):
        return sum(private_bytes(pid) for pid in self.pids)

    def cpu_s(self):
        return sum(cpu_ns(pid) for pid in self.pids) / 1e9

    def connections(self):
        return [node.status()['connections'] for node in self.nodes.all]


def watched_memory(crowd, sizes):
    """Private bytes of all services at each beat, and the share of a core that they used meanwhile."""
    began, used = time.monotonic(), crowd.cpu_s()
    samples = [crowd.private_bytes()]
    while time.monotonic() < began + sizes.hold_s:
        time.sleep(sizes.beat_s)
        crowd.beat()
        samples.append(crowd.private_bytes())
    return samples, (crowd.cpu_s() - used) / (time.monotonic() - began)


def connection_rows(sizes):
    with contextlib.ExitStack() as opened:
        crowd = Crowd(opened, sizes)
        empty = crowd.private_bytes()
        took_s = crowd.open(sizes.crowd)
        shares = crowd.connections()
        for _ in range(3):
            crowd.beat()
        time.sleep(SETTLE_S if sizes.judge else 0)
        samples, cores = watched_memory(crowd, sizes)
        found, drops, after = crowd.found(), dropped_by_listeners([crowd.port]), crowd.connections()
    assert sum(shares) == sizes.crowd and after == shares and min(shares) > 0, (shares, after)
    assert found == {'there': sizes.crowd, 'connected': sizes.crowd, 'lost': 0, 'missed': 0, 'twice': 0}, found
    assert drops == 0, 'accept queues overflowed: %d connections were dropped' % drops
    yield figures.row('connections on one port over %d services' % sizes.services, '', sum(shares), '%d' % sizes.crowd, True,
        '%s each; subscribed after %.0f s; %d messages to everybody, none lost or twice' % (
            ' '.join(map(str, shares)), took_s, crowd.number))
    spread = 100 * (max(samples) - min(samples)) / min(samples)
    yield figures.row('private memory of all services over %d s, largest over smallest' % sizes.hold_s, '%', '%.2f' % spread, '<= 2',
        spread <= 2 if sizes.judge else None, '%.0f MiB, %.2f KiB a connection; %.0f %% of a core' % (
            samples[-1] / 2 ** 20, (samples[-1] - empty) / sizes.crowd / 1024, 100 * cores))
