"""Clients of Tryton that wait for its bus: what they cost trytond and its database, behind Headroom and on trytond's own bus."""
import contextlib
import resource
import statistics
import time
import urllib.request

from recorder import figures
from servers import Servers, free_port, wait_until
from servers.crowd import LIMIT, Crowd, threads_of
from servers.notifier import Notifier

OWN = 50  # clients on trytond's own bus: each takes a thread


class TrytonSite:
    """trytond on PostgreSQL, and `headroom serve` beside it."""

    def __init__(self, servers):
        self.postgresql = servers.postgresql()
        self.tryton = servers.tryton('postgresql', sections={'bus': {'allow_subscribe': 'True'}})
        self.server = self.tryton.serve()
        self.client = self.tryton.client(self.server)
        self.path = '/%s/bus' % self.tryton.database
        self.port = free_port()
        configuration = servers.folder / 'headroom.toml'
        configuration.write_text('[perf]\nstore = "%s"\nstate = "%s"\n[serve]\nlisten = "127.0.0.1:%d"\n'
            '[bus.tryton]\nuri = "%s"\ndatabases = ["%s"]\n' % (servers.store_url(), servers.folder / 'state', self.port,
                self.postgresql.uri, self.tryton.database))
        self.headroom = servers.headroom(configuration, self.port)
        wait_until(lambda: self.connections() == 1, LIMIT, 'the LISTEN connection')

    def connections(self):
        """Those of Headroom to the database."""
        return int(self.postgresql.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'headroom bus'")[0])

    def crowd(self, port, number, channel):
        return contextlib.closing(Crowd(('127.0.0.1', port), self.path, self.client, number, channel))

    def waiting(self):
        """Polls that the service has taken."""
        with urllib.request.urlopen('http://127.0.0.1:%d/metrics' % self.port, timeout=LIMIT) as answer:
            line = next((line for line in answer.read().decode().splitlines() if line.startswith('headroom_tryton_bus_waiting{')), '0')
        return int(float(line.rsplit(' ', 1)[-1]))


def broadcast(notifier, crowd):
    """Milliseconds from a transaction to the last answer; each must have got the message."""
    start = time.monotonic()
    notifier.notify({'channel': crowd.channel, 'type': 'broadcast'})
    answers = crowd.answers()
    took = 1000 * (time.monotonic() - start)
    assert len(answers) == len(crowd.sockets) and len(set(answers)) == 1 and answers[0][0] == b'200', answers[:1]
    return took


def behind_headroom(site, notifier, clients, rounds):
    """Threads that trytond has more, connections to the database, and the times of broadcasts."""
    before, threads, connections, times = threads_of(site.server.pid), 0, 0, []
    for number in range(rounds):
        # A channel of its own: who knows no message gets the oldest one that is kept.
        with site.crowd(site.port, clients, 'round %d' % number) as crowd:
            wait_until(lambda: site.waiting() == clients, LIMIT, 'all polls')
            threads = max(threads, threads_of(site.server.pid) - before)
            connections = max(connections, site.connections())
            times.append(broadcast(notifier, crowd))
    return threads, connections, times


def on_trytond(site, notifier):
    """Threads that trytond has more."""
    before = threads_of(site.server.pid)
    with site.crowd(site.server.port, OWN, 'own') as crowd:
        wait_until(lambda: threads_of(site.server.pid) - before >= OWN, LIMIT, 'a thread for each')
        threads = threads_of(site.server.pid) - before
        broadcast(notifier, crowd)
    return threads


def tryton_rows(sizes):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with Servers() as servers:
        site = TrytonSite(servers)
        with Notifier(site.tryton) as notifier:
            threads, connections, times = behind_headroom(site, notifier, sizes.waiting, sizes.crowds)
            own = on_trytond(site, notifier)
    load = 'while %d clients wait' % sizes.waiting
    # Counts, not clocks: they are judged in the small size too.
    yield figures.row('threads of trytond ' + load, '', threads, '0', threads == 0, 'trytond %d for %d' % (own, OWN))
    yield figures.row('connections to the database ' + load, '', connections, '1', connections == 1)
    yield figures.row('commit to the last of %d answers, median' % sizes.waiting, 'ms', '%.0f' % statistics.median(times))
