"""Tryton's bus served by Headroom: what trytond itself notifies, on the wire as trytond answers it."""
import http.client
import json
import resource
import threading
import uuid
from urllib.parse import urlsplit

import pytest

from servers import free_port, wait_until
from servers.bus import SECRET
from servers.bus import Bus as Served
from servers.client import Client
from servers.crowd import Crowd, authorization, threads_of
from servers.notifier import Notifier

LIMIT = 60  # seconds; what hangs fails


def toml_lines(keys):
    return '\n'.join('%s = %s' % (key, json.dumps(value)) for key, value in keys.items())


class Bus:
    """One place that serves the bus, as a client sees it."""

    def __init__(self, port, database, host='127.0.0.1'):
        self.address = (host, port)
        self.path = '/%s/bus' % database
        self.url = 'ws://%s:%d/bus/ws' % self.address
        self.tabs = []

    play = Served.play

    def request(self, body, headers, method='POST', path=None):
        connection = http.client.HTTPConnection(*self.address, timeout=LIMIT)
        try:
            connection.request(method, path or self.path, body, headers)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def get(self, path):
        return self.request(None, {}, 'GET', path)

    def poll(self, client, channels=(), last=None, **headers):
        """The answer's status and its content."""
        body = json.dumps({'last_message': last, 'channels': list(channels)})
        status, _, content = self.request(body, {'Content-Type': 'application/json',
                'Authorization': authorization(client), 'X-Requested-With': 'XMLHttpRequest', **headers})
        return status, json.loads(content) if status == 200 else content

    def read(self, client, number, channels=(), last=None):
        """The next messages, one poll each."""
        messages = []
        for _ in range(number):
            status, answer = self.poll(client, channels, last)
            assert status == 200 and answer['message'], (status, answer)
            messages.append(answer)
            last = answer['message']['message_id']
        return messages


class Waiting(threading.Thread):
    """A poll on a thread of its own."""

    def __init__(self, bus, *arguments):
        super().__init__(daemon=True)
        self.bus = bus
        self.arguments = arguments
        self.answer = None
        self.start()

    def run(self):
        try:
            self.answer = self.bus.poll(*self.arguments)
        except OSError as error:
            self.answer = error

    def result(self, seconds=LIMIT):
        self.join(seconds)
        assert self.answer is not None, 'no answer within %s s' % seconds
        return self.answer


class Site:
    """A Tryton database on PostgreSQL, trytond, and `headroom serve` that listens to the database."""

    def __init__(self, servers, sections=None):
        self.servers = servers
        self.postgresql = servers.postgresql()
        self.tryton = servers.tryton('postgresql', sections=sections)
        self.database = self.tryton.database
        self.server = self.tryton.serve()
        self.client = self.tryton.client(self.server)
        self.headroom = None

    def serve(self, bus=None, **keys):
        """Starts `headroom serve`; `keys` go to [bus.tryton], `bus` to [bus], which is off without it."""
        port = free_port()
        keys = {'uri': self.postgresql.uri, 'databases': [self.database], **keys}
        configuration = self.servers.folder / ('headroom-%d.toml' % port)
        configuration.write_text('[perf]\nstore = "%s"\nstate = "%s"\n[serve]\nlisten = "127.0.0.1:%d"\n%s[bus.tryton]\n%s\n' % (
                self.servers.store_url(), self.servers.folder / 'state', port, self._bus_section(bus), toml_lines(keys)))
        self.headroom = self.servers.headroom(configuration, port)
        wait_until(lambda: self.connections() > 0, 20, 'the LISTEN connection')
        return Bus(port, self.database)

    def _bus_section(self, keys):
        if keys is None:
            return ''
        secret = self.servers.folder / 'bus-secret'
        secret.write_text(SECRET + '\n')
        secret.chmod(0o600)
        return '[bus]\n%s\n' % toml_lines({'enabled': True, 'secret_files': [str(secret)], **keys})

    def trytond_bus(self, **bus):
        """A trytond whose own bus answers."""
        other = type(self.tryton)(self.servers, '%s-bus-%d' % (self.tryton.name, len(self.servers.processes)),
            self.database, self.postgresql.uri, sections={'bus': {'allow_subscribe': 'True', **bus}})
        return Bus(other.serve().port, self.database)

    def connections(self):
        """Those of Headroom to the database that listen."""
        return int(self.postgresql.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'headroom bus'"
                " AND datname = '%s'" % self.database)[0])

    def metric(self, bus, name, prefix='headroom_tryton_bus_'):
        _, _, text = bus.get('/metrics')
        for line in text.decode().splitlines():
            if line.startswith((prefix + name + '{', prefix + name + ' ')):
                return float(line.rsplit(' ', 1)[1])
        return 0.0

    def second_user(self):
        """Another one each time."""
        login = 'bob-%s' % uuid.uuid4()
        self.client.call('model.res.user.create', [{'name': 'Bob', 'login': login, 'password': 'Wq7-bluE.9sky'}])
        return Client(self.server.port, self.database).login(login, 'Wq7-bluE.9sky')


