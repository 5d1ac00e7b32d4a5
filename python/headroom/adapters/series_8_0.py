"""trytond 8.0: calls come to `/<database>/rpc/`, a session may come in a cookie, PostgreSQL is spoken with psycopg 3."""
from headroom.adapters import base, series_6_0

SERIES = ("8.0",)


def prepare(hooks):
    series_6_0.prepare(hooks)


def complete(hooks):
    base.hook_wsgi(hooks, is_rpc_path)
    base.hook_request(hooks, session_claim)
    base.hook_dispatcher(hooks, ("_dispatch", "logout", "list_method", "help_method", "reset_password"))
    base.hook_rpc(hooks)
    base.hook_queue(hooks, "trytond.ir.queue_")
    base.hook_cron(hooks)
    base.hook_user_application(hooks)


def is_rpc_path(path):
    """`/<database>/rpc/` and, for calls without a database, `/rpc/`."""
    return path.endswith("/rpc/") and path.count("/") <= 3


def session_claim(request):
    """Who the request says it is, from the cookie or from the header: user id, login and session token."""
    session = request.session
    if session is not None:
        return session.userid, session.username, session.token
    return base.header_claim(request)
