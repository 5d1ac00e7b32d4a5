"""Secrets pass through calls, statements and errors; none of them is kept anywhere."""
from pathlib import Path

from servers import RPCError, run_headroom
from servers.recorder import THING, Recorder

PASSWORD = 'Xq7-Lumber_Jack92Ohm'
EVERYTHING = {'users': 'admin', 'io': '*', 'db': '*', 'query': '0', 'profile': '*'}


def work(client):
    """Changes the password, logs in with it, names it where it does not belong, and fails with it."""
    client.call('model.res.user.write', [1], {'password': PASSWORD})
    client.login('admin', PASSWORD)
    client.call(THING + 'echo', {'password': PASSWORD, 'token': client.session})
    for method, arguments in (('echo_failing', [{'password': PASSWORD, 'session': client.session}]),
            ('no_such_method', [{'password': PASSWORD}])):
        try:
            client.call(THING + method, *arguments)
        except RPCError:
            pass
    try:
        client.login('admin', PASSWORD + ' mistyped')
    except RPCError:
        pass


def test_token_and_password_are_nowhere(servers, backend):
    recorder = Recorder(servers, **EVERYTHING)
    tryton = servers.tryton(backend, recorder=recorder.section)
    server = tryton.serve(verbose=False)
    client = tryton.client(server)
    secrets = [client.session]
    client_session = client.clone()
    work(client)
    secrets += [client.session, PASSWORD] if client.session else [PASSWORD]
    calls = recorder.wait_for_calls(3)
    assert {'echo', 'echo_failing'} <= {call.method.removeprefix(THING) for call in calls}
    client_session.close()
    found = [(secret[:6], place) for place, content in everything(servers, recorder) for secret in secrets
        if secret and secret.encode() in content]
    assert not found


def everything(servers, recorder):
    """Name and bytes of every place where a record can be seen, while the server still runs."""
    for path in Path(recorder.path).parent.iterdir():
        if path.is_file():
            yield path.name, path.read_bytes()
    for path in servers.folder.rglob('*.log'):
        yield path.name, path.read_bytes()
    for session in recorder.report('session'):
        prefix = '%s/%s' % (session['database'], session['session'])
        for report in ('call', 'table', 'method', 'repeat', 'query', 'db', 'io', 'profile'):
            yield report, recorder.run(report, prefix, check=False).stdout.encode()
        for call in recorder.report('call', prefix):
            for report in ('io', 'db', 'profile'):
                yield report, recorder.run(report, prefix, call['#'], check=False).stdout.encode()
        for row in recorder.report('query', prefix):
            yield 'query', recorder.run('query', prefix, row.get('rank', row.get('#', 1)), check=False).stdout.encode()
