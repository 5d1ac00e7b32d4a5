"""Signing in to `headroom serve`: by token, by password, as a viewer, behind a proxy; and who is refused."""
import http.client
import json
import stat

import pytest

from servers import free_port
from servers.paths import run_headroom
from servers.process import wait_until

TOKEN = 'a-token-of-the-tests-0123456789abcdef'
PEOPLE = {'ada': ('administrator', 'correct horse battery'), 'vic': ('viewer', 'another pass phrase')}
RULE = {'users': ['admin'], 'for': '1m'}


class Browser:
    """Keeps its cookie and the other secret, as a page does."""

    def __init__(self, port, **headers):
        self.port = port
        self.headers = headers
        self.cookie = None
        self.csrf = None

    def call(self, method, path, body=None, **headers):
        """The status and the decoded answer."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=20)
        sent = {**self.headers, **headers}
        if self.cookie:
            sent['Cookie'] = self.cookie
        if self.csrf and method != 'GET':
            sent.setdefault('X-Headroom-CSRF', self.csrf)
        if body is not None:
            sent['Content-Type'] = 'application/json'
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        response = connection.getresponse()
        text = response.read()
        self.set_cookie = response.getheader('Set-Cookie')
        connection.close()
        return response.status, json.loads(text) if text else None

    def sign_in(self, **credentials):
        status, answer = self.call('POST', '/api/session', credentials)
        if status == 200:
            self.cookie = self.set_cookie.split(';')[0]
            self.csrf = answer['csrf']
        return status, answer


@pytest.fixture
def serve(servers):
    """Starts the daemon with people and a token; returns its port."""
    def start(**more):
        port = free_port()
        token = servers.folder / 'token'
        token.write_text(TOKEN + '\n')
        token.chmod(0o600)
        settings = {'listen': '127.0.0.1:%d' % port, 'token_file': str(token), **more}
        configuration = servers.folder / 'headroom.toml'
        configuration.write_text('[perf]\nstore = "%s"\nstate = "%s"\n\n[serve]\n%s' % (
            servers.store_url(), servers.folder / 'state',
            ''.join('%s = %s\n' % (key, json.dumps(value)) for key, value in settings.items())))
        servers.headroom(configuration, port)
        script = Browser(port, Authorization='Bearer ' + TOKEN)
        wait_until(lambda: script.call('GET', '/api/perf/rules')[0] == 200, 20, 'the store, which is made at the start')
        return port
    return start


@pytest.fixture
def people(servers):
    """A password file, made as an administrator makes it."""
    path = servers.folder / 'people'
    for user, (role, password) in PEOPLE.items():
        set_password(path, user, role, password)
    return path


def set_password(path, user, role, password):
    import subprocess
    from servers.paths import executable
    subprocess.run([executable(), 'serve', 'password', 'add', user, '--role', role, '--file', path],
        input=password + '\n', text=True, check=True, capture_output=True, timeout=60)


def password_of(user):
    return {'user': user, 'password': PEOPLE[user][1]}


def test_the_file_holds_no_password_and_is_for_its_owner_alone(people):
    text = people.read_text()
    assert stat.S_IMODE(people.stat().st_mode) == 0o600
    for user, (role, password) in PEOPLE.items():
        assert '%s:%s:$argon2id$v=19$m=65536,t=3,p=1$' % (user, role) in text
        assert password not in text
    rows = run_headroom('serve', 'password', 'list', '--json', '--file', people)
    assert {row['user']: row['role'] for row in rows} == {user: role for user, (role, _) in PEOPLE.items()}


def test_without_people_this_machine_reads_without_signing_in(serve):
    browser = Browser(serve())
    status, session = browser.call('GET', '/api/session')
    assert (status, session['signed_in'], session['required'], session['with']) == (200, False, False, ['token'])
    assert browser.call('GET', '/api/perf/rules')[0] == 200
    assert browser.call('POST', '/api/perf/rules', RULE)[0] == 401


def test_with_people_everybody_signs_in(serve, people):
    port = serve(password_file=str(people))
    browser = Browser(port)
    assert browser.call('GET', '/api/perf/rules')[0] == 401
    assert browser.call('GET', '/api/session')[1]['required']
    assert browser.sign_in(user='ada', password='wrong')[0] == 401
    assert browser.sign_in(user='nobody', password='wrong')[0] == 401
    assert browser.call('GET', '/api/perf/rules')[0] == 401
    status, session = browser.sign_in(**password_of('ada'))
    assert (status, session['user'], session['role']) == (200, 'ada', 'administrator')
    assert {'HttpOnly', 'SameSite=Strict', 'Path=/'} <= set(browser.set_cookie.split('; '))
    assert 'Secure' not in browser.set_cookie, 'it did not come by https'
    assert browser.call('GET', '/api/perf/rules')[0] == 200
    assert browser.call('GET', '/api/session')[1]['signed_in']


def test_a_change_needs_the_other_secret_and_this_site(serve):
    browser = Browser(serve())
    assert browser.sign_in(token='wrong-token-wrong-token')[0] == 401
    assert browser.sign_in(token=TOKEN)[0] == 200
    assert browser.call('POST', '/api/perf/rules', RULE, **{'X-Headroom-CSRF': 'guessed'})[0] == 403
    assert browser.call('POST', '/api/perf/rules', RULE, Origin='https://evil.example')[0] == 403
    assert browser.call('DELETE', '/api/session', **{'Sec-Fetch-Site': 'cross-site'})[0] == 403
    assert browser.call('POST', '/api/perf/rules', RULE)[0] == 201
    cookie = browser.cookie
    assert browser.call('DELETE', '/api/session')[0] == 204
    browser.cookie = cookie
    assert not browser.call('GET', '/api/session')[1]['signed_in'], 'the old cookie is worth nothing'


def test_a_viewer_sees_no_bodies_and_changes_nothing(serve, people):
    browser = Browser(serve(password_file=str(people)))
    assert browser.sign_in(**password_of('vic'))[1]['role'] == 'viewer'
    assert browser.call('GET', '/api/perf/session')[0] == 200
    for report in ('io', 'db', 'query'):
        assert browser.call('GET', '/api/perf/%s?session=1' % report)[0] == 403
    assert browser.call('POST', '/api/perf/rules', RULE)[0] == 403
    assert browser.call('DELETE', '/api/perf/rules/r1')[0] == 403


def test_who_is_removed_is_out_within_seconds(serve, people):
    port = serve(password_file=str(people))
    vic, ada = Browser(port), Browser(port)
    assert vic.sign_in(**password_of('vic'))[0] == 200
    assert ada.sign_in(**password_of('ada'))[0] == 200
    run_headroom('serve', 'password', 'remove', 'vic', '--file', people)
    wait_until(lambda: vic.call('GET', '/api/perf/rules')[0] == 401, 20, 'the end of the session')
    assert ada.call('GET', '/api/perf/rules')[0] == 200
    assert vic.sign_in(**password_of('vic'))[0] == 401


def test_guessing_is_stopped(serve, people):
    browser = Browser(serve(password_file=str(people)))
    for _ in range(10):
        assert browser.sign_in(token='wrong-token-wrong-token')[0] == 401
    assert browser.sign_in(**password_of('ada'))[0] == 429


def test_behind_a_proxy_nobody_is_local_and_the_cookie_is_secure(serve, people):
    port = serve(proxies=['127.0.0.1'])
    outside = Browser(port, **{'X-Forwarded-For': '6.6.6.6, 192.0.2.7', 'X-Forwarded-Proto': 'https'})
    assert outside.call('GET', '/api/perf/rules')[0] == 401
    assert outside.sign_in(token=TOKEN)[0] == 200
    assert outside.set_cookie.startswith('__Host-headroom=')
    assert 'Secure' in outside.set_cookie.split('; ')
    assert outside.call('GET', '/api/perf/rules')[0] == 200
    assert Browser(port).call('GET', '/api/perf/rules')[0] == 200, 'a client of this machine'


def test_a_proxy_that_nobody_named_makes_nobody_local(serve):
    assert Browser(serve(), **{'X-Forwarded-For': '127.0.0.1'}).call('GET', '/api/perf/rules')[0] == 401


def test_bodies_that_are_none_are_refused(serve):
    browser = Browser(serve())
    for body in ([], {}, {'token': 1}, {'token': TOKEN, 'user': 'x'}, {'user': 'x'}, {'user': 'x', 'password': None}):
        assert browser.call('POST', '/api/session', body)[0] == 400, body
    assert browser.call('POST', '/api/session', {'token': 'x' * 9000})[0] == 413
