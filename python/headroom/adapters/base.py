"""The hooks themselves. Nearly all of trytond's series share them; an adapter says which apply, and where.

The way of one request:

    Middleware            opens the call and closes it on every path, also for static files and refused requests
      dispatch_request    the client's address; names routes; errors that trytond turns into a response
        Request.user_id   before: who the request claims to be; after: whom the server authenticated
        _dispatch, login  names the call
          RPC.convert     one attempt of the transaction

Two marks in the WSGI environ tie them together: CALL holds the open call, NAMED is set once its method is known.
A call is verified exactly once, as soon as the server has authenticated the user and the method is known; the two may
come in either order. What the request says of itself is only ever claimed: trytond does not check the login in the
header of a session, so the login of a verified user is looked up in the database.

Rules for every hook: the wrapped function runs exactly once, with its own arguments; its result and its exceptions pass
unchanged; an error of the hook itself ends in `trouble`. They run on every call of every user, so they are short:
no logging, no closures made per call, few attribute look-ups.
"""
import contextlib
import functools
import importlib
import multiprocessing
import re
import sys
import threading
import time

from headroom.adapters.exchange import CALL, Middleware, decoded
from headroom.runtime import logger, trouble

NAMED = "headroom.named"

_METHOD_LENGTH = 256
_PUBLIC_METHODS = ("common.server.version", "common.db.list", "common.authentication.services")
_FLUSH_IN_CHILD = 0.25


class Hooks:
    """What has been attached in this process."""

    def __init__(self, native, adapter, version):
        self.native = native
        self.adapter = adapter
        self.version = version
        self.started = False
        self.logins = Logins()
        self._attached = {}
        self._missing = {}

    def attach(self, name, function):
        """Runs `function`, which hooks one thing, unless that succeeded before. A failure leaves the others alone."""
        if name in self._attached:
            return
        try:
            function()
        except Exception as error:
            if name not in self._missing:
                self._missing[name] = error
                logger.error("can't hook %s of trytond %s: %s: %s", name, self.version, type(error).__name__, error)
            return
        self._attached[name] = True
        self._missing.pop(name, None)

    def summary(self, own_version):
        """One line for the log and for `headroom status`."""
        text = "headroom %s in trytond %s, hooked %s" % (own_version, self.version, ", ".join(self._attached))
        return text + (", not hooked " + ", ".join(self._missing) if self._missing else "")


# ---------------------------------------------------------------------------------------------------------------- WSGI

def hook_wsgi(hooks, is_rpc_path):
    """Puts the middleware around trytond's application and reads each request where trytond routes it."""
    if not _loaded("trytond.wsgi"):
        return

    def attach():
        from trytond.wsgi import TrytondWSGI, app
        TrytondWSGI.dispatch_request = _dispatch_request(
            TrytondWSGI.dispatch_request, is_rpc_path, hooks.logins)
        if not isinstance(app.wsgi_app, Middleware):
            app.wsgi_app = Middleware(app.wsgi_app, hooks.native)

    hooks.attach("wsgi", attach)


def _dispatch_request(original, is_rpc_path, logins):
    from werkzeug.exceptions import HTTPException

    @functools.wraps(original)
    def dispatch_request(self, request):
        environ = request.environ
        call = environ.get(CALL)
        if call is None:
            return original(self, request)
        try:
            # Here, and not in the middleware, for trytond's ProxyFix lies between them.
            call.address = request.remote_addr or ""
            if environ["REQUEST_METHOD"] != "POST" or not is_rpc_path(environ.get("PATH_INFO", "")):
                _name_route(self, request, call, HTTPException)
        except Exception:
            trouble("reading a request")
        result = original(self, request)
        try:
            if NAMED not in environ:
                _name_late(request, call, logins)
            if isinstance(result, Exception) and not isinstance(result, HTTPException):
                call.fail(result)
            if getattr(result, "code", None) in (401, 429):
                _name_failed_login(request, call)
            if call.wants_io:
                _keep_request(request, call)
        except Exception:
            trouble("reading a request")
        return result

    return dispatch_request


