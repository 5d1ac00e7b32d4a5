"""A stand-in for headroom._native: the same contract in pure Python, keeping a journal of what it was told.

`journal` holds one dictionary per call that was begun; `current()` follows the contract of the real module. Tests set
`wants_io`, `recording` and `login_needed_` to play the part of the rules.
"""
import functools
import threading
import weakref

journal = []
started = []
stopped = []
flushed = []
opened = []
error_classes = {}
recording = False
wants_io = False
login_needed_ = False
broken = False  # every method raises, as no real one would

_local = threading.local()


def reset():
    global recording, wants_io, login_needed_, broken
    journal.clear()
    recording = wants_io = login_needed_ = broken = False


def start(settings):
    started.append(settings)
    return {"store": settings["broker"], "error": ""}


def stop(timeout):
    stopped.append(timeout)
    return True


def flush(timeout):
    flushed.append(timeout)
    return True


def database_opened(name):
    opened.append(name)


def status():
    return {}


def set_error_classes(classes):
    error_classes.update(classes)


def begin(kind, method="", database=""):
    if broken:
        raise RuntimeError("broken")
    return Call(kind, method, database)


def current():
    stack = getattr(_local, "stack", None)
    while stack:
        call = stack[-1]()
        if call is not None:
            return call
        stack.pop()
    return None


class Call:
    """Keeps what it is told in `entry`."""

    __slots__ = ("entry", "__weakref__")

    def __init__(self, kind, method, database):
        parent = current()
        self.entry = {
            "kind": kind, "method": method, "database": database, "parent": parent.entry if parent else None,
            "names": [(kind, method)], "claims": [], "verified": [], "attempts": 0, "errors": [], "closed": 0,
            "http": 0, "in": 0, "out": 0, "address": "", "session": None, "request": None, "response": None,
            "sql": [], "commits": 0, "rollbacks": 0, "connections": 0, "hits": 0, "misses": 0, "clears": 0,
            "thread": threading.get_ident(),
            }
        journal.append(self.entry)
        if not hasattr(_local, "stack"):
            _local.stack = []
        _local.stack.append(weakref.ref(self))

    def _check(self):
        if broken:
            raise RuntimeError("broken")

    address = property(lambda self: self.entry["address"], lambda self, value: self.entry.update(address=value))
    bytes_in = property(lambda self: self.entry["in"], lambda self, value: self.entry.update({"in": value}))
    bytes_out = property(lambda self: self.entry["out"], lambda self, value: self.entry.update(out=value))
    recording = property(lambda self: recording)
    wants_io = property(lambda self: wants_io)
    id = property(lambda self: str(id(self)))

    def describe(self, kind, method, database):
        self._check()
        self.entry.update(kind=kind, method=method, database=database)
        self.entry["names"].append((kind, method))

    def claim(self, user_id, login, session):
        self._check()
        self.entry["claims"].append((user_id, login, session))

    def verify(self, user_id, login):
        self._check()
        self.entry["verified"].append((user_id, login))

    def login_needed(self):
        return login_needed_

    def attempt(self):
        self._check()
        self.entry["attempts"] += 1

    def fail(self, error):
        self._check()
        for status in ("user_error", "warning", "concurrency"):
            if isinstance(error, error_classes.get(status, ())):
                break
        else:
            status = "exception"
        self.entry["errors"].append((status, type(error).__name__))

    def request_body(self, body, size=0):
        self.entry["request"] = body
        self.entry["request_size"] = size

    def response_body(self, body, size=0):
        self.entry["response"] = body
        self.entry["response_size"] = size

    def session_started(self, session):
        self.entry["session"] = session

    def close(self, http_status=0):
        self._check()
        if self.entry["closed"]:
            return
        self.entry["closed"] += 1
        self.entry["http"] = http_status
        _local.stack = [call for call in _local.stack if call() is not None and call() is not self]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if value is not None:
            self.fail(value)
        self.close()


class CacheCounters:
    _hit = _miss = 0

    @property
    def hit(self):
        return self._hit

    @hit.setter
    def hit(self, value):
        _count("hits", value - self._hit)
        self._hit = value

    @property
    def miss(self):
        return self._miss

    @miss.setter
    def miss(self, value):
        _count("misses", value - self._miss)
        self._miss = value

    def cache_cleared(self):
        _count("clears", 1)


def _count(what, growth):
    call = current()
    if call is not None and growth > 0:
        call.entry[what] += growth


@functools.lru_cache(None)
def cursor_class(base, dialect):
    class Cursor(base):
        headroom_dialect = dialect

        def execute(self, statement, *args, **kwargs):
            call = current()
            if call is not None:
                call.entry["sql"].append(statement)
            return super().execute(statement, *args, **kwargs)

    return Cursor


def hook(function, kind):
    field = {"connection": "connections", "commit": "commits", "rollback": "rollbacks"}[kind]

    @functools.wraps(function)
    def hooked(*args, **kwargs):
        _count(field, 1)
        return function(*args, **kwargs)

    return hooked
