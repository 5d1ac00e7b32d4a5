"""Records any WSGI application: `application = headroom.wsgi.Middleware(application)`.

Each request is a call. Its name comes from the remote calls that Odoo's clients make (headroom.rpc), from hooks of a
framework (headroom.django), or from the function `route`; what nobody names is `unrouted`. The path itself never is a
name, for it may hold ids and secrets.

Who calls is told by the application or by its server, never by the request: hooks of a framework, the function `user`, or
REMOTE_USER, which only a server that has authenticated somebody sets. A request that stays without a user is recorded as
`(anonymous)` under its route; a remote call without a user is only counted.

The cookie of a session is a claim. Whom a session belonged to last is remembered, so that the statements which the
application sends to find out who calls can be kept: they are dropped again when it turns out to be somebody else.

The body of a request is never read here. The application reads it, and what it reads is looked at on the way.
"""
import contextvars
import re
import threading

from headroom import __version__, configuration, dbapi, odoo, rpc, runtime, settings
from headroom.adapters import exchange
from headroom.adapters.exchange import BODY_LIMIT, decoded
from headroom.runtime import trouble

__all__ = ["Middleware", "current"]

ANONYMOUS = "(anonymous)"
COOKIES = ("session_id", "sessionid")

_SESSIONS = 10_000
_COOKIES_LENGTH = 8_192
_UNNAMED = "unrouted"

_current = contextvars.ContextVar("headroom.wsgi", default=None)
_lock = threading.Lock()
_started = False


def current():
    """The request that this thread or greenlet serves, for hooks of a framework; None outside of one."""
    return _current.get()


class Middleware(exchange.Middleware):
    """Makes a call of each request to a WSGI application.

    `configuration` is a file with the section [perf], ini or TOML; see headroom.configuration.
    `route(environ)` gives the name of a request's route, or None. It is asked once the application has returned.
    `user(environ)` gives whom the application or its server has authenticated: a login, a pair of id and login, or None. It
    is asked before the application runs and, when it has said None, at the end.
    `cookies` are names of the cookie that holds a session.
    """

    __slots__ = ("route", "user", "cookies")

    def __init__(self, application, configuration=None, route=None, user=None, cookies=COOKIES):
        super().__init__(application, _recorder(configuration))
        self.route = route
        self.user = user
        self.cookies = re.compile('(?:^|; ?)(?:%s)="?([^;"]+)' % "|".join(map(re.escape, cookies)))

    def __call__(self, environ, start_response):
        if self.native is None:
            return self.application(environ, start_response)
        return super().__call__(environ, start_response)

    def open(self, environ, start_response):
        return Request(self, environ, start_response)


