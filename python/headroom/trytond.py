"""What trytond loads: `MemoryCache` for `[cache] class`, `Middleware` for `[wsgi middleware]`, `Bus` for `[bus] class`.

trytond resolves `[cache] class` in every one of its processes while `trytond.cache` is still being imported. That makes
it the one place that reaches all of them, and a narrow one: at that moment `MemoryCache` exists in trytond.cache, but
`LRUDict` does not, nor do the dispatcher and the WSGI application. So this module imports nothing of trytond by itself.
`MemoryCache` is made when it is asked for, whoever imported what first, and the hooks are attached in two steps: what
must come before the first connection at once, the rest around `Pool.start`.
"""
import importlib
import threading

from headroom import attach

__all__ = ["Bus", "MemoryCache", "Middleware"]

_making = threading.RLock()


def Middleware(application):  # noqa: N802 (trytond's configuration names a class)
    """Records every request to the WSGI application; harmless beside the cache class.

    trytond calls it once for each application, as it would a class. Where nothing can be recorded the application
    itself comes back.
    """
    return attach.wsgi(application)


def __getattr__(name):
    if name not in _MAKERS:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    module, make = _MAKERS[name]
    with _making:
        # Not `import trytond.cache`: while that is being imported it is no attribute of its package yet.
        theirs = importlib.import_module(module)
        # The import may have asked for the class itself and so have made it already.
        if name not in globals():
            globals()[name] = make(theirs)
    return globals()[name]


def _make_bus(bus):
    from headroom import trytond_bus  # it imports what trytond.cache must not find loaded
    return trytond_bus.make(bus.LongPollingBus)


def _make_cache(cache):
    """Gives trytond's own cache class with its counters in view, or that class itself when nothing is recorded."""
    base = cache.MemoryCache
    native = attach.prepare()
    if native is None:
        return base

    class MemoryCache(native.CacheCounters, base):
        """trytond's MemoryCache; hits, misses and clears are counted for the call that causes them."""

        def clear(self):
            self.cache_cleared()
            super().clear()

    MemoryCache.__module__ = __name__
    MemoryCache.__qualname__ = MemoryCache.__name__
    return MemoryCache


_MAKERS = {"Bus": ("trytond.bus", _make_bus), "MemoryCache": ("trytond.cache", _make_cache)}
