"""trytond 6.0 and 6.2. The queue is the module `trytond.ir.queue`; later series call it `queue_`."""
from headroom.adapters import base

SERIES = ("6.0", "6.2")


def prepare(hooks):
    base.hook_database(hooks, "trytond.backend.postgresql.database", "LoggingCursor", "postgresql")
    base.hook_database(hooks, "trytond.backend.sqlite.database", "SQLiteCursor", "sqlite")
    base.hook_transaction(hooks)
    base.hook_worker(hooks)


def complete(hooks):
    base.hook_wsgi(hooks, is_rpc_path)
    base.hook_request(hooks, base.header_claim)
    base.hook_dispatcher(hooks, ("_dispatch", "logout", "list_method", "help_method"))
    base.hook_rpc(hooks)
    base.hook_queue(hooks, "trytond.ir.queue")
    base.hook_cron(hooks)
    base.hook_user_application(hooks)


def is_rpc_path(path):
    """`/<database>/` and, for calls without a database, `/`."""
    return path == "/" or (path.endswith("/") and path.count("/") == 2)
