"""Who waits for whose lock: calls of a real trytond on PostgreSQL that lock the same rows, and a session that is no call."""
import json
import subprocess
import threading
import urllib.request

import psycopg2
import pytest

from servers import free_port
from servers.paths import executable, run_headroom
from servers.process import wait_until
from servers.recorder import THING, Recorder

HOSTILE = '\x1b[31mred\x1b[0m <b>&"\''


@pytest.fixture
def recorder(servers):
    made = Recorder(servers, users='admin')
    made.tryton = servers.tryton('postgresql', recorder=made.section)
    made.server = made.tryton.serve()
    made.uri = servers.postgresql().uri + made.tryton.database
    write_databases(made, made.uri)
    return made


def write_databases(recorder, url):
    recorder.configuration.write_text('[perf]\nstore = "%s"\nstate = "%s"\n[perf.databases]\n%s = "%s"\n' % (
            recorder.url, recorder.state, recorder.tryton.database, url))


@pytest.fixture
def holder(recorder):
    """A session as a person leaves it in psql: it has written row 1 and waits for nothing but the person. Asked for behind `begin`, it
    ends before calls are waited for."""
    connection = psycopg2.connect(recorder.uri, application_name=HOSTILE)
    connection.cursor().execute("UPDATE headroom_test_thing SET name = 'held by hand' WHERE id = 1")
    yield connection
    connection.close()


@pytest.fixture
def begin(recorder):
    """Begins a call on a thread of its own; all are waited for in the end."""
    client = recorder.tryton.client(recorder.server)
    threads = []

    def call(method, *arguments):
        thread = threading.Thread(target=client.clone().call, args=(THING + method, *arguments))
        thread.start()
        threads.append(thread)
    yield call
    for thread in threads:
        thread.join()


def block(recorder, *arguments):
    return run_headroom('block', '--json', '--config', recorder.configuration, *arguments)


def wait_for_sessions(recorder, number):
    """The tree, as soon as it has so many and the calls of those that wait are known with their names: running calls are read before
    the database is asked, so one that began in between, or was not named yet, is seen at the next look."""
    def enough():
        view = block(recorder)
        known = all(method_of(session) for session in view['sessions'] if session['depth'])
        return view if len(view['sessions']) == number and known else None
    return wait_until(enough, 20, '%d sessions in the tree' % number)


def method_of(session):
    return session['call'] and session['call']['method'].removeprefix(THING)


def test_two_calls_that_lock_the_same_row(recorder, begin):
    begin('hold_lock', 8, 1)
    wait_until(recorder.running, 20, 'the call that holds')
    begin('change', [4], 5, 1)
    view = wait_for_sessions(recorder, 2)
    holding, waiting = view['sessions']
    assert (method_of(holding), method_of(waiting)) == ('hold_lock', 'change')
    assert (holding['depth'], waiting['depth']) == (0, 1)
    assert waiting['waits_for'] == [holding['backend']]
    assert holding['call']['activity'] == 'code' and waiting['call']['activity'] == 'sql'
    assert waiting['call']['user'] == 'admin' and waiting['call']['process'] == recorder.server.pid
    assert holding['call']['thread'] != waiting['call']['thread']
    assert waiting['waiting'] >= 0 and 'transactionid' in waiting['lock']
    assert 'UPDATE "headroom_test_thing"' in waiting['statement'] and '%s' in waiting['statement']
    assert holding['state'] == 'idle in transaction'
    assert view['problems'] == []


def test_a_chain_behind_a_session_that_is_no_call(recorder, begin, holder):
    begin('lock_in_order', [2, 1])
    wait_for_sessions(recorder, 2)
    begin('lock_in_order', [3, 2])
    wait_for_sessions(recorder, 3)
    begin('change', [4], 5, 3)
    view = wait_for_sessions(recorder, 4)
    assert [session['depth'] for session in view['sessions']] == [0, 1, 2, 3]
    assert [method_of(session) for session in view['sessions']] == [None, 'lock_in_order', 'lock_in_order', 'change']
    assert [session['waits_for'] for session in view['sessions'][1:]] == [[session['backend']] for session in view['sessions'][:3]]
    person = view['sessions'][0]
    assert person['state'] == 'idle in transaction' and person['transaction'] > 0
    assert person['backend'] == holder.info.backend_pid
    assert 'held by hand' not in person['statement'] and 'headroom_test_thing' in person['statement']


