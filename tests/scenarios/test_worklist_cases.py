"""The cases that ERP5 tests its work lists with, W01 to W13, over a real PostgreSQL, each counted in every way.

`Portal` is what ERP5's catalog is to them: documents with local roles and permissions, interned into security uids. A case says what
its users are told of its lists, and is run once for each way of counting by statements, and once more (W12) with counts that were
made before, in `headroom serve`.
"""
import contextlib
import http.client
import itertools
import json
import urllib.parse

import psycopg2
import pytest

from servers import Servers, run_headroom, wait_until
from servers.postgresql import PostgreSQL
from servers.process import free_port

LOGINS = {'manager': 1, 'foo': 2, 'bar': 3}
EVERY_ROLE = ('Assignee', 'Assignor', 'Associate', 'Auditor', 'Author', 'Manager', 'Owner')
SOMEWHERE, ELSEWHERE = 101, 102  # the uids of two regions
TOKEN = 'administrator-of-the-portal'

SCHEMA = """
CREATE TABLE person (id integer PRIMARY KEY, login text NOT NULL);
CREATE TABLE person_security (person integer NOT NULL, uid integer NOT NULL, role text);
CREATE TABLE document (id integer PRIMARY KEY, portal_type text, validation_state text, int_index integer, owner integer,
  viewable_owner integer, security_uid integer, region_uid integer);
CREATE TABLE category (uid integer NOT NULL, base text NOT NULL, category text NOT NULL);
INSERT INTO person VALUES (1, 'manager'), (2, 'foo'), (3, 'bar')"""

COLUMNS = """
      id: integer
      portal_type: text
      validation_state: text
      int_index: integer
      owner: integer
      viewable_owner: integer
      security_uid: integer
      region_uid: integer"""
# A document of two regions is of the base category once.
CATEGORISED = ('SELECT DISTINCT document.*, category.base FROM document JOIN category ON category.uid = document.id')

HEAD = f"""
catalogs:
  document:
    table: document
    columns:{COLUMNS}
    security: [{{column: viewable_owner, role: Owner}}, {{column: security_uid}}]
  owned:
    table: document
    columns:{COLUMNS}
    security: [{{column: viewable_owner, role: Owner}}, {{column: security_uid}}]
    holders: [{{column: owner, role: Owner}}]
  categorised:
    query: {CATEGORISED}
    columns:{COLUMNS}
      base: text
    security: [{{column: viewable_owner, role: Owner}}, {{column: security_uid}}]
users:
  table: person
  security_uids: SELECT uid, role FROM person_security WHERE person = :user
lists:
"""


def worklist(name, catalog='document', criteria='', **keys):
    """One, of organisations in draft unless `criteria` says otherwise."""
    criteria = criteria or 'validation_state: draft'
    more = ''.join(', %s: %s' % one for one in keys.items())
    return '  - {id: %s, workflow: validation_workflow, title: "%s (%%(count)s)", catalog: %s%s, criteria: {portal_type: Organisation, %s}}\n' % (
        name, name, catalog, more, criteria)


LISTS = ''.join([
    worklist('assignor_todo', roles='Assignor'),
    worklist('owner_todo', roles='Owner'),
    worklist('owner_todo_desactivated', roles='Owner', guard='{condition: "1 = 0"}'),
    worklist('owner_todo_wrong_state', roles='Owner', criteria='validation_state: not_draft'),
    worklist('assignor_owner_todo', roles='[Assignor, Owner]'),
    worklist('int_value_todo', criteria="validation_state: draft, int_index: '1'"),
    worklist('owned_todo', 'owned', roles='Owner'),
    worklist('has_region', 'categorised', criteria='base: region'),
    worklist('has_role', 'categorised', criteria='base: role'),
    worklist('associate_of_bar', roles='Associate', criteria='validation_state: validated', guard='''{condition: "login = 'bar'"}'''),
    worklist('region_todo', criteria='region_uid: %d' % SOMEWHERE, category='regional',
        url='"organisation_module/view?portal_type:list=%(portal_type)s&region_uid:list=%(region_uid)s"'),
    ])


