#!/usr/bin/python3
"""Publishing through Redis: the script that gives a message its offset beside a bare XADD, and a service beside its own memory.

    bin/bench bus_redis [--quick] [--json FILE]

A Redis of its own with appendonly yes, appendfsync everysec. Script and XADD (of the same data, with the same MAXLEN) are run by
redis-benchmark with 16 connections that send 64 at a time, in turn; the ratio is that of neighbours. Then `headroom serve` publishes over
HTTP, 200 messages a request; and bus_load publishes one every 5 ms to 100 subscribers, over the Redis broker and over the memory broker in
turn, timed from the moment a message was due to its last delivery. Afterwards everything is counted: each publication has one offset,
one entry in a stream, and each subscriber got each message once and in order. `--quick` is short, and judges only that.
"""
import argparse
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
from servers import Servers  # noqa: E402
from servers.bus import Bus, admin  # noqa: E402

SEED = 20261130
DURABLE = ('--appendonly', 'yes', '--appendfsync', 'everysec')
DATA = json.dumps({'type': 'notification', 'title': 'x' * 160})
SHARD, LENGTH = 7, 4096
KEYS = ['headroom:bus:about', 'headroom:bus:stream:%d' % SHARD, 'headroom:bus:channel:orders', 'headroom:bus:history:orders']
BATCH = 200
PIPELINE = 64


class Sizes:

    def __init__(self, quick):
        self.rounds = 1 if quick else 7
        self.requests = (80 if quick else 4_800) * PIPELINE
        self.batches = 10 if quick else 300
        self.subscribers = 20 if quick else 100
        self.messages, self.pace_us = (20, 5_000) if quick else (400, 5_000)
        self.delivery_rounds = 1 if quick else 9


# Inside the server

def script(name):
    return (ROOT / 'src/bus/lua' / (name + '.lua')).read_text()


def commands(redis):
    """What a publisher sends, and the bare append beside it."""
    streams = ['headroom:bus:stream:%d' % shard for shard in range(16)]
    redis.command('EVAL', script('join'), 17, KEYS[0], *streams, 1, 'bench', 'benchmark', '', *[0] * 16)
    sha = redis.command('SCRIPT', 'LOAD', script('publish'))
    # As add_publish in src/bus/redis_node.cpp: the default rule's history, a day.
    ours = ['EVALSHA', sha, len(KEYS), *KEYS, 'orders', DATA, SHARD, 100, 262144, 300000, LENGTH, 86400000, 300000]
    return {'publish': ours, 'xadd': ['XADD', 'bare', 'MAXLEN', '~', LENGTH, '*', 'd', DATA]}


def run_benchmark(redis, command, requests):
    """Requests a second, and the 99th percentile of a pipeline's time in ms."""
    done = subprocess.run(['redis-benchmark', '-p', str(redis.port), '-c', '16', '-P', str(PIPELINE), '-n', str(requests), '--csv',
            *map(str, command)], check=True, capture_output=True, text=True)
    # "test","rps","avg","min","p50","p95","p99","max"; the first is the command with its own commas and quotes.
    values = [float(value.strip('"')) for value in done.stdout.splitlines()[-1].rsplit(',', 7)[1:]]
    return values[0], values[5]


def measure_script(sizes):
    with Servers() as servers:
        redis = servers.redis(options=DURABLE)
        what = commands(redis)
        found = {name: [] for name in what}
        order = random.Random(SEED)
        for _ in range(sizes.rounds):
            for name in order.sample(list(what), len(what)):
                found[name].append(run_benchmark(redis, what[name], sizes.requests))
        published = sizes.rounds * sizes.requests
        offset = int(redis.command('HGET', KEYS[2], 'offset'))
        entries = int(redis.command('HGET', KEYS[0], 'n%d' % SHARD))
        kept = int(redis.command('LLEN', KEYS[3]))
        assert (offset, entries) == (published, published), 'published %d, offset %d, entries %d' % (published, offset, entries)
        assert kept == 100, 'a history of 100 holds %d' % kept
    ratios = [ours / bare for (ours, _), (bare, _) in zip(found['publish'], found['xadd'])]
    return {'publish': found['publish'], 'xadd': found['xadd'], 'ratios': ratios}


# Through a service

def measure_service(sizes):
    """Messages a second over one connection, 200 a request."""
    with Servers() as servers:
        redis = servers.redis(options=DURABLE)
        Bus(servers, {'room:': 'history=1000'}, name='other', broker='redis', url=redis.url)  # reads them as well
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
    return {'per_s': BATCH * len(took) / sum(took), 'p99_batch_ms': 1000 * took[int(0.99 * len(took))]}


class OverRedis(Headroom):

    def serve(self):
        redis = self.servers.redis(options=DURABLE)
        super().serve(broker='redis', url=redis.url)


def measure_delivery(sizes):
    """Milliseconds from due to last delivery: median and 99th percentile of each round."""
    order = random.Random(SEED)
    with Headroom() as memory, OverRedis() as redis:
        sides = {'memory': memory, 'redis': redis}
        found = {name: [] for name in sides}
        for side in sides.values():
            side.load.ask('open', sizes.subscribers)
            side.load.ask('publish', 10, sizes.pace_us)  # warm
        for _ in range(sizes.delivery_rounds):
            for name in order.sample(list(sides), len(sides)):
                got = sides[name].load.ask('publish', sizes.messages, sizes.pace_us)
                assert got['deliveries'] == sizes.messages * sizes.subscribers, got
                times = sorted(got['last_us'])
                found[name].append((statistics.median(times) / 1000, times[int(0.99 * len(times))] / 1000))
    return found


def print_figures(figures):
    script_figures, service, delivery = figures['script'], figures['service'], figures['delivery']
    for name in ('xadd', 'publish'):
        print('%-8s %9.0f /s   p99 of 64 at once %6.2f ms' % (name, statistics.median(rate for rate, _ in script_figures[name]),
            statistics.median(p99 for _, p99 in script_figures[name])))
    ratios = script_figures['ratios']
    print('ratio    %9.2f      [%.2f .. %.2f]' % (statistics.median(ratios), min(ratios), max(ratios)))
    print('over HTTP, %d a request, two services: %.0f messages/s, p99 of a request %.1f ms' % (
        BATCH, service['per_s'], service['p99_batch_ms']))
    for name in ('memory', 'redis'):
        print('due to last delivery, %-6s  median %6.2f ms   p99 %6.2f ms' % (name,
            statistics.median(median for median, _ in delivery[name]), statistics.median(p99 for _, p99 in delivery[name])))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true')
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    sizes = Sizes(arguments.quick)
    figures = {'script': measure_script(sizes), 'service': measure_service(sizes), 'delivery': measure_delivery(sizes)}
    print_figures(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + '\n')


if __name__ == '__main__':
    main()
