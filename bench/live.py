"""Rows: the live page while a process records 500 calls a second, in turn with the same that nobody watches."""
import contextlib
import json
import os
import re
import statistics
import subprocess
import time
from pathlib import Path

from recorder.figures import interval, row, shown
from servers import free_port, paths
from servers.recorder import Recorder

HERE = Path(__file__).parent / 'web'
PER_SECOND = 500


def rows(servers, quick):
    seconds, turns = (3, 1) if quick else (10, 6)
    recorder = Recorder(servers)
    watched, alone, views = [], [], []
    with working(recorder) as process:
        address = serve(servers, recorder)
        for turn in range(turns):
            for watching in (False, True) if turn % 2 else (True, False):
                asked(process)
                if watching:
                    views.append(checked(watch(address, seconds), seconds))
                else:
                    time.sleep(seconds)
                said = asked(process)
                (watched if watching else alone).append(1e6 * said['cpu'] / said['calls'])
    yield row('live page at %d calls a second: kept from answering' % PER_SECOND, 'ms/s',
        '%.1f' % (sum(view['busy'] for view in views) / seconds / len(views)))
    added = interval([one - other for one, other in zip(watched, alone)])
    yield row('live page watched: CPU added to a recorded call', 'us', shown(added, 2), '<= 0',
        None if quick else added[1] <= 0, 'of %.1f, the recorder\'s thread included' % statistics.fmean(alone))


def serve(servers, recorder):
    port = free_port()
    with open(recorder.configuration, 'a') as configuration:
        configuration.write('\n[serve]\nlisten = "127.0.0.1:%d"\n' % port)
    servers.headroom(recorder.configuration, port)
    return 'http://127.0.0.1:%d' % port


@contextlib.contextmanager
def working(recorder):
    """A process that records; it must end without having lost a record."""
    settings = {'store': recorder.url, 'state': str(recorder.state), 'per_second': PER_SECOND}
    process = subprocess.Popen([paths.python, HERE / 'steady_work.py', json.dumps(settings)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, env={**os.environ, 'PYTHONPATH': paths.python_path()})
    try:
        yield process
        process.stdin.close()
        if process.wait(60):
            raise RuntimeError('steady_work.py ended with status %d; see above' % process.returncode)
    finally:
        process.kill()
        process.wait()


def asked(process):
    process.stdin.write('\n')
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def watch(address, seconds):
    done = subprocess.run(['node', HERE / 'live.mjs'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        timeout=seconds + 60, check=True,
        env={**os.environ, 'HEADROOM_URL': address, 'SECONDS': str(seconds)})
    return json.loads(done.stdout)


def checked(view, seconds):
    """It kept up: a message came each second, and the page shows what they say."""
    assert view['messages'] >= seconds - 2, view
    assert re.search(r'model\.bench\.method\d+', view['shown']), view
    return view
