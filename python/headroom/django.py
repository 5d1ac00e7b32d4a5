"""What Django knows of a request: the view that serves it, and its user.

In settings.py, in addition to headroom.wsgi.Middleware around the application of wsgi.py:

    MIDDLEWARE = ["headroom.django.Middleware", ...]

Its place among the others does not matter, but that what stands before it is not told apart. It changes no request and
no response. `request.user` is never evaluated here: that would read the session, and Django would answer with `Vary:
Cookie`. Instead it is heard when the application evaluates it. A request whose user nobody asks for has none, as far as
Django is concerned.
"""
import sys

from django.core.signals import got_request_exception
from django.utils.functional import SimpleLazyObject, empty

from headroom import wsgi
from headroom.runtime import trouble


class Middleware:
    """Names calls by their view and tells their user to headroom.wsgi."""

    def __init__(self, get_response):
        self.get_response = get_response
        self.database = _database_name()
        _listen()

    def __call__(self, request):
        response = self.get_response(request)
        call = wsgi.current()
        if call is not None:
            try:
                self._finish(call, request, response)
            except Exception:
                trouble("reading a request of Django")
        return response

    def process_view(self, request, view, arguments, keywords):
        call = wsgi.current()
        if call is None:
            return
        try:
            call.name("route", name_of(view, request.resolver_match), self.database)
            _watch_user(call, request)
        except Exception:
            trouble("naming a request of Django")

    def _finish(self, call, request, response):
        if getattr(request, "resolver_match", None) is None and response.status_code == 404:
            call.name("route", "unmatched", self.database)
        # A view may have put a user in place by itself, as REST frameworks do for tokens.
        user = request.__dict__.get("user")
        if user is not None and getattr(user, "_wrapped", None) is not empty:
            _tell(call, user)


def name_of(view, match=None):
    """The name of a view: its function or class with the module, `shop.views.order_list`. Django's own, such as those of
    the administration, serve many routes, and an instance has no name: they have that of the route."""
    view = getattr(view, "view_class", None) or getattr(view, "cls", None) or view
    module, name = getattr(view, "__module__", None), getattr(view, "__qualname__", None)
    if type(module) is not str or type(name) is not str:
        module, name = type(view).__module__, type(view).__qualname__
        if match is not None and match.view_name:
            return match.view_name
    if module.startswith("django.") and match is not None and match.url_name:
        return match.view_name
    return "%s.%s" % (module, name.replace(".<locals>", ""))


def _watch_user(call, request):
    user = request.__dict__.get("user")
    if user is None:
        return
    if getattr(user, "_wrapped", None) is not empty:
        _tell(call, user)
        return

    def told():
        # The wrapped object itself is evaluated, so whatever Django put there is what the view gets.
        user._setup()
        _tell(call, user._wrapped)
        return user._wrapped

    request.user = SimpleLazyObject(told)


def _tell(call, user):
    try:
        if user.is_authenticated:
            call.identify(user.pk, user.get_username())
    except Exception:
        trouble("reading the user of Django")


def _database_name():
    """The name of the default database: that of a file goes without folder and suffix."""
    from django.conf import settings
    name = str(settings.DATABASES.get("default", {}).get("NAME") or "")
    return name.rpartition("/")[2].partition(".")[0]


_is_listening = False


def _listen():
    global _is_listening
    if _is_listening:
        return
    _is_listening = True
    got_request_exception.connect(_failed, dispatch_uid="headroom")
    try:
        from django.contrib.auth import signals
    except Exception:
        return  # a project without users
    signals.user_logged_in.connect(_logged_in, dispatch_uid="headroom")
    signals.user_login_failed.connect(_login_failed, dispatch_uid="headroom")


def _failed(sender, **_):
    """An error that Django turns into its page for status 500."""
    call, error = wsgi.current(), sys.exc_info()[1]
    if call is not None and error is not None:
        try:
            call.call.fail(error)
        except Exception:
            trouble("recording an error")


def _logged_in(sender, request=None, user=None, **_):
    call = wsgi.current()
    if call is None or user is None:
        return
    try:
        call.is_login()
        _tell(call, user)
        key = getattr(getattr(request, "session", None), "session_key", None)
        if key:
            call.session_started(key)
    except Exception:
        trouble("reading a login")


def _login_failed(sender, **_):
    call = wsgi.current()
    if call is not None:
        try:
            call.is_login()
        except Exception:
            trouble("reading a login")