def _name_route(application, request, call, not_found):
    """Names a route by the function that serves it: a path may hold ids, keys and secrets."""
    try:
        endpoint, arguments = application.url_map.bind_to_environ(request.environ).match()
    except not_found:
        call.describe("route", "unmatched", "")
    else:
        module = getattr(endpoint, "__module__", "")
        kind = "bus" if module == "trytond.bus" else "route"
        method = "%s.%s" % (module, getattr(endpoint, "__name__", "route"))
        call.describe(kind, method, str(arguments.get("database_name") or ""))
    request.environ[NAMED] = True


def _name_late(request, call, logins):
    """Names what no hook of the dispatcher has named: calls without a database, and requests refused on the way."""
    arguments = request.view_args
    if arguments is None:
        call.describe("route", "unmatched", "")
        return
    # trytond has read the method already, or it never will: reading it here could read a body that was refused.
    method = request.__dict__.get("rpc_method")
    database = str(arguments.get("database_name") or "")
    # What the server itself answers to anybody keeps its name, as routes do; other names need a user.
    kind = "route" if method in _PUBLIC_METHODS and not database else "rpc"
    call.describe(kind, _method_name(method) if method else "unread", database)
    request.environ[NAMED] = True
    user = request.__dict__.get("user_id")
    if user:
        _verify(call, database, user, logins)


def _name_failed_login(request, call):
    """A password that came with the call itself and was wrong is a failed login like any other. The method stays out:
    whoever sent it is unknown, so it may be any text."""
    authorization = request.authorization
    if authorization and authorization.type == "basic" and request.view_args and not request.__dict__.get("user_id"):
        call.describe("login", "common.db.login", str(request.view_args.get("database_name") or ""))


def _method_name(method):
    """The name of a method as the client sent it, which may be anything before the server has looked it up."""
    if type(method) is str and len(method) <= _METHOD_LENGTH and method.isprintable():
        return method
    return "unreadable"


def _keep_request(request, call):
    # Only what the application has read: the rest may still be on its way.
    body = getattr(request, "_cached_data", None)
    if body:
        call.request_body(*decoded(body, request.headers.get("Content-Encoding"), len(body)))


# ------------------------------------------------------------------------------------------------------------ identity

class Logins:
    """Logins of users, from the database, remembered for a minute."""

    MOST = 10_000
    SECONDS = 60.0

    def __init__(self):
        self._known = {}
        self._original_cursor = None
        self._original_connect = None

    def read_with(self, cursor, connect):
        """Sets the cursor class and `Database.get_connection` as they were before they were hooked."""
        self._original_cursor = cursor
        self._original_connect = connect

    def find(self, database, user):
        """Gives the login of a user id; None when it can't be told. Never recorded itself."""
        key = (database, user)
        known = self._known.get(key)
        now = time.monotonic()
        if known is not None and known[0] > now:
            return known[1]
        login = self._read(database, int(user))
        if len(self._known) >= self.MOST:
            self._known.clear()
        self._known[key] = (now + self.SECONDS, login)
        return login

    def _read(self, database, user):
        from trytond.transaction import Transaction
        transaction = Transaction()
        if transaction.connection is not None and transaction.database.name == database:
            return self._select(transaction.connection, user)
        with self._borrowed(database) as connection:
            return self._select(connection, user)

    @contextlib.contextmanager
    def _borrowed(self, name):
        from trytond import backend
        database = backend.Database(name).connect()
        connection = self._original_connect(database, autocommit=True, readonly=True)
        try:
            yield connection
        finally:
            database.put_connection(connection)

    def _select(self, connection, user):
        cursor = self._original_cursor(connection)
        try:
            # The number stands in the text, so that one statement serves every style of parameters.
            cursor.execute('SELECT "login" FROM "res_user" WHERE "id" = %d' % user)
            row = cursor.fetchone()
        finally:
            cursor.close()
        return row[0] if row else None


def _verify(call, database, user, logins):
    """Tells the call whom the server has authenticated."""
    login = None
    if call.login_needed():
        try:
            login = logins.find(database, user)
        except Exception:
            trouble("reading a login")
    call.verify(user, login)


def header_claim(request):
    """Who the request's header says it is: user id, login and session token."""
    authorization = request.authorization
    if not authorization:
        return None
    if authorization.type == "session":
        return authorization.get("userid"), authorization.username, authorization.get("session")
    return None, authorization.username, None