@pytest.fixture
def site(servers):
    return Site(servers)


@pytest.fixture
def notifier(site):
    with Notifier(site.tryton) as made:
        yield made


def test_a_message_of_trytond_reaches_who_waits_and_who_comes_later(site, notifier):
    bus = site.serve()
    waiting = Waiting(bus, site.client)
    wait_until(lambda: site.metric(bus, 'waiting') == 1, 20, 'the waiting poll')
    notifier.notify({'title': 'Caf\u00e9', 'body': 'it\'s "ready"', 'priority': 2, 'user': site.client.user_id})
    status, answer = waiting.result()
    assert status == 200
    assert answer['channel'] == 'user:%d' % site.client.user_id
    message = answer['message']
    identity = message.pop('message_id')
    assert message == {'type': 'notification', 'title': 'Caf\u00e9', 'body': 'it\'s "ready"', 'priority': 2}
    assert bus.poll(site.client)[1]['message']['message_id'] == identity, 'who knows none gets the oldest that is kept'


def test_one_message_a_poll_in_the_order_of_the_commits(site, notifier):
    bus = site.serve()
    client = 'client:%s' % uuid.uuid4()
    user = site.client.user_id
    notifier.notify(*[{'title': 'of a batch %d' % number, 'user': user} for number in range(10)])
    for number in range(10):
        notifier.notify({'title': 'alone %d' % number, 'client': client.split(':', 1)[1]})
    titles = [answer['message']['title'] for answer in bus.read(site.client, 20, [client])]
    assert titles == ['of a batch %d' % n for n in range(10)] + ['alone %d' % n for n in range(10)]


def test_the_answers_are_those_of_trytond(site, notifier):
    """The same requests to trytond's own bus, which keeps messages as long."""
    ours = site.serve(wait='1s')
    theirs = site.trytond_bus(long_polling_timeout='1', cache_timeout='300')
    client = 'client:%s' % uuid.uuid4()
    user = site.client.user_id
    for bus in (ours, theirs):
        assert bus.poll(site.client, [client]) == (200, {'message': None, 'channel': None})
    last = None
    for call in ({'title': 'one', 'user': user}, {'title': 'two', 'client': client.split(':', 1)[1], 'body': 'b\u00fc'},
            {'channel': 'other', 'type': 'custom', 'list': [1, {'a': None}], 'number': 1.5}, {'title': 'four', 'user': user}):
        notifier.notify(call)
        # trytond reverses what it hears at once, so it hears one after the other.
        last = wait_until(lambda: theirs.poll(site.client, [client, 'other'], last)[1]['message'], 20, 'it')['message_id']
    wait_until(lambda: site.metric(ours, 'kept') == 4, 20, 'the messages')
    good = {'Content-Type': 'application/json', 'Authorization': authorization(site.client)}
    ids = [answer['message']['message_id'] for answer in ours.read(site.client, 4, [client, 'other'])]
    bodies = [json.dumps({'channels': channels, 'last_message': last})
        for channels in ([], [client], [client, 'other'], ['nobody'], ['user:99', 'user:%d' % user])
        for last in [None, 'unknown', *ids]]
    requests = [(body, good) for body in bodies] + [
        ('{}', good), ('{"channels":[]}', good), ('{"last_message":5}', good), ('broken', good), ('', good),
        ('{}', {**good, 'Content-Type': 'application/json; charset=utf-8'}),
        ('{}', {**good, 'X-Requested-With': 'XMLHttpRequest'}),
        ('{}', {**good, 'Authorization': good['Authorization'].replace('Session ', 'session ')}),
        ('{}', {'Content-Type': 'application/json'}),
        ('{}', {'Content-Type': 'application/json', 'X-Requested-With': 'XMLHttpRequest'}),
        ('broken', {'Content-Type': 'application/json'})]
    requests += [('{}', {**good, 'Authorization': wrong}) for wrong in
        ('Session', 'Session x', 'Session YWRtaW46MTphYmM=', 'Session YWRtaW46OTk6YWJj', 'Bearer x', '')]
    for body, headers in requests:
        (status, head, content), (their_status, their_head, their_content) = [
            bus.request(body, headers) for bus in (ours, theirs)]
        assert (status, content) == (their_status, their_content), (body, headers)
        assert head.get('Content-Type') == their_head.get('Content-Type'), (body, headers)
        assert head.get('WWW-Authenticate') == their_head.get('WWW-Authenticate'), (body, headers)


