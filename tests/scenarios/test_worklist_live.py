"""`headroom serve` that counts work lists live, over the example's tables in a real PostgreSQL."""
import asyncio
import contextlib
import http.client
import json
import re
import subprocess

import psycopg2
import pytest

from servers.bus import SECRET, Tab, token
from servers.paths import executable, project_root
from servers.postgresql import PostgreSQL
from servers.process import free_port, wait_until

example = project_root / 'examples' / 'worklist'
READER = 'shop_reader'


class Shop:
    """A database, `headroom serve` over it, and the command line."""

    def __init__(self, servers):
        self.servers = servers
        self.tabs = []
        self.port = free_port()
        self.postgresql = PostgreSQL(servers.folder).initialize()
        servers.start(self.postgresql.process)
        self.postgresql.create('shop')
        with contextlib.closing(psycopg2.connect(self.postgresql.uri + 'shop')) as connection:
            connection.autocommit = True
            connection.cursor().execute((example / 'schema.sql').read_text())
            connection.cursor().execute('CREATE ROLE %s LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO %s' % (READER, READER))
        for name, text in (('token', 'administrator-of-the-shop'), ('bus-secret', SECRET)):
            path = servers.folder / name
            path.write_text(text + '\n')
            path.chmod(0o600)
        self.configuration = servers.folder / 'headroom.toml'
        self.configuration.write_text('\n'.join([
            '[perf]', 'store = "%s"' % servers.store_url(), 'state = "%s"' % (servers.folder / 'state'),
            '[serve]', 'listen = "127.0.0.1:%d"' % self.port, 'token_file = "%s"' % (servers.folder / 'token'),
            '[bus]', 'enabled = true', 'secret_files = ["%s"]' % (servers.folder / 'bus-secret'),
            '[worklist]', 'live = true', 'file = "%s"' % (example / 'worklists.yaml'),
            'url = "%s"' % (self.postgresql.uri.replace('postgres@', READER + '@') + 'shop'), 'rights_age = "1s"', 'push = true']) + '\n')

    @property
    def url(self):
        return 'ws://127.0.0.1:%d/bus/ws' % self.port

    def allow_live(self):
        self.postgresql.execute('ALTER SYSTEM SET wal_level = logical')
        self.postgresql.stop()
        self.postgresql.start()
        self.execute('ALTER ROLE %s REPLICATION' % READER)
        self.execute('CREATE PUBLICATION headroom_worklist FOR TABLE invoice, sale, party WITH (publish_via_partition_root = true)')

    def serve(self, state='current'):
        self.daemon = self.servers.headroom(self.configuration, self.port)
        wait_until(lambda: self.get('/api/worklist')[1]['state'] == state, 30, 'the counters are ' + state)

    def execute(self, statement):
        return self.postgresql.execute(statement, 'shop')

    def run(self, *arguments):
        return subprocess.run([executable(), 'worklist', *map(str, arguments), '--config', self.configuration], capture_output=True,
            text=True, timeout=60, cwd=self.servers.folder)

    def rows(self, *arguments):
        done = self.run(*arguments, '--json')
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def get(self, path, bearer=None):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request('GET', path, headers={'Authorization': 'Bearer ' + bearer} if bearer else {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b'null')

    def counts(self, user, *arguments):
        return {row['list']: row['count'] for row in self.rows('count', '--user', user, *arguments)}


@pytest.fixture
def shop(servers):
    return Shop(servers)


def test_check_names_each_thing_that_is_missing_until_all_lists_are_live(shop):
    done = shop.run('check')
    assert done.returncode == 1
    for missing in ('wal_level is replica; run: ALTER SYSTEM SET wal_level = logical, and restart PostgreSQL',
            'it may not read the log; run: ALTER ROLE "shop_reader" REPLICATION', 'there is none; run, as the owner of the tables: CREATE'):
        assert missing in done.stderr, done.stderr
    # What it says is what is run.
    for statement in re.findall(r'CREATE PUBLICATION.*|ALTER ROLE \S+ REPLICATION|ALTER SYSTEM SET wal_level = logical', done.stderr):
        shop.execute(statement)
    shop.postgresql.stop()
    shop.postgresql.start()
    done = shop.run('check')
    assert done.returncode == 0, done.stderr
    shop.execute('CREATE ROLE log_reader LOGIN REPLICATION')
    shop.configuration.write_text(shop.configuration.read_text() + 'live_url = "%sshop"\n' % shop.postgresql.uri.replace('postgres@', 'log_reader@'))
    rows = {row['list']: row for row in shop.rows('check')}
    assert rows['invoice/overdue']['why not others'].endswith('run, as postgres: GRANT SELECT ON "invoice" TO "log_reader"')
    shop.execute('GRANT SELECT ON invoice TO log_reader; ALTER TABLE invoice DROP CONSTRAINT invoice_pkey')
    rows = {row['list']: row for row in shop.rows('check')}
    assert 'REPLICA IDENTITY FULL' in rows['invoice/overdue']['why not others'] and 'live' not in rows['invoice/overdue']['ways'].split(', ')


def test_the_service_counts_what_statements_count_and_follows_each_change(shop):
    shop.allow_live()
    shop.serve()
    for user in (1, 2, 3):
        assert shop.counts(user, '--live') == shop.counts(user)
    assert {row['way'] for row in shop.rows('count', '--user', 3, '--live') if row['list'].startswith('invoice/')} == {'live'}
    shop.execute("UPDATE invoice SET state = 'draft' WHERE id IN (2, 3)")
    [lsn] = shop.execute('SELECT pg_current_wal_insert_lsn()')
    status, body = shop.get('/worklist/counts?way=live&wait=10s&lsn=' + lsn, token('3'))
    assert status == 200 and {one['list']: one['count'] for one in body['lists']}['invoice/to_post'] == shop.counts(3)['invoice/to_post']
    assert shop.get('/worklist/counts', token('3', secret='0' * 32))[0] == 401
    assert shop.get('/worklist/counts?user=1', token('3'))[0] == 403


def test_watch_prints_what_changes_and_refresh_counts_anew(shop):
    shop.allow_live()
    shop.serve()
    with subprocess.Popen([executable(), 'worklist', 'watch', '--user', '3', '--count', '2', '--json', '--config', shop.configuration],
            stdout=subprocess.PIPE, text=True) as watch:
        state, first = json.loads(watch.stdout.readline()), json.loads(watch.stdout.readline())
        assert state['event'] == 'state' and state['text'] == 'current'
        assert first['counts']['invoice/to_post'] == 1 and first['counts']['invoice/overdue'] == 2
        shop.execute("INSERT INTO invoice VALUES (100, 'out', 'draft', '2999-01-01', 11)")
        assert json.loads(watch.stdout.readline())['counts'] == {'invoice/to_post': 2}
        assert watch.wait(30) == 0
    done = shop.run('watch', '--user', 3, '--count', 1)
    assert 'invoice/to_post\t2\n' in done.stdout and 'current' in done.stderr
    assert shop.run('refresh').returncode == 0
    wait_until(lambda: shop.get('/api/worklist')[1]['rebuilds'] == 1 and shop.get('/api/worklist')[1]['state'] == 'current', 30, 'it is rebuilt')
    assert shop.run('watch', '--user', 99).returncode == 1


def test_a_user_hears_of_his_counts_in_his_channel_of_the_bus(shop):
    shop.allow_live()
    shop.serve()

    async def story():
        tab = Tab(shop, '3')
        await tab.open()
        await tab.subscribe('user:3')
        first, = await tab.wait_for(1)
        assert first['type'] == 'worklist' and first['counts']['invoice/to_post'] == 1
        shop.execute("INSERT INTO invoice VALUES (100, 'out', 'draft', '2999-01-01', 11), (101, 'out', 'draft', '2999-01-01', 10)")
        assert (await tab.wait_for(2))[1]['counts'] == {'invoice/to_post': 2}
        await tab.close()
    asyncio.run(story())


def test_a_database_that_is_restarted_and_a_table_that_is_altered_lead_to_right_numbers(shop):
    shop.allow_live()
    shop.serve()
    shop.postgresql.stop()
    wait_until(lambda: shop.get('/api/worklist')[1]['state'] == 'rebuilding', 30, 'the loss is told')
    assert shop.get('/api/worklist')[1]['problem']
    shop.postgresql.start()
    shop.execute("UPDATE invoice SET state = 'draft' WHERE id = 3")
    shop.execute("ALTER TABLE invoice ALTER COLUMN state TYPE text USING upper(state)")
    shop.execute("INSERT INTO invoice VALUES (200, 'out', 'draft', '2999-01-01', 11)")
    [lsn] = shop.execute('SELECT pg_current_wal_insert_lsn()')
    wait_until(lambda: shop.get('/worklist/counts?way=live&wait=10s&lsn=' + lsn, token('3'))[0] == 200, 30, 'it has caught up')
    assert shop.counts(3, '--live', '--all')['invoice/to_post'] == shop.counts(3, '--all')['invoice/to_post'] == 1


def test_a_service_that_may_not_count_live_says_so_and_counts_by_statements(shop):
    shop.serve('away')
    status = shop.get('/api/worklist')[1]
    assert 'REPLICATION' in status['problem'] or 'wal_level' in status['problem'] or 'PUBLICATION' in status['problem'], status
    assert shop.counts(1, '--live') == shop.counts(1)
    assert {row['way'] for row in shop.rows('count', '--user', 1, '--live')} == {'sql'}
