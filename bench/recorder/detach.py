"""Takes every hook of the recorder out of this process, so that trytond runs exactly its own code again.

Each hook knows what it stands for: Python hooks and native ones by `__wrapped__`, the middleware by `application`, a
cursor class by its base. The counters of the cache class lie in its native base; plain class attributes in front of
them make `self.hit += 1` what it is in trytond, an attribute of the instance.
"""


def detach():
    from trytond import backend
    from trytond.protocols import dispatcher
    from trytond.protocols.wrappers import Request
    from trytond.rpc import RPC
    from trytond.transaction import Transaction
    from trytond.wsgi import TrytondWSGI, app
    app.wsgi_app = app.wsgi_app.application
    _unwrap(TrytondWSGI, 'dispatch_request')
    _unwrap(dispatcher, '_dispatch', 'login')
    _unwrap(RPC, 'convert')
    _unwrap(Transaction, 'commit', 'rollback')
    _unwrap(backend.Database, 'get_connection')
    _unhook_user_id(Request)
    _unhook_cursor(backend.Database)
    _unhook_cache()


def _unwrap(owner, *names):
    for name in names:
        setattr(owner, name, getattr(owner, name).__wrapped__)


def _unhook_user_id(request):
    descriptor = request.__dict__['user_id']
    original = type(descriptor)(descriptor.func.__wrapped__)
    original.__set_name__(request, 'user_id')
    request.user_id = original


def _unhook_cursor(database):
    import sys
    module = sys.modules[database.__module__]
    for name in ('LoggingCursor', 'SQLiteCursor'):
        if hasattr(module, name):
            recording = getattr(module, name)
            setattr(module, name, recording.__bases__[0])


def _unhook_cache():
    from headroom.trytond import MemoryCache
    MemoryCache.hit = MemoryCache.miss = 0
