"""What goes on now: `headroom top` and the WebSocket of the pages, while calls of a real trytond run."""
import asyncio
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from pathlib import Path

import pytest
import websockets

from servers import free_port
from servers.paths import executable, project_root, run_headroom
from servers.process import wait_until
from servers.recorder import THING, Recorder


@pytest.fixture
def recorder(servers):
    made = Recorder(servers, users='admin')
    made.tryton = servers.tryton('postgresql', recorder=made.section)
    made.server = made.tryton.serve()
    return made


@pytest.fixture
def client(recorder):
    return recorder.tryton.client(recorder.server)


@pytest.fixture
def hanging(servers, recorder, client):
    """A call that waits in a statement, begun and seen; the statement is cancelled in the end."""
    def call():
        with pytest.raises(Exception):
            client.call(THING + 'slow_statement', 300)
    thread = threading.Thread(target=call)
    thread.start()
    wait_until(recorder.running, 20, 'the running call')
    yield
    servers.postgresql().execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE '%pg_sleep(%' AND pid <> pg_backend_pid()")
    thread.join()


def look(recorder):
    return run_headroom('top', '--once', '--json', '--config', recorder.configuration)


def test_a_call_that_hangs_is_seen_with_what_it_waits_for(recorder, hanging):
    call, = [call for call in look(recorder)['running'] if call['method'] == THING + 'slow_statement']
    assert call['activity'] == 'sql'
    assert 'pg_sleep' in call['statement']
    assert call['user'] == 'admin'


def test_the_text_for_people_names_it_too(recorder, hanging):
    text = run_headroom('top', '--once', '--config', recorder.configuration)
    line, = [line for line in text.splitlines() if THING + 'slow_statement' in line]
    assert 'sql' in line.split()
    assert 'pg_sleep' in line


def test_rates_count_everybody(recorder, client):
    """A call every 50 ms, while two looks are taken."""
    ended = threading.Event()

    def work():
        while not ended.is_set():
            client.call(THING + 'run', [1])
            time.sleep(0.05)
    thread = threading.Thread(target=work)
    thread.start()
    try:
        recorder.wait_for_calls(5)
        view = wait_until(lambda: next((view for view in [look(recorder)] if view['methods']), None), 20, 'a rate')
    finally:
        ended.set()
        thread.join()
    method, = [row for row in view['methods'] if row['method'] == THING + 'run']
    assert method['database'] == recorder.tryton.database
    assert 0 < method['per_second'] <= 20
    assert method['number'] > 0 and method['avg'] > 0
    assert view['calls'][0]['method'] == THING + 'run'
    assert [call['start'] for call in view['calls']] == sorted((call['start'] for call in view['calls']), reverse=True)
    assert view['drops'] == 0 and view['problem'] is None


def test_without_a_store_it_says_so_and_shows_what_runs(recorder, hanging):
    view = run_headroom('top', '--once', '--json', '--config', recorder.configuration,
        '--store', 'sqlite:///nowhere/perf.sqlite')
    assert 'nowhere' in view['problem']
    assert view['running']


@pytest.fixture
def address(servers, recorder):
    """Where the daemon listens."""
    port = free_port()
    with open(recorder.configuration, 'a') as configuration:
        configuration.write('\n[serve]\nlisten = "127.0.0.1:%d"\n' % port)
    recorder.daemon = servers.headroom(recorder.configuration, port)
    return '127.0.0.1:%d' % port


def test_all_who_watch_get_the_same_every_second(address, recorder, hanging):
    async def watch():
        async with websockets.connect('ws://%s/api/perf/live' % address) as one, \
                websockets.connect('ws://%s/api/perf/live' % address) as other:
            first = [await asyncio.wait_for(one.recv(), 10) for _ in range(3)]
            second = [await asyncio.wait_for(other.recv(), 10) for _ in range(3)]
            await one.ping()
            return first, second
    first, second = asyncio.run(watch())
    assert set(first) & set(second), 'the same bytes'
    views = [json.loads(text) for text in first]
    assert [call['method'] for call in views[0]['running']] == [THING + 'slow_statement']
    assert len({view['at'] for view in views}) == 3


