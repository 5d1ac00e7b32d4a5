#!/usr/bin/python3
"""Publishing through Redis: the script that gives messages their offsets beside a bare XADD, and a service beside its own memory.

    bin/bench bus_redis [--quick] [--json FILE] [--only PART...]

A Redis of its own with appendonly yes, appendfsync everysec.

script    redis-benchmark with 16 connections, and what the server used of a core: XADD of the same data with the same MAXLEN, 64 commands sent at a time, and the script as a
          node runs it: 64 messages of one channel, 64 messages of as many channels, and one message alone (64 scripts sent at a time). They
          run in turn; a ratio is that of neighbours.
service   `headroom serve` publishes over HTTP, 200 messages a request, while another one reads them.
delivery  One message every 5 ms to 100 subscribers, from the moment it was due to its last delivery, over the Redis broker and over the
          memory broker in turn.

No figure counts unless each publication has one offset and one entry in a stream, and each subscriber got each message once and in order.
`--quick` is short, and judges only that.
"""
import http.client
import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'tests'), str(ROOT / 'bench')]

from bus_sides import Headroom  # noqa: E402
from recorder import figures  # noqa: E402
from servers import Servers  # noqa: E402
from servers.bus import Bus, admin  # noqa: E402

SEED = 20261130
DURABLE = ('--appendonly', 'yes', '--appendfsync', 'everysec')
DATA = json.dumps({'type': 'notification', 'title': 'x' * 160})
SHARD, LENGTH = 7, 4096
TOGETHER = 64  # messages of one script, or commands sent at a time
BATCH = 200
GOAL_TOGETHER, GOAL_PER_S, GOAL_P99_MS = 0.3, 10_000, 20


class Sizes:

    def __init__(self, quick):
        self.judge = not quick
        self.rounds = 1 if quick else 7
        self.messages = (80 if quick else 1_600) * TOGETHER
        self.batches = 10 if quick else 300
        self.subscribers = 20 if quick else 100
        self.deliveries, self.pace_us = (20, 5_000) if quick else (400, 5_000)
        self.delivery_rounds = 1 if quick else 9


# Inside the server

def script(name):
    return (ROOT / 'src/bus/lua' / (name + '.lua')).read_text()


class Scripts:
    """What a node sends, as add_publish in src/bus/redis_node.cpp: the default rule's history, channels of one shard."""

    def __init__(self, redis):
        streams = ['headroom:bus:stream:%d' % shard for shard in range(16)]
        redis.command('EVAL', script('join'), 17, 'headroom:bus:about', *streams, 2, 'bench', 'benchmark', '', *['0-0'] * 16)
        self.sha = redis.command('SCRIPT', 'LOAD', script('publish'))

    def publish(self, *channels):
        """One script, of (name, messages) for each channel."""
        keys, arguments = ['headroom:bus:about'], [LENGTH, 86400000, 300000]
        for name, count in channels:
            keys += ['headroom:bus:stream:%d' % SHARD, 'headroom:bus:channel:' + name, 'headroom:bus:history:' + name]
            arguments += [name, 100, 262144, 300000, count, *[DATA, 0] * count]
        return ['EVALSHA', self.sha, len(keys), *keys, *arguments]


def run_benchmark(redis, command, requests, pipeline):
    """Requests a second."""
    done = subprocess.run(['redis-benchmark', '-p', str(redis.port), '-c', '16', '-P', str(pipeline), '-n', str(requests), '--csv',
            *map(str, command)], check=True, capture_output=True, text=True)
    # "test","rps","avg","min","p50","p95","p99","max"; the first is the command with its own commas and quotes.
    return float(done.stdout.splitlines()[-1].rsplit(',', 7)[1].strip('"'))


def cpu_ns(redis):
    """Of all threads of the server since its start."""
    return sum(int(task.read_text().split()[0]) for task in Path('/proc/%d/task' % redis.process.pid).glob('*/schedstat'))


