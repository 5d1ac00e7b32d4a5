"""Names of remote calls as Odoo's clients make them, read from the path or from the beginning of the body.

What comes here was sent by anybody, before anybody authenticated them. So a body is no document to be parsed but a text
to be scanned, up to a bound: JSON token by token until what is looked for was seen, XML by one pattern that knows the head
of a call and nothing else. No document type, no entity and no nesting is followed, and no object is built from it. A
name that is no identifier counts as not read.

The calls (odoo/addons/web/controllers/dataset.py, odoo/addons/base/controllers/rpc.py of Odoo 8 to 19):

    /web/dataset/call_kw/MODEL/METHOD, call_button     the path tells
    /json/2/MODEL/METHOD                               the path tells
    /web/dataset/call_kw and its like                  {"params": {"model": ..., "method": ...}}
    /jsonrpc                                           {"params": {"service": ..., "method": ..., "args": [...]}}
    /xmlrpc/SERVICE, /xmlrpc/2/SERVICE                 <methodCall>...

The arguments of service `object` are database, user id, password, model, method; those of a login are database, login,
password. A password that stands there has no name beside it, so nothing else could tell that it is one: `Read.masked`
takes it out of the body.
"""
import json
import re
from xml.sax.saxutils import unescape

#: So much of a body is scanned for its name.
HEAD = 64 << 10
#: The name of a call whose body can't be understood.
UNREAD = "unread"

_TOKENS = 2_000
_DEPTH = 32
_NAME = re.compile(r"[A-Za-z_][\w.]{0,127}", re.ASCII)
_PATH = re.compile(r"/(?:web/dataset/call_(?:kw|button)|json/2)/([a-z_][\w.]*)/([A-Za-z_]\w*)", re.ASCII)
_DATASET = re.compile(r"/web/dataset/(call_kw|call_button|call|search_read|load|resequence)", re.ASCII)
_XML_PATH = re.compile(r"/xmlrpc/(?:2/)?([a-z]{1,16})", re.ASCII)
_OBJECT = ("execute", "execute_kw", "exec_workflow")
_COMMON = ("version", "about", "login", "authenticate", "set_loglevel", "timezone_get")
_MASK = b"***"

_JSON_TOKEN = re.compile(rb'[ \t\r\n]*(?:("[^"\\]*(?:\\.[^"\\]*)*")|([][{}:,])|([-+.\w]+))', re.DOTALL)


def _xml(*parts):
    """A pattern for parts with blanks between them. The blanks are bounded, or hostile ones would be tried in every way
    of sharing them among the parts."""
    return re.compile(rb"\s{0,64}".join((b"", *parts)))


_XML_START = rb"(?:<\?xml[^<>]{0,100}\?>)?"
_XML_HEAD = _xml(_XML_START, rb"<methodCall>", rb"<methodName>", rb"([\w.]{1,128})", rb"</methodName>", rb"<params>")
_XML_PARAM = _xml(rb"<param>", rb"<value>(?:\s{0,64}<(string|int|i4|i8)>([^<]*)</\1>\s{0,64}|([^<]*))</value>",
    rb"</param>")
_XML_FAULT = _xml(_XML_START, rb"<methodResponse>", rb"<fault>", rb"<value>", rb"<struct>", rb"<member>",
    rb"<name>faultCode</name>", rb"<value>", rb"<(int|string|i4)>([^<]*)</\1>")
_FAULT_CODES = {"2": "user_error", "3": "user_error", "4": "user_error"}
_FAULT_WORDS = ("warning -- ", "AccessDenied")
_USER_ERRORS = ("UserError", "ValidationError", "AccessError", "AccessDenied", "MissingError", "except_orm", "Warning")
_COLLISIONS = ("SerializationFailure", "DeadlockDetected", "LockNotAvailable", "TransactionRollbackError")


class Read:
    """What a call says of itself: its kind and method, and whom it claims to come from."""

    __slots__ = ("kind", "method", "database", "user_id", "login", "_secret")

    def __init__(self, kind, method, database="", user_id=None, login=None, secret=None):
        self.kind = kind
        self.method = method
        self.database = database
        self.user_id = user_id
        self.login = login
        self._secret = secret

    def masked(self, body):
        """The body without the password among its arguments; None where it can't be told what is one."""
        if self._secret is None:
            return None
        start, end = self._secret
        return body[:start] + _MASK + body[end:] if end > start else body


def reader_of(path):
    """How calls to a path are named: a `Read`, a function that makes one of the body's beginning, or None."""
    if path == "/jsonrpc":
        return read_json
    if path.startswith("/xmlrpc/"):
        match = _XML_PATH.fullmatch(path)
        return None if match is None else lambda body: read_xml(match[1], body)
    if path.startswith(("/web/dataset/", "/json/2/")):
        match = _PATH.fullmatch(path)
        if match is not None:
            return Read("rpc", "%s.%s" % match.groups(), secret=(0, 0))
        match = _DATASET.fullmatch(path)
        return None if match is None else lambda body: read_dataset(match[1], body)
    return None


def read_json(body):
    """A call to /jsonrpc."""
    found = _find(body, _JSON_CALL)
    service, method = (_text(found, ("params", name)) for name in ("service", "method"))
    return _service_call(service, method, [found.get(("params", "args", i)) for i in range(5)])


def read_dataset(call, body):
    """A call of the web client whose path does not tell model and method."""
    found = _find(body, _JSON_MODEL)
    model, method = _text(found, ("params", "model")), _text(found, ("params", "method"))
    if call in ("search_read", "load", "resequence"):
        method = call
    return Read("rpc", _joined(model, method), secret=(0, 0))


