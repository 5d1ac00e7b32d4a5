"""Connections and cursors of psycopg2 as applications make them, on a real PostgreSQL, inside a request."""
import pytest

from servers import Process
from servers.paths import python, python_path
from servers.recorder import Recorder

APPLICATION = """
import io, sys
import psycopg2, psycopg2.extensions, psycopg2.extras, psycopg2.pool, psycopg2.sql
import headroom.dbapi, headroom.wsgi
headroom.dbapi.instrument(psycopg2)
DSN = sys.argv[1]

def application(environ, start_response):
    start_response("200 OK", [])
    return [str(WAYS[environ["PATH_INFO"]]()).encode()]

def plain():
    with psycopg2.connect(DSN) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 AS one")
            return cursor.fetchall()

def dictionaries():
    connection = psycopg2.connect(DSN, psycopg2.extras.RealDictConnection)
    assert isinstance(connection, psycopg2.extras.RealDictConnection)
    cursor = connection.cursor()
    cursor.execute("SELECT 2 AS two")
    return [dict(row) for row in cursor]

def default_factory():
    connection = psycopg2.connect(DSN, cursor_factory=psycopg2.extras.NamedTupleCursor)
    cursor = connection.cursor()
    assert isinstance(cursor, psycopg2.extras.NamedTupleCursor)
    cursor.execute("SELECT 3 AS three")
    return cursor.fetchone().three

def of_one_cursor():
    cursor = psycopg2.connect(DSN).cursor(None, psycopg2.extras.DictCursor)
    cursor.execute(psycopg2.sql.SQL("SELECT {} AS four").format(psycopg2.sql.Literal(4)))
    return cursor.fetchone()["four"]

def on_the_server():
    cursor = psycopg2.connect(DSN).cursor("mine")
    cursor.execute("SELECT generate_series(1, 50) AS five")
    return sum(row[0] for row in cursor)

def pooled():
    # As Odoo: a connection class of its own, from a pool, set up before it is used.
    class Connection(psycopg2.extensions.connection):
        pass
    pool = psycopg2.pool.ThreadedConnectionPool(1, 2, DSN, connection_factory=Connection)
    connection = pool.getconn()
    connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_REPEATABLE_READ)
    psycopg2.extensions.register_type(psycopg2.extensions.UNICODE, connection)
    cursor = connection.cursor()
    psycopg2.extras.execute_values(cursor, "SELECT * FROM (VALUES %s) AS six", [(1,), (2,)])
    rows = cursor.fetchall()
    connection.commit()
    pool.putconn(connection)
    pool.closeall()
    return rows

def refused():
    cursor = psycopg2.connect(DSN).cursor()
    try:
        cursor.execute("SELECT seven FROM nowhere")
    except psycopg2.errors.UndefinedTable as error:
        cursor.connection.rollback()
        return error.pgcode

WAYS = {"/" + way.__name__: way
    for way in (plain, dictionaries, default_factory, of_one_cursor, on_the_server, pooled, refused)}
served = headroom.wsgi.Middleware(application, route=lambda environ: "way." + environ["PATH_INFO"][1:])
for path in WAYS:
    answer = served({"REQUEST_METHOD": "GET", "PATH_INFO": path, "wsgi.input": io.BytesIO()}, lambda *_: None)
    print(path[1:], b"".join(answer).decode())
"""
ANSWERS = {'plain': '[(1,)]', 'dictionaries': "[{'two': 2}]", 'default_factory': '3', 'of_one_cursor': '4',
    'on_the_server': '1275', 'pooled': '[(1,), (2,)]', 'refused': '42P01'}


@pytest.fixture
def ran(servers):
    """The recorder and the output of a process that went all the ways."""
    recorder = Recorder(servers, methods='way.*')
    (servers.folder / 'ways.py').write_text(APPLICATION)
    environment = {'HEADROOM_PERF_' + key.upper(): value for key, value in recorder.section.items()}
    process = servers.start(Process('ways', [python, 'ways.py', servers.postgresql().uri + 'postgres'], servers.folder,
            {'PYTHONPATH': python_path(), **environment}))
    assert process.wait(60) == 0, process.tail()
    return recorder, process.tail()


def test_every_way_to_a_cursor_gives_its_rows_and_is_recorded_once(ran):
    recorder, output = ran
    assert dict(line.split(' ', 1) for line in output.splitlines()) == ANSWERS
    calls = {call.method: call for call in recorder.calls('way.')}
    assert sorted(calls) == sorted('way.' + way for way in ANSWERS)
    assert {name: sum(call.statements.values()) for name, call in calls.items()} == dict.fromkeys(calls, 1)
    assert all('SELECT' in text for call in calls.values() for text in call.statements)
