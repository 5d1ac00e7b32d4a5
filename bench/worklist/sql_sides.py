"""The ways to count by SQL, each over the same PostgreSQL, and the rows that they make."""
import contextlib
import statistics
import subprocess
import time

import psycopg2

from recorder import figures
from servers.postgresql import PostgreSQL

SETTINGS = {'shared_buffers': '3GB', 'work_mem': '256MB', 'maintenance_work_mem': '512MB', 'effective_cache_size': '6GB',
    'random_page_cost': '1.1', 'max_wal_size': '8GB', 'jit': 'off', 'max_parallel_workers_per_gather': '2'}
INDEXES = ('security_uid, type, state, owner', 'security_uid, type, state', 'owner, type, state, security_uid', 'type, state, security_uid',
    'state, type')
DEADLINE_S = 600
KINDS = ('common', 'evenly drawn')  # uids of a user, in turn: World::has_common_uids


def in_list(values):
    return ', '.join("'%s'" % value if isinstance(value, str) else str(value) for value in values)


def criteria(wanted):
    return ' AND '.join('%s IN (%s)' % (column, in_list(values)) for column, values in wanted.items())


class Side:
    """A way to count. `counts` gives the user's count of each list, in their order."""
    setup_s = None
    warmed = True  # the first user is counted twice

    def __init__(self, cursor, lists):
        self.cursor, self.lists = cursor, lists
        begin = time.perf_counter()
        if self.set_up():
            self.setup_s = time.perf_counter() - begin

    def set_up(self):
        return False

    def ask(self, statement):
        self.cursor.execute(statement)
        return self.cursor.fetchall()

    def dispatch(self, cells):
        """What each list has of (type, state, count)."""
        by_cell = {}
        for kind, state, count in cells:
            by_cell[kind, state] = by_cell.get((kind, state), 0) + int(count)
        return [sum(by_cell.get((kind, state), 0) for kind in one['type'] for state in one['state']) for one in self.lists]


class EachOr(Side):
    name = 'one query each, uid or owner'

    def counts(self, user):
        return [self.ask('SELECT count(*) FROM document WHERE %s AND (security_uid IN (%s) OR owner = %d)' % (
                    criteria(one), in_list(user['uids']), user['id']))[0][0] for one in self.lists]


class EachSplit(Side):
    name = 'one query each, in two parts'

    def counts(self, user):
        return [sum(self.ask('SELECT count(*) FROM document WHERE %s AND %s' % (criteria(one), part))[0][0] for part in parts(user))
            for one in self.lists]


def parts(user):
    """What lets a user see a document, each document in one of them."""
    return ('owner = %d' % user['id'], 'security_uid IN (%s) AND owner <> %d' % (in_list(user['uids']), user['id']))


class Union(Side):
    name = 'one UNION ALL'

    def counts(self, user):
        rows = self.ask(' UNION ALL '.join('SELECT %d, count(*) FROM document WHERE %s AND %s' % (place, criteria(one), part)
                for place, one in enumerate(self.lists) for part in parts(user)))
        found = [0] * len(self.lists)
        for place, count in rows:
            found[place] += count
        return found


class Filter(Side):
    name = 'COUNT FILTER'
    warmed = False  # a minute and more, of the processor

    def counts(self, user):
        columns = ', '.join('count(*) FILTER (WHERE %s)' % criteria(one) for one in self.lists)
        return list(self.ask('SELECT %s FROM document WHERE security_uid IN (%s) OR owner = %d' % (
                    columns, in_list(user['uids']), user['id']))[0])


def nested(lists):
    """ERP5's condition: OR over each different set of states, with all types of its lists within."""
    types = {}
    for one in lists:
        types.setdefault(tuple(one['state']), set()).update(one['type'])
    return ' OR '.join('(%s)' % criteria({'state': states, 'type': sorted(kinds)}) for states, kinds in sorted(types.items()))


class Nested(Side):
    name = 'ERP5, merged conditions'
    source, number = 'document', 'count(*)'

    def counts(self, user):
        return self.dispatch(row for part in parts(user) for row in self.ask(
                'SELECT type, state, %s FROM %s WHERE (%s) AND %s GROUP BY type, state' % (self.number, self.source, nested(self.lists), part)))


class CountTable(Nested):
    name = 'ERP5, table of counts'
    source, number = 'worklist_cache', 'sum(count)'

    def set_up(self):
        self.cursor.execute('CREATE TABLE worklist_cache (count integer, owner integer, security_uid integer, type text, state text)')
        for column in ('type', 'state', 'security_uid', 'owner'):
            self.cursor.execute('CREATE INDEX ON worklist_cache (%s)' % column)
        self.cursor.execute('INSERT INTO worklist_cache SELECT count(*), owner, security_uid, type, state FROM document '
            'WHERE %s GROUP BY owner, security_uid, type, state' % nested(self.lists))
        self.cursor.execute('ANALYZE worklist_cache')
        return True


