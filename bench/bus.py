#!/usr/bin/python3
"""What a connection and a delivery of the bus cost, and how fast the last subscriber has a message, beside nchan, ws and Socket.IO.

    bin/bench bus [--quick] [--json FILE] [--only PART...] [--hold SECONDS]

Parts: memory, delivery, slow, presence, restart, kills, connections, tryton. Every server runs on this machine with a load generator of its own (bench/bus/load.cpp); what is
compared runs in turn, in another order each round, and a figure comes with its 95 % bootstrap interval over the rounds. No figure
counts unless every subscriber got every message once and in order. Memory is what is private to the process; CPU is that of the
process that holds the connections, its sending through the kernel included. Headroom and nchan keep 100 messages; a client
of nchan learns its position only with its protocol ws+meta.nchan, which stands beside the bare one and costs more: the goals are judged
against the bare one. Socket.IO keeps its connection state; ws keeps nothing. `--quick` does it with 200 connections on Headroom and, where it is
installed, nchan, and judges nothing but the counts.
"""
import contextlib
import random
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'tests'), str(ROOT / 'bench'), str(ROOT / 'bench' / 'bus')]

from bus_presence import presence_rows  # noqa: E402
from bus_sides import Headroom, Nchan, NchanMeta, SocketIo, ThroughNginx, Ws, install_peers  # noqa: E402
from bus_tryton import tryton_rows  # noqa: E402
from comeback import kill_rows, restart_rows  # noqa: E402
from one_port import connection_rows  # noqa: E402
from recorder import figures  # noqa: E402
from servers import nchan  # noqa: E402

SEED = 20261130
SETTLE_S = 1.5  # what a server does a moment after clients came


class Sizes:

    def __init__(self, quick, hold_s=600):
        self.judge = not quick
        self.services, self.crowd = (2, 400) if quick else (4, 60_000)
        self.hold_s, self.beat_s = (3, 1) if quick else (hold_s, 10)
        self.few, self.many = (50, 200) if quick else (2_000, 18_000)
        self.subscribers, self.stalled = (200, 10) if quick else (4_000, 40)
        self.messages, self.pace_us = (5, 20_000) if quick else (25, 150_000)
        self.rounds = 2 if quick else 20
        self.slow_rounds = 2 if quick else 40
        self.beating, self.beating_s, self.beat_every_s, self.beating_rounds = (200, 4, 2, 1) if quick else (10_000, 30, 30, 3)
        self.waiting, self.crowds = (200, 2) if quick else (5_000, 5)
        if quick:
            self.peers = [Nchan, NchanMeta] if nchan.installed() else []
        else:
            self.peers = [Nchan, NchanMeta, Ws, SocketIo]


# Memory

def private_at(kind, connections, messages):
    """Private bytes with so many idle connections, before and after each received the messages."""
    with kind() as side:
        side.load.ask('open', connections)
        time.sleep(SETTLE_S)
        before = side.private_bytes()
        got = side.load.ask('publish', messages, 1000)
        assert got['deliveries'] == messages * connections, got
        time.sleep(SETTLE_S)
        return before, side.private_bytes()


def per_connection(kind, sizes, messages=10):
    """KiB of one connection, before and after."""
    few = private_at(kind, sizes.few, messages)
    many = private_at(kind, sizes.many, messages)
    return [(more - less) / (sizes.many - sizes.few) / 1024 for less, more in zip(few, many)]


def memory_rows(sizes):
    found = {kind.name: per_connection(kind, sizes) for kind in [Headroom, *sizes.peers] if kind is not NchanMeta}
    for number, when in enumerate(('fresh', 'after 10 messages')):
        ours = found['headroom'][number]
        peers = ', '.join('%s %.1f' % (name, values[number]) for name, values in found.items() if name != 'headroom')
        yield figures.row('private memory of an idle WebSocket, %s' % when, 'KiB', '%.2f' % ours, '<= 2',
            ours <= 2 if sizes.judge else None, peers or '-')


# Delivery

def one_round(side, readers, sizes):
    """Microseconds of CPU per delivery, and to the last delivery of each message."""
    before = side.cpu_ns()
    got = side.load.ask('publish', sizes.messages, sizes.pace_us)
    assert got['deliveries'] == sizes.messages * readers and len(got['last_us']) == sizes.messages, got
    return (side.cpu_ns() - before) / got['deliveries'] / 1000, got['last_us']


def interleaved(sides, rounds, sizes, between=lambda: None):
    """The rounds of each side, by its name; `sides` are (name, side, its readers). Calls `between` before each round."""
    order = random.Random(SEED)
    found = {name: [] for name, _, _ in sides}
    for name, side, readers in sides:
        one_round(side, readers, sizes)  # warm
    for _ in range(rounds):
        between()
        for name, side, readers in order.sample(sides, len(sides)):
            found[name].append(one_round(side, readers, sizes))
    return found