class Request(exchange.Exchange):
    """One request on its way: its name and its user become known in any order, and at the latest at its end."""

    __slots__ = ("middleware", "environ", "named", "kind", "method", "database", "user", "token", "settled", "input",
        "read")

    def __init__(self, middleware, environ, start_response):
        self.middleware = middleware
        self.environ = environ
        self.named = self.settled = False
        self.kind = "route"
        self.method = self.database = ""
        self.user = self.token = self.input = self.read = None
        super().__init__(middleware.native, environ, start_response)
        _current.set(self)
        try:
            self._look_at_request()
        except Exception:
            trouble("reading a request")

    def begin(self, native, environ):
        # Without a name yet: a rule for some methods may match.
        return native.begin("route", "", "")

    def name(self, kind, method, database=""):
        """Names the call. The first name stands."""
        if self.named or self.settled:
            return
        self.named = True
        self.kind, self.method, self.database = kind, method, database or self.database
        self.call.describe(kind, method, self.database)
        if self.user is not None:
            self._verify()

    def identify(self, user_id, login, database=""):
        """Tells whom the application has authenticated; `user_id` is None where it has no number for the user."""
        if self.user is not None or self.settled:
            return
        self.user = user_id if type(user_id) is int else None, login
        if database and not self.database:
            self.database = database
            self.call.describe(self.kind, self.method, database)
        if self.named:
            self._verify()

    def is_login(self):
        """The request tried to log in. Without a user in the end, it failed to."""
        if self.named and not self.settled:
            self.kind = "login"
            self.call.describe(self.kind, self.method, self.database)

    def _verify(self):
        self.call.verify(*self.user)
        if self.token:
            _sessions.remember(self.token, self.user)

    def session_started(self, token):
        """The request opened a session with this token."""
        self.call.session_started(token)
        _sessions.remember(token, self.user)

    # -------------------------------------------------------------------------------------------------------- beginning

    def _look_at_request(self):
        environ = self.environ
        self.call.address = environ.get("REMOTE_ADDR") or ""
        self.token = self._session()
        known = _sessions.find(self.token) or (None, environ.get("REMOTE_USER"))
        self.call.claim(*known, self.token)
        if environ.get("REQUEST_METHOD") == "POST":
            self._look_at_body(environ)
        self._identify(self._ask(self.middleware.user))

    def _session(self):
        text = self.environ.get("HTTP_COOKIE")
        found = self.middleware.cookies.search(text[:_COOKIES_LENGTH]) if text else None
        return found and found[1]

    def _look_at_body(self, environ):
        reader = rpc.reader_of(environ.get("PATH_INFO") or "")
        if type(reader) is rpc.Read:
            self._take(reader)
            reader = None
        stream = environ.get("wsgi.input")
        if stream is not None and (reader is not None or self.call.login_needed() or self.call.wants_io):
            self.input = environ["wsgi.input"] = Input(stream, self.call.bytes_in, reader and self._named_by(reader))

    def _named_by(self, reader):
        return lambda body: self._take(reader(body))

    def _take(self, read):
        self.read = read
        if read.method != rpc.UNREAD:
            # Otherwise it may be a call of another kind, for which the application has a name.
            self.name(read.kind, read.method, read.database)
        if read.user_id is not None or read.login is not None:
            self.call.claim(read.user_id, read.login, self.token)

    def _ask(self, function):
        try:
            return function(self.environ) if function is not None else None
        except Exception:
            trouble("asking for route or user")
            return None

    def _identify(self, user):
        """Takes what the application's function or the server says: a login, or id and login."""
        if type(user) is str and user:
            self.identify(None, user)
        elif type(user) is tuple and len(user) == 2:
            self.identify(*user)

    # -------------------------------------------------------------------------------------------------------------- end

    def deliver(self, body):
        try:
            if not self.named:
                self._name_by_route()
            if self.read is not None and self.status == 200:
                # Remote calls answer with status 200 whatever happens; the beginning of the answer tells.
                if type(body) not in (list, tuple) and self.length is not None:
                    body = Peeked(body)
                fault = rpc.fault_of(_beginning(body))
                if fault is not None:
                    self.call.fail(fault)
        except Exception:
            trouble("reading a response")
        return super().deliver(body)

    def _name_by_route(self):
        method = self._ask(self.middleware.route)
        if type(method) is str and method:
            self.name("route", method)

    def settle(self):
        """What is not known by now stays unknown."""
        if self.settled:
            return
        try:
            self._settle()
        except Exception:
            trouble("reading a request")
        self.settled = True
        _current.set(None)

    def _settle(self):
        self._identify(self._ask(self.middleware.user) if self.user is None else None)
        # Last: an application behind a server that asks for a password may have users of its own.
        self._identify(self.environ.get("REMOTE_USER"))
        if not self.named:
            self._name_by_route()
        if not self.named:
            self.name(*(("rpc", rpc.UNREAD) if self.read is not None else ("route", _UNNAMED)))
        if self.user is None and self.kind == "route":
            self.call.verify(None, ANONYMOUS)
        if self.input is not None and self.call.wants_io:
            self._keep_request()

    def _keep_request(self):
        body = bytes(self.input.kept)
        beyond = self.input.size - len(body)
        if body and self.read is not None:
            body = self.read.masked(body)
        elif self.input.is_remote_call:
            body = None  # it was not read to where its password stands
        if body:
            size = len(body) + beyond
            self.call.request_body(*decoded(body, self.environ.get("HTTP_CONTENT_ENCODING"), size))

    def keep(self, body, size):
        self.settle()
        super().keep(body, size)

    def fail(self, error):
        self.settle()
        super().fail(error)

    def finish(self, size):
        self.settle()
        super().finish(size)