class Portal:
    """Documents and who may see them, in a database; the definitions; and a service that counts live."""

    def __init__(self, servers):
        self.servers = servers
        self.port = free_port()
        self.postgresql = PostgreSQL(servers.folder).initialize()
        with open(self.postgresql.data / 'postgresql.conf', 'a') as configuration:
            configuration.write('wal_level = logical\n')
        servers.start(self.postgresql.process)
        self.postgresql.create('portal')
        self.url = self.postgresql.uri + 'portal'
        self.connection = psycopg2.connect(self.url)
        self.connection.autocommit = True
        self.run(SCHEMA)
        self.run('CREATE PUBLICATION headroom_worklist FOR TABLE document WITH (publish_via_partition_root = true)')
        self.file = servers.folder / 'worklists.yaml'
        self.file.write_text(HEAD + LISTS)
        self.serve()

    def serve(self):
        token = self.servers.folder / 'token'
        token.write_text(TOKEN + '\n')
        token.chmod(0o600)
        configuration = self.servers.folder / 'headroom.toml'
        configuration.write_text('\n'.join(['[perf]', 'store = "%s"' % self.servers.store_url(),
                    'state = "%s"' % (self.servers.folder / 'state'), '[serve]', 'listen = "127.0.0.1:%d"' % self.port,
                    'token_file = "%s"' % token, '[worklist]', 'live = true', 'file = "%s"' % self.file, 'url = "%s"' % self.url]) + '\n')
        self.servers.headroom(configuration, self.port)
        wait_until(lambda: self.ask('GET', '/api/worklist')[1]['state'] == 'current', 30, 'the counters are current')

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=30)
        with contextlib.closing(connection):
            headers = {'Authorization': 'Bearer ' + TOKEN, 'Content-Type': 'application/json'}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b'null')

    def run(self, statement, *values):
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def begin(self):
        """As it is before each case."""
        self.documents, self.uids = [], {}
        self.run('DELETE FROM document; DELETE FROM category; DELETE FROM person_security')

    def create(self, creator, **values):
        document = Document(len(self.documents) + 1, creator, **values)
        self.documents.append(document)
        return document

    def reindex(self):
        """Writes every document anew, and who has which of the sets of users that may see one."""
        with self.connection.cursor() as cursor:
            cursor.execute('BEGIN; DELETE FROM document; DELETE FROM category; DELETE FROM person_security')
            for document in self.documents:
                cursor.execute('INSERT INTO document VALUES (%s, %s, %s, %s, %s, %s, %s, %s)', document.row(self.uids))
                for category in document.categories:
                    cursor.execute('INSERT INTO category VALUES (%s, %s, %s)', (document.id, category.partition('/')[0], category))
            for login in LOGINS:
                for uid, role in self.rights(login):
                    cursor.execute('INSERT INTO person_security VALUES (%s, %s, %s)', (LOGINS[login], uid, role))
            cursor.execute('COMMIT')

    def rights(self, login):
        """Pairs of a security uid and the role that the user has with it; None of a role that he has everywhere."""
        held = {(uid, entry[1]) for allowed, uid in self.uids.items() for entry in allowed if entry[0] == login}
        everywhere = {(uid, None) for allowed, uid in self.uids.items() if login == 'manager' and ('', 'Manager') in allowed}
        return sorted(held | everywhere, key=str)

    def rows(self, login, way):
        """What is shown to a user, by list."""
        if way == 'kept':
            rows = self.kept(login)
        else:
            rows = run_headroom('worklist', 'count', '--file', self.file, '--url', self.url, '--user', LOGINS[login], '--way', way, '--json')
        assert [row['list'] for row in rows] == sorted(row['list'] for row in rows), 'sorted by workflow and id'
        assert all(row['count'] > 0 for row in rows), 'those with nothing in them are not shown'
        return {row['list'].partition('/')[2]: row for row in rows}

    def kept(self, login):
        """From the service, with all that was committed until now."""
        uids = [{'uid': uid, 'role': role} if role else uid for uid, role in self.rights(login)]
        status, _ = self.ask('PUT', '/api/worklist/users/%d' % LOGINS[login], {'id': LOGINS[login], 'security_uids': uids})
        assert status == 204
        [[lsn]] = self.run('SELECT pg_current_wal_insert_lsn()')
        status, body = self.ask('GET', '/api/worklist/users/%d/counts?wait=10s&lsn=%s' % (LOGINS[login], lsn))
        assert status == 200, body
        assert all(row['way'] == 'live' for row in body['lists'] if not row['list'].endswith(('region', 'has_role'))), body
        return [{**row, 'title': row['name']} for row in body['lists']]


