"""The other processes of trytond: worker, cron, and the server under gevent."""
import threading

from servers import wait_until
from servers.recorder import THING, Recorder
from traffic import shapes_of


def of_kind(recorder, kind):
    return [call for call in recorder.calls('') if call.kind == kind]


def test_a_task_without_a_worker_is_a_call_of_its_own_in_the_session_of_the_call_that_ran_it(servers, backend):
    recorder = Recorder(servers, methods=THING + 'enqueue')
    tryton = servers.tryton(backend, recorder=recorder.section)
    tryton.client(tryton.serve()).call(THING + 'enqueue', [6, 7])
    task, = wait_until(lambda: of_kind(recorder, 'task'), 20, 'the task')
    assert shapes_of(task) == [6, 7]
    # The task runs inside the request that left it, so that call ends later.
    call, = recorder.wait_for_calls(1, method_prefix=THING + 'enqueue')
    assert shapes_of(call) == []
    session = recorder.only_session()['session']
    assert (call.session, task.session) == (session, session)
    whole, = recorder.report('call', session, str(call.rank))
    assert [(child['#'], child['kind']) for child in whole['children']] == [(task.rank, 'task')]


def test_tasks_of_the_worker_are_recorded(servers):
    recorder = Recorder(servers, methods='*')
    tryton = servers.tryton('postgresql', recorder=recorder.section, sections={'queue': {'worker': 'True'}})
    client = tryton.client(tryton.serve())
    worker = tryton.work(processes=2)
    for _ in range(5):
        client.call(THING + 'enqueue', [6, 7])
    wait_until(lambda: len(of_kind(recorder, 'task')) >= 5, 20, 'five tasks')
    worker.stop()
    assert [shapes_of(task) for task in of_kind(recorder, 'task')] == [[6, 7]] * 5


def test_the_last_task_of_a_worker_is_not_lost_when_it_ends(servers):
    recorder = Recorder(servers, methods='*')
    tryton = servers.tryton('postgresql', recorder=recorder.section, sections={'queue': {'worker': 'True'}})
    client = tryton.client(tryton.serve())
    worker = tryton.work(processes=1)
    client.call(THING + 'enqueue', [8])
    wait_until(lambda: servers.postgresql().execute(
            'SELECT 1 FROM ir_queue WHERE finished_at IS NOT NULL', tryton.database), 20, 'the task')
    worker.stop()
    assert len(of_kind(recorder, 'task')) == 1


def test_cron_once_records_what_it_ran(servers, backend):
    recorder = Recorder(servers, methods='*')
    tryton = servers.tryton(backend, recorder=recorder.section)
    client = tryton.client(tryton.serve())
    client.call('model.ir.cron.create', [{'method': 'headroom_test.thing|tick', 'interval_number': 1,
            'interval_type': 'days'}])
    cron = tryton.cron(once=True)
    assert cron.wait(60) == 0, cron.tail()
    calls = of_kind(recorder, 'cron')
    assert any(shapes_of(call) == [8] for call in calls), calls


def test_under_gevent_the_cpu_time_of_a_call_is_unknown_and_calls_that_overlap_keep_their_statements(servers):
    recorder = Recorder(servers, users='admin')
    tryton = servers.tryton('postgresql', recorder=recorder.section)
    client = tryton.client(tryton.serve(coroutine=True))
    # Each waits in the middle, so that all run at once in one thread: the last begins before the first ends.
    calls = [(THING + 'sleep', 1.5)] * 4 + [(THING + 'run', [2, 3]), (THING + 'change', [4], 1)] * 3
    threads = [threading.Thread(target=client.clone().call, args=call) for call in calls]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(recorder.running(THING + 'sleep')) == 4, 20, 'four calls at once')
    for thread in threads:
        thread.join()
    stored = recorder.wait_for_calls(len(calls))
    assert sorted((call.method, shapes_of(call)) for call in stored) == sorted(
        [(THING + 'sleep', [1])] * 4 + [(THING + 'run', [2, 3]), (THING + 'change', [4])] * 3)
    rows = recorder.report('call', recorder.only_session()['session'], '--method', THING + '*')
    assert [row['cpu'] for row in rows] == [None] * len(calls)
