"""Connections and cursors that record, in a Python of their own: the drivers are changed for good."""
from programs import WITHOUT_NATIVE, run

BEGIN = """
import sqlite3, psycopg2, psycopg2.extras, psycopg2.extensions, fake_native
import headroom.dbapi
headroom.dbapi.instrument(sqlite3, psycopg2)
headroom.dbapi.instrument(sqlite3, psycopg2)
call = fake_native.begin("route", "x")
sql = call.entry["sql"]
"""


def test_every_way_to_run_a_statement_on_sqlite_is_recorded_once():
    assert run(BEGIN + """
connection = sqlite3.connect(":memory:")
connection.execute("create table t(a)")
with connection:
    connection.execute("insert into t values(?)", (1,))
cursor = connection.cursor()
assert cursor.execute("select a from t") is cursor
assert cursor.fetchall() == [(1,)] and cursor.connection is connection
connection.commit()
connection.rollback()
assert isinstance(connection, sqlite3.Connection) and isinstance(cursor, sqlite3.Cursor)
assert sqlite3.connect is sqlite3.dbapi2.connect
print(sql, call.entry["commits"], call.entry["rollbacks"], call.entry["connections"])
""") == "['create table t(a)', 'insert into t values(?)', 'select a from t'] 2 1 1"


def test_the_context_of_a_connection_rolls_back_and_its_error_passes():
    assert run(BEGIN + """
connection = sqlite3.connect(":memory:")
connection.execute("create table t(a)")
try:
    with connection:
        connection.execute("insert into t values(1)")
        raise KeyError("mine")
except KeyError as error:
    print(error, connection.execute("select count(*) from t").fetchone())
""") == "'mine' (0,)"


def test_classes_of_the_application_stay_in_force():
    assert run(BEGIN + """
class Cursor(sqlite3.Cursor):
    def execute(self, statement, *args):
        # As Django does: by name, past the class that records.
        return sqlite3.Cursor.execute(self, statement.replace("%s", "?"), *args)

class Connection(sqlite3.Connection):
    def cursor(self, factory=None):
        return super().cursor(Cursor)

for connection in (sqlite3.connect(":memory:", factory=Connection),
        sqlite3.connect(":memory:", 5.0, 0, None, True, Connection)):
    cursor = connection.cursor()
    cursor.execute("select %s", (3,))
    assert isinstance(connection, Connection) and isinstance(cursor, Cursor), (connection, cursor)
    assert cursor.fetchone() == (3,)
plain = sqlite3.connect(":memory:").cursor(Cursor)
plain.execute("select %s", (4,))
again = sqlite3.connect(":memory:").cursor(type(plain))
assert type(again) is type(plain)
print(sql)
""") == "['select %s', 'select %s', 'select %s']"


def test_a_factory_that_is_no_class_is_left_alone():
    assert run(BEGIN + """
made = []
def factory(*args, **kwargs):
    made.append(1)
    return sqlite3.Connection(*args, **kwargs)
connection = sqlite3.connect(":memory:", factory=factory)
connection.execute("select 1")
print(made, sql, type(connection).__module__)
""") == "[1] [] sqlite3"


def test_an_application_that_makes_classes_without_end_gets_its_own_back():
    assert run(BEGIN + """
for number in range(200):
    sqlite3.connect(":memory:", factory=type("Connection", (sqlite3.Connection,), {})).execute("select 1")
print(len(sql) < 70, len(sql) > 60)
""") == "True True"


def test_the_cursors_of_psycopg2_are_chosen_as_before_and_record():
    """No server is needed to see which classes would be made."""
    assert run(BEGIN + """
seen = []
psycopg2._connect = lambda dsn, connection_factory=None, **kwargs: seen.append(connection_factory) or Fake()
class Fake:
    cursor_factory = None

class Own(psycopg2.extensions.connection):
    pass

psycopg2.connect("dbname=x")
psycopg2.connect(dbname="x", connection_factory=Own, cursor_factory=psycopg2.extras.DictCursor)
psycopg2.connect("dbname=x", psycopg2.extras.RealDictConnection)
psycopg2.connect("dbname=x", lambda dsn: None)
plain, own, dicts, function = seen
recording = plain
assert issubclass(plain, psycopg2.extensions.connection) and plain is not psycopg2.extensions.connection
assert own.__mro__[1:3] == (Own, recording) and own.__name__ == "Own"
assert dicts.__mro__[1:3] == (psycopg2.extras.RealDictConnection, recording)
assert not isinstance(function, type)
print(call.entry["connections"])
""") == "4"


def test_a_driver_that_is_not_known_is_named():
    said = run("""
        import headroom.dbapi, json
        headroom.dbapi.instrument(json)
        print(logged)
        """)
    assert "headroom.dbapi knows psycopg2 and sqlite3, not json" in said


def test_without_the_native_module_the_drivers_stay_and_one_line_says_so():
    said = run("""
        import sqlite3, headroom.dbapi, headroom.wsgi
        connect = sqlite3.connect
        headroom.dbapi.instrument(sqlite3)
        assert sqlite3.connect is connect
        application = headroom.wsgi.Middleware(lambda environ, start_response: [b"fine"])
        assert application({"REQUEST_METHOD": "GET"}, None) == [b"fine"]
        print(logged)
        """, preamble=WITHOUT_NATIVE)
    assert said.count("nothing is recorded") == 1
