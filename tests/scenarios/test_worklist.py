"""`headroom worklist` over the example's files and a real PostgreSQL: what each user is told, and what is said of mistakes."""
import contextlib
import json
import os
import subprocess

import psycopg2
import pytest

from servers.paths import project_root
from servers.postgresql import PostgreSQL

executable = os.environ['HEADROOM_EXECUTABLE']
example = project_root / 'examples' / 'worklist'
READER = 'shop_reader'


@pytest.fixture
def shop(servers):
    """The example's database, with a role that may only read."""
    postgresql = PostgreSQL(servers.folder).initialize()
    servers.start(postgresql.process)
    postgresql.create('shop')
    with contextlib.closing(psycopg2.connect(postgresql.uri + 'shop')) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute((example / 'schema.sql').read_text())
        cursor.execute('CREATE ROLE %s LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO %s' % (READER, READER))
    return Shop(servers, postgresql)


class Shop:
    def __init__(self, servers, postgresql):
        self.folder = servers.folder
        self.postgresql = postgresql
        self.url = postgresql.uri.replace('postgres@', READER + '@') + 'shop'
        self.file = example / 'worklists.yaml'

    def run(self, command, *arguments):
        """With the shop's file and URL where the arguments name none."""
        for option, value in (('--file', self.file), ('--url', self.url)):
            if option not in arguments:
                arguments += (option, value)
        return subprocess.run([executable, 'worklist', command, *map(str, arguments)], capture_output=True, text=True, timeout=60,
            cwd=self.folder)

    def rows(self, command, *arguments):
        done = self.run(command, *arguments, '--json')
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def counts(self, user, *arguments):
        return {row['list']: row['count'] for row in self.rows('count', '--user', user, *arguments)}

    def edit(self, what, by):
        text = self.file.read_text()
        assert what in text
        self.file = self.folder / 'worklists.yaml'
        self.file.write_text(text.replace(what, by))


@pytest.mark.parametrize('way', ['auto', 'join', 'cells', 'merged', 'each'])
def test_every_user_is_told_what_he_may_see(shop, way):
    assert shop.counts(1, '--way', way) == {'invoice/overdue': 2, 'sale/draft_sales': 5, 'sale/large_in_the_north': 3,
        'sale/late': 5, 'sale/my_drafts': 1}
    assert shop.counts(2, '--way', way) == {'sale/draft_sales': 4, 'sale/late': 4, 'sale/my_drafts': 2}
    assert shop.counts(3, '--way', way, '--all') == {'invoice/overdue': 2, 'invoice/to_post': 1, 'sale/draft_sales': 3,
        'sale/late': 2, 'sale/my_drafts': 1}


def test_a_change_is_counted_at_once_and_the_url_repeats_its_parameter(shop):
    before = shop.counts(1)['sale/draft_sales']
    shop.postgresql.execute("UPDATE sale SET state = 'done' WHERE id = 1", 'shop')
    [row] = [row for row in shop.rows('count', '--user', 1) if row['list'] == 'sale/draft_sales']
    assert row['count'] == before - 1
    assert row['title'] == 'Draft sales (%d)' % (before - 1)
    assert row['url'] == 'sale?state:list=draft&state:list=quotation'


def test_documents_come_page_by_page_and_as_many_as_are_counted(shop):
    pages, after = [], ()
    while True:
        page = [row['id'] for row in shop.rows('documents', 'late', '--user', 1, '--limit', 3, *after)]
        if not page:
            break
        pages += page
        after = ('--after', page[-1])
    assert pages == ['1', '3', '5', '8', '10'] and len(pages) == shop.counts(1)['sale/late']


def test_rights_of_a_user_from_elsewhere(shop):
    path = shop.folder / 'user.json'
    path.write_text(json.dumps({'id': 1, 'roles': ['Manager'], 'security_uids': [13]}))
    rows = shop.rows('count', '--user-file', path)
    assert {row['list']: row['count'] for row in rows} == {'sale/draft_sales': 1, 'sale/large_in_the_north': 1,
        'sale/late': 2, 'sale/my_drafts': 1}
    path.write_text('{"id": 1, "role": "Manager"}')
    done = shop.run('count', '--user-file', path)
    assert done.returncode == 2 and "unknown key 'role'; accepted: id, roles" in done.stderr


def test_the_plan_says_what_is_counted_how_and_what_is_not(shop):
    rows = {row['list']: row for row in shop.rows('plan', '--user', 2)}
    assert rows['sale/late']['fate'] == 'counted' and rows['sale/late']['statement'] == rows['sale/draft_sales']['statement']
    assert rows['sale/my_drafts']['statement'] != rows['sale/late']['statement']
    assert rows['sale/large_in_the_north']['fate'] == 'hidden' and 'Manager' in rows['sale/large_in_the_north']['why']
    assert rows['invoice/to_post']['fate'] == 'zero' and rows['invoice/to_post']['statement'] is None
    rows = {row['list']: row for row in shop.rows('plan', '--user', 2, '--way', 'merged')}
    assert len(rows['sale/late']['statement'].split(', ')) == 2, 'one for each column that shows documents'


