"""Plans from a real PostgreSQL 15: of statements as they ran, of those whose values are gone, and of hostile ones, none of which
may change anything."""
import json
import os
import subprocess

import pytest

from servers.recorder import Recorder

sample_store = os.environ['HEADROOM_SAMPLE_STORE']
executable = os.environ['HEADROOM_EXECUTABLE']


@pytest.fixture
def shop(servers):
    """A database with 5,000 parties, a table of rows that must stay, and functions that act."""
    postgresql = servers.postgresql()
    postgresql.create('shop')
    for statement in [
            'CREATE TABLE party (id serial PRIMARY KEY, name text, code text)',
            "INSERT INTO party (name, code) SELECT 'party ' || n, 'c' || n FROM generate_series(1, 5000) n",
            'CREATE INDEX party_code ON party (code)', 'ANALYZE party',
            'CREATE SEQUENCE touched', 'CREATE TABLE kept (id int)', 'INSERT INTO kept VALUES (1)',
            "CREATE FUNCTION touch() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('touched') $$",
            'CREATE VIEW hidden AS SELECT pg_try_advisory_lock(7), touch() AS n',
            'CREATE FUNCTION pretend() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN DELETE FROM kept; RETURN 1; END $$',
            ]:
        postgresql.execute(statement, 'shop')
    return Shop(servers, postgresql)


