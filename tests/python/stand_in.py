"""Writes a package `trytond` that has the shape of a later series where Headroom hooks it, and nothing else.

The shape (names, signatures, who looks up what where) was read from the sources of 7.2 and 8.0; the bodies are made up.
Two shapes: "7" for 6.4 to 7.8 (psycopg 2, `/<database>/`, session in a header) and "8" (psycopg 3, `/<database>/rpc/`,
session also in a cookie, the module `trytond.config` itself is the configuration).
"""
import textwrap

COMMON = {
    "config.py": """
        import configparser

        class Parser(configparser.ConfigParser):
            def get(self, section, option, default=None, **kwargs):
                return super().get(section, option, fallback=default, **kwargs)

            def getint(self, section, option, default=None):
                return super().getint(section, option, fallback=default)

        PARSER = Parser(interpolation=None)
        PARSER.read_string("[database]\\nuri = postgresql://\\npath = /nonexistent\\nretry = 2\\n"
            "[cache]\\nclass = headroom.trytond.MemoryCache\\n[perf]\\nusers = admin\\n")
        """,
    "tools/__init__.py": """
        from .misc import cached_property, resolve
        """,
    "tools/misc.py": """
        import functools, importlib

        class cached_property(functools.cached_property):
            # trytond's drops the lock
            pass

        def resolve(name):
            found, names = importlib.import_module(name.split(".")[0]), name.split(".")
            for i in range(1, len(names)):
                try:
                    found = getattr(found, names[i])
                except AttributeError:
                    found = importlib.import_module(".".join(names[:i + 1]))
            return found
        """,
    "exceptions.py": """
        class TrytonException(Exception): pass
        class UserError(TrytonException): pass
        class UserWarning(TrytonException): pass
        class LoginException(TrytonException): pass
        class ConcurrencyException(TrytonException): pass
        class RateLimitException(TrytonException): pass
        """,
    "backend/__init__.py": """
        from .postgresql.database import Database, DatabaseOperationalError
        name = "postgresql"
        """,
    "backend/postgresql/__init__.py": "",
    "transaction.py": """
        from threading import local
        _local = local()

        class Transaction:
            database = connection = None
            user = None

            def __new__(cls, new=False):
                stack = _local.__dict__.setdefault("stack", [])
                if new or not stack:
                    stack.append(super().__new__(cls))
                return stack[-1]

            def start(self, database_name, user, readonly=False, context=None, autocommit=False, timeout=None, **extras):
                from trytond import backend
                from trytond.cache import Cache
                self.database = backend.Database(database_name).connect()
                self.connection = self.database.get_connection(
                    readonly=readonly, autocommit=autocommit, statement_timeout=timeout)
                self.user = user
                Cache.sync(self)
                return self

            def __enter__(self):
                return self

            def __exit__(self, kind, value, traceback):
                self.commit() if kind is None else self.rollback()
                self.database.put_connection(self.connection)
                self.database = self.connection = None

            def commit(self):
                self.connection.commit()

            def rollback(self):
                self.connection.rollback()
        """,
    "pool.py": """
        class Pool:
            _started = False
            _ready = set()
            models = {}

            def __init__(self, database_name):
                self.database_name = database_name

            @classmethod
            def start(cls):
                import trytond.ir, trytond.res
                cls._started = True

            def init(self, update=None, lang=None, activatedeps=False, indexes=None):
                self._ready.add(self.database_name)

            def get(self, name, type="model"):
                return self.models[name]
        """,
    "status.py": """
        import contextlib

        @contextlib.contextmanager
        def processing(request):
            yield
        """,
    "cache.py": """
        from trytond.config import CONFIG as config
        from trytond import backend
        from trytond.pool import Pool
        from trytond.tools import resolve

        class BaseCache:
            _instances = {}

            def __init__(self, name, duration=None, context=True, context_ignored_keys=None):
                self._name, self.context_ignored_keys = name, context_ignored_keys
                self.hit = self.miss = 0
                assert name not in self._instances
                self._instances[name] = self

        class MemoryCache(BaseCache):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.values = {}

            def get(self, key, default=None):
                if key in self.values:
                    self.hit += 1
                else:
                    self.miss += 1
                return self.values.get(key, default)

            def set(self, key, value):
                self.values[key] = value
                return value

            def clear(self):
                self.values.clear()

            @classmethod
            def sync(cls, transaction):
                pass

        if config.get("cache", "class"):
            Cache = resolve(config.get("cache", "class"))
        else:
            Cache = MemoryCache

        class LRUDict(dict):
            pass
        """,
    "rpc.py": """
        class RPC:
            __slots__ = ("readonly", "timeout")

            def __init__(self, readonly=True, timeout=None):
                self.readonly, self.timeout = readonly, timeout

            def convert(self, obj, *args, **kwargs):
                return list(args[:-1]), kwargs, args[-1], None

            def decorate(self, func):
                return func
        """,
    "worker.py": """
        from trytond.pool import Pool
        from trytond.status import processing
        from trytond.transaction import Transaction

        def run_task(pool, task_id):
            pool = pool if isinstance(pool, Pool) else Pool(pool)
            Queue = pool.get("ir.queue")
            with Transaction().start(pool.database_name, 0):
                with processing("<Task %s@%s>" % (task_id, pool.database_name)):
                    Queue(task_id).run()
        """,
    "ir/__init__.py": "from . import cron, queue_, routes\n",
    "ir/queue_.py": """
        from trytond.pool import Pool

        class Queue:
            data = {"model": "sale.sale", "method": "process", "user": 3}

            def __init__(self, id):
                self.id = id

            def run(self):
                return self.id

        Pool.models["ir.queue"] = Queue
        """,
    "ir/cron.py": """
        from trytond.status import processing
        from trytond.transaction import Transaction
        from trytond.worker import run_task

        class Cron:
            @classmethod
            def run(cls, db_name):
                for attempt in (1, 2):
                    with Transaction().start(db_name, 0), \\
                            processing("<Cron %s@%s %s>" % (5, db_name, "ir.queue|clean")):
                        pass
        """,
    "ir/routes.py": """
        from trytond.protocols.wrappers import with_transaction
        from trytond.wsgi import app

        @app.route("/<database_name>/data/<model>", methods={"GET"})
        @app.auth_required
        @with_transaction(user="request")
        def data(request, database_name, model):
            return "data"
        """,
    "res/__init__.py": "from . import user\n",
    "res/user.py": """
        class UserApplication:
            @classmethod
            def check(cls, key, application):
                return None
        """,
    "protocols/__init__.py": "",
    "bus.py": """
        from trytond.wsgi import app

        @app.route("/<string:database_name>/bus", methods=["POST"])
        @app.auth_required
        def subscribe(request, database_name):
            return "bus"
        """,
    "wsgi.py": """
        from functools import wraps
        from werkzeug.exceptions import HTTPException, ServiceUnavailable, abort
        from werkzeug.routing import Map, Rule
        from trytond import backend
        from trytond.protocols.wrappers import Request, Response
        from trytond.tools import resolve

        class TrytondWSGI:
            def __init__(self):
                self.url_map = Map([])

            def route(self, string, methods=None, defaults=None):
                def decorator(func):
                    self.url_map.add(Rule(string, endpoint=func, methods=methods, defaults=defaults))
                    return func
                return decorator

            def auth_required(self, func):
                @wraps(func)
                def wrapper(request, *args, **kwargs):
                    if request.user_id:
                        return func(request, *args, **kwargs)
                    abort(401)
                return wrapper

            def dispatch_request(self, request):
                adapter = self.url_map.bind_to_environ(request.environ)
                try:
                    endpoint, request.view_args = adapter.match()
                    max_size = getattr(endpoint, "max_request_size", None) or request.user_id
                    return endpoint(request, **request.view_args)
                except HTTPException as e:
                    return e
                except backend.DatabaseOperationalError as e:
                    return ServiceUnavailable(description=str(e))
                except Exception as e:
                    return e

            def wsgi_app(self, environ, start_response):
                request = Request(environ)
                data = self.dispatch_request(request)
                response = data if isinstance(data, (Response, HTTPException)) else Response(repr(data))
                return response(environ, start_response)

            def __call__(self, environ, start_response):
                return self.wsgi_app(environ, start_response)

        app = TrytondWSGI()
        import trytond.bus
        import trytond.protocols.dispatcher
        """,
    "protocols/dispatcher.py": """
        from werkzeug.exceptions import abort
        from trytond import backend
        from trytond.rpc import RPC
        from trytond.transaction import Transaction
        from trytond.worker import run_task
        from trytond.wsgi import app

        calls = []

        @app.route(%(path)r, methods=["POST"])
        def rpc(request, database_name):
            methods = {
                "common.db.login": login,
                "common.db.logout": logout,
                "common.db.reset_password": reset_password,
                "system.listMethods": list_method,
                "system.methodHelp": help_method,
                }
            return methods.get(request.rpc_method, _dispatch)(request, database_name, *request.rpc_params)

        def login(request, database_name, user, parameters, language=None):
            if parameters != "right":
                abort(401)
            return (1, "token-of-login", "http://bus/")

        @app.auth_required
        def logout(request, database_name):
            pass

        def reset_password(request, database_name, user, language=None):
            pass

        @app.auth_required
        def list_method(request, pool):
            return []

        @app.auth_required
        def help_method(request, pool):
            return ""

        @app.route(%(root)r, methods=["POST"])
        def root(request, *args):
            return {"common.server.version": lambda *a: "x"}[request.rpc_method](request, *request.rpc_params)

        @app.auth_required
        def _dispatch(request, pool, *args, **kwargs):
            rpc = RPC(readonly=False)
            count = 0
            while True:
                with Transaction().start(pool, request.user_id, readonly=rpc.readonly, timeout=rpc.timeout) as transaction:
                    args_, kwargs_, context, timestamp = rpc.convert(None, *args, {})
                    meth = rpc.decorate(METHODS[request.rpc_method])
                    try:
                        return meth(*args_)
                    except backend.DatabaseOperationalError:
                        if count < 2:
                            transaction.rollback()
                            count += 1
                            continue
                        raise

        METHODS = {}
        """,
    }

