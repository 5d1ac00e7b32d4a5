"""`headroom worklist` over the example's files and a real MariaDB: the numbers of PostgreSQL and SQLite, and what is said of mistakes."""
import json
import subprocess

import pytest
import test_worklist

from servers import Servers
from servers.mariadb import MariaDB
from servers.paths import project_root

example = project_root / 'examples' / 'worklist'


@pytest.fixture(scope='module')
def server():
    """One for all tests; each makes its own database."""
    with Servers() as servers:
        mariadb = MariaDB(servers.folder)
        servers.start(mariadb.process)
        yield mariadb
    assert not mariadb.process.group_exists() and not servers.folder.exists()


@pytest.fixture
def shop(server, tmp_path):
    """The example's database, with a login that may only read."""
    server.execute('DROP DATABASE shop; CREATE DATABASE shop')
    server.execute((example / 'schema.sql').read_text())
    server.execute("CREATE OR REPLACE USER reader@'127.0.0.1' IDENTIFIED BY 'lesen'; GRANT SELECT ON shop.* TO reader@'127.0.0.1'")
    return Shop(server, tmp_path)


class Shop(test_worklist.Shop):

    def __init__(self, server, folder):
        self.server = server
        self.folder = folder
        self.file = example / 'worklists.yaml'
        self.url = server.url(user='reader', password='lesen')


def test_every_user_is_told_what_he_may_see(shop):
    for way in ('auto', 'join', 'cells', 'each'):
        assert shop.counts(1, '--way', way) == {'invoice/overdue': 2, 'sale/draft_sales': 5, 'sale/large_in_the_north': 3,
            'sale/late': 5, 'sale/my_drafts': 1}
        assert shop.counts(2, '--way', way) == {'sale/draft_sales': 4, 'sale/late': 4, 'sale/my_drafts': 2}
        assert shop.counts(3, '--way', way, '--all') == {'invoice/overdue': 2, 'invoice/to_post': 1, 'sale/draft_sales': 3,
            'sale/late': 2, 'sale/my_drafts': 1}
    shop.server.execute("UPDATE sale SET state = 'done' WHERE id = 1")
    assert shop.counts(1)['sale/draft_sales'] == 4
    pages = shop.rows('documents', 'late', '--user', 1, '--limit', 2, '--after', 3)
    assert [row['id'] for row in pages] == ['5', '8']
    assert shop.counts(1, '--url', shop.url.replace('mariadb', 'mysql'))['sale/draft_sales'] == 4


def test_the_plan_and_its_statements_are_shown(shop):
    shop.server.execute('ANALYZE TABLE sale, invoice, party')
    done = shop.run('plan', '--user', 1)
    assert done.returncode == 0 and 'note: chosen: ' in done.stderr
    passes = shop.rows('explain', 'sale/late', '--user', 1, '--way', 'join')
    text = passes[-1]['text']
    assert 'COLLATE utf8mb4_nopad_bin' in text and 'JSON_TABLE' in text and 'cancelled' not in text
    assert shop.run('explain', '--user', 1).stdout.startswith('way: the cheapest one that the site allows\njoin: about ')


def test_check_compares_the_definitions_with_the_database(shop):
    done = shop.run('check', '--json')
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)[0]
    assert row['ways'] == 'each, join, cells, merged' and 'live: the log of PostgreSQL alone tells of changes' in row['why not others']
    assert 'note: sale: about 10 documents' in done.stderr
    shop.server.execute('ALTER TABLE sale RENAME COLUMN due_date TO due; ALTER TABLE invoice MODIFY due_date datetime, ENGINE=Aria')
    done = shop.run('check')
    assert done.returncode == 1
    for problem in ("catalog 'sale': column 'due'", 'it is of type datetime; date takes date', 'its engine Aria has no transactions'):
        assert problem in done.stdout


def test_what_the_database_refuses_is_one_line_without_its_password(shop):
    place = '127.0.0.1:%d' % shop.server.port
    for url in ('mariadb://nobody:geheim@%s/shop' % place, 'mariadb://reader:geheim@%s/shop' % place, shop.url.replace('/shop', '/mysql'),
            'mariadb://nobody:geheim@127.0.0.1:1/shop', 'mysql://nobody:geheim@%s' % place):
        done = shop.run('count', '--user', 1, '--url', url)
        assert done.returncode != 0 and 'geheim' not in done.stderr and 'lesen' not in done.stderr and len(done.stderr.splitlines()) == 1
    for user in (77, '1x'):
        done = shop.run('count', '--user', user)
        assert done.returncode != 0 and len(done.stderr.splitlines()) == 1, done.stderr
    shop.server.execute("REVOKE SELECT ON shop.* FROM reader@'127.0.0.1'; GRANT SELECT ON shop.app_user TO reader@'127.0.0.1'")
    done = shop.run('count', '--user', 1)
    assert done.returncode == 1 and 'denied' in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_statement_ends_at_its_deadline(shop):
    hold = subprocess.Popen(['mariadb', '--no-defaults', '--socket=%s' % shop.server.socket, '-u', 'headroom', '-pgeheim', '--unbuffered', '-N', 'shop'],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        hold.stdin.write("LOCK TABLES sale WRITE;\nSELECT 'locked';\n")
        hold.stdin.flush()
        assert hold.stdout.readline() == 'locked\n'
        done = shop.run('count', '--user', 1, '--timeout', '200ms')
    finally:
        hold.kill()
        hold.wait(10)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
    assert 'in time' in done.stderr or 'imeout' in done.stderr or 'max_statement_time' in done.stderr