class Input:
    """wsgi.input, with a copy of the beginning of what the application reads from it. Once the application has read the
    whole, or enough to tell the call's name, `then` gets it."""

    __slots__ = ("stream", "kept", "size", "then", "is_remote_call", "_length")

    def __init__(self, stream, length, then):
        self.stream = stream
        self.kept = bytearray()
        self.size = 0
        self.then = then
        self.is_remote_call = then is not None
        self._length = length

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def read(self, *size):
        data = self.stream.read(*size)
        wanted = size[0] if size else None
        if wanted is None or wanted < 0:
            return self._seen(data, True)
        # A body of unknown length ends where less comes than was asked for.
        return self._seen(data, len(data) < wanted and (not data or not self._length))

    def readline(self, *size):
        data = self.stream.readline(*size)
        return self._seen(data, not data and size != (0,))

    def readlines(self, *hint):
        lines = self.stream.readlines(*hint)
        self._seen(b"".join(lines), not hint or not lines)
        return lines

    def __iter__(self):
        for line in self.stream:
            yield self._seen(line, False)
        self._seen(b"", True)

    def _seen(self, data, at_end):
        try:
            self.size += len(data)
            room = BODY_LIMIT - len(self.kept)
            if room > 0:
                self.kept += data[:room]
            at_end = at_end or self.size >= self._length > 0
            if self.then is not None and (at_end or len(self.kept) >= rpc.HEAD):
                then, self.then = self.then, None
                then(bytes(self.kept[:rpc.HEAD]))
        except Exception:
            trouble("reading a request")
        return data


class Peeked:
    """A response's body whose first part has been looked at. What the body raises comes where it would have come."""

    __slots__ = ("body", "iterator", "first")

    def __init__(self, body):
        self.body = body
        self.iterator = iter(body)
        self.first = None

    def beginning(self):
        try:
            self.first = [next(self.iterator)]
        except StopIteration:
            return b""
        except Exception as error:
            self.first = [error]
            return b""
        return self.first[0]

    def __iter__(self):
        return self

    def __next__(self):
        if self.first:
            first = self.first.pop()
            if isinstance(first, Exception):
                raise first
            return first
        return next(self.iterator)

    def close(self):
        close = getattr(self.body, "close", None)
        if close is not None:
            close()


def _beginning(body):
    """The first part of a response, as far as it can be seen without taking it away."""
    if type(body) is Peeked:
        return body.beginning()
    return body[0] if type(body) in (list, tuple) and body else b""


class _Sessions:
    """Whom each session belonged to last, as the application said; forgotten all at once when they are too many."""

    def __init__(self):
        self._users = {}

    def find(self, token):
        return self._users.get(token) if token else None

    def remember(self, token, user):
        if len(self._users) >= _SESSIONS:
            self._users.clear()
        if user is not None:
            self._users[token] = user


_sessions = _Sessions()


def _recorder(file):
    """The native module with its recorder started, once in a process; None when nothing can be recorded."""
    global _started
    with _lock:
        native = runtime.load_native()
        if native is None:
            return None
        odoo.attach(current)
        if _started:
            return native
        try:
            _start(native, file)
        except Exception:
            trouble("starting the recorder")
            return None
        _started = True
        return native


def _start(native, file):
    native.set_error_classes(error_classes())
    values = settings.read(configuration.Configuration(file))
    values["version"] = "headroom %s around a WSGI application, recording %s" % (
        __version__, ", ".join(dbapi.instrumented()) or "no database: headroom.dbapi.instrument was not called")
    runtime.start(native, values)


def error_classes():
    """Which exceptions mean which status of a call."""
    return {"user_error": (rpc.UserFault,), "warning": (rpc.WarningFault,), "concurrency": (rpc.CollisionFault, Collision)}


class _IsCollision(type):
    def __instancecheck__(cls, error):
        # Frameworks wrap the driver's errors: Django's OperationalError has psycopg2's as its cause.
        for _ in range(4):
            if getattr(error, "pgcode", None) in ("40001", "40P01", "55P03"):
                return True
            code = getattr(error, "sqlite_errorcode", None)
            if code is not None and code & 0xFF in (5, 6):
                return True
            error = getattr(error, "__cause__", None)
        return False


class Collision(Exception, metaclass=_IsCollision):
    """Stands for any error by which PostgreSQL or SQLite says that two transactions collided."""
