"""Presence of a crowd: what its heartbeats cost the process that holds the connections, and whether they write into the database."""
import statistics
import subprocess
import time
from collections import Counter

from bus_sides import Headroom
from recorder import figures
from servers.bus import admin
from servers.paths import executable

TABS, EVERY_S = 5, 30  # bench/bus/dialect.cpp says the number of tabs


STATISTICS_S = 2  # PostgreSQL tells of a transaction's rows a second after it at the latest


class HeadroomOnPostgreSQL(Headroom):

    def serve(self):
        self.database = self.servers.postgresql()
        self.database.execute(subprocess.run([executable(), 'bus', 'sql'], check=True, capture_output=True, text=True).stdout)
        super().serve(broker='postgresql', database=self.database.uri + 'postgres')

    def written(self):
        """Rows that were written so far, by table. The node that orders messages marks every ten seconds how far it has read, with or
        without clients: those are left out."""
        time.sleep(STATISTICS_S)
        lines = self.database.execute("SELECT schemaname || '.' || relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_all_tables "
            "WHERE NOT (schemaname = 'headroom' AND relname LIKE 'batch%')")
        return Counter({table: int(rows) for table, rows in (line.split('\t') for line in lines)})

    def online(self):
        """How many users are."""
        status, answer = self.bus.request('GET', '/bus/users?state=online&limit=1', bearer=admin())
        assert status == 200, answer
        return answer['online']


def window(side, sizes):
    """The part of one core while everybody's browser beats."""
    before, start = side.cpu_ns(), time.monotonic_ns()
    got = side.load.ask('beat', sizes.beating_s, sizes.beat_every_s)
    part = (side.cpu_ns() - before) / (time.monotonic_ns() - start)
    assert got['beats'] == sizes.beating * sizes.beating_s // sizes.beat_every_s, got
    return part


def presence_rows(sizes):
    with HeadroomOnPostgreSQL() as side:
        side.load.ask('open', sizes.beating)
        window(side, sizes)  # warm
        before = side.written()
        parts = [window(side, sizes) for _ in range(sizes.beating_rounds)]
        written = side.written() - before
        status = side.status()
        assert status['connections'] == sizes.beating, status
        online = side.online()
    assert online == sizes.beating, online
    load = '%d connections of %d tabs, a heartbeat each %d s' % (sizes.beating, TABS, sizes.beat_every_s)
    part = statistics.median(parts)
    yield figures.row('presence of ' + load, '% of a core', '%.1f (%.1f to %.1f)' % tuple(100 * x for x in (part, min(parts), max(parts))),
        '<= 5', part <= 0.05 if sizes.judge else None)
    yield figures.row('rows written into the database meanwhile', '', written.total() or 0, '0', not written,
        ', '.join('%s %d' % one for one in written.items()) or '-')
