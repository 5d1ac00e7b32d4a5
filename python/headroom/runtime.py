"""What every hook needs of the process it runs in: the native module, and a place to report its own errors.

The rule of the package: an error in Headroom's code never reaches the application. A hook catches what its own lines
raise and hands it to `trouble`, which writes one line a minute. The line holds the type of the error and where it
happened, never its text, which may quote what the user sent.
"""
import atexit
import logging
import multiprocessing.util
import os
import sys
import time

logger = logging.getLogger("headroom")

_SILENCE = 60.0
_silent_until = 0.0
_is_missing = False


def load_native():
    """Gives the native module, or None when it can't be loaded here; one line in the log says so."""
    global _is_missing
    if _is_missing:
        return None
    try:
        from headroom import _native
    except Exception as error:
        # Another Python version, a missing shared library, a broken installation: the server must start anyway.
        logger.error("nothing is recorded: the native module can't be loaded: %s", error)
        _is_missing = True
        return None
    return _native


def start(native, values):
    """Starts the recorder of this process with the values of `headroom.settings.read` and a version; it stops with the
    process, and with each of its children."""
    values.setdefault("role", _program())
    values["coroutine"] = _threads_are_greenlets()
    if not values["broker"]:
        logger.error("nothing is recorded: [perf] names no usable broker")
        return
    started = native.start(values)
    atexit.register(native.stop, 5.0)
    multiprocessing.util.register_after_fork(native, _in_child)
    logger.info("%s; store %s", values["version"], started.get("store"))
    if started.get("error"):
        logger.error("the store %s does not answer, records wait in a bounded buffer: %s", started.get("store"),
            started["error"])


def _in_child(native):
    # Children of multiprocessing leave through os._exit, past atexit, but run their finalizers.
    multiprocessing.util.Finalize(None, native.stop, args=(5.0,), exitpriority=-100)


def _program():
    """What this process is, as `headroom status` shows it."""
    if "uwsgi" in sys.modules:
        return "uwsgi"
    return os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else "python"


def _threads_are_greenlets():
    monkey = sys.modules.get("gevent.monkey")
    return bool(monkey and monkey.is_module_patched("threading"))


def trouble(where):
    """Reports the exception being handled, at most once a minute."""
    global _silent_until
    now = time.monotonic()
    if now < _silent_until:
        return
    _silent_until = now + _SILENCE
    try:
        logger.error("%s failed, the application goes on without it: %s", where, _place_of_error())
    except Exception:
        # Logging itself is broken; there is nobody left to tell.
        return


def _place_of_error():
    kind, _, traceback = sys.exc_info()
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return kind.__name__
    code = traceback.tb_frame.f_code
    return "%s in %s, line %d of %s" % (kind.__name__, code.co_name, traceback.tb_lineno, code.co_filename)