def test_the_order_of_the_refusals_is_that_of_trytond(site):
    good = {'Content-Type': 'application/json', 'Authorization': authorization(site.client)}
    bad = {**good, 'Authorization': 'Session YWRtaW46MTphYmM='}
    elsewhere = 'http://bus.example/'
    pairs = [(site.serve(allow_subscribe=False, url_host=elsewhere),
            site.trytond_bus(allow_subscribe='False', url_host=elsewhere)),
        (site.serve(url_host=elsewhere), site.trytond_bus(url_host=elsewhere))]
    statuses = []
    for ours, theirs in pairs:
        for headers in (bad, good):
            for body in ('{}', 'broken'):
                mine, other = [bus.request(body, headers) for bus in (ours, theirs)]
                assert (mine[0], mine[2]) == (other[0], other[2])
                for name in ('Location', 'Content-Type', 'Cache-Control'):
                    assert name == 'Cache-Control' and mine[0] != 308 or mine[1].get(name) == other[1].get(name), name
                statuses.append(mine[0])
    assert statuses == [401, 401, 501, 501, 401, 401, 308, 308]


def test_a_client_that_follows_the_redirect_of_trytond_is_served(site, notifier):
    """As the desktop client does, which keeps its header; a browser would not."""
    ours = site.serve()
    theirs = site.trytond_bus(url_host='http://127.0.0.1:%d/' % ours.address[1])
    headers = {'Content-Type': 'application/json', 'Authorization': authorization(site.client)}
    status, head, _ = theirs.request('{}', headers)
    assert status == 308
    target = urlsplit(head['Location'])
    assert (target.port, target.path) == (ours.address[1], ours.path)
    notifier.notify({'title': 'followed', 'user': site.client.user_id})
    assert ours.read(site.client, 1)[0]['message']['title'] == 'followed'


def test_a_logout_ends_the_wait(site):
    bus = site.serve()
    leaving = site.tryton.client(site.server)
    polls = [Waiting(bus, leaving) for _ in range(3)]
    staying = Waiting(bus, site.client)
    wait_until(lambda: site.metric(bus, 'waiting') == 4, 20, 'the waiting polls')
    leaving_again = leaving.clone()
    leaving.logout()
    assert [poll.result()[0] for poll in polls] == [401] * 3
    assert bus.poll(leaving_again)[0] == 401
    assert staying.answer is None


def test_a_poll_neither_extends_nor_ends_a_session(site):
    def rows():
        return sorted(site.postgresql.execute('SELECT id, create_date, write_date FROM ir_session', site.database))
    old = site.tryton.client(site.server)
    site.postgresql.execute("UPDATE ir_session SET create_date = create_date - interval '31 days' WHERE key = '%s'"
        % old.session, site.database)
    bus = site.serve(wait='1s')
    before = rows()
    assert bus.poll(site.client)[0] == 200
    assert bus.poll(old)[0] == 401
    assert rows() == before


def test_nobody_reads_the_messages_of_another(site, notifier):
    bus = site.serve(wait='2s')
    bob = site.second_user()
    client = 'client:%s' % uuid.uuid4()
    assert bus.poll(site.client, [client])[0] == 200
    notifier.notify({'title': 'for the client', 'client': client.split(':', 1)[1]},
        {'title': 'for the user', 'user': site.client.user_id})
    nothing = (200, {'message': None, 'channel': None})
    assert bus.poll(bob, [client, 'user:%d' % site.client.user_id]) == nothing
    forged = bob.clone()
    forged.user_id = site.client.user_id
    assert bus.poll(forged, [client])[0] == 401
    assert [answer['message']['title'] for answer in bus.read(site.client, 2, [client])] == ['for the client', 'for the user']


def test_no_log_holds_a_key(site, notifier):
    for setting in ("log_statement = 'all'", 'log_min_duration_statement = 0', 'log_parameter_max_length = -1'):
        site.postgresql.execute('ALTER SYSTEM SET %s' % setting)
    site.postgresql.execute('SELECT pg_reload_conf()')
    bus = site.serve(wait='3s')
    assert bus.poll(site.client)[0] == 200
    log = site.postgresql.process.log.read_text()
    assert 'ir_session' in log.split('headroom')[-1] or 'sha256' in log
    asked = [line for line in log.splitlines() if 'sha256' in line or 'parameters' in line]
    assert asked and not any(site.client.session in line for line in asked)
    assert site.client.session not in site.headroom.log.read_text()


