"""Fixtures of the scenarios: real servers, which end with the test and leave their logs when it failed."""
import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from servers import Servers, project_root  # noqa: E402


signal.signal(signal.SIGTERM, lambda *_: sys.exit('terminated'))  # so that fixtures end their servers


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, 'report_' + call.when, outcome.get_result())


@pytest.fixture
def servers(request):
    with Servers() as owned:
        yield owned
        report = getattr(request.node, 'report_call', None)
        if report is None or report.failed:
            owned.stop()
            owned.save_logs(log_folder() / request.node.name)
    left = [process.name for process in owned.processes if process.group_exists()]
    assert not left, 'processes left behind: %s' % left
    assert not owned.folder.exists()


def log_folder():
    return Path(os.environ.get('HEADROOM_TEST_LOGS', project_root / 'build' / 'log'))


@pytest.fixture(params=['sqlite', 'postgresql'])
def backend(request):
    """The database of trytond; a test that takes it runs once on each."""
    return request.param