WRAPPERS = """
    import json
    from functools import wraps
    from werkzeug.datastructures import Authorization
    from werkzeug.wrappers import Request as BaseRequest, Response
    from trytond.tools import cached_property
    %(session_type)s

    class Request(BaseRequest):
        view_args = None

        @cached_property
        def parsed_data(self):
            return json.loads(self.data)

        @cached_property
        def rpc_method(self):
            return self.parsed_data["method"]

        @cached_property
        def rpc_params(self):
            return self.parsed_data["params"]

        @cached_property
        def authorization(self):
            header = self.headers.get("Authorization")
            if not header:
                return None
            login, user, token = header.split(":")
            return Authorization("session", {"username": login, "userid": int(user), "session": token})
    %(session)s
        @cached_property
        def user_id(self):
            assert self.view_args is not None
            if not self.view_args.get("database_name"):
                return None
            return %(check)s

    def with_transaction(readonly=None, user=0, context=None, timeout=None):
        from trytond.worker import run_task

        def decorator(func):
            @wraps(func)
            def wrapper(request, *args, **kwargs):
                return func(request, *args, **kwargs)
            wrapper.run_task = run_task
            return wrapper
        return decorator
    """

DATABASE = """
    %(imports)s

    class LoggingCursor(%(cursor)s):
        %(execute)s

    class Connection:
        def cursor(self, factory=None):
            return (factory or self.factory)(self)

        def commit(self):
            pass

        rollback = commit

    class Database:
        def __init__(self, name="template1"):
            self.name = name

        def connect(self):
            self.factory = LoggingCursor
            return self

        def get_connection(self, autocommit=False, readonly=False, statement_timeout=None):
            connection = Connection()
            connection.factory = self.factory
            return connection

        def put_connection(self, connection, close=False):
            pass
    """

