"""Tests of the Python package alone: real trytond 6.0 on SQLite, and a stand-in for the native module."""
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "python"
sys.path[:0] = [str(PACKAGE), str(HERE)]

import fake_native  # noqa: E402

sys.modules["headroom._native"] = fake_native

CONFIGURATION = """
[database]
uri = sqlite://
path = {folder}
retry = 2
[web]
root = {root}
num_proxies = 1
[cache]
class = headroom.trytond.MemoryCache
[wsgi middleware]
headroom = headroom.trytond.Middleware
[session]
max_attempt = 3
[perf]
broker = sqlite://{state}/perf.sqlite
state = {state}
users = admin, 7
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """trytond in this process, with the database `test` and the password `secret` of admin."""
    folder = tmp_path_factory.mktemp("database")
    root = tmp_path_factory.mktemp("www")
    (root / "page.html").write_text("<p>static</p>")
    configuration = tmp_path_factory.mktemp("etc") / "trytond.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, root=root, state=tmp_path_factory.mktemp("state")))
    (folder / "test.sqlite").touch()
    os.environ["TRYTOND_CONFIG"] = str(configuration)
    import inner_server
    return inner_server.Server()


@pytest.fixture
def client(server):
    """A logged-in client; the journal is empty."""
    fake_native.reset()
    return server.client()


@pytest.fixture
def journal():
    return fake_native.journal


@pytest.fixture(autouse=True)
def rules():
    """The stand-in itself, so that a test can play the rules; reset after each test."""
    yield fake_native
    fake_native.reset()


def pytest_configure(config):
    # Warnings of trytond and its libraries about themselves.
    for line in ("ignore::UserWarning:trytond", "ignore::DeprecationWarning:passlib", "ignore::ResourceWarning"):
        config.addinivalue_line("filterwarnings", line)