def cpu(rounds):
    return statistics.median(used for used, _ in rounds)


def p99_ms(rounds):
    """Over the messages of all rounds."""
    times = sorted(one for _, last_us in rounds for one in last_us)
    return times[min(len(times) - 1, int(0.99 * len(times)))] / 1000


def p50_ms(rounds):
    return statistics.median(one for _, last_us in rounds for one in last_us) / 1000


def ratio(ours, theirs, statistic):
    """Of a statistic of two sides, over pairs of rounds that ran next to each other."""
    return figures.interval(list(zip(ours, theirs)),
        lambda pairs: statistic([one for one, _ in pairs]) / statistic([other for _, other in pairs]))


def delivery_rows(sizes):
    with contextlib.ExitStack() as stack:
        sides = [(kind.name, stack.enter_context(kind()), sizes.subscribers) for kind in [Headroom, ThroughNginx, *sizes.peers]]
        for _, side, readers in sides:
            side.load.ask('open', readers)
        proxied = sides[1][1]
        both, nginx = proxied.cpu_ns(), proxied.nginx_cpu_ns()
        found = interleaved(sides, sizes.rounds, sizes)
        of_nginx = (proxied.nginx_cpu_ns() - nginx) / (proxied.cpu_ns() - both)
    load = 'to %d subscribers' % sizes.subscribers
    yield figures.row('CPU of a delivery %s through nginx' % load, 'us',
        figures.shown(figures.interval(found[ThroughNginx.name], cpu), 2), peer='%.0f %% of it nginx' % (100 * of_nginx))
    for what, unit, statistic, digits in (('CPU of a delivery ' + load, 'us', cpu, 2),
            ('publish to last delivery ' + load + ', median', 'ms', p50_ms, 1),
            ('publish to last delivery ' + load + ', p99', 'ms', p99_ms, 1)):
        peers = ', '.join('%s %.*f' % (name, digits, statistic(rounds)) for name, rounds in found.items() if name != 'headroom')
        yield figures.row(what, unit, figures.shown(figures.interval(found['headroom'], statistic), digits), peer=peers or '-')
    for what, statistic, goal in (('CPU of a delivery over that of nchan', cpu, 0.9), ('median over that of nchan', p50_ms, None),
            ('p99 over that of nchan', p99_ms, 1)):
        if 'nchan' in found:
            value = ratio(found['headroom'], found['nchan'], statistic)
            judged = goal is not None and sizes.judge
            yield figures.row(what, 'ratio', figures.shown(value, 2), '<= %g' % goal if goal else '-', value[0] <= goal if judged else None)


# Slow readers

class Stalled:
    """Clients that never read. First the kernel takes what they don't, then a queue does, then they are disconnected; and as many
    new ones come, so that they are there all the time."""

    def __init__(self, side, readers, count):
        self.side, self.readers, self.count = side, readers, count
        self.disconnected = -count
        self.renew()

    def renew(self):
        if self.side.status()['connections'] == self.readers:
            self.side.load.ask('stall', self.count)
            self.disconnected += self.count


def slow_rows(sizes):
    readers = sizes.subscribers - sizes.stalled
    with Headroom(queue_size='64KiB') as calm, Headroom(queue_size='64KiB') as slowed:
        calm.load.ask('open', sizes.subscribers)
        slowed.load.ask('open', readers)
        stalled = Stalled(slowed, readers, sizes.stalled)
        sides = [('calm', calm, sizes.subscribers), ('slowed', slowed, readers)]
        found = interleaved(sides, sizes.slow_rounds, sizes, stalled.renew)
        assert stalled.disconnected > 0 or not sizes.judge, 'readers that never read were not disconnected'
        assert calm.status()['connections'] == sizes.subscribers
    value = ratio(found['slowed'], found['calm'], p99_ms)
    yield figures.row('p99 with %d of %d that never read, over that without' % (sizes.stalled, sizes.subscribers), 'ratio',
        figures.shown(value, 2), '<= 1.1', value[0] <= 1.1 if sizes.judge else None,
        '%.1f over %.1f ms; median %s' % (p99_ms(found['slowed']), p99_ms(found['calm']),
            figures.shown(ratio(found['slowed'], found['calm'], p50_ms), 2)))


PARTS = {'memory': memory_rows, 'delivery': delivery_rows, 'slow': slow_rows, 'presence': presence_rows, 'restart': restart_rows,
    'kills': kill_rows, 'connections': connection_rows, 'tryton': tryton_rows}


def main():
    parser = figures.arguments('bus', __doc__, PARTS)
    parser.add_argument('--hold', type=int, default=600, metavar='SECONDS',
        help='how long `connections` looks at the memory; the goal is told for 600')
    options = parser.parse_args()
    if not options.quick:
        install_peers()
    sizes = Sizes(options.quick, options.hold)
    return figures.run((one for name in options.only for one in PARTS[name](sizes)), options.json)


if __name__ == '__main__':
    sys.exit(main())
