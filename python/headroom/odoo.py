"""Who calls, as Odoo finds out: by the two functions of odoo.service.security that say so.

`check(database, uid, password)` raises unless the password is right; remote calls pass it. `check_session(session, env)`
is true when the session is in force; requests of the web client pass it. They were read in the sources of 10 to 18. A
session lies on the server, so its login is no claim; a remote call has no login beside the user's id.
"""
import functools
import sys

from headroom.runtime import trouble

_MODULE = "odoo.service.security"


def attach(current):
    """Listens to Odoo, if that is loaded. `current()` gives the request that is being served."""
    security = sys.modules.get(_MODULE)
    for name, hook in (("check", _check), ("check_session", _check_session)):
        original = getattr(security, name, None)
        if original is not None and not hasattr(original, "_is_heard"):
            hooked = functools.wraps(original)(hook(original, current))
            hooked._is_heard = True
            setattr(security, name, hooked)


def _check(original, current):
    def check(db, uid, *arguments, **keywords):
        result = original(db, uid, *arguments, **keywords)
        _identify(current(), lambda: (int(uid), None, str(db)))
        return result

    return check


def _check_session(original, current):
    def check_session(session, *arguments, **keywords):
        holds = original(session, *arguments, **keywords)
        if holds:
            _identify(current(), lambda: (session.uid, getattr(session, "login", None), session.db or ""))
        return holds

    return check_session


def _identify(request, user):
    if request is None:
        return
    try:
        request.identify(*user())
    except Exception:
        trouble("reading the user of Odoo")
