"""What a scenario needs of the recorder: its section in trytond.conf, its store, and waiting for its records."""
from .paths import run_headroom
from .process import wait_until
from .store import stored_calls

THING = 'model.headroom_test.thing.'


class Recorder:
    """A store in the folder of `servers`; `settings` are further keys of `[perf]`."""

    def __init__(self, servers, url=None, **settings):
        self.url = url or servers.store_url()
        self.state = servers.folder / 'state'
        self.state.mkdir(exist_ok=True)
        self.section = {'broker': self.url, 'state': str(self.state), **settings}
        self.configuration = servers.folder / 'headroom.toml'
        self.configuration.write_text('[perf]\nstore = "%s"\nstate = "%s"\n' % (self.url, self.state))

    @property
    def path(self):
        """The file of a SQLite store."""
        return self.url.removeprefix('sqlite://')

    def report(self, *arguments):
        """The rows of a report."""
        return run_headroom(*arguments, '--json', '--store', self.url)

    def run(self, *arguments, **options):
        return run_headroom(*arguments, '--store', self.url, **options)

    def status(self):
        """What `headroom status` says, running calls included."""
        return run_headroom('status', '--json', '--config', self.configuration)

    def running(self, method_prefix=THING):
        """The calls that run at this moment in any process of this recorder."""
        return [call for call in self.status()['running'] if call['method'].startswith(method_prefix)]

    def calls(self, method_prefix=THING):
        return stored_calls(self.path, method_prefix)

    def wait_for_calls(self, number, seconds=15, method_prefix=THING):
        """All calls, as soon as there are so many; those that come a moment later make a test fail as well."""
        wait_until(lambda: self._exists() and len(self.calls(method_prefix)) >= number, seconds,
            '%d calls in the store' % number)
        return self.calls(method_prefix)

    def _exists(self):
        from pathlib import Path
        return Path(self.path).exists()

    def only_session(self, user='admin'):
        """The one session of that user."""
        found = wait_until(lambda: [row for row in self.report('session', user) if len(row['session']) == 16], 15,
            'a session of ' + user)
        assert len(found) == 1, found
        return found[0]