def read_xml(service, body):
    """A call to /xmlrpc/SERVICE."""
    head = _XML_HEAD.match(body, 0, HEAD)
    if head is None:
        return Read("rpc", UNREAD)
    arguments, place = [], head.end()
    while len(arguments) < 5:
        match = _XML_PARAM.match(body, place, HEAD)
        if match is None:
            break
        group = 2 if match[1] else 3
        arguments.append((unescape(match[group].decode("utf-8", "replace")), *match.span(group)))
        place = match.end()
    return _service_call(service, head[1].decode("ascii", "replace"), arguments)


def _service_call(service, method, arguments):
    arguments = arguments + [None] * (5 - len(arguments))
    if service == "object" and method in _OBJECT:
        database, user, password, model, name = arguments
        if None in (database, user, password, model, name):
            return Read("rpc", UNREAD)
        return Read("rpc", _joined(model[0], name[0]), str(database[0]), _number(user[0]), None, password[1:])
    if service == "common" and method in _COMMON:
        database, login, password = arguments[:3]
        if method not in ("login", "authenticate"):
            return Read("route", "common." + method, secret=(0, 0))
        if None in (database, login, password):
            return Read("route", "common." + method)
        return Read("route", "common." + method, str(database[0]), None, str(login[0]), password[1:])
    if service in ("common", "db", "report"):
        # The methods of service db take the master password. Which they are is not looked at: anybody may call them.
        return Read("route", "%s.(other)" % service)
    return Read("rpc", UNREAD)


def _joined(model, method):
    if type(model) is str and type(method) is str and _NAME.fullmatch(model) and _NAME.fullmatch(method):
        return "%s.%s" % (model, method)
    return UNREAD


def _number(text):
    text = str(text)
    return int(text) if len(text) <= 18 and text.isdecimal() else None


# ---------------------------------------------------------------------------------------------------------------- faults

class Fault(Exception):
    """An error that a remote call answered with; the HTTP status was 200 all the same."""

    status = "exception"


class UserFault(Fault):
    status = "user_error"


class WarningFault(Fault):
    status = "warning"


class CollisionFault(Fault):
    status = "concurrency"


def fault_of(answer):
    """The error in the beginning of an answer; None when it has none that can be seen."""
    start = answer[:256].lstrip()
    if start.startswith(b"{"):
        return _json_fault(answer)
    if start.startswith(b"<"):
        return _xml_fault(answer)
    return None


def _json_fault(answer):
    found = _find(answer, _JSON_FAULT)
    if not any(path[0] == "error" for path in found):
        return None
    name = _text(found, ("error", "data", "name"))
    text = _text(found, ("error", "data", "message")) or _text(found, ("error", "message")) or ""
    last = (name or "").rpartition(".")[2]
    kind = Fault
    if last in _USER_ERRORS:
        kind = UserFault
    elif last == "RedirectWarning":
        kind = WarningFault
    elif last in _COLLISIONS:
        kind = CollisionFault
    return kind("%s: %s" % (name, text) if name else text)


def _xml_fault(answer):
    match = _XML_FAULT.match(answer, 0, HEAD)
    if match is None:
        return None
    code = unescape(match[2].decode("utf-8", "replace"))[:1000]
    if code in _FAULT_CODES or code.startswith(_FAULT_WORDS):
        return UserFault("fault " + code)
    return Fault("fault " + code)


# ------------------------------------------------------------------------------------------------------------------ JSON

_JSON_CALL = frozenset({("params", "service"), ("params", "method"), *(("params", "args", i) for i in range(5))})
_JSON_MODEL = frozenset({("params", "model"), ("params", "method")})
_JSON_FAULT = frozenset({("error", "message"), ("error", "data", "name"), ("error", "data", "message"), ("result",)})


def _text(found, path):
    value = found.get(path)
    return value[0] if value is not None and type(value[0]) is str else None


def _find(body, paths):
    """The values at `paths`, as far as they stand in the beginning: path to (value, start, end). It stops once all are
    seen. A string's place is that between its quotes."""
    found = {}
    try:
        for path, token, start in _scalars(body):
            if path in paths and path not in found:
                value = json.loads(token)
                quotes = 1 if token[:1] == b'"' else 0
                found[path] = (value, start + quotes, start + len(token) - quotes)
                if len(found) == len(paths):
                    break
    except ValueError:
        pass  # no JSON from here on; what came before stands
    return found


def _scalars(body):
    """Path, token and place of each string, number, true, false and null, in order."""
    stack, place = [], 0  # of each open container: the key of an object, the index in a list
    for _ in range(_TOKENS):
        match = _JSON_TOKEN.match(body, place, HEAD)
        if match is None:
            return
        place = match.end()
        sign = match[2]
        if sign is None:
            token = match[1] or match[3]
            if stack and stack[-1] is None:
                stack[-1] = json.loads(token)  # the key of an object, whose value comes next
            else:
                yield tuple(stack), token, match.start(1 if match[1] else 3)
        elif sign == b"{" or sign == b"[":
            if len(stack) >= _DEPTH:
                return
            stack.append(None if sign == b"{" else 0)
        elif sign == b"}" or sign == b"]":
            if not stack:
                return
            stack.pop()
        elif sign == b"," and stack:
            stack[-1] = stack[-1] + 1 if type(stack[-1]) is int else None
