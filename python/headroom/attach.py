"""Attaches Headroom to trytond, once in a process, in two steps.

`prepare` runs while trytond.cache is being imported. It chooses the adapter of this trytond series and hooks what must
come first: the cursors and the connection (trytond-admin opens a database before its pool starts), the transaction,
and `run_task` (other modules copy the reference when they are imported). It also wraps `Pool.start` and `Pool.init`.

`complete` runs when `Pool.start` has returned, and before a database's pool is made: by then trytond has imported its
dispatcher, its WSGI application and its models in every process, whatever was started. It hooks those and starts the
recorder. Called again it attaches what has been imported since.
"""
import os
import sys
import threading

from headroom import __version__, adapters, runtime, settings
from headroom.adapters import base
from headroom.runtime import logger

_lock = threading.RLock()
_prepared = False
_hooks = None


def prepare():
    """Attaches the first step.

    Returns the native module, or None when nothing can be recorded in this process (the log says why).
    """
    global _prepared, _hooks
    with _lock:
        if not _prepared:
            _prepared = True
            try:
                _hooks = _first_step()
                if _hooks is not None and _pool_has_started():
                    complete()
            except Exception:
                runtime.trouble("attaching to trytond")
        return _hooks.native if _hooks is not None else None


def wsgi(application):
    """Wraps a WSGI application for `[wsgi middleware]`."""
    native = prepare()
    return application if native is None else base.Middleware(application, native)


def complete():
    """Attaches the second step and starts the recorder; later calls attach what is new."""
    with _lock:
        if _hooks is None:
            return
        try:
            _hooks.adapter.prepare(_hooks)
            _hooks.adapter.complete(_hooks)
            if not _hooks.started:
                _start(_hooks)
                _hooks.started = True
        except Exception:
            runtime.trouble("attaching to trytond")


def _first_step():
    import trytond
    version = trytond.__version__
    adapter = adapters.choose(version)
    if adapter is None:
        logger.error("nothing is recorded: trytond %s is not known; known series are %s", version,
            ", ".join(adapters.known()))
        return None
    native = runtime.load_native()
    if native is None:
        return None
    hooks = base.Hooks(native, adapter, version)
    adapter.prepare(hooks)
    base.hook_pool(hooks, complete)
    return hooks


def _pool_has_started():
    from trytond.pool import Pool
    return Pool._started


def _start(hooks):
    native = hooks.native
    native.set_error_classes(base.error_classes())
    import trytond.config
    # Since 7.8 the module itself is the configuration, and the name `config` in it a deprecated alias.
    values = settings.read(vars(trytond.config).get("config", trytond.config))
    if os.environ.get("TRYTOND_APPNAME") and "uwsgi" not in sys.modules:
        values["role"] = os.environ["TRYTOND_APPNAME"]
    values["version"] = hooks.summary(__version__)
    runtime.start(native, values)
