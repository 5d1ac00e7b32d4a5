"""A worker that dies: what ran in it is stored as killed, and at most its last second is lost."""
import os
import signal
import threading
import time

from servers.recorder import THING, Recorder


def ignore_failure(client, *arguments):
    try:
        client.call(*arguments)
    except Exception:
        pass  # its server is killed under it


def test_a_call_whose_worker_is_killed_is_stored_as_killed(servers, backend):
    recorder = Recorder(servers, users='admin')
    tryton = servers.tryton(backend, recorder=recorder.section)
    victim, survivor = tryton.serve(), tryton.serve()
    client = tryton.client(victim)
    for _ in range(20):
        client.call(THING + 'run', [1, 2])
    recorder.wait_for_calls(20)
    running = threading.Thread(target=ignore_failure, args=(client.clone(), THING + 'sleep', 60))
    running.start()
    time.sleep(1)  # by now it runs
    os.kill(victim.pid, signal.SIGKILL)
    running.join(20)
    tryton.client(survivor).call(THING + 'run', [3])
    calls = recorder.wait_for_calls(22, seconds=30)
    assert [(call.method, call.status) for call in calls if call.status != 'ok'] == [(THING + 'sleep', 'killed')]
    assert sum(call.method == THING + 'run' for call in calls) == 21


def test_kill_loses_at_most_the_last_second(servers):
    recorder = Recorder(servers, users='admin')
    tryton = servers.tryton(recorder=recorder.section)
    server = tryton.serve()
    client = tryton.client(server)
    finished = []
    end = time.monotonic() + 4
    while time.monotonic() < end:
        client.call(THING + 'run', [1])
        finished.append(time.monotonic())
    killed = time.monotonic()
    server.kill()
    # A margin of half a second is for this machine's scheduling, not for the recorder.
    kept = sum(moment < killed - 1.5 for moment in finished)
    assert len(recorder.calls()) >= kept > 0


def test_an_orderly_end_loses_nothing(servers, backend):
    recorder = Recorder(servers, users='admin')
    tryton = servers.tryton(backend, recorder=recorder.section)
    server = tryton.serve()
    client = tryton.client(server)
    for _ in range(30):
        client.call(THING + 'run', [1])
    server.stop()
    assert len(recorder.calls()) == 30