class Document:
    def __init__(self, number, creator, state='draft', int_index=None, region=None, view=EVERY_ROLE, categories=()):
        self.id, self.state, self.int_index, self.region, self.view = number, state, int_index, region, set(view)
        self.roles = {creator: {'Owner'}}
        self.categories = categories

    def give(self, login, *roles):
        self.roles.setdefault(login, set()).update(roles)

    def row(self, uids):
        owner = next(login for login, roles in self.roles.items() if 'Owner' in roles)
        # Owner is monovalued: a column of its own, and so no entry of the set.
        held = {(login, role) for login, roles in self.roles.items() for role in roles & self.view if role != 'Owner'}
        allowed = frozenset(held | {('', role) for role in self.view})
        return (self.id, 'Organisation', self.state, self.int_index, LOGINS[owner], LOGINS[owner] if 'Owner' in self.view else None,
            uids.setdefault(allowed, len(uids) + 1), self.region)


@pytest.fixture(scope='module')
def portal():
    with Servers() as servers:
        yield Portal(servers)


class Told:
    """What a user is told in one way."""

    def __init__(self, portal, way):
        self.portal, self.way = portal, way

    def __call__(self, login):
        return self.portal.rows(login, self.way)

    def of(self, login, *lists):
        """The numbers; 0 of what is not shown."""
        rows = self(login)
        return tuple(rows[name]['count'] if name in rows else 0 for name in lists)


@pytest.fixture(params=['each', 'join', 'cells', 'merged', pytest.param('kept', id='w12-kept')])
def told(request, portal):
    portal.begin()
    return Told(portal, request.param)


THREE = ('assignor_todo', 'owner_todo', 'assignor_owner_todo')


def created(portal):
    """W01's document."""
    document = portal.create('manager', int_index=1)
    portal.reindex()
    return document


def test_w01_who_created_a_document_is_told_as_its_owner_and_nobody_else_is_told_anything(portal, told):
    created(portal)
    assert told.of('manager', 'assignor_todo', 'owner_todo') == (0, 1)
    assert told('foo') == {} and told('bar') == {}


def given(portal):
    """W02's."""
    document = created(portal)
    for login in ('foo', 'manager'):
        document.give(login, 'Assignor')
    portal.reindex()
    return document


def test_w02_a_document_seen_through_two_columns_counts_once(portal, told):
    given(portal)
    assert [told.of(login, *THREE) for login in ('manager', 'bar', 'foo')] == [(1, 1, 1), (0, 0, 0), (1, 0, 1)]


def test_w03_a_role_that_no_list_asks_for_changes_nothing(portal, told):
    document = given(portal)
    for login in ('foo', 'bar'):
        document.give(login, 'Assignee')
    portal.reindex()
    assert [told.of(login, *THREE) for login in ('manager', 'bar', 'foo')] == [(1, 1, 1), (0, 0, 0), (1, 0, 1)]


def test_w04_lists_that_are_switched_off_or_ask_for_another_state_are_not_shown(portal, told):
    created(portal)
    assert [name for name in told('manager') if name.startswith('owner_todo')] == ['owner_todo']


def test_w05_a_number_that_is_written_as_a_text_is_the_number(portal, told):
    document = created(portal)
    assert told.of('manager', 'int_value_todo') == (1,)
    document.int_index = 2
    portal.reindex()
    assert 'int_value_todo' not in told('manager')


def of_owners(portal, told, name):
    """Of the manager's list, while views are given to nobody, to assignees, to assignees and owners."""
    of_bar = [portal.create('bar', view=('Owner', 'Assignee')) for _ in range(2)]
    of_bar[0].give('manager', 'Assignee')
    own = portal.create('manager')
    own.give('manager', 'Assignee')
    for view in ((), ('Assignee',), ('Assignee', 'Owner')):
        own.view = set(view)
        portal.reindex()
        yield told.of('manager', name)[0]


