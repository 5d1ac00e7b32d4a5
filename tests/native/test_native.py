"""What only the native module can get wrong: it is driven here as the adapters drive it."""
import ast
import sqlite3

CURSOR = """
start(db=['*'])
Cursor = native.cursor_class(sqlite3.Cursor, 'sqlite')
connection = sqlite3.connect(':memory:', isolation_level='IMMEDIATE')
connection.execute('CREATE TABLE thing (name UNIQUE)')
"""


def test_a_setting_out_of_its_bounds_is_named(run):
    said = run("""
        for key, value in (('body_limit', 1 << 80), ('buffer_limit', 0), ('flush_interval', 1e30), ('query', 'nan')):
            settings = {'broker': 'sqlite://%s/perf.sqlite' % folder, 'state': folder}
            settings.update({'rules': [{'query': float(value)}]} if key == 'query' else {key: value})
            try:
                native.start(settings)
            except ValueError as error:
                print(key, str(error).startswith('start: %s is' % key))
        """)
    assert said.splitlines() == ['body_limit True', 'buffer_limit True', 'flush_interval True', 'query True']


def test_a_failed_login_keeps_a_database_only_when_it_was_opened(run):
    run("""
        start()
        native.database_opened('demo')
        for database in ('demo', 'made-up-1', 'made-up-2'):
            native.begin('login', 'common.db.login', database).close(401)
        assert native.stop(10)
        """)
    assert b'login:demo' in run.stored() and b'made-up' not in run.stored()


def test_no_part_of_a_token_that_a_cut_went_through_is_stored(run):
    run(CURSOR + """
cursor = connection.cursor(Cursor)
for before in range(900, 1001):
    with call():
        cursor.execute('SELECT name FROM thing WHERE name = ?', ('z ' * (before // 2) + ' ' * (before % 2) + token,))
with call():
    cursor.execute('SELECT name FROM thing WHERE name = ?', ('y' * 5000,))
assert native.stop(10)
""")
    stored = run.stored()
    assert run.token[:6].encode() not in stored
    assert b'z z z' in stored and b'yyyyyy' in stored


def test_a_task_within_a_request_has_a_profile_and_is_in_that_of_the_request(run):
    said = run("""
        start(profile=['*'])
        def work():
            return sum(range(1000))
        def task():
            with call('model.inner', 'task', claim=False):
                work()
        with call('model.outer'):
            task()
        assert native.flush(10)
        print(native.status()['errors'])
        assert native.stop(10)
        """)
    assert said == '0'
    with sqlite3.connect(str(run.folder / 'perf.sqlite')) as connection:
        profiles, = connection.execute("SELECT count(*) FROM call WHERE has & 1").fetchone()
    assert profiles == 2


def test_a_child_reads_its_own_memory_and_not_that_of_its_parent(run):
    said = run("""
        def read():
            with call():
                pass
            links = [os.readlink('/proc/self/fd/' + name) for name in os.listdir('/proc/self/fd/')
                if os.path.lexists('/proc/self/fd/' + name)]
            return [link for link in links if link.endswith('/statm')] == ['/proc/%d/statm' % os.getpid()]

        start()
        assert read()
        assert native.flush(10)
        child = os.fork()
        if not child:
            own = read()
            native.stop(10)
            os._exit(0 if own else 1)
        print(os.waitpid(child, 0)[1], read())
        assert native.stop(10)
        """)
    assert said == '0 True'


STATEMENTS = ["INSERT INTO nowhere VALUES (1)", "INSERT INTO thing VALUES (", "INSERT INTO thing VALUES (1)",
    "INSERT INTO thing VALUES ('taken')", "UPDATE thing SET name = 2", "INSERT INTO thing VALUES (?)",
    "DELETE FROM thing; DELETE FROM thing", "REPLACE INTO thing VALUES (3)", "INSERTX", "-- x\nDELETE FROM thing"]


def test_sqlite_is_left_as_without_the_recorder_whatever_a_statement_does(run):
    said = run(CURSOR + """
def behave(factory, statement):
    connection = sqlite3.connect(':memory:', isolation_level='IMMEDIATE')
    connection.execute('CREATE TABLE thing (name UNIQUE)')
    connection.execute("INSERT INTO thing VALUES ('taken')")
    connection.commit()
    cursor = connection.cursor(factory)
    cursor.execute('SELECT name FROM thing')
    try:
        cursor.execute(statement)
    except sqlite3.Error as error:
        said = repr(error)
    else:
        said = 'fine'
    return said, connection.in_transaction, cursor.rowcount, cursor.lastrowid, cursor.description

for statement in %r:
    with call():
        recorded = behave(Cursor, statement)
    print((statement, recorded, behave(sqlite3.Cursor, statement)))
assert native.stop(10)
""" % STATEMENTS)
    for line in said.splitlines():
        statement, recorded, stock = ast.literal_eval(line)
        assert recorded == stock, statement
    assert len(said.splitlines()) == len(STATEMENTS)
