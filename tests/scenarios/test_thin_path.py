"""From a click to a report: a client calls trytond, the recorder keeps it, the command line shows it."""
import re

import pytest

from servers.recorder import THING, Recorder
from traffic import shapes_of

CALLS = [('run', [[1, 2, 3]]), ('run', [[4, 4, 4, 4]]), ('change', [[5], 7]), ('run', [[1]])]


@pytest.fixture
def recorded(servers, backend):
    """A session that made exactly CALLS, after its preferences."""
    recorder = Recorder(servers, users='admin', db=THING + '*')
    tryton = servers.tryton(backend, recorder=recorder.section)
    client = tryton.client(tryton.serve())
    for method, arguments in CALLS:
        client.call(THING + method, *arguments)
    recorder.wait_for_calls(len(CALLS))
    recorder.database = tryton.database
    recorder.token = client.session
    return recorder


def test_exactly_the_calls_that_were_made_are_shown(recorded):
    session = recorded.only_session()
    prefix = session['session'][:8]
    calls = recorded.report('call', prefix)
    assert [row['method'] for row in calls if row['method'].startswith(THING)] == [THING + name for name, _ in CALLS]
    assert session['nb'] == len(calls)
    assert session['user'] == 'admin'
    assert [row['#'] for row in calls] == list(range(1, len(calls) + 1))


def test_every_call_has_its_own_statements(recorded):
    for call, (_, (shapes, *_rest)) in zip(recorded.calls(), CALLS):
        assert shapes_of(call) == sorted(shapes)


def test_methods_and_tables_add_up(recorded):
    prefix = recorded.only_session()['session'][:8]
    methods = {row['method']: row['number'] for row in recorded.report('method', prefix)}
    assert methods[THING + 'run'] == 3
    assert methods[THING + 'change'] == 1
    tables = {row['table']: row['number'] for row in recorded.report('table', prefix)}
    assert tables['headroom_test_thing'] == 9
    assert tables['ir_session'] > 0


def test_statements_of_one_call_come_in_order(recorded):
    prefix = recorded.only_session()['session'][:8]
    change = next(row['#'] for row in recorded.report('call', prefix) if row['method'] == THING + 'change')
    statements = recorded.report('db', prefix, change)
    assert [row['action'] for row in statements if row['table'] == 'headroom_test_thing'] == ['update']


def test_repeated_statements_are_named(recorded):
    prefix = recorded.only_session()['session'][:8]
    repeated, = [row for row in recorded.report('repeat', prefix) if row['count'] == 4]
    assert (repeated['action'], repeated['table']) == ('select', 'headroom_test_thing')
    frames = repeated['backtrace'].splitlines()
    assert 'thing.py' in frames[-1] and frames[-1].endswith(' Thing._select')
    assert not [frame for frame in frames if 'threading.py' in frame or 'socketserver.py' in frame]


def test_a_terminal_shows_the_line_that_sent_a_repeated_statement(recorded):
    shown = recorded.run('repeat', recorded.only_session()['session'], '--width', '140')
    assert re.search(r'thing\.py:\d+ Thing\._select$', shown, re.M), shown
    assert all(len(line) <= 140 for line in shown.splitlines())


def test_a_pipe_gets_the_original_columns(recorded):
    lines = recorded.run('session').splitlines()
    assert lines[0].split('\t')[:6] == ['session', 'user', 'first', 'last', 'nb', 'tm']


def test_the_token_is_nowhere(recorded):
    assert recorded.token not in recorded.run('session') + recorded.run('call', recorded.only_session()['session'])
