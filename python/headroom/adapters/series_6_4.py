"""trytond 6.4, 6.6, 6.8 and all of 7: as 6.0, but the queue is `trytond.ir.queue_`, and a password can be reset by RPC.

What else changed in these series leaves the hooks as they are: `Cache.__init__` lost its size_limit in 6.8 (the cache
class passes its arguments on), `RPC.decorate` came in 7.0 (`RPC.convert` still runs once an attempt), a login gives the
host of the bus as a third value since 7.6, and workers come from concurrent.futures since 7.2.
"""
from headroom.adapters import base, series_6_0

SERIES = ("6.4", "6.6", "6.8", "7.0", "7.2", "7.4", "7.6", "7.8")


def prepare(hooks):
    series_6_0.prepare(hooks)


def complete(hooks):
    base.hook_wsgi(hooks, series_6_0.is_rpc_path)
    base.hook_request(hooks, base.header_claim)
    base.hook_dispatcher(hooks, ("_dispatch", "logout", "list_method", "help_method", "reset_password"))
    base.hook_rpc(hooks)
    base.hook_queue(hooks, "trytond.ir.queue_")
    base.hook_cron(hooks)
    base.hook_user_application(hooks)
