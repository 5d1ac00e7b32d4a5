"""Secrets pass through calls, statements and errors; none of them is kept anywhere."""
import re
from pathlib import Path

import pytest

from servers import RPCError, run_headroom
from servers.recorder import THING, Recorder

PASSWORD = 'Xq7-Lumber_Jack92Ohm'
EVERYTHING = {'users': 'admin', 'io': '*', 'db': '*', 'query': '0', 'profile': '*'}


#: The line of trytond's own log that quotes the arguments of an unexpected exception, with the traceback below it.
OWN_LINE = re.compile(rb'^\d+ \d+ \[[^]]*\] ERROR trytond\.protocols\.dispatcher .*\n(?:(?!\d+ \d+ \[).*\n?)*', re.MULTILINE)


def work(client):
    """Changes the password, logs in with it, names it where it does not belong, and fails with it."""
    client.call('model.res.user.write', [1], {'password': PASSWORD})
    client.login('admin', PASSWORD)
    secret = {'password': PASSWORD, 'token': client.session}
    client.call(THING + 'echo', secret)
    client.call(THING + 'echo', {**secret, 'name': 'long enough to be sent compressed ' * 60})
    refused(client, THING + 'echo_failing', {'password': PASSWORD, 'session': client.session})
    refused(client, THING + 'exception_quoting', {'password': PASSWORD, 'session': client.session})
    refused(client, THING + 'no_such_method', {'password': PASSWORD})
    with pytest.raises(RPCError):
        client.clone().login('admin', PASSWORD + ' mistyped')


def refused(client, method, *arguments):
    with pytest.raises(RPCError):
        client.call(method, *arguments)


def test_token_and_password_are_nowhere(servers, backend):
    recorder = Recorder(servers, **EVERYTHING)
    tryton = servers.tryton(backend, recorder=recorder.section)
    client = tryton.client(tryton.serve(verbose=False))
    first = client.session
    work(client)
    calls = recorder.wait_for_calls(5)
    assert {'echo', 'echo_failing', 'exception_quoting'} <= {call.method.removeprefix(THING) for call in calls}
    found = [(secret[:6], place) for place, content in everything(servers, recorder)
        for secret in (first, client.session, PASSWORD) if secret.encode() in content]
    assert not found


def everything(servers, recorder):
    """Name and bytes of every place where a record can be seen, while the server still runs."""
    for path in Path(recorder.path).parent.iterdir():
        if path.is_file():
            yield path.name, path.read_bytes()
    for path in servers.folder.rglob('*.log'):
        yield path.name, OWN_LINE.sub(b'', path.read_bytes())
    for session in recorder.report('session'):
        prefix = '%s/%s' % (session['database'], session['session'])
        for report in ('call', 'table', 'method', 'repeat', 'query', 'db', 'io', 'profile'):
            yield report, recorder.run(report, prefix, check=False).stdout.encode()
        for call in recorder.report('call', prefix):
            for report in ('io', 'db', 'profile'):
                yield report, recorder.run(report, prefix, call['#'], check=False).stdout.encode()
        for row in recorder.report('query', prefix):
            yield 'query', recorder.run('query', prefix, row.get('rank', row.get('#', 1)), check=False).stdout.encode()
