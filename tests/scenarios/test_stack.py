"""The Python stack of a call that hangs, asked from outside: `headroom stack`, top and the API, on a real trytond.

The calls wait for longer than a test takes; what they wait in ends when the server is killed.
"""
import json
import os
import signal
import stat
import threading
import urllib.error
import urllib.request

import pytest

from servers import free_port
from servers.client import RPCError
from servers.paths import run_headroom
from servers.process import wait_until
from servers.recorder import THING, Recorder
from test_live import Screen

LONG = 20  # seconds
MODEL = 'headroom_test.thing:'


@pytest.fixture
def recorder(servers):
    made = Recorder(servers, users='admin')
    made.tryton = servers.tryton('postgresql', recorder=made.section)
    return made


class Hanging:
    """Calls that hang, each in a thread of its own; they end with their servers."""

    def __init__(self, recorder):
        self.recorder = recorder
        self.threads = []

    def begin(self, client, method, seconds=LONG):
        """The running call, as soon as it is seen where it hangs."""
        known = {call['id'] for call in self.recorder.running(THING + method)}
        thread = threading.Thread(target=self._call, args=(client.clone(), method, seconds), daemon=True)
        thread.start()
        self.threads.append(thread)
        return wait_until(lambda: next((call for call in self.recorder.running(THING + method)
                    if call['id'] not in known), None), 20, 'the running call')

    @staticmethod
    def _call(client, method, seconds):
        try:
            client.call(THING + method, seconds)
        except (OSError, RPCError, ValueError):
            pass  # its server was killed

    def end(self, server):
        server.kill()
        for thread in self.threads:
            thread.join(10)


@pytest.fixture
def hanging(recorder):
    return Hanging(recorder)


def stacks(recorder, *arguments):
    return run_headroom('stack', *arguments, '--json', '--config', recorder.configuration)['stacks']


def stack_of(recorder, call, function):
    """The frames of a call, as soon as it is in that function: it may just begin or end something."""
    def asked():
        shown, = stacks(recorder, call['id'])
        assert shown['error'] is None, shown
        assert shown['call']['id'] == call['id']
        return shown if function in [frame['function'] for frame in shown['frames']] else None
    return wait_until(asked, 20, 'a stack with ' + function)


def check_frame(shown, method):
    frame, = [frame for frame in shown['frames'] if frame['function'] == MODEL + method]
    lines = open(frame['file']).read().splitlines()
    assert frame['file'].endswith('/headroom_test/thing.py')
    first = next(number for number, line in enumerate(lines, 1) if line.startswith('    def %s(' % method))
    assert first < frame['line'] < first + 14, 'a line of the method'


@pytest.mark.parametrize('method', ['hold_gil', 'wait_for_lock', 'slow_statement', 'burn', 'sleep'])
def test_the_stack_of_a_call_is_told_whatever_it_waits_in(recorder, hanging, method):
    server = recorder.tryton.serve()
    call = hanging.begin(recorder.tryton.client(server), method)
    shown = stack_of(recorder, call, MODEL + method)
    check_frame(shown, method)
    assert shown['origin'] == 'thread'
    assert any(frame['file'].endswith('/trytond/wsgi.py') for frame in shown['frames']), 'from the outermost on'
    hanging.end(server)


def test_a_call_that_holds_the_interpreters_lock_is_told_by_process_by_id_and_without_a_name(recorder, hanging):
    server = recorder.tryton.serve()
    client = recorder.tryton.client(server)
    waiting = hanging.begin(client, 'wait_for_lock')
    call = hanging.begin(client, 'hold_gil')
    for arguments in ((), (call['process'],)):
        shown = stacks(recorder, *arguments)
        assert [one['call']['id'] for one in shown] == [waiting['id'], call['id']], 'the oldest first'
        for one, method in zip(shown, ('wait_for_lock', 'hold_gil')):
            check_frame(one, method)
    assert [one['call']['id'] for one in stacks(recorder, call['id'][-8:])] == [call['id']]
    assert len(stacks(recorder, '--limit', 1)) == 1
    text = run_headroom('stack', call['id'], '--config', recorder.configuration)
    assert text.startswith('call %s  %shold_gil  admin@' % (call['id'], THING))
    assert text.splitlines()[-1].endswith('hold_gil'), 'innermost last'
    hanging.end(server)


def test_files_of_the_exchange_are_for_the_group_only(recorder):
    server = recorder.tryton.serve()
    folder = recorder.state / 'scoreboards'
    assert stat.S_IMODE(folder.stat().st_mode) == 0o2770
    for kind in ('stack-requests', 'stack-answers'):
        file, = folder.glob('*.' + kind)
        assert stat.S_IMODE(file.stat().st_mode) == 0o660
    server.stop()
    assert not list(folder.glob('*.stack-*'))


