"""One world for all tests with a browser, and the bridge to them: they are Node programs, since Playwright is."""
import json
import os
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from servers import Servers  # noqa: E402
import programs  # noqa: E402
import world as worlds  # noqa: E402


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


@pytest.fixture(scope='module')
def postgresql_world():
    """A user on PostgreSQL, whose statements are all kept."""
    with Servers() as servers:
        made = worlds.World(servers, 'postgresql', users='admin', query='0')
        made.url = made.serve()
        made.log_in()
        made.run(3)
        made.change()
        made.wait_for(2)
        yield made
        servers.stop()
        servers.save_logs(pictures() / 'servers')


@pytest.fixture
def browse_kept():
    """Over a store that `perf_sample_store` made with the options that are given; returns how much memory that took."""
    def run(name, *options):
        with Servers() as servers:
            kept = worlds.Kept(servers, *options)
            runner(kept)(name)
            return kept.peak_mebibytes()
    return run


@pytest.fixture
def browse(world):
    return runner(world)


@pytest.fixture
def browse_postgresql(postgresql_world):
    return runner(postgresql_world)


def runner(world):
    """Runs a Node program of this folder; it may ask for work of the user meanwhile."""
    def run(name):
        environment = {'HEADROOM_URL': world.url, 'HEADROOM_TOKEN': worlds.TOKEN, 'HEADROOM_PICTURES': str(pictures()),
            'HEADROOM_PEOPLE': json.dumps(worlds.PEOPLE)}
        assert programs.run(name, world, environment), '%s failed; its pictures are in %s' % (name, pictures())
    return run