def hook_request(hooks, claim):
    """Learns who a request claims to be, before trytond checks it, and whom trytond found it to be."""
    if not _loaded("trytond.protocols.wrappers"):
        return
    logins = hooks.logins

    def attach():
        from trytond.protocols.wrappers import Request
        descriptor = Request.__dict__["user_id"]
        original = descriptor.func

        @functools.wraps(original)
        def user_id(request):
            call = request.environ.get(CALL)
            if call is None or not request.view_args:
                return original(request)
            try:
                _claim(call, request, claim)
            except Exception:
                trouble("reading who calls")
            user = original(request)
            if user and NAMED in request.environ:
                try:
                    _verify(call, str(request.view_args["database_name"]), user, logins)
                except Exception:
                    trouble("verifying who calls")
            return user

        hooked = type(descriptor)(user_id)
        hooked.__set_name__(Request, "user_id")
        Request.user_id = hooked

    hooks.attach("identity", attach)


def _claim(call, request, claim):
    database = request.view_args.get("database_name")
    if not database:
        return
    if NAMED not in request.environ:
        # trytond authenticates before it reads the body: the method is not known yet.
        call.describe("rpc", "", str(database))
    claimed = claim(request)
    if claimed is not None:
        call.claim(*claimed)


def hook_user_application(hooks):
    """A user application comes with a key instead of a session; the key's record tells the user."""
    if not _loaded("trytond.res.user"):
        return
    current = hooks.native.current
    logins = hooks.logins

    def attach():
        from trytond.res.user import UserApplication
        from trytond.transaction import Transaction
        original = UserApplication.__dict__["check"].__func__

        @functools.wraps(original)
        def check(cls, key, application):
            record = original(cls, key, application)
            call = current()
            if record is None or call is None:
                return record
            # Not guarded: the caller reads the same next, and an error of the database belongs to it.
            user = record.user.id
            try:
                _verify(call, Transaction().database.name, user, logins)
            except Exception:
                trouble("verifying who calls")
            return record

        UserApplication.check = classmethod(check)

    hooks.attach("user application", attach)


# ----------------------------------------------------------------------------------------------------------------- RPC

def hook_dispatcher(hooks, names):
    """Names the calls that the dispatcher serves. It looks these functions up as globals, once a call."""
    if not _loaded("trytond.protocols.dispatcher"):
        return

    def attach():
        dispatcher = sys.modules["trytond.protocols.dispatcher"]
        hooked = {name: _rpc_method(getattr(dispatcher, name), hooks.logins) for name in names}
        hooked["login"] = _login(dispatcher.login, hooks.logins)
        for name, function in hooked.items():
            setattr(dispatcher, name, function)

    hooks.attach("dispatcher", attach)


def _rpc_method(original, logins):
    from werkzeug.exceptions import HTTPException

    @functools.wraps(original)
    def rpc_method(request, database_name, *args, **kwargs):
        environ = request.environ
        call = environ.get(CALL)
        if call is None:
            return original(request, database_name, *args, **kwargs)
        try:
            call.describe("rpc", _method_name(request.rpc_method), database_name)
            environ[NAMED] = True
            user = request.__dict__.get("user_id")
            if user:
                _verify(call, database_name, user, logins)
        except Exception:
            trouble("naming a call")
        try:
            return original(request, database_name, *args, **kwargs)
        except HTTPException:
            raise
        except Exception as error:
            # Later series turn errors of the database into a plain 503 on the way out.
            _fail(call, error)
            raise

    return rpc_method


def _login(original, logins):
    from werkzeug.exceptions import HTTPException

    @functools.wraps(original)
    def login(request, database_name, *args, **kwargs):
        environ = request.environ
        call = environ.get(CALL)
        if call is None:
            return original(request, database_name, *args, **kwargs)
        try:
            call.describe("login", "common.db.login", database_name)
            environ[NAMED] = True
            call.claim(None, str(args[0]) if args else None, None)
        except Exception:
            trouble("naming a call")
        try:
            session = original(request, database_name, *args, **kwargs)
        except HTTPException:
            raise
        except Exception as error:
            _fail(call, error)
            raise
        try:
            _verify(call, database_name, session[0], logins)
            call.session_started(session[1])
        except Exception:
            trouble("reading a login")
        return session

    return login