def test_greenlets_have_stacks_of_their_own(recorder, hanging):
    server = recorder.tryton.serve(coroutine=True)
    client = recorder.tryton.client(server)
    sleeping = [hanging.begin(client, 'sleep'), hanging.begin(client, 'wait_for_lock')]
    for call, method in zip(sleeping, ('sleep', 'wait_for_lock')):
        shown = stack_of(recorder, call, MODEL + method)
        check_frame(shown, method)
        assert shown['origin'] == 'greenlet', 'it is switched out'
    burning = hanging.begin(client, 'burn')
    shown = stack_of(recorder, burning, MODEL + 'burn')
    check_frame(shown, 'burn')
    assert shown['origin'] == 'thread'
    shown = stack_of(recorder, sleeping[0], MODEL + 'sleep')
    assert shown['origin'] == 'greenlet', 'while another one holds the thread'
    assert MODEL + 'burn' not in [frame['function'] for frame in shown['frames']]
    hanging.end(server)


@pytest.mark.parametrize('threads', [1, 4])
def test_forked_workers_tell_theirs(recorder, hanging, threads):
    server = recorder.tryton.serve_uwsgi(processes=2, threads=threads, enable_threads=threads > 1)
    client = recorder.tryton.client(server)
    call = hanging.begin(client, 'hold_gil')
    assert call['process'] in server.children()
    check_frame(stack_of(recorder, call, MODEL + 'hold_gil'), 'hold_gil')
    hanging.end(server)


def refused(recorder, *arguments):
    done = run_headroom('stack', *arguments, '--config', recorder.configuration, check=False)
    assert len(done.stderr.splitlines()) <= 2
    return done.returncode, done.stdout + done.stderr


def test_what_can_not_be_told_is_said(recorder, hanging):
    assert refused(recorder) == (0, 'no call runs at this moment\n')
    assert stacks(recorder) == []
    server = recorder.tryton.serve()
    call = hanging.begin(recorder.tryton.client(server), 'wait_for_lock')
    status, said = refused(recorder, 'ffffffffffffffffffff')
    assert status == 1 and "no call with the id 'ffffffffffffffffffff'" in said
    status, said = refused(recorder, 'no/id')
    assert status == 2 and 'neither the number of a process nor the id' in said
    assert refused(recorder, '--limit', '0')[0] == 2
    os.kill(call['process'], signal.SIGSTOP)
    wait_until(lambda: open('/proc/%d/stat' % call['process']).read().rsplit(')', 1)[1].split()[0] == 'T', 10, 'the stop')
    status, said = refused(recorder, call['id'])
    assert status == 1 and 'did not answer within 2.000 s' in said
    done = run_headroom('stack', call['id'], '--json', '--config', recorder.configuration, check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)['stacks'][0]['error']['code'] == 'timed_out'
    os.kill(call['process'], signal.SIGCONT)
    check_frame(stack_of(recorder, call, MODEL + 'wait_for_lock'), 'wait_for_lock')
    hanging.end(server)
    status, said = refused(recorder, call['id'])
    assert status == 1 and 'no call with the id' in said


def test_the_screen_shows_the_stack_of_the_oldest_call(recorder, hanging):
    server = recorder.tryton.serve()
    hanging.begin(recorder.tryton.client(server), 'hold_gil')
    screen = Screen(recorder, width=160)
    try:
        screen.wait_for(THING + 'hold_gil')
        screen.press('s')
        shown = screen.wait_for(MODEL + 'hold_gil')
        assert 'thing.py:' in shown
        screen.press('s')
        screen.wait_for('recorded')  # methods are shown only where one was called lately
        screen.press('q')
        assert screen.wait() == 0
    finally:
        screen.close()
    hanging.end(server)


def test_the_daemon_tells_it_over_http(servers, recorder, hanging):
    port = free_port()
    with open(recorder.configuration, 'a') as configuration:
        configuration.write('\n[serve]\nlisten = "127.0.0.1:%d"\n' % port)
    server = recorder.tryton.serve()
    call = hanging.begin(recorder.tryton.client(server), 'hold_gil')
    servers.headroom(recorder.configuration, port)

    def get(query):
        with urllib.request.urlopen('http://127.0.0.1:%d/api/perf/stack%s' % (port, query)) as answer:
            return json.load(answer)['stacks']
    check_frame(get('?which=' + call['id'])[0], 'hold_gil')
    assert [one['call']['id'] for one in get('?limit=1')] == [call['id']]
    with pytest.raises(urllib.error.HTTPError) as unknown:
        get('?which=nobody')
    assert unknown.value.status == 404
    hanging.end(server)
