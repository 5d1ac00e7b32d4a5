"""What happens to clients when their node is restarted or killed: parts of bench/bus.py.

Two nodes over one PostgreSQL, because a process may open 20,000 files. `restart`: all clients are sent away, come back to nodes that were
started anew, and have every message: those of before, those that were published by SQL meanwhile, those of after. `kills`: a node is
killed under load, again and again; every acknowledged message is counted where the browser's package hands it to the application.
"""
import contextlib
import json
import random
import re
import subprocess
import threading
import time

import psycopg2
from recorder import figures
from servers import Servers, paths
from servers.bus import Bus, admin
from servers.kept import Kept
from servers.process import wait_until

RULE = 'subscribe=users publish=users history=100000 history_size=64MiB history_age=1h'
PATIENCE_S = 120


class Nodes:
    """Nodes of the bus, each with a folder of its own, over one PostgreSQL."""

    def __init__(self, count, **keys):
        with contextlib.ExitStack() as opened:
            server = opened.enter_context(Servers()).postgresql()
            server.execute('CREATE DATABASE shop')
            self.database = server.uri + 'shop'
            schema = subprocess.run([paths.executable(), 'bus', 'sql'], capture_output=True, text=True, check=True).stdout
            self.sql(schema)
            server.execute('CREATE ROLE node LOGIN')
            server.execute('GRANT headroom_node TO node')
            url = server.uri.replace('postgres@', 'node@') + 'shop'
            self.all = [Bus(opened.enter_context(Servers()), {'room:': RULE}, broker='postgresql', database=url, **keys)
                for _ in range(count)]
            for node in self.all:
                wait_until(lambda node=node: node.status()['available'], 30, 'the broker of a node')
            self._opened = opened.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._opened.close()

    def sql(self, statement, *parameters):
        with contextlib.closing(psycopg2.connect(self.database)) as connection:
            connection.autocommit = True
            connection.cursor().execute(statement, parameters or None)


