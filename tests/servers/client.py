"""A JSON-RPC client that behaves as Tryton's own clients do: one kept connection, a session, gzip for long requests.

A `Client` belongs to one thread; `clone` gives another one with the same session, as a second tab would have.
"""
import base64
import gzip
import http.client
import itertools
import json

GZIP_FROM = 1400  # bytes; what the desktop client compresses


class RPCError(Exception):
    """An answer that is not a result. `status` is that of HTTP; `kind` and `details` are those of Tryton's `error`."""

    def __init__(self, method, status, kind, details=None):
        super().__init__('%s: HTTP %s %s %s' % (method, status, kind, details or ''))
        self.method = method
        self.status = status
        self.kind = kind
        self.details = details


class Client:

    def __init__(self, port, database, host='127.0.0.1', compress=True, timeout=120):
        self.address = (host, port)
        self.database = database
        self.compress = compress
        self.timeout = timeout
        self.login_name = None
        self.user_id = None
        self.session = None
        self.context = {}
        self._ids = itertools.count(1)
        self._connection = None

    def clone(self):
        other = Client(self.address[1], self.database, self.address[0], self.compress, self.timeout)
        other.login_name, other.user_id, other.session = self.login_name, self.user_id, self.session
        other.context = dict(self.context)
        return other

    def login(self, user, password):
        """Starts a session and takes the user's preferences as the context of later calls."""
        self.session = None
        self.login_name = user
        self.user_id, self.session = self._post('common.db.login', [user, {'password': password}, 'en'])
        return self

    def load_preferences(self):
        self.context = self.call('model.res.user.get_preferences', True)
        return self.context

    def logout(self):
        self._post('common.db.logout', [])
        self.session = None

    def call(self, method, *arguments, context=None):
        """Calls a remote method; the context goes last, as Tryton wants it."""
        return self._post(method, [*arguments, {**self.context, **(context or {})}])

    def system(self, method):
        """Calls one of the methods that need no database, for example `common.server.version`."""
        return self._post(method, [], path='/')

    def close(self):
        if self._connection:
            self._connection.close()
            self._connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _headers(self):
        headers = {'Content-Type': 'application/json', 'Accept': 'application/json', 'Connection': 'keep-alive',
            'X-Requested-With': 'XMLHttpRequest'}
        if self.session:
            token = '%s:%s:%s' % (self.login_name, self.user_id, self.session)
            headers['Authorization'] = 'Session ' + base64.b64encode(token.encode()).decode()
        return headers

    def _post(self, method, params, path=None):
        body = json.dumps({'id': next(self._ids), 'method': method, 'params': params}).encode()
        headers = self._headers()
        if self.compress and self.session and len(body) > GZIP_FROM:
            body = gzip.compress(body, 1)
            headers['Content-Encoding'] = 'gzip'
        status, answer = self._exchange(path or '/%s/' % self.database, body, headers)
        return self._result(method, status, answer)

    def _exchange(self, path, body, headers):
        reused = self._connection is not None
        try:
            return self._try_exchange(path, body, headers)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.close()
            # A server may close a kept connection between two requests; a new one is not given a second chance.
            if not reused:
                raise
            return self._try_exchange(path, body, headers)

    def _try_exchange(self, path, body, headers):
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self.address, timeout=self.timeout)
        self._connection.request('POST', path, body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.will_close:
            self.close()
        return response.status, answer

    def _result(self, method, status, answer):
        try:
            value = json.loads(answer)
        except ValueError:
            raise RPCError(method, status, 'http', answer[:200].decode(errors='replace')) from None
        error = value.get('error') if isinstance(value, dict) else None
        if error:
            raise RPCError(method, status, error[0], error[1:])
        if status != 200:
            raise RPCError(method, status, 'http', answer[:200].decode(errors='replace'))
        # Session and version calls answer with the value itself, all others with {"id", "result"}.
        return value['result'] if isinstance(value, dict) and 'result' in value else value