def test_explain_shows_each_pass_and_no_value_within_a_statement(shop):
    passes = shop.rows('explain', 'sale/late', '--user', 1, '--way', 'join')
    assert [row['pass'] for row in passes] == ['guard', 'dates', 'impossible', 'scope', 'group', 'keys', 'shapes', 'join']
    assert 'late: state not_in cancelled, done or null and due below 20' in passes[1]['text']
    assert 'cancelled' not in passes[-1]['text'] and 'GROUP BY' in passes[-1]['text']
    passes = shop.rows('explain', '--user', 1, '--way', 'merged')
    assert [row['pass'] for row in passes] == ['guard', 'dates', 'impossible', 'scope', 'extract', 'criteria', 'nest', 'dispatch', 'merged',
        'actions']
    assert 'sale/late: state not_in cancelled, done or null and due below ' in passes[4]['text']
    assert 'sale/draft_sales: Draft sales (%(count)s), sale?state:list=%(state)s\n' in passes[-1]['text']
    text = shop.run('explain', 'late', '--user', 1, '--way', 'each').stdout
    assert 'each: a statement for each list\n' in text and 'SELECT count(*) FROM "sale"' in text


def test_the_way_is_chosen_by_what_the_database_knows_of_its_tables(shop):
    def told(*arguments):
        return shop.run('plan', '--user', 1, *arguments).stderr
    assert 'note: chosen: join, nothing is known of the size of invoice, sale; ANALYZE tells it\n' in told()
    shop.postgresql.execute('ANALYZE', 'shop')
    assert 'note: chosen: cells, the cheapest\n' in told() and 'chosen:' not in told('--way', 'join')
    assert 'chosen: each, the cheapest\n' in shop.run('explain', 'sale/late', '--user', 1).stdout
    shop.postgresql.execute("INSERT INTO sale (id, state, security_uid) SELECT n, 'done', 10 FROM generate_series(1000, 200000) AS n",
        'shop')
    shop.postgresql.execute('ANALYZE sale', 'shop')
    text = shop.run('explain', '--user', 1).stdout
    assert text.startswith('way: the cheapest one that the site allows\njoin: about ') and 'documents\nchosen: ' in text
    assert ' that read 398028 documents\n' in text
    assert 'note: sale: about 199011 documents\n' in shop.run('check').stderr
    run = configured(shop, file=shop.file, url=shop.url, ways=['each'])
    assert 'note: chosen: each, the site allows no other\n' in run('plan', '--user', 1).stderr
    row = json.loads(run('check', '--json').stdout)[0]
    assert row['ways'] == 'each' and row['why not others'].startswith('live: the server: wal_level is replica; run: ')
    assert row['why not others'].endswith('; join: the site does not allow it; cells: the site does not allow it; merged: the site does not allow it')
    done = run('count', '--user', 1, '--way', 'join')
    assert done.returncode == 2 and '--way join: ways in [worklist] of headroom.toml allows each' in done.stderr


def test_check_compares_the_definitions_with_the_database(shop):
    done = shop.run('check')
    assert done.returncode == 0, done.stderr
    shop.postgresql.execute('ALTER TABLE sale RENAME COLUMN due_date TO due', 'shop')
    done = shop.run('check')
    assert done.returncode == 1 and "catalog 'sale': column 'due'" in done.stdout
    shop.edit('due: {type: date, column: due_date}\n      party', 'due: date\n      party')
    assert shop.run('check').returncode == 0


def test_a_mistake_in_the_file_is_one_line(shop):
    shop.edit('state: posted', 'status: posted')
    done = shop.run('check')
    assert done.returncode == 1 and done.stdout == ''
    [line] = done.stderr.splitlines()
    assert "worklists.yaml:" in line and "list 'invoice/overdue': catalog 'invoice' has no column 'status'; it has id," in line
    assert shop.run('count', '--user', 1).returncode == 2


def test_a_database_that_is_not_there_or_refuses_is_told_without_its_password(shop):
    done = shop.run('count', '--user', 1, '--url', 'postgresql://nobody:geheim@127.0.0.1:%d/none' % shop.postgresql.port)
    assert done.returncode == 1 and 'geheim' not in done.stderr and len(done.stderr.splitlines()) == 1
    done = shop.run('count', '--user', 77)
    assert done.returncode == 1 and "there is no user '77'" in done.stderr
    shop.postgresql.execute('REVOKE SELECT ON sale FROM %s' % READER, 'shop')
    done = shop.run('count', '--user', 1)
    assert done.returncode == 1 and 'permission denied' in done.stderr


def test_a_statement_ends_at_its_deadline(shop):
    with contextlib.closing(psycopg2.connect(shop.postgresql.uri + 'shop')) as connection:
        connection.cursor().execute('LOCK TABLE sale')
        done = shop.run('count', '--user', 1, '--timeout', '200ms')
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1