def hook_rpc(hooks):
    """Counts attempts: trytond converts the arguments once in each run of the transaction."""
    if not _loaded("trytond.rpc"):
        return
    current = hooks.native.current

    def attach():
        from trytond.rpc import RPC
        original = RPC.convert

        @functools.wraps(original)
        def convert(self, obj, *args, **kwargs):
            call = current()
            if call is not None:
                try:
                    call.attempt()
                except Exception:
                    trouble("counting an attempt")
            return original(self, obj, *args, **kwargs)

        RPC.convert = convert

    hooks.attach("rpc", attach)


def _fail(call, error):
    try:
        call.fail(error)
    except Exception:
        trouble("recording an error")


# ------------------------------------------------------------------------------------------------------------ database

def hook_database(hooks, module_name, cursor_name, dialect):
    """Records statements and the wait for a connection, if this backend is the one in use."""
    module = sys.modules.get(module_name)
    if module is None:
        return

    def attach():
        native = hooks.native
        cursor, connect = getattr(module, cursor_name), module.Database.get_connection
        recording = native.cursor_class(cursor, dialect)
        hooked = native.hook(connect, "connection")
        # The backend reads the name of its cursor class whenever it makes a pool or a cursor.
        setattr(module, cursor_name, recording)
        module.Database.get_connection = hooked
        hooks.logins.read_with(cursor, connect)

    hooks.attach(dialect, attach)


def hook_transaction(hooks):
    """Records the time of commits, and what rolled an attempt back."""
    def attach():
        from trytond.transaction import Transaction
        native = hooks.native
        commit = native.hook(Transaction.commit, "commit")
        rollback = native.hook(Transaction.rollback, "rollback")
        Transaction.commit, Transaction.rollback = commit, rollback

    hooks.attach("transaction", attach)


def error_classes():
    """Which exceptions mean which status of a call."""
    from trytond import backend
    from trytond.exceptions import ConcurrencyException, LoginException, UserError, UserWarning
    return {
        "user_error": (UserError, LoginException),
        "warning": (UserWarning,),
        "concurrency": (ConcurrencyException, *_collisions(backend)),
        }


def _collisions(backend):
    """The errors by which a database says that two transactions collided."""
    if backend.name == "sqlite":
        return [SQLiteCollision]
    return [getattr(importlib.import_module(module), name) for module, name in (
            ("psycopg2.extensions", "TransactionRollbackError"),
            ("psycopg.errors", "SerializationFailure"),
            ("psycopg.errors", "DeadlockDetected"))
        if module.partition(".")[0] in sys.modules]


class _IsCollision(type):
    def __instancecheck__(cls, error):
        # sqlite3 has no class of its own for a lock; 5 is SQLITE_BUSY and 6 SQLITE_LOCKED, extended codes above them.
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None:
            return code & 0xFF in (5, 6)
        return type(error).__name__ == "OperationalError" and "locked" in str(error)


class SQLiteCollision(Exception, metaclass=_IsCollision):
    """Stands for any error of SQLite that says that the database is locked."""


# ------------------------------------------------------------------------------------------------------ tasks and crons

class _Local(threading.local):
    task = None
    cron = None


_local = _Local()


class _Work:
    """A task or a cron that runs, with the error that ended its last attempt, if one did: trytond logs those errors
    and goes on, so the call learns them only at its end."""

    __slots__ = ("call", "name", "error", "outer")

    def __init__(self, call, name, outer=None):
        self.call = call
        self.name = name
        self.error = None
        self.outer = outer

    def close(self):
        try:
            if self.error is not None:
                self.call.fail(self.error)
            self.call.close()
        except Exception:
            trouble("closing a call")
        self.error = None


def hook_worker(hooks):
    """Makes a call of every task. The module is imported here, before others copy the reference to run_task."""
    def attach():
        worker = importlib.import_module("trytond.worker")
        original = worker.run_task
        hooked = _run_task(original, hooks.native)
        worker.run_task = hooked
        for name, module in list(sys.modules.items()):
            if name.startswith("trytond.") and getattr(module, "run_task", None) is original:
                module.run_task = hooked

    hooks.attach("worker", attach)


def _run_task(original, native):
    @functools.wraps(original)
    def run_task(pool, task_id):
        try:
            database = pool if isinstance(pool, str) else pool.database_name
            work = _Work(native.begin("task", "task", database), "", _local.task)
            _local.task = work
        except Exception:
            trouble("opening a task")
            return original(pool, task_id)
        try:
            return original(pool, task_id)
        except BaseException as error:
            work.error = error
            raise
        finally:
            _local.task = work.outer
            work.close()
            _flush_in_child(native)

    return run_task