def test_postgresql_is_restarted_and_what_was_kept_is_still_there(site, notifier):
    bus = site.serve()
    notifier.notify({'title': 'before', 'user': site.client.user_id})
    wait_until(lambda: site.metric(bus, 'kept') == 1, 20, 'the message')
    first = bus.read(site.client, 1)[0]['message']['message_id']
    waiting = Waiting(bus, site.client, (), first)
    wait_until(lambda: site.metric(bus, 'waiting') == 1, 20, 'the waiting poll')
    site.postgresql.process.stop()
    wait_until(lambda: site.metric(bus, 'listening') == 0, 20, 'the loss')
    assert bus.get('/health')[0] == 503
    site.postgresql.process.start()
    wait_until(lambda: site.metric(bus, 'listening') == 1, 20, 'the connection')
    assert site.metric(bus, 'losses_total') == 1
    assert site.connections() == 1
    assert bus.read(site.client, 1)[0]['message']['title'] == 'before'
    with Notifier(site.tryton) as again:
        again.notify({'title': 'after', 'user': site.client.user_id})
    assert waiting.result()[1]['message']['title'] == 'after'
    wait_until(lambda: bus.get('/health')[0] == 200, 20, 'the good health')


def test_databases_that_a_glob_matches_are_listened_to_from_their_first_poll(site, notifier):
    port = free_port()
    (site.servers.folder / 'glob.toml').write_text(
        '[perf]\nstore = "%s"\nstate = "%s"\n[serve]\nlisten = "127.0.0.1:%d"\n'
        '[bus.tryton]\nconfig = "%s"\ndatabases = ["tryton*"]\nwait = "1s"\n' % (
            site.servers.store_url(), site.servers.folder / 'state', port, site.tryton.configuration))
    site.servers.headroom(site.servers.folder / 'glob.toml', port)
    assert site.connections() == 0
    assert Bus(port, 'tryton-nowhere').poll(site.client)[0] == 404
    assert Bus(port, 'postgres').poll(site.client)[0] == 501
    assert Bus(port, site.database).poll(site.client) == (200, {'message': None, 'channel': None})
    assert site.connections() == 1
    notifier.notify({'title': 'heard', 'user': site.client.user_id})
    assert Bus(port, site.database).read(site.client, 1)[0]['message']['title'] == 'heard'


def test_a_graceful_stop_tells_those_who_wait(site):
    bus = site.serve()
    waiting = Waiting(bus, site.client)
    wait_until(lambda: site.metric(bus, 'waiting') == 1, 20, 'the waiting poll')
    assert site.headroom.stop() == 0
    assert waiting.result()[0] == 503
    assert site.connections() == 0


@pytest.fixture
def many_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_five_thousand_clients_wait_on_one_connection_and_no_thread(site, notifier, many_files):
    bus = site.serve()
    before = threads_of(site.server.pid), threads_of(site.headroom.pid)
    crowd = Crowd(bus.address, bus.path, site.client, 5000)
    try:
        wait_until(lambda: site.metric(bus, 'waiting') == 5000, LIMIT, 'all polls')
        assert (threads_of(site.server.pid), threads_of(site.headroom.pid)) == before
        assert site.connections() == 1
        notifier.notify({'channel': 'everybody', 'type': 'broadcast'})
        answers = crowd.answers()
    finally:
        crowd.close()
    assert len(answers) == 5000
    assert len(set(answers)) == 1
    status, body = answers[0]
    assert status == b'200' and json.loads(body)['message']['type'] == 'broadcast'
    assert site.metric(bus, 'delivered_total') == 5000
    wait_until(lambda: site.metric(bus, 'waiting') == 0, 20, 'the end of all polls')


def test_a_role_that_may_read_sessions_and_nothing_else_is_enough(site, notifier):
    site.postgresql.execute('CREATE ROLE reader LOGIN')
    bus = site.serve(uri='postgresql://reader@127.0.0.1:%d/' % site.postgresql.port)
    assert bus.poll(site.client)[0] == 503
    status, _, health = bus.get('/health')
    assert status == 503 and b'permission denied for table ir_session' in health
    site.postgresql.execute('GRANT SELECT (create_uid, create_date, key) ON ir_session TO reader', site.database)
    notifier.notify({'title': 'heard', 'user': site.client.user_id})
    assert bus.read(site.client, 1)[0]['message']['title'] == 'heard'
    wait_until(lambda: bus.get('/health')[0] == 200, 20, 'the good health')