def test_top_and_the_daemon_say_by_whom_a_call_is_blocked(recorder, servers, begin, holder):
    port = free_port()
    with open(recorder.configuration, 'a') as configuration:
        configuration.write('\n[serve]\nlisten = "127.0.0.1:%d"\n' % port)
    servers.headroom(recorder.configuration, port)
    begin('change', [4], 5, 1)

    def blocked():
        view = run_headroom('top', '--once', '--json', '--config', recorder.configuration)
        return next((view for call in view['running'] if call['blocked_by']), None)
    view = wait_until(blocked, 20, 'the blocked call')
    text = run_headroom('top', '--once', '--config', recorder.configuration, '--width', '240')
    table = run_headroom('block', '--config', recorder.configuration)
    with urllib.request.urlopen('http://127.0.0.1:%d/api/perf/blocking' % port) as answer:
        served = json.load(answer)
    call, = [call for call in view['running'] if call['method'] == THING + 'change']
    assert 'idle in transaction' in call['blocked_by'] and str(holder.info.backend_pid) in call['blocked_by']
    assert [session['depth'] for session in view['blocking']['sessions']] == [0, 1]
    assert 'blocked by' in text and 'idle in transaction' in text
    for shown in (text, table):
        assert '\x1b' not in shown, 'an application may call itself anything'
    assert 'red' in table and '<b>' in table and '\n  ' + THING + 'change' in table
    assert [session['backend'] for session in served['sessions']] == [session['backend'] for session in view['blocking']['sessions']]


def sessions_of_headroom(servers):
    return servers.postgresql().execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'headroom'") != ['0']


def test_nobody_is_asked_when_nobody_looks(recorder, servers, begin, holder):
    port = free_port()
    with open(recorder.configuration, 'a') as configuration:
        configuration.write('\n[serve]\nlisten = "127.0.0.1:%d"\n' % port)
    servers.headroom(recorder.configuration, port)
    begin('change', [4], 5, 1)
    wait_until(recorder.running, 20, 'the call that waits')
    assert not sessions_of_headroom(servers)


def refused(recorder, *arguments):
    done = subprocess.run([executable(), 'block', '--config', recorder.configuration, *arguments], capture_output=True, text=True,
        timeout=60)
    assert done.returncode != 0 and done.stdout == '' and len(done.stderr.splitlines()) == 1
    assert 'secret' not in done.stderr
    return done.stderr


def test_what_is_wrong_is_one_line(recorder, servers, holder):
    write_databases(recorder, 'postgresql://postgres:secret@127.0.0.1:1/shop')
    assert "database '%s': " % recorder.tryton.database in refused(recorder)
    write_databases(recorder, recorder.uri.replace('postgres@', 'nobody:secret@'))
    assert '"nobody" does not exist' in refused(recorder)
    write_databases(recorder, 'sqlite:///nowhere')
    assert 'postgresql://' in refused(recorder)
    assert '[perf.databases]' in refused(recorder, '--database', 'other')


def test_a_right_that_is_missing_is_named(recorder, servers, begin, holder):
    """Without it a role sees neither the states nor the waits of others."""
    servers.postgresql().execute('CREATE ROLE reader LOGIN')
    begin('change', [4], 5, 1)
    wait_for_sessions(recorder, 2)
    write_databases(recorder, recorder.uri.replace('postgres@', 'reader@'))
    problem, = block(recorder)['problems']
    servers.postgresql().execute('GRANT pg_read_all_stats TO reader')
    view = block(recorder)
    assert 'GRANT pg_read_all_stats TO "reader"' in problem and len(problem.splitlines()) == 1
    assert view['problems'] == [] and len(view['sessions']) == 2