class View(Side):
    """Of uids alone: with owners it would be as large as the documents. What the user owns is counted as it is."""
    name = 'materialized view'

    def set_up(self):
        self.cursor.execute('CREATE MATERIALIZED VIEW cell AS SELECT security_uid, type, state, count(*) AS count FROM document '
            'GROUP BY security_uid, type, state WITH NO DATA')
        self.cursor.execute('CREATE UNIQUE INDEX ON cell (security_uid, type, state)')
        self.cursor.execute('REFRESH MATERIALIZED VIEW cell')
        self.cursor.execute('ANALYZE cell')
        return True

    def counts(self, user):
        uids = in_list(user['uids'])
        return self.dispatch(self.ask('SELECT type, state, sum(count) FROM cell WHERE security_uid IN (%s) GROUP BY type, state UNION ALL '
                'SELECT type, state, count(*) FROM document WHERE owner = %d AND (security_uid IN (%s)) IS NOT TRUE GROUP BY type, state' % (
                    uids, user['id'], uids)))


SIDES = (EachOr, EachSplit, Union, Filter, Nested, CountTable, View)


def settings(sizes):
    """Small sizes do with the memory of a test's server."""
    return SETTINGS if sizes.judge else {'jit': 'off'}


def server(servers, sizes):
    """A server with the documents, and a cursor there."""
    postgresql = PostgreSQL(servers.folder).initialize()
    with open(postgresql.data / 'postgresql.conf', 'a') as configuration:
        configuration.writelines('%s = %s\n' % one for one in settings(sizes).items())
    servers.start(postgresql.process)
    return postgresql


def fill(cursor, sizes):
    """Seconds of COPY, and of what follows."""
    cursor.execute('CREATE TABLE document (id integer, type text, state text, owner integer, security_uid integer)')
    begin = time.perf_counter()
    with subprocess.Popen(sizes.load('documents'), stdout=subprocess.PIPE) as making:
        cursor.copy_expert('COPY document FROM STDIN', making.stdout)
    copied = time.perf_counter() - begin
    cursor.execute('ALTER TABLE document ADD PRIMARY KEY (id)')
    for columns in INDEXES:
        cursor.execute('CREATE INDEX ON document (%s)' % columns)
    cursor.execute('VACUUM ANALYZE document')
    return copied, time.perf_counter() - begin - copied


def measure(side, users, expected):
    """Seconds for each user of the sample."""
    times = []
    for user, right in zip(users, expected):
        begin = time.perf_counter()
        found = side.counts(user)
        times.append(time.perf_counter() - begin)
        assert found == right, '%s: other counts' % side.name
    return times


def shown(times):
    return ', '.join('%.3f' % one for one in times)


def told(sizes, world):
    """The users of the sample, in words."""
    return ', '.join('%d with %d %s uids' % (one['id'], len(one['uids']), kind) for one, kind in zip(world['users'], KINDS * sizes.sample))


class Ours:
    """A way of ours; the joined one is counted anew beside each of the others."""

    def __init__(self, sizes, url, expected, way='join'):
        self.sizes, self.url, self.expected, self.way = sizes, url, expected, way
        self.times = [[] for _ in expected]

    def count(self):
        for times, found, right in zip(self.times, self.sizes.ask('sql', self.url, self.way), self.expected):
            assert found['counts'] == right, 'the way %s: other counts' % self.way
            times += [one / 1000 for one in found['times'][1:]]

    def seconds(self):
        return [statistics.median(times) for times in self.times]


def rows(servers, sizes):
    world = sizes.ask('lists')
    users, expected = world['users'][:sizes.sample], world['counts']
    postgresql = server(servers, sizes)
    with contextlib.closing(psycopg2.connect(postgresql.uri + 'postgres')) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SET statement_timeout = '%ds'" % DEADLINE_S)
        copied, prepared = fill(cursor, sizes)
        yield figures.row('PostgreSQL: %d documents copied; indexes' % sizes.documents, 's', '%.1f; %.1f' % (copied, prepared),
            peer='indexes on (%s)' % '), ('.join(INDEXES))
        yield figures.row('PostgreSQL: settings of all', '-', '-', peer=' '.join('%s=%s' % one for one in settings(sizes).items()))
        yield figures.row('users of the sample', '-', '-', peer=told(sizes, world))
        mine = Ours(sizes, postgresql.uri + 'postgres', expected)
        each = []
        for kind in SIDES:
            mine.count()
            side = kind(cursor, world['lists'])
            if side.warmed:
                measure(side, users[:1], expected)
            times = measure(side, users, expected)
            if side.setup_s is not None:
                yield figures.row('%s: to make it, again for each refresh' % kind.name, 's', '%.1f' % side.setup_s)
            yield figures.row('%d counts of a user: %s' % (sizes.lists, kind.name), 's', shown(times))
            if kind in (EachOr, EachSplit):
                each.append((kind, times))
        merged = Ours(sizes, postgresql.uri + 'postgres', expected, 'merged')
        merged.count()
    joined = mine.seconds()
    yield figures.row('%d counts of a user: merged' % sizes.lists, 's', shown(merged.seconds()), peer='headroom worklist count --way merged')
    yield figures.row('%d counts of a user: group once and join' % sizes.lists, 's', shown(joined), peer='headroom worklist count')
    yield from ratios(sizes, each, joined)


def ratios(sizes, each, joined):
    for kind, times in each:
        for theirs, ours, uids in zip(times, joined, KINDS):
            yield sizes.at_least('group once and join, against %s, %s uids' % (kind.name, uids), 'times', theirs / ours, 20)
