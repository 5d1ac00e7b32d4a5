"""Files that Headroom hands out, opened by the tools and schemas that they are made for."""
import os
import subprocess
from pathlib import Path

import pytest

headroom = os.environ['HEADROOM_EXECUTABLE']
sample_store = os.environ['HEADROOM_SAMPLE_STORE']


@pytest.fixture(scope='session')
def store(tmp_path_factory):
    """A store with the fixed history of the reports' golden files."""
    url = 'sqlite://%s/perf.sqlite' % tmp_path_factory.mktemp('store')
    subprocess.run([sample_store, url], check=True)
    return url


@pytest.fixture
def export(store):
    def run(*arguments):
        done = subprocess.run([headroom, '--store', store, 'export', *arguments], capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout
    return run


@pytest.fixture(scope='session')
def pictures():
    """Where a person may look at what a tool made of a file."""
    folder = Path(os.environ.get('HEADROOM_TEST_LOGS', '/tmp')) / 'formats'
    folder.mkdir(parents=True, exist_ok=True)
    return folder
