"""Many processes, many threads, a fifth of the calls failing: exactly those calls are stored, each with its statements."""
import threading

from servers.recorder import THING, Recorder
from traffic import check, drive

SIZES = {'postgresql': (4, 16, 500), 'sqlite': (4, 4, 200)}


def test_exactly_the_calls_that_were_made_are_stored(servers, backend):
    processes, threads, number = SIZES[backend]
    recorder = Recorder(servers, users='admin')
    tryton = servers.tryton(backend, recorder=recorder.section,
        sections={'database': {'timeout': '300', 'retry': '5'}})
    ports = [tryton.serve() for _ in range(processes)]
    check(recorder, drive(tryton, ports, threads, number))


def test_calls_under_gevent_are_kept_apart(servers):
    recorder = Recorder(servers, users='admin')
    tryton = servers.tryton('postgresql', recorder=recorder.section)
    check(recorder, drive(tryton, [tryton.serve(coroutine=True)], 8, 50))
    rows = recorder.report('call', recorder.only_session()['session'])
    assert rows and {row['cpu'] for row in rows} == {None}


def test_a_real_serialization_failure_is_an_attempt(servers):
    recorder = Recorder(servers, users='admin')
    tryton = servers.tryton('postgresql', recorder=recorder.section)
    server = tryton.serve()
    clients = [tryton.client(server), tryton.client(server)]
    threads = [threading.Thread(target=client.call, args=(THING + 'collide', 0.4, value))
        for value, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    calls = recorder.wait_for_calls(2)
    assert sorted(call.attempts for call in calls) == [1, 2]
    assert {call.status for call in calls} == {'ok'}
    check_conflicts(recorder.report('conflict'))


def check_conflicts(rows):
    """One retry, seen from its table and from its method, with the other call as the partner.

    trytond touches `ir_session` for each call too, in a transaction of its own: that has no row."""
    by_name = {(row['by'], row['name']): row for row in rows}
    assert len(rows) == 2, list(by_name)
    for name in (('table', 'headroom_test_thing'), ('method', THING + 'collide')):
        row = by_name.get(name)
        assert row, list(by_name)
        assert (row['retries'], row['failures']) == (1, 0)
        assert 'could not serialize access' in row['error']
        assert row['partner_method'] == THING + 'collide'
        assert row['common_table'] == 'headroom_test_thing'
        assert row['probable_partner'] and row['probable_partner'] != row['call']
