"""Connections and cursors that record, for the DB-API drivers psycopg2 and sqlite3.

    import psycopg2, sqlite3
    import headroom.dbapi
    headroom.dbapi.instrument(psycopg2, sqlite3)

It replaces the `connect` of the driver, and nothing else: the driver's classes stay as they are, since applications
derive from them and call their methods by name (Django's SQLiteCursorWrapper does). A connection made from now on is of
a class derived from the one that the application asks for, and its cursors of classes derived from those that would
have been made. So `isinstance` holds, and a cursor or connection factory of the application keeps working.

Recording comes last in the order of method resolution: a connection class of the application that chooses a class
of cursors in its own `cursor` is asked before it.
"""
import functools

from headroom import runtime
from headroom.runtime import logger, trouble

_MOST_CLASSES = 64
_SQLITE_FACTORY = 5  # its place among the arguments of sqlite3.connect

_instrumented = []


def instrument(*modules):
    """Lets the connections that these drivers make from now on record; a second time changes nothing."""
    native = runtime.load_native()
    for module in modules:
        driver = _DRIVERS.get(module.__name__)
        if driver is None:
            logger.error("headroom.dbapi knows %s, not %s", " and ".join(known()), module.__name__)
        elif native is not None and driver not in _instrumented:
            try:
                driver(native, module)
                _instrumented.append(driver)
            except Exception:
                trouble("instrumenting " + module.__name__)


def known():
    """Names of the drivers that can be instrumented."""
    return ["psycopg2", "sqlite3"]


def instrumented():
    """Names of the drivers that are."""
    return [driver.__name__.lstrip("_") for driver in _instrumented]


class _Classes:
    """Recording classes by the classes that they stand for. An application that makes classes without end, one for
    each connection, gets its own back once there are too many."""

    def __init__(self, base, make):
        self._base = base
        self._make = make
        self._made = {}
        self._recording = set()

    def get(self, cls):
        """The recording class for a class; any other factory comes back as it is."""
        if not isinstance(cls, type) or not issubclass(cls, self._base):
            return cls
        if cls not in self._made:
            if len(self._made) >= _MOST_CLASSES or not self._recording.isdisjoint(cls.__mro__):
                return cls
            self._made[cls] = self._derived(cls)
        return self._made[cls]

    def _derived(self, cls):
        try:
            made = self._make(cls)
        except Exception:
            trouble("making a recording class")
            return cls
        self._recording.add(made)
        return made


def _connections(base, recording):
    """Recording connection classes: `recording` is put between a class of the application and the driver's."""
    def make(cls):
        if cls is base:
            return recording
        return type(cls.__name__, (cls, recording), {"__module__": cls.__module__, "__qualname__": cls.__qualname__})

    return _Classes(base, make)


def _psycopg2(native, module):
    from psycopg2 import extensions
    base = extensions.connection
    cursors = _Classes(extensions.cursor, lambda cls: native.cursor_class(cls, "postgresql"))

    class Connection(base):
        __doc__ = base.__doc__

        def cursor(self, *args, **kwargs):
            if len(args) > 1:
                args = (args[0], cursors.get(args[1] or self.cursor_factory or extensions.cursor), *args[2:])
            else:
                kwargs["cursor_factory"] = cursors.get(
                    kwargs.get("cursor_factory") or self.cursor_factory or extensions.cursor)
            return super().cursor(*args, **kwargs)

        commit = native.hook(base.commit, "commit")
        rollback = native.hook(base.rollback, "rollback")

    connections = _connections(base, Connection)
    original = module.connect

    @functools.wraps(original)
    def connect(dsn=None, connection_factory=None, cursor_factory=None, **kwargs):
        return original(dsn, connections.get(connection_factory or base), cursor_factory, **kwargs)

    module.connect = native.hook(connect, "connection")


def _sqlite3(native, module):
    from sqlite3 import dbapi2
    base = dbapi2.Connection
    cursors = _Classes(dbapi2.Cursor, lambda cls: native.cursor_class(cls, "sqlite"))

    class Connection(base):
        __doc__ = base.__doc__

        def cursor(self, factory=dbapi2.Cursor):
            return super().cursor(cursors.get(factory))

        # The driver's own make their cursor past `cursor`, and commit past `commit`.
        def execute(self, *args):
            return Connection.cursor(self).execute(*args)

        def executemany(self, *args):
            return Connection.cursor(self).executemany(*args)

        def __exit__(self, kind, value, traceback):
            leave = _leave if kind is None else base.__exit__
            return leave(self, kind, value, traceback)

        commit = native.hook(base.commit, "commit")
        rollback = native.hook(base.rollback, "rollback")

    _leave = native.hook(base.__exit__, "commit")
    connections = _connections(base, Connection)
    original = dbapi2.connect

    @functools.wraps(original)
    def connect(*args, **kwargs):
        if len(args) > _SQLITE_FACTORY:
            factory = connections.get(args[_SQLITE_FACTORY])
            args = (*args[:_SQLITE_FACTORY], factory, *args[_SQLITE_FACTORY + 1:])
        else:
            kwargs["factory"] = connections.get(kwargs.get("factory", base))
        return original(*args, **kwargs)

    import sqlite3
    sqlite3.connect = dbapi2.connect = native.hook(connect, "connection")


_DRIVERS = {"psycopg2": _psycopg2, "sqlite3": _sqlite3, "sqlite3.dbapi2": _sqlite3}