class Shop:
    def __init__(self, servers, postgresql):
        self.servers, self.postgresql = servers, postgresql
        self.url = postgresql.uri + 'shop'

    def record(self, *statements):
        """A store whose slow statements are these, numbered from 1."""
        self.store = self.servers.store_url('plans')
        subprocess.run([sample_store, self.store, '--slow', 'shop'], input='\n'.join(statements).encode(), check=True)

    def configure(self, url=None):
        path = self.servers.folder / 'headroom.toml'
        path.write_text('[perf]\nstore = "%s"\n[perf.databases]\nshop = "%s"\n' % (self.store, url or self.url))
        return path

    def explain(self, *arguments, url=None):
        return subprocess.run([executable, '--config', self.configure(url), 'explain', '71', *map(str, arguments)],
            capture_output=True, text=True, timeout=60)

    def plan(self, *arguments):
        done = self.explain(*arguments, '--json')
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def is_untouched(self):
        return (self.postgresql.execute('SELECT count(*) FROM kept', 'shop') == ['1']
            and self.postgresql.execute('SELECT is_called FROM touched', 'shop') == ['f']
            and self.postgresql.execute('SELECT count(*) FROM party', 'shop') == ['5000']
            and self.postgresql.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", 'shop') == ['0']
            and self.postgresql.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'headroom'") == ['0'])


def test_a_plan_shows_the_scan_that_an_index_would_spare(shop):
    shop.record("SELECT * FROM party WHERE name = 'party 7'", "SELECT * FROM party WHERE code = 'c7'")
    answer = shop.plan(1)
    worst = answer['plan']['nodes'][answer['worst_scan']]
    assert worst['operation'] == 'Seq Scan' and worst['relation'] == 'party'
    assert 'party 7' in worst['condition']
    assert not answer['plan']['generic'] and not answer['plan']['analyzed']
    served = shop.plan(2)
    assert served['worst_scan'] is None
    assert 'party_code' in [node['index'] for node in served['plan']['nodes']]
    text = shop.explain(1).stdout
    assert text.startswith("SELECT * FROM party WHERE name = 'party 7'\n\nSeq Scan on party  rows")


def test_a_statement_whose_values_are_gone_gets_a_plan_for_any_values(shop):
    shop.record("SELECT * FROM party WHERE code = '***' AND id IN (1, 2, 3) LIMIT 5",
        "UPDATE party SET name = '***' WHERE name = 'x'")
    answer = shop.plan(1)
    assert answer['plan']['generic'] and 'for any values' in answer['note']
    assert '$1' in answer['plan']['statement']
    assert shop.plan(2)['plan']['nodes'][0]['operation'] == 'ModifyTable'
    refused = shop.explain(1, '--analyze')
    assert refused.returncode == 1 and 'values of this statement were removed' in refused.stderr
    assert shop.is_untouched()


def test_a_fingerprint_chooses_a_statement_that_was_not_slow(shop):
    shop.record("SELECT * FROM party WHERE code = 'c7'")
    row, = json.loads(subprocess.run([executable, '--store', shop.store, 'diff', '71', '71', '--by', 'statement', '--json'],
        capture_output=True, text=True, check=True).stdout)['rows']
    assert shop.plan('--fingerprint', row['fingerprint'])['plan']['generic']


def test_analyze_runs_a_select_and_measures_it(shop):
    shop.record("SELECT count(*), random() FROM party WHERE name LIKE 'party 1%'")
    answer = shop.plan(1, '--analyze')
    assert answer['plan']['analyzed'] and answer['plan']['execution_ms'] > 0
    assert answer['plan']['nodes'][-1]['actual_rows'] == 1111
    assert shop.is_untouched()


HOSTILE = [
    'SELECT pg_terminate_backend(pg_backend_pid())',
    "SELECT pg_advisory_lock(7)",
    "SELECT nextval('touched')",
    'SELECT touch()',
    'SELECT * FROM hidden',
    'SELECT pretend()',
    'DELETE FROM kept',
    'WITH gone AS (DELETE FROM kept RETURNING id) SELECT * FROM gone',
    "UPDATE party SET name = 'x'",
    'SELECT * INTO copied FROM kept',
    'SELECT * FROM kept FOR UPDATE',
    "SELECT set_config('transaction_read_only', 'off', false)",
    'SELECT pg_sleep(30)',
    'SELECT lo_create(77)',
    'SELECT 1; DELETE FROM kept',
    'COMMIT; DELETE FROM kept',
    'DROP TABLE kept',
    "COPY kept TO PROGRAM 'touch /tmp/never'",
    'DO $$ BEGIN DELETE FROM kept; END $$',
    ]


def test_nothing_hostile_is_run(shop):
    shop.record(*HOSTILE)
    for rank in range(1, len(HOSTILE) + 1):
        shop.explain(rank)
        done = shop.explain(rank, '--analyze', '--timeout', '2s')
        assert done.returncode in (1, 2), (HOSTILE[rank - 1], done.stdout)
        assert done.stdout == '' and done.stderr.startswith('headroom: ')
    assert shop.is_untouched()
    assert shop.postgresql.execute("SELECT to_regclass('copied') IS NULL", 'shop') == ['t']


def test_a_plan_that_takes_too_long_ends(shop):
    shop.postgresql.execute('CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql STABLE AS '
        '$$ BEGIN PERFORM pg_sleep(30); RETURN 1; END $$', 'shop')
    shop.record('SELECT * FROM party WHERE id = slow(1)')
    done = shop.explain(1, '--timeout', '500ms')
    assert done.returncode == 1
    assert 'timeout' in done.stderr
    assert shop.is_untouched()


def test_what_is_wrong_is_said_without_the_url(shop):
    shop.record('SELECT 1')
    for url in ['postgresql://postgres:secret@127.0.0.1:1/shop', 'postgresql://postgres:sec%zzret@h/shop', 'mysql://u:secret@h/x',
            shop.url.replace('postgres@', 'nobody:secret@')]:
        done = shop.explain(1, url=url)
        assert done.returncode != 0
        assert 'secret' not in done.stderr and 'sec%zz' not in done.stderr
        assert "database 'shop'" in done.stderr
    assert 'no slow statement 9' in shop.explain(9).stderr


def test_advice_names_the_missing_index(shop):
    shop.record("SELECT * FROM party WHERE name = 'party 7'")
    done = subprocess.run([executable, '--config', shop.configure(), 'advice', '71', '--json'], capture_output=True, text=True)
    finding, = json.loads(done.stdout)
    assert finding['kind'] == 'missing_index'
    assert finding['table'] == 'party' and 'name' in finding['remedy']


def test_statements_of_a_trytond_on_sqlite_have_plans(servers):
    """trytond gives its own connections functions that SQLite does not have: EXTRACT for every time stamp, NOW for every write."""
    recorder = Recorder(servers, users='admin', query='0')
    tryton = servers.tryton('sqlite', recorder=recorder.section)
    client = tryton.client(tryton.serve())
    user, = client.call('model.res.user.search', [['login', '=', 'admin']], 0, 1, None)
    record, = client.call('model.res.user.read', [user], ['name', '_timestamp'])
    client.call('model.res.user.write', [user], {'name': record['name'] + ' the first'})
    recorder.wait_for_calls(3, method_prefix='model.res.user.')
    session = recorder.only_session()
    statements = recorder.report('query', session['session'], '--limit', '1000')
    ranks = {row['sql']: rank for rank, row in enumerate(statements, 1)}
    own = {name: [rank for text, rank in ranks.items() if name in text] for name in ('EXTRACT(', 'NOW()')}
    assert all(own.values()), own
    url = 'sqlite://%s/%s.sqlite' % (tryton._database['database_path'], tryton.database)
    for rank in sorted({rank for some in own.values() for rank in some[:5]} | set(list(ranks.values())[:20])):
        plan = recorder.report('explain', session['session'], rank, '--url', url)['plan']
        assert plan['dialect'] == 'sqlite' and len(plan['nodes']) >= 1, statements[rank - 1]
