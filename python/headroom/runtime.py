"""What every hook needs of the process it runs in: the native module, and a place to report its own errors.

The rule of the package: an error in Headroom's code never reaches the application. A hook catches what its own lines
raise and hands it to `trouble`, which writes one line a minute. The line holds the type of the error and where it
happened, never its text, which may quote what the user sent.
"""
import logging
import time

logger = logging.getLogger("headroom")

_SILENCE = 60.0
_silent_until = 0.0


def load_native():
    """Gives the native module, or None after one line in the log when it can't be loaded here."""
    try:
        from headroom import _native
    except Exception as error:
        # Another Python version, a missing shared library, a broken installation: the server must start anyway.
        logger.error("nothing is recorded: the native module can't be loaded: %s", error)
        return None
    return _native


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
    import sys
    kind, _, traceback = sys.exc_info()
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return kind.__name__
    code = traceback.tb_frame.f_code
    return "%s in %s, line %d of %s" % (kind.__name__, code.co_name, traceback.tb_lineno, code.co_filename)