def together(function, parts):
    """Calls it with each part at the same time; what one of them raises is raised."""
    failed = []

    def call(part):
        try:
            function(part)
        except BaseException as error:
            failed.append(error)
    threads = [threading.Thread(target=call, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


# Restart

class Storm:
    """A running bus_storm: clients that come back by themselves, to the port of the node unless another is said."""

    def __init__(self, node, port=None):
        command = [paths.build() / 'bench' / 'bus' / 'bus_storm', str(port or node.port), node.servers.folder / 'bus-secret']
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.found = {}

    def ask(self, *words):
        self._child.stdin.write(' '.join(map(str, words)) + '\n')
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError('bus_storm ended with status %s' % self._child.wait(10))
        self.found = json.loads(line)

    def close(self):
        self._child.kill()
        self._child.communicate()


def dropped_by_listeners(ports):
    """Connections that the kernel dropped because an accept queue was full, since these sockets listen."""
    drops = 0
    for port in ports:
        shown = subprocess.run(['ss', '-ltnmH', 'sport = :%d' % port], capture_output=True, text=True, check=True).stdout
        drops += sum(int(count) for count in re.findall(r'\bd(\d+)\)', shown))
        assert 'skmem:' in shown, shown
    return drops


def restart_rows(sizes):
    clients, quick = (400, True) if not sizes.judge else (20_000, False)
    with Nodes(2, connections=clients, reconnect_window='2s' if quick else '10s') as nodes, contextlib.ExitStack() as opened:
        storms = [opened.enter_context(contextlib.closing(Storm(node))) for node in nodes.all]
        together(lambda storm: storm.ask('open', clients // 2), storms)
        numbers = iter(range(1, 100))
        publish(nodes.all[0], numbers, 5)
        together(lambda storm: storm.ask('expect', 5), storms)
        away = restart(nodes, numbers)
        publish(nodes.all[1], numbers, 5)
        together(lambda storm: storm.ask('expect', 15), storms)
        drops = dropped_by_listeners([node.port for node in nodes.all])
    found = {key: sum(storm.found[key] for storm in storms) for key in ('there', 'recovered', 'lost', 'refused', 'missed', 'twice')}
    assert found['there'] == clients and found['recovered'] >= clients, found
    assert (found['lost'], found['missed'], found['twice']) == (0, 0, 0), found
    assert drops == 0, 'accept queues overflowed: %d connections were dropped' % drops
    back = max(storm.found['there_ns'] for storm in storms) / 1e9 - away
    yield figures.row('restart of 2 nodes: until all of %d clients are subscribed again' % clients, 's', '%.1f' % back, '<= 30',
        back <= 30 if sizes.judge else None, '%d tries refused; no message lost or twice, no accept queue full' % found['refused'])


def publish(node, numbers, count):
    for _ in range(count):
        node.publish('room:1', {'n': next(numbers)})


def restart(nodes, numbers):
    """Stops and starts all nodes at the same time; five messages are published by SQL meanwhile. When it began, on the monotonic clock."""
    began = time.monotonic()
    together(lambda node: node.daemon.stop(), nodes.all)
    for _ in range(5):
        nodes.sql("SELECT headroom.publish('room:1', %s)", json.dumps({'n': next(numbers)}, separators=(',', ':')))
    for node in nodes.all:
        node.start()  # by this thread: the kernel ends a server with the thread that started it
    return began


# Kills

class Publisher(threading.Thread):
    """Publishes one message after the other through any node, each until it is acknowledged."""

    def __init__(self, nodes, channels):
        super().__init__(daemon=True)
        self.nodes, self.channels = nodes, channels
        self.acknowledged, self.again, self.ending, self.failed = [], 0, False, None

    def run(self):
        try:
            number = 0
            while not self.ending:
                number += 1
                self.publish('room:%d' % (number % self.channels), number)
        except BaseException as error:
            self.failed = error

    def publish(self, channel, number):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            message = {'channel': channel, 'data': {'n': number}, 'id': 'message %d' % number}
            with contextlib.suppress(OSError, ValueError):
                status, answer = random.choice(self.nodes.all).request('POST', '/bus/publish', message, admin(), timeout=5)
                if status == 200:
                    return self.acknowledged.append((channel, number))
                assert status in (500, 503, 504), answer
            self.again += 1
            assert time.monotonic() < deadline, 'message %d was not acknowledged within %d s' % (number, PATIENCE_S)
            time.sleep(0.05)


def kill_rows(sizes):
    kills, clients, channels = (100, 50, 4) if sizes.judge else (3, 10, 2)
    with Nodes(2) as nodes, Servers() as servers, contextlib.closing(Kept(nodes.all, servers.folder, clients, channels)) as kept:
        publisher = Publisher(nodes, channels)
        publisher.start()
        for number in range(kills):
            kill(nodes.all[number % 2], publisher)
        publisher.ending = True
        publisher.join(PATIENCE_S + 10)
        assert publisher.failed is None and not publisher.is_alive(), publisher.failed
        found = kept.wait_for(publisher.acknowledged, PATIENCE_S)
    wrong = (found['missing'], found['twice'], found['lost'])
    assert wrong == (0, 0, 0), '%d missing, %d twice, %d told lost of %d messages: %s' % (
        *wrong, len(publisher.acknowledged), found['lacking'])
    assert found['connections'] > clients, 'nobody had to come back'
    yield figures.row('acknowledged messages lost or handled twice over %d kills' % kills, 'messages', '%d' % sum(wrong), '0',
        sum(wrong) == 0, '%d messages to %d clients of the browser\'s package; %d connections, %d publications sent again'
        % (len(publisher.acknowledged), clients, found['connections'], publisher.again))


def kill(node, publisher):
    """Kills it while messages are acknowledged, and starts it again."""
    before = len(publisher.acknowledged)
    wait_until(lambda: publisher.failed or len(publisher.acknowledged) >= before + 20, PATIENCE_S, 'twenty messages')
    assert publisher.failed is None, publisher.failed
    time.sleep(random.uniform(0, 0.3))
    node.daemon.kill()
    node.start()