def test_filters_of_odoo_become_lists_that_count_what_odoo_would(shop):
    shop.postgresql.execute("""CREATE TABLE ir_filters (id integer, name jsonb, model_id varchar, domain text, context text, user_id integer,
        active boolean)""", 'shop')
    shop.postgresql.execute("""INSERT INTO ir_filters VALUES
        (1, '{"en_US": "Not done", "fr_FR": "Pas fini"}', 'sale', '[(''state'', ''!='', ''done'')]', '{}', NULL, true),
        (2, '{"en_US": "Of one user"}', 'sale', '[]', '{}', 5, true),
        (3, '{"en_US": "Like"}', 'sale', '[(''state'', ''ilike'', ''x'')]', '{}', NULL, true),
        (4, '{"en_US": "Off"}', 'sale', '[]', '{}', NULL, false)""", 'shop')
    done = shop.run('import')
    assert done.returncode == 1 and 'permission denied' in done.stderr
    shop.postgresql.execute('GRANT SELECT ON ir_filters TO %s' % READER, 'shop')
    done = shop.run('import')
    assert done.returncode == 0 and done.stderr == 'note: filter 3 Like: state: no list can say the operator ilike\n'
    text = shop.file.read_text()
    shop.file = shop.folder / 'worklists.yaml'
    shop.file.write_text(text + done.stdout)
    assert shop.run('check').returncode == 0
    [row] = [row for row in shop.rows('count', '--user', 1) if row['list'] == 'sale/filter_1']
    assert row['title'] == 'Not done (%d)' % row['count']
    assert [row['count']] == [int(one) for one in shop.postgresql.execute("""SELECT count(*) FROM sale
        WHERE (state <> 'done' OR state IS NULL) AND (owner = 1 OR security_uid IN (10, 11, 12))""", 'shop')]


def configured(shop, **keys):
    """Runs without options, by a headroom.toml in the folder above that of the command."""
    folder = shop.folder / 'etc'
    folder.mkdir(exist_ok=True)
    (folder / 'headroom.toml').write_text('[worklist]\n' + ''.join('%s = %s\n' % (key, json.dumps(value, default=str)) for key, value in keys.items()))

    def run(command, *arguments):
        return subprocess.run([executable, '--config', 'etc/headroom.toml', 'worklist', command, *map(str, arguments)],
            capture_output=True, text=True, timeout=60, cwd=shop.folder)
    return run


def test_a_site_says_once_where_everything_is(shop):
    shop.edit('Draft sales', 'Drafts')
    shop.file.rename(shop.folder / 'lists.yaml')
    run = configured(shop, file='../lists.yaml', url=shop.url, timeout='5s')
    assert run('check').returncode == 0
    done = run('count', '--user', 1, '--json')
    assert done.returncode == 0, done.stderr
    assert {row['list']: row['title'] for row in json.loads(done.stdout)}['sale/draft_sales'] == 'Drafts (5)'
    assert len(run('documents', 'late', '--user', 1).stdout.splitlines()) > 5
    assert 'GROUP BY' in run('explain', '--user', 1).stdout
    assert 'counted' in run('plan', '--user', 2).stdout


def test_users_may_be_in_another_database(shop):
    shop.postgresql.create('people', template='shop')
    for table in ('user_role', 'user_group', 'user_security', 'app_user'):
        shop.postgresql.execute('DROP TABLE %s CASCADE' % table, 'shop')
    run = configured(shop, file=shop.file, url=shop.url)
    done = run('check')
    assert done.returncode == 1 and 'users: roles' in done.stdout
    run = configured(shop, file=shop.file, url=shop.url, users_url=shop.url.removesuffix('shop') + 'people')
    assert run('check').returncode == 0
    assert {row['list']: row['count'] for row in json.loads(run('count', '--user', 2, '--json').stdout)} == {
        'sale/draft_sales': 4, 'sale/late': 4, 'sale/my_drafts': 2}


@pytest.mark.parametrize('keys, problem', [
    ({'url': 'oracle://root:geheim@localhost/shop'}, '2: worklist.url: expected a URL: postgresql://'),
    ({'database': 'shop'}, "2: worklist.database: 'shop' is not in [perf.databases], which has none"),
    ({'timeout': '0s'}, '2: worklist.timeout: expected a span from 1ms to 10m'),
    ({'ways': ['join', 'guess']}, "2: worklist.ways: unknown way 'guess'; accepted: each, join, cells, merged"),
    ({'application': 'javascript:alert(1)'}, '2: worklist.application: expected the address of the application: https://erp.example.com/'),
    ({'ways': []}, '2: worklist.ways: expected at least one of each, join, cells, merged'),
    ({'files': 'worklists.yaml'}, '2: worklist.files: unknown key'),
    ({}, 'no definitions: --file, or file in [worklist] of headroom.toml, names worklists.yaml'),
    ])
def test_a_mistake_in_the_section_is_one_line(shop, keys, problem):
    done = configured(shop, **keys)('count', '--user', 1)
    assert done.returncode == 2 and 'geheim' not in done.stderr
    [line] = done.stderr.splitlines()
    assert problem in line