SHAPES = {
    "7": {
        "path": "/<string:database_name>/", "root": "/",
        "session_type": "", "session": "",
        "check": 'self.authorization and self.authorization["session"] == "good" and self.authorization["userid"]',
        "imports": "from psycopg2 import OperationalError as DatabaseOperationalError\n"
            "    class cursor:\n"
            "        def __init__(self, connection): pass\n"
            "        def execute(self, sql, args=None): self.sql = sql\n"
            "        def fetchone(self): return ('login-of-database',)\n"
            "        def close(self): pass\n",
        "cursor": "cursor",
        "execute": "def execute(self, sql, args=None):\n            cursor.execute(self, sql, args)",
        "config": "config = CONFIG = PARSER",
        },
    "8": {
        "path": "/<string:database_name>/rpc/", "root": "/rpc/",
        "session_type": "import collections\n    Session = collections.namedtuple('Session', 'type username userid token')",
        "session": """
        @cached_property
        def session(self):
            cookie = self.cookies.get("tryton_session")
            if cookie:
                login, user, token = cookie.rsplit(":", 2)
                return Session("cookie", login, int(user), token)
            if self.authorization:
                return Session("authorization", self.authorization.username,
                    self.authorization.get("userid"), self.authorization.get("session"))
            return None
    """,
        "check": 'self.session and self.session.token == "good" and self.session.userid',
        "imports": "from psycopg import Cursor, OperationalError as DatabaseOperationalError",
        "cursor": "Cursor",
        "execute": "def execute(self, query, params=None, *, prepare=None, binary=None):\n"
            "            return super().execute(query, params, prepare=prepare, binary=binary)",
        "config": "import sys\nCONFIG = sys.modules[__name__]\nget, getint = PARSER.get, PARSER.getint\n"
            "has_section, options = PARSER.has_section, PARSER.options\n"
            "def __getattr__(name):\n    if name == 'config':\n        raise RuntimeError('deprecated')\n"
            "    raise AttributeError(name)\n",
        },
    }

PSYCOPG = {
    "__init__.py": """
        class OperationalError(Exception): pass

        class Cursor:
            def __init__(self, connection):
                self.connection = connection

            def execute(self, query, params=None, *, prepare=None, binary=None):
                self.query = query
                return self

            def fetchone(self):
                return ("login-of-database",)

            def close(self):
                pass
        """,
    "errors.py": """
        from psycopg import OperationalError
        class SerializationFailure(OperationalError): pass
        class DeadlockDetected(OperationalError): pass
        """,
    }


def write(folder, version):
    """Writes the package for a version such as "7.2.9" into the folder, which then goes into PYTHONPATH."""
    shape = SHAPES[version[0] if version[0] == "8" else "7"]
    files = {name: textwrap.dedent(text) for name, text in COMMON.items()}
    files["__init__.py"] = "__version__ = %r\n" % version
    files["config.py"] += shape["config"] + "\n"
    files["protocols/dispatcher.py"] %= shape
    files["protocols/wrappers.py"] = textwrap.dedent(WRAPPERS % shape)
    files["backend/postgresql/database.py"] = textwrap.dedent(DATABASE % shape)
    _write(folder / "trytond", files)
    if version[0] == "8":
        _write(folder / "psycopg", {name: textwrap.dedent(text) for name, text in PSYCOPG.items()})


def _write(folder, files):
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