def test_w06_a_role_of_a_column_counts_where_it_is_what_shows_the_document(portal, told):
    assert list(of_owners(portal, told, 'owner_todo')) == [0, 0, 1]


def test_w07_a_role_that_a_column_holds_counts_however_the_document_is_seen(portal, told):
    assert list(of_owners(portal, told, 'owned_todo')) == [0, 1, 1]


def test_w08_a_criterion_of_a_related_table_counts_each_document_once(portal, told):
    portal.create('manager')
    portal.reindex()
    assert told.of('manager', 'has_region', 'has_role') == (0, 0)
    for categories in (['role/client'], ['region/somewhere'], ['region/elsewhere', 'region/somewhere']):
        portal.create('manager', categories=categories)
    portal.reindex()
    assert told.of('manager', 'has_region', 'has_role') == (2, 1)


def test_w09_a_guard_shows_a_list_to_one_of_two_who_have_its_role(portal, told):
    document = portal.create('manager', state='validated')
    for login in ('foo', 'bar'):
        document.give(login, 'Associate')
    portal.reindex()
    assert [told.of(login, 'associate_of_bar') for login in ('manager', 'bar', 'foo')] == [(0,), (1,), (0,)]


def test_w10_the_url_of_a_list_has_the_values_that_it_asks_for(portal, told):
    for region in (SOMEWHERE, SOMEWHERE, ELSEWHERE):
        portal.create('manager', region=region)
    portal.reindex()
    row = told('manager')['region_todo']
    assert row['count'] == 2 and row['title'] == 'region_todo (2)'
    parameters = urllib.parse.parse_qs(urllib.parse.urlsplit(row['url']).query)
    assert parameters == {'region_uid:list': [str(SOMEWHERE)], 'portal_type:list': ['Organisation']}
    status, body = portal.ask('GET', '/api/worklist/users/1/lists/validation_workflow/region_todo/documents')
    assert status == 200 and body['documents'] == ['1', '2']


LINES = {'id': 'id: new', 'title': 'title: New', 'url': 'url: organisation_module'}


@pytest.mark.parametrize('order', list(itertools.permutations(LINES)), ids='-'.join)
def test_w11_a_list_is_refused_by_name_until_it_is_whole_and_needs_no_url(portal, order):
    """An unfinished list is a mistake of its file, which is told; the service goes on with what it has read."""
    portal.begin()
    created(portal)
    file = portal.servers.folder / 'edited.yaml'
    for edited in range(len(order) + 1):
        lines = [LINES[one] for one in order[:edited]]
        file.write_text(HEAD + LISTS + '  - {workflow: w, catalog: document, criteria: {validation_state: draft}%s}\n' % ''.join(
                ', ' + line for line in lines))
        done = run_headroom('worklist', 'count', '--file', file, '--url', portal.url, '--user', 1, '--json', check=False)
        missing = [one for one in ('id', 'title') if one not in order[:edited]]
        if missing:
            [line] = done.stderr.splitlines()
            assert done.returncode == 2 and ('%s is missing' % missing[0]) in line and 'edited.yaml:' in line
        else:
            assert done.returncode == 0, done.stderr
            [row] = [row for row in json.loads(done.stdout) if row['list'] == 'w/new']
            assert row['count'] == 1 and row['url'] == ('organisation_module' if 'url' in order[:edited] else None)
    assert Told(portal, 'kept').of('manager', 'owner_todo') == (1,)


def test_w13_each_list_is_one_entry_of_its_category_and_none_is_none(portal, told):
    created(portal)
    rows = told('manager')
    assert {name: row['category'] for name, row in rows.items()} == {'owner_todo': 'global', 'assignor_owner_todo': 'global',
        'int_value_todo': 'global', 'owned_todo': 'global'}
    assert all(row['title'] == '%s (%d)' % (name, row['count']) for name, row in rows.items())
    assert 'region_todo' not in rows and told('foo') == {}