def script_rows(sizes):
    with Servers() as servers:
        redis = servers.redis(options=DURABLE)
        scripts = Scripts(redis)
        # The command, how many are sent at a time, and how many messages each is.
        sides = {
            'xadd': (['XADD', 'bare', 'MAXLEN', '~', LENGTH, '*', 'd', DATA], TOGETHER, 1),
            'one channel': (scripts.publish(('orders', TOGETHER)), 1, TOGETHER),
            'many channels': (scripts.publish(*(('room:%d' % number, 1) for number in range(TOGETHER))), 1, TOGETHER),
            'alone': (scripts.publish(('alone', 1)), TOGETHER, 1)}
        rates, cpu_us = {name: [] for name in sides}, {name: [] for name in sides}
        order = random.Random(SEED)
        for _ in range(sizes.rounds):
            for name in order.sample(list(sides), len(sides)):
                command, pipeline, messages = sides[name]
                before = cpu_ns(redis)
                rates[name].append(messages * run_benchmark(redis, command, sizes.messages // messages, pipeline))
                cpu_us[name].append((cpu_ns(redis) - before) / sizes.messages / 1000)
        check_kept(redis, sizes.rounds * sizes.messages)
    used = {name: 'CPU of one %.1f us' % statistics.median(values) for name, values in cpu_us.items()}
    yield figures.row('bare XADD, %d at a time' % TOGETHER, '1/s', '%.0f' % statistics.median(rates['xadd']), peer=used['xadd'])
    for name, what in (('one channel', '%d messages of one channel a script' % TOGETHER),
            ('many channels', '%d messages of as many channels a script' % TOGETHER), ('alone', 'a message a script, %d at a time' % TOGETHER)):
        ratio = figures.interval([ours / bare for ours, bare in zip(rates[name], rates['xadd'])], statistics.median)
        yield figures.row(what, '1/s', '%.0f' % statistics.median(rates[name]), peer=used[name])
        judged = name == 'one channel'
        yield figures.row('the same over the bare XADD', 'ratio', figures.shown(ratio, 2), '>= %g' % GOAL_TOGETHER if judged else '-',
            ratio[0] >= GOAL_TOGETHER if judged and sizes.judge else None)


def check_kept(redis, published):
    """Of each side."""
    rooms = ['room:%d' % number for number in range(TOGETHER)]
    offsets = {name: int(redis.command('HGET', 'headroom:bus:channel:' + name, 'offset')) for name in ['orders', 'alone', *rooms]}
    assert offsets['orders'] == offsets['alone'] == published, 'published %d, offsets %s' % (published, offsets)
    assert sum(offsets[name] for name in rooms) == published, 'published %d, offsets %s' % (published, offsets)
    entries = int(redis.command('XREVRANGE', 'headroom:bus:stream:%d' % SHARD, '+', '-', 'COUNT', 1).split()[0].split('-')[1]) + 1
    assert entries == 3 * published, 'published %d, entries %d' % (3 * published, entries)
    kept = {int(redis.command('LLEN', 'headroom:bus:history:' + name)) for name in offsets if offsets[name] >= 100}
    assert kept <= {100}, 'histories of 100 hold %s' % kept


# Through a service

def service_rows(sizes):
    with Servers() as servers:
        redis = servers.redis(options=DURABLE)
        Bus(servers, {'room:': 'history=1000'}, name='other', broker='redis', url=redis.url)
        bus = Bus(servers, {'room:': 'history=1000'}, broker='redis', url=redis.url)
        connection = http.client.HTTPConnection('127.0.0.1', bus.port, timeout=60)
        headers = {'Authorization': 'Bearer ' + admin()}
        body = json.dumps({'messages': [{'channel': 'room:1', 'data': json.loads(DATA)}] * BATCH})
        took, offsets = [], []
        for _ in range(sizes.batches):
            began = time.perf_counter()
            connection.request('POST', '/bus/publish', body, headers)
            answer = json.loads(connection.getresponse().read())
            took.append(time.perf_counter() - began)
            offsets += [one['offset'] for one in answer['results']]
        connection.close()
        assert offsets == list(range(1, sizes.batches * BATCH + 1)), 'offsets have a gap'
    took.sort()
    rate = BATCH * len(took) / sum(took)
    yield figures.row('publishes over HTTP, %d a request, two services' % BATCH, '1/s', '%.0f' % rate, '>= %d' % GOAL_PER_S,
        rate >= GOAL_PER_S if sizes.judge else None, 'p99 of a request %.1f ms' % (1000 * took[int(0.99 * (len(took) - 1))]))


class OverRedis(Headroom):

    def serve(self):
        redis = self.servers.redis(options=DURABLE)
        super().serve(broker='redis', url=redis.url)


def delivery_rows(sizes):
    order = random.Random(SEED)
    with Headroom() as memory, OverRedis() as redis:
        sides = {'memory': memory, 'redis': redis}
        found = {name: [] for name in sides}  # ms, by round
        for side in sides.values():
            side.load.ask('open', sizes.subscribers)
            side.load.ask('publish', 10, sizes.pace_us)  # warm
        for _ in range(sizes.delivery_rounds):
            for name in order.sample(list(sides), len(sides)):
                got = sides[name].load.ask('publish', sizes.deliveries, sizes.pace_us)
                assert got['deliveries'] == sizes.deliveries * sizes.subscribers, got
                found[name].append(sorted(one / 1000 for one in got['last_us']))
    medians = {name: figures.interval([statistics.median(times) for times in rounds], statistics.median) for name, rounds in found.items()}
    p99s = {name: figures.interval([times[int(0.99 * (len(times) - 1))] for times in rounds], statistics.median)
        for name, rounds in found.items()}
    load = 'due to last delivery, %d subscribers' % sizes.subscribers
    yield figures.row(load + ', median', 'ms', figures.shown(medians['redis'], 2), peer='memory ' + figures.shown(medians['memory'], 2))
    yield figures.row(load + ', p99', 'ms', figures.shown(p99s['redis'], 2), '<= %d' % GOAL_P99_MS,
        p99s['redis'][0] <= GOAL_P99_MS if sizes.judge else None, 'memory ' + figures.shown(p99s['memory'], 2))


PARTS = {'script': script_rows, 'service': service_rows, 'delivery': delivery_rows}


def main():
    options = figures.arguments('bus_redis', __doc__, PARTS).parse_args()
    sizes = Sizes(options.quick)
    return figures.run((one for name in options.only for one in PARTS[name](sizes)), options.json)


if __name__ == '__main__':
    sys.exit(main())
