"""Debian's uWSGI: trytond is loaded once and then forked, so the recorder must come alive in every worker."""
import pytest

from servers.process import wait_until
from servers.recorder import THING, Recorder
from traffic import check, drive


@pytest.mark.parametrize('enable_threads', [True, False])
def test_preloaded_and_forked_workers_record_every_call(servers, enable_threads):
    recorder = Recorder(servers, users='admin')
    tryton = servers.tryton('postgresql', recorder=recorder.section)
    threads = 4 if enable_threads else 1
    server = tryton.serve_uwsgi(processes=2, threads=threads, enable_threads=enable_threads)
    expected = drive(tryton, [server], 4, 100)
    check(recorder, expected)
    server.stop()
    check(recorder, expected)


def test_an_orderly_end_loses_nothing(servers):
    recorder = Recorder(servers, users='admin')
    tryton = servers.tryton('postgresql', recorder=recorder.section)
    server = tryton.serve_uwsgi(processes=2, threads=4)
    client = tryton.client(server)
    for _ in range(50):
        client.call(THING + 'run', [1])
    # uWSGI answers before it closes the response; a worker that is ended between the two cuts a call that still runs.
    wait_until(lambda: not recorder.running(), 15, 'the last call ended')
    server.stop()
    assert len(recorder.wait_for_calls(50, seconds=5)) == 50
