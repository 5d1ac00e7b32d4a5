"""Secrets pass through calls, statements and errors; none of them is kept anywhere."""
import http.client
import re
import urllib.parse

import pytest

from servers import RPCError, wait_until
from servers.recorder import THING, Recorder

PASSWORD = 'Xq7-Lumber_Jack92Ohm'
EVERYTHING = {'users': 'admin', 'io': '*', 'db': '*', 'query': '0', 'profile': '*'}
METHODS = {THING + name for name in ('echo', 'echo_failing', 'exception_quoting', 'no_such_method')}
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


@pytest.mark.parametrize('store', ['sqlite', 'redis'])
def test_token_and_password_are_nowhere(servers, backend, store):
    redis = servers.redis() if store == 'redis' else None
    recorder = Recorder(servers, url=redis and redis.url, **EVERYTHING)
    port = serve(servers, recorder)
    tryton = servers.tryton(backend, recorder=recorder.section)
    client = tryton.client(tryton.serve(verbose=False))
    first = client.session
    work(client)
    wait_until(lambda: METHODS <= {call['method'] for call in calls(recorder)}, 15, 'the calls in the store')
    places = list(everything(servers, recorder, redis, port))
    seen = b''.join(content for _, content in places)
    # What must have been searched: the statements of sessions, an error, a body, and the list of processes.
    for needle in (b'ir_session', b'Wrong: ', b"can't use ", b'long enough to be sent compressed', b'"processes"'):
        assert needle in seen, needle
    found = {(secret[:6], place) for place, content in places
        for secret in (first, client.session, PASSWORD) if secret.encode() in content}
    assert not found


def serve(servers, recorder):
    """`headroom serve`, whose API shows the store; returns its port."""
    port = servers.free_port()
    with open(recorder.configuration, 'a') as file:
        file.write('[serve]\nlisten = "127.0.0.1:%d"\n' % port)
    servers.headroom(recorder.configuration, port)
    return port


def prefixes(recorder):
    return ['%s/%s' % (session['database'], session['session']) for session in recorder.report('session')]


def calls(recorder):
    return [call for prefix in prefixes(recorder) for call in recorder.report('call', prefix)]


def everything(servers, recorder, redis, port):
    """Name and bytes of every place where a record can be seen, while the servers still run."""
    if redis:
        redis.command('CONFIG', 'SET', 'rdbcompression', 'no')
        assert redis.command('SAVE') == 'OK'
        yield 'redis', (redis.folder / 'dump.rdb').read_bytes()
    for path in recorder.state.rglob('*'):
        if path.is_file():
            yield path.name, path.read_bytes()
    for path in servers.folder.rglob('*.log'):
        yield path.name, OWN_LINE.sub(b'', path.read_bytes())
    for path in ('overview', 'session', 'conflict', 'rules', 'running', 'status'):
        yield 'API ' + path, ask(port, path)
    for prefix in prefixes(recorder):
        yield from reports(recorder, port, prefix)


def reports(recorder, port, prefix):
    """Every report of a session: as a list, and each call and statement of it, for people, programs and the API."""
    for report in ('call', 'table', 'method', 'repeat', 'query', 'db', 'io', 'profile'):
        yield report, recorder.run(report, prefix, check=False).stdout.encode()
        yield 'API ' + report, ask(port, report, session=prefix)
    for call in recorder.report('call', prefix):
        for report in ('io', 'db', 'profile'):
            yield report, recorder.run(report, prefix, call['#'], '--json', check=False).stdout.encode()
            yield 'API ' + report, ask(port, report, session=prefix, call=call['#'])
    for rank in range(1, 1 + len(recorder.report('query', prefix))):
        yield 'query', recorder.run('query', prefix, rank, '--json', check=False).stdout.encode()
        yield 'API query', ask(port, 'query', session=prefix, rank=rank)


def ask(port, path, **parameters):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
    connection.request('GET', '/api/perf/%s?%s' % (path, urllib.parse.urlencode(parameters)))
    try:
        return connection.getresponse().read()
    finally:
        connection.close()