def _flush_in_child(native):
    # The worker ends its children by a signal, which nothing survives.
    try:
        if multiprocessing.parent_process() is not None:
            native.flush(_FLUSH_IN_CHILD)
    except Exception:
        trouble("writing the records of a task")


def hook_queue(hooks, module_name):
    """Learns what a task does, and whether it failed."""
    if not _loaded(module_name):
        return
    logins = hooks.logins

    def attach():
        from trytond.transaction import Transaction
        Queue = sys.modules[module_name].Queue
        original = Queue.run

        @functools.wraps(original)
        def run(self):
            work = _local.task
            if work is None:
                return original(self)
            work.error = None
            try:
                # Not guarded: trytond reads the same first, and an error of the database belongs to it.
                data = self.data
                try:
                    database = Transaction().database.name
                    work.call.describe("task", "model.%s.%s" % (data["model"], data["method"]), database)
                    work.call.attempt()
                    _verify(work.call, database, data["user"], logins)
                except Exception:
                    trouble("naming a task")
                return original(self)
            except BaseException as error:
                work.error = error
                raise

        Queue.run = run

    hooks.attach("queue", attach)


def hook_cron(hooks):
    """Makes a call of every scheduled task with all its attempts.

    Each attempt runs inside `processing("<Cron ID@DATABASE METHOD>")`. The call stays open until the next one begins
    or the run ends, so that a retry joins it.
    """
    if not _loaded("trytond.ir.cron"):
        return

    def attach():
        cron = sys.modules["trytond.ir.cron"]
        run = cron.Cron.__dict__["run"].__func__
        processing = _cron_processing(cron.processing, hooks.native, hooks.logins)
        cron.Cron.run = classmethod(_cron_run(run))
        cron.processing = processing

    hooks.attach("cron", attach)


def _cron_run(original):
    @functools.wraps(original)
    def run(cls, *args, **kwargs):
        try:
            return original(cls, *args, **kwargs)
        finally:
            _end_cron()

    return run


def _cron_processing(original, native, logins):
    @contextlib.contextmanager
    def processing(name):
        try:
            _enter_cron(str(name), native, logins)
        except Exception:
            trouble("opening a cron")
        try:
            with original(name):
                yield
        except BaseException as error:
            if _local.cron is not None:
                _local.cron.error = error
            raise

    return processing


def _enter_cron(name, native, logins):
    work = _local.cron
    if work is None or work.name != name:
        _end_cron()
        match = re.fullmatch(r"<Cron \d+@(.*) (\S+)>", name)
        database, method = match.groups() if match else ("", "cron")
        work = _Work(native.begin("cron", method, database), name)
        _local.cron = work
        _verify(work.call, database, 0, logins)
    work.error = None
    work.call.attempt()


def _end_cron():
    work, _local.cron = _local.cron, None
    if work is not None:
        work.close()


# ---------------------------------------------------------------------------------------------------------------- pool

def hook_pool(hooks, then):
    """Runs `then` when trytond's pool has started, and before the pool of a database is made.

    The second is for processes whose `Pool.start` is running already: trytond-cron and trytond-worker import
    trytond.cache, and with it this package, from inside it.
    """
    def attach():
        from trytond.pool import Pool
        Pool.start = classmethod(_pool_start(Pool.__dict__["start"].__func__, then))
        Pool.init = _pool_init(Pool.init, then, hooks.native)

    hooks.attach("pool", attach)


def _pool_start(original, then):
    @functools.wraps(original)
    def start(cls):
        result = original(cls)
        then()
        return result

    return start


def _pool_init(original, then, native):
    @functools.wraps(original)
    def init(self, *args, **kwargs):
        if self._started:
            then()
        result = original(self, *args, **kwargs)
        try:
            native.database_opened(self.database_name)
        except Exception:
            trouble("telling of a database")
        return result

    return init


def _loaded(name):
    """Whether a module is imported completely."""
    module = sys.modules.get(name)
    specification = getattr(module, "__spec__", None)
    return module is not None and not getattr(specification, "_initializing", False)
