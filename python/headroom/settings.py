"""Section `[perf]` of trytond's configuration, turned into the settings of the recorder.

A wrong value never stops trytond: it gives one line in the log, which names the key, the value and what is accepted,
and the key counts as not given. The same goes for a key that does not exist.

Lists are split at commas and line ends; their entries are globs such as `model.res.user.*`. Without `users` and
without `methods` the file makes no rule, and nobody is recorded in detail. Nor does it when a key that says which calls
are recorded is refused, or misspelt: the rule that is left would record more than was asked for.
"""
import difflib
import os.path
import re
import urllib.parse

from headroom.runtime import logger

SECTION = "perf"
STATE = "/var/lib/headroom"

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|m|h)?")
_SECONDS = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 24 * 3600.0
_SIZE = re.compile(r"(\d{1,18})\s*(?:(k|m|g)(?:i?b)?|b)?", re.IGNORECASE)
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_BROKERS = "sqlite:///absolute/path, redis://[user:password@]host:port/db, rediss://... or unix://..."


def read(config):
    """Reads the section from trytond's configuration (`trytond.config.config`, or the module itself since 8.0).

    Returns the dictionary that `_native.start` takes, without role, version and coroutine.
    """
    values, refused = _values(config)
    settings = {}
    for key in _SETTINGS:
        if key in values:
            settings[key] = values[key]
    settings.setdefault("state", STATE)
    settings["broker"] = _broker(settings, config)
    rule = {key: values[key] for key in _RULE if key in values}
    is_asked_for = "users" in rule or "methods" in rule
    settings["rules"] = [rule] if is_asked_for and not any(map(_restricts, refused)) else []
    return settings


def _values(config):
    """Gives the values that are understood, by key, and the keys that were refused."""
    values, refused = {}, []
    for key in _keys(config):
        parse = _SETTINGS.get(key) or _RULE.get(key)
        if parse is None:
            _ignore(key, None, "it does not exist; known are " + ", ".join(sorted({**_SETTINGS, **_RULE})))
            refused.append(key)
            continue
        text = config.get(SECTION, key, default="") or ""
        if not text.strip():
            continue
        try:
            values[key] = parse(text.strip())
        except ValueError as error:
            _ignore(key, text, str(error))
            refused.append(key)
    return values, refused


def _restricts(key):
    """Whether the key, or the one it is most like when it does not exist, says which calls are recorded."""
    meant = difflib.get_close_matches(key, [*_SETTINGS, *_RULE], 1)
    return bool(meant) and meant[0] in _RESTRICTIONS


def _keys(config):
    return list(config.options(SECTION)) if config.has_section(SECTION) else []


def _ignore(key, value, reason):
    # A broker may hold a password, so its value is never repeated.
    shown = "" if value is None or key == "broker" else " = %r" % value
    also = ", and with it the rule of this section, so that it records nobody" if _restricts(key) else ""
    logger.error("[%s] %s%s is ignored%s: %s", SECTION, key, shown, also, reason)


def _list(text):
    entries = [entry.strip() for entry in re.split(r"[,\n]", text)]
    entries = [entry for entry in entries if entry]
    if not entries:
        raise ValueError("it takes a list, split by commas or line ends")
    return entries


def _globs(text):
    globs = _list(text)
    for glob in globs:
        _check_closed(glob)
    return globs


def _glob(text):
    if "," in text or "\n" in text:
        raise ValueError("it takes one glob, not a list")
    _check_closed(text)
    return text


def _check_closed(glob):
    """Refuses a glob that matches nothing; as in the native code, a ] that stands first is one of the characters."""
    place = glob.find("[")
    while place >= 0:
        first = place + 2 if glob[place + 1:place + 2] == "!" else place + 1
        close = glob.find("]", first + 1)
        if close < 0:
            raise ValueError("it takes globs with *, ?, [abc], [a-z] and [!abc]; in %r the [ is not closed" % glob)
        place = glob.find("[", close)


def _users(text):
    users = _globs(text)
    if "login:" in users:
        raise ValueError("it takes logins, ids in digits, or login:NAME; a name is missing after login:")
    return users


def _duration(text):
    match = _DURATION.fullmatch(text)
    seconds = float(match[1]) * _SECONDS[match[2]] if match else None
    if seconds is None or seconds > _LONGEST:
        raise ValueError("it takes seconds such as 0.5, or a number with ms, s, m or h, at most 24h")
    return seconds


def _size(least, most):
    """A parser for sizes within bounds, which are texts themselves."""
    def parse(text):
        size = _bytes(text)
        if size is None or not _bytes(least) <= size <= _bytes(most):
            raise ValueError("it takes bytes, or a number with k, m or g, from %s to %s" % (least, most))
        return size

    return parse


def _bytes(text):
    match = _SIZE.fullmatch(text)
    return int(match[1]) * _BYTES[(match[2] or "").lower()] if match else None


def _one_in(text):
    match = re.fullmatch(r"(?:1/)?([1-9]\d{0,8})", text)
    if match is None:
        raise ValueError("it takes 1/N or N, a number of at least 1: one call in N is recorded")
    return int(match[1])


def _state(text):
    if not os.path.isabs(text):
        raise ValueError("it takes the absolute path of a folder")
    return text


def _broker_url(text):
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in ("sqlite", "redis", "rediss", "unix"):
        raise ValueError("it takes " + _BROKERS)
    if scheme in ("sqlite", "unix") and not rest.startswith("/"):
        raise ValueError("it takes %s; here the path is not absolute" % _BROKERS)
    if rest in ("", "/"):
        raise ValueError("it takes %s; here nothing follows %s://" % (_BROKERS, scheme))
    return text


def _broker(settings, config):
    """Gives the store's URL; empty when both the one asked for and the default lie where trytond opens databases."""
    default = "sqlite://" + os.path.join(settings["state"], "perf.sqlite")
    for url in (settings.get("broker", default), default):
        folder = _database_folder_of(url, config)
        if folder is None:
            return url
        logger.error("[%s] broker is ignored: it lies inside [database] path %s, where trytond opens every *.sqlite"
            " as one of its databases", SECTION, folder)
    return ""


def _database_folder_of(url, config):
    """Gives trytond's folder of databases when a store's file lies inside it."""
    if not url.startswith("sqlite://"):
        return None
    folder = config.get("database", "path", default="")
    if not folder:
        return None
    path = urllib.parse.unquote(url[len("sqlite://"):].partition("?")[0])
    folder = os.path.realpath(os.path.expanduser(folder))
    inside = os.path.commonpath([folder, os.path.realpath(path)]) == folder
    return folder if inside else None


_SETTINGS = {
    "broker": _broker_url,
    "state": _state,
    "secrets": _list,
    "body_limit": _size("0", "16m"),
    "buffer_limit": _size("64k", "1g"),
    "flush_interval": _duration,
    }
_RULE = {
    "users": _users,
    "database": _glob,
    "methods": _globs,
    "profile": _globs,
    "sample": _globs,
    "db": _globs,
    "io": _globs,
    "query": _duration,
    "slower_than": _duration,
    "one_in": _one_in,
    }
_RESTRICTIONS = ("users", "database", "methods", "slower_than", "one_in")
