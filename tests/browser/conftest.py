"""One world for all tests with a browser, and the bridge to them: they are Node programs, since Playwright is."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from servers import Servers  # noqa: E402
import world as worlds  # noqa: E402

HERE = Path(__file__).parent
SECONDS = 120


def pictures():
    folder = Path(os.environ.get('HEADROOM_PICTURES') or Path(os.environ.get('HEADROOM_TEST_LOGS', '/tmp')) / 'browser')
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope='session')
def world():
    """Two sessions of a user who sells, and what is special: an N+1, failures, hostile texts."""
    with Servers() as servers:
        made = worlds.World(servers)
        made.url = made.serve()
        made.record('--profile', 'model.sale.sale.*', '--io', 'model.*', '--db', 'model.*', '--query', '0.002')
        made.log_in()
        made.sell()
        made.run(40, times=10)
        made.log_in()
        made.sell()
        made.run(214, times=10)
        made.fail()
        made.slow_statement()
        made.wait_for(45, session_number=2)
        made.end_record()
        yield made
        servers.stop()
        servers.save_logs(pictures() / 'servers')


@pytest.fixture
def browse(world):
    """Runs a Node program of this folder; it may ask for work of the user meanwhile."""
    def run(name):
        environment = {**os.environ, 'HEADROOM_URL': world.url, 'HEADROOM_TOKEN': worlds.TOKEN, 'HEADROOM_PICTURES': str(pictures()),
            'HEADROOM_PEOPLE': json.dumps(worlds.PEOPLE)}
        process = subprocess.Popen(['node', str(HERE / name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
            text=True, start_new_session=True)
        try:
            for line in process.stdout:
                if line.startswith('@work '):
                    process.stdin.write(answer(world, json.loads(line[6:])) + '\n')
                    process.stdin.flush()
                else:
                    print(line, end='')
            assert process.wait(SECONDS) == 0, '%s failed; its pictures are in %s' % (name, pictures())
        finally:
            stop(process)
    return run


def answer(world, request):
    name, *arguments = request
    try:
        getattr(world, name)(*arguments)
        return 'done'
    except Exception as error:
        return '%s: %s' % (type(error).__name__, str(error).replace('\n', ' '))


def stop(process):
    """Chromium is a child of Node: the group ends as a whole."""
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        pass
    process.wait()
