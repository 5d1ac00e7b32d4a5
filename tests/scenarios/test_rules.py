"""Rules change while servers run: every process obeys within two seconds, and a rule ends by itself."""
import time

import pytest

from servers import wait_until
from servers.recorder import THING, Recorder


@pytest.fixture(params=['sqlite', 'redis'])
def recorder(servers, request):
    return Recorder(servers, url=servers.redis().url if request.param == 'redis' else None)


def recorded(recorder):
    """How many calls of the test's model the reports show."""
    return sum(row['number'] for session in recorder.report('session')
        for row in recorder.report('method', '%s/%s' % (session['database'], session['session']))
        if row['method'].startswith(THING))


def test_a_rule_is_obeyed_within_two_seconds_and_ended_again(servers, recorder):
    tryton = servers.tryton(recorder=recorder.section)
    ports = [tryton.serve(), tryton.serve()]  # the second stays idle until the rule is there
    clients = [tryton.client(server) for server in ports]
    clients[0].call(THING + 'run', [1])
    time.sleep(2)
    assert recorded(recorder) == 0

    rule = recorder.report('trace', 'add', '--user', 'admin', '--method', THING + '*', '--for', '10m')[0]
    time.sleep(2)
    for client in clients:
        client.call(THING + 'run', [1])
    wait_until(lambda: recorded(recorder) == 2, 10, 'both processes record')
    assert [row['rule'] for row in recorder.report('trace', 'list')] == [rule['rule']]

    recorder.run('trace', 'remove', rule['rule'])
    time.sleep(2)
    for client in clients:
        client.call(THING + 'run', [1])
    time.sleep(2)
    assert recorded(recorder) == 2


def test_preforked_workers_obey(servers, recorder):
    tryton = servers.tryton('postgresql', recorder=recorder.section)
    client = tryton.client(tryton.serve_uwsgi(processes=2, threads=1))
    recorder.run('trace', 'add', '--user', 'admin', '--for', '10m')
    time.sleep(2)
    for _ in range(20):
        client.call(THING + 'run', [1])
    wait_until(lambda: recorded(recorder) == 20, 10, '20 calls')


def test_a_rule_ends_by_itself(servers, recorder):
    tryton = servers.tryton(recorder=recorder.section)
    client = tryton.client(tryton.serve())
    recorder.run('trace', 'add', '--user', 'admin', '--for', '10s')
    time.sleep(2)
    client.call(THING + 'run', [1])  # a busy machine has eight more seconds for it
    time.sleep(10)
    client.call(THING + 'run', [1])
    wait_until(lambda: recorded(recorder) == 1, 10, 'one call')
    time.sleep(1.5)
    assert recorded(recorder) == 1


def test_nobody_is_recorded_without_a_rule_but_everybody_is_counted(servers, recorder):
    tryton = servers.tryton(recorder=recorder.section)
    client = tryton.client(tryton.serve())
    for _ in range(7):
        client.call(THING + 'run', [1, 2])

    def counted():
        return [row for row in recorder.report('overview') if row['method'] == THING + 'run' and row['number'] == 7]
    wait_until(counted, 10, 'the counts of everybody')
    assert recorded(recorder) == 0


def test_a_request_that_fails_authentication_does_not_open_the_trace_of_the_user_it_names(servers, recorder):
    recorder.section['users'] = 'admin'
    tryton = servers.tryton(recorder=recorder.section)
    client = tryton.client(tryton.serve())
    client.session = 'f' * 64
    for _ in range(3):
        with pytest.raises(Exception, match='401'):
            client.call(THING + 'run', [1])
    time.sleep(2)
    assert recorded(recorder) == 0
