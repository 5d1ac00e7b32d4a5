"""The example project on Debian's Django: what its users do is recorded as what a Tryton's users do is."""
import pytest

from servers.process import wait_until
from servers.recorder import Recorder
from servers.shop import PASSWORD, Browser, Shop

VIEWS = 'shop.views.'


def serve(servers, backend='sqlite', kind='serve', **settings):
    recorder = Recorder(servers, **settings)
    shop = Shop(servers, backend, recorder.section)
    recorder.server = getattr(shop, kind)()
    recorder.browser = Browser(recorder.server.port)
    return recorder


def work(browser):
    assert browser.get('/orders/')[0] == 200
    assert browser.get('/orders/at-once/')[0] == 200
    assert browser.get('/orders/export/')[1].count(b'\n') == 90
    assert browser.get('/orders/7/')[0] == 200
    assert browser.get('/orders/7000/')[0] == 500


@pytest.mark.parametrize('kind', ['serve', 'serve_uwsgi'])
def test_calls_of_a_user_are_stored_with_their_statements(servers, backend, kind):
    recorder = serve(servers, backend, kind, users='demo', db=VIEWS + '*')
    recorder.browser.login('demo')
    work(recorder.browser)
    calls = {}
    for call in recorder.wait_for_calls(5, method_prefix=VIEWS):
        calls.setdefault(call.method, []).append(call)
    assert {name: len(found) for name, found in calls.items()} == {
        VIEWS + 'orders': 1, VIEWS + 'orders_at_once': 1, VIEWS + 'export': 1, VIEWS + 'order': 2}
    assert {call.user for found in calls.values() for call in found} == {'demo'}
    assert {call.kind for found in calls.values() for call in found} == {'route'}
    assert sum(calls[VIEWS + 'orders'][0].of_table('shop_line').values()) == 30
    assert sum(calls[VIEWS + 'orders_at_once'][0].of_table('shop_line').values()) == 1
    streamed, = calls[VIEWS + 'export'][0].of_table('shop_line').items()
    assert streamed[1] == 1
    assert sorted((call.status, call.http_status) for call in calls[VIEWS + 'order']) == [('exception', 500), ('ok', 200)]
    check_repeat(recorder)


def check_repeat(recorder):
    """The N+1 is named with the line of the view that sent it."""
    session = next(row for row in recorder.report('session', 'demo') if len(row['session']) == 16)
    repeated, = [row for row in recorder.report('repeat', session['session']) if row['method'] == VIEWS + 'orders']
    assert (repeated['count'], repeated['table'], repeated['action']) == (30, 'shop_line', 'select')
    frames = repeated['backtrace'].splitlines()
    assert [frame for frame in frames if 'examples/django/shop/views.py:' in frame and 'orders' in frame]
    assert not [frame for frame in frames if '/headroom/' in frame or 'socketserver.py' in frame]
    assert 'shop/views.py:' in recorder.run('repeat', session['session'])


def test_only_the_user_of_the_rule_is_recorded_and_a_cookie_opens_nothing(servers):
    recorder = serve(servers, users='demo')
    other = Browser(recorder.server.port)
    other.login('root')
    other.get('/orders/')
    Browser(recorder.server.port).login('demo', 'mistyped')
    recorder.browser.login('demo')
    recorder.browser.get('/orders/')
    recorder.browser.get('/')
    recorder.browser.get('/admin/logout/')
    recorder.browser.get('/orders/')  # the cookie is gone from the server: a redirection to the log-in
    recorder.server.stop()
    calls = recorder.calls(VIEWS)
    assert [(call.method, call.user) for call in calls] == [(VIEWS + 'orders', 'demo')]
    logins = [call for call in recorder.calls('admin:login') if call.kind == 'login']
    assert [(call.user, call.statement_count > 0) for call in logins] == [('', True), ('demo', True)]


def test_a_rule_for_methods_records_anybody_and_tells_who_is_nobody(servers):
    recorder = serve(servers, users='', methods=VIEWS + '*')
    recorder.browser.get('/')
    recorder.browser.get('/no/such/path/4711')
    recorder.browser.login('root')  # which leads to / again; that view does not ask who calls
    recorder.browser.get('/orders/at-once/')
    calls = recorder.wait_for_calls(3, method_prefix=VIEWS)
    assert [(call.method, call.user) for call in calls] == [(VIEWS + 'public', '(anonymous)')] * 2 + [
        (VIEWS + 'orders_at_once', 'root')]

    def counted():  # the counts of everybody follow the calls, once in a while
        return {row['method'] for row in recorder.report('overview')}
    wait_until(lambda: 'unmatched' in counted(), 15, 'the count of an unknown path')
    assert not [name for name in counted() if '4711' in name]


def test_the_statements_before_the_user_is_known_are_kept_from_the_second_request_on(servers):
    recorder = serve(servers, users='demo')
    recorder.browser.login('demo')
    recorder.browser.get('/orders/at-once/')
    recorder.browser.get('/orders/at-once/')
    second = recorder.wait_for_calls(2, method_prefix=VIEWS)[1]
    assert second.of_table('django_session') and second.of_table('auth_user')


def test_secrets_of_a_login_are_nowhere(servers, backend):
    recorder = serve(servers, backend, users='demo', io='*', db='*', query='0')
    recorder.browser.login('demo')
    Browser(recorder.server.port).login('demo', 'mistyped ' + PASSWORD)
    session = recorder.browser.session
    recorder.browser.get('/orders/')
    recorder.wait_for_calls(1, method_prefix=VIEWS)
    recorder.server.stop()
    seen = b''.join(path.read_bytes() for path in recorder.state.rglob('*') if path.is_file())
    assert b'shop_line' in seen
    for secret in (PASSWORD, session):
        assert secret.encode() not in seen
    token = recorder.only_session('demo')['session']
    shown = ''.join(recorder.run(report, token, row['#'], check=False).stdout
        for row in recorder.report('call', token) for report in ('io', 'db'))
    assert 'username=demo' in shown and 'django_session' in shown
    assert PASSWORD not in shown and session not in shown