def test_a_page_of_another_site_can_not_watch(address):
    async def watch(**options):
        async with websockets.connect('ws://%s/api/perf/live' % address, **options) as socket:
            return await asyncio.wait_for(socket.recv(), 10)
    assert asyncio.run(watch(origin='http://' + address))
    with pytest.raises(websockets.exceptions.InvalidStatusCode) as refused:
        asyncio.run(watch(origin='https://evil.example'))
    assert refused.value.status_code == 403


def test_a_daemon_that_stops_says_goodbye(address, recorder):
    async def watch():
        async with websockets.connect('ws://%s/api/perf/live' % address) as socket:
            await asyncio.wait_for(socket.recv(), 10)
            recorder.daemon.stop()
            try:
                while True:
                    await asyncio.wait_for(socket.recv(), 10)
            except websockets.exceptions.ConnectionClosed as closed:
                return closed.rcvd.code
    assert asyncio.run(watch()) == 1001


def test_the_client_of_node_can_watch(address):
    script = Path(__file__).parent / 'live_watch.mjs'
    done = subprocess.run(['node', script, address, project_root / 'web' / 'node_modules'],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


class Screen:
    """`headroom top` on a terminal of its own."""

    def __init__(self, recorder, width=120, height=40):
        self.controller, terminal = pty.openpty()
        self.resize(width, height)
        self.before = termios.tcgetattr(terminal)
        self.terminal = terminal
        self.process = subprocess.Popen([executable(), 'top', '--config', recorder.configuration],
            stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.output = ''

    def resize(self, width, height):
        fcntl.ioctl(self.controller, termios.TIOCSWINSZ, struct.pack('HHHH', height, width, 0, 0))

    def press(self, key):
        os.write(self.controller, key.encode())

    def wait_for(self, text, seconds=20):
        """Reads until the text was shown after what was read before."""
        seen = ''
        end = time.monotonic() + seconds
        while text not in seen:
            ready, _, _ = select.select([self.controller], [], [], max(0, end - time.monotonic()))
            assert ready, 'not shown: %r in %r' % (text, seen[-2000:])
            seen += os.read(self.controller, 65536).decode()
        self.output += seen
        return seen

    def wait(self):
        """The exit status, with everything read; checks that the terminal is as it was."""
        end = time.monotonic() + 20
        while self.process.poll() is None:
            assert time.monotonic() < end
            if select.select([self.controller], [], [], 0.05)[0]:
                self.output += os.read(self.controller, 65536).decode()
        while select.select([self.controller], [], [], 0.05)[0]:
            self.output += os.read(self.controller, 65536).decode()
        assert termios.tcgetattr(self.terminal) == self.before
        assert self.output.endswith('\x1b[?25h\x1b[?1049l'), 'the cursor and the other screen are back'
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.controller)
        os.close(self.terminal)


@pytest.fixture
def screen(recorder):
    made = Screen(recorder)
    yield made
    made.close()


def test_the_screen_shows_what_runs_and_gives_the_terminal_back(screen, hanging):
    screen.wait_for(THING + 'slow_statement')
    screen.press('n')
    screen.wait_for('headroom')
    screen.press('q')
    assert screen.wait() == 0


def test_the_screen_follows_its_size(screen):
    screen.wait_for('headroom')
    screen.resize(40, 10)
    os.killpg(screen.process.pid, signal.SIGWINCH)
    shown = screen.wait_for('\x1b[J').split('\x1b[H')[-1]
    lines = shown.replace('\x1b[K', '').replace('\x1b[J', '').split('\r\n')
    assert len(lines) <= 10
    screen.press('q')
    assert screen.wait() == 0


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(screen, number):
    screen.wait_for('headroom')
    screen.process.send_signal(number)
    assert screen.wait() == 0


def test_the_screen_can_be_stopped_and_goes_on(screen):
    screen.wait_for('headroom')
    screen.process.send_signal(signal.SIGTSTP)
    screen.wait_for('\x1b[?1049l')
    wait_until(lambda: open('/proc/%d/stat' % screen.process.pid).read().rsplit(')', 1)[1].split()[0] == 'T', 10, 'the stop')
    assert termios.tcgetattr(screen.terminal) == screen.before
    screen.process.send_signal(signal.SIGCONT)
    screen.wait_for('\x1b[?1049h')
    screen.wait_for('headroom')
    screen.press('q')
    assert screen.wait() == 0
