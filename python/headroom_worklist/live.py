"""Asks Headroom for numbers, in time or not at all. Section `[headroom_worklist]` of trytond.conf:

    url = http://127.0.0.1:7400            where `headroom serve` listens; without it trytond counts by itself
    secret_file = /etc/headroom/bus-secret its `[bus] secret_files`, with which the tokens are signed
    file = /var/lib/headroom/{database}.yaml  the definitions, which the scheduled task writes and Headroom reads
    wait = 0.05                            seconds that a number may be waited for

Every answer and every reason not to have one is counted, by process: `answers`.
"""
import base64
import collections
import datetime
import hashlib
import hmac
import http.client
import json
import logging
import threading
import time
import urllib.parse

from trytond import backend
from trytond.config import config
from trytond.transaction import Transaction

from .criteria import NotExpressible, criteria, dates_of, list_id, signed_parts, ways_to_write
from .definitions import USER, WORKFLOW, Known
from .domain import check_access, read

logger = logging.getLogger(__name__)

SECTION = "headroom_worklist"
TOKEN_LIFE = 600  # seconds
PAUSE = 1.0  # seconds without asking, after Headroom did not answer
MARGIN = 0.05  # seconds for the way there and back, beside the wait
LONGEST_WAIT = 0.05
MOST_ANSWER = 8 << 20  # bytes
LIVE = "live"

# A transaction that has a number of its own has written. What others wrote until now has to be counted.
POSITION = """SELECT pg_is_in_recovery() OR txid_current_if_assigned() IS NOT NULL,
    CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn()::text END"""

answers = collections.Counter()  # how numbers were found: LIVE, or why not
_local = threading.local()
_known = {}
_paused_until = 0.0


class NotLive(Exception):
    """trytond has to count; the text says why."""


def is_configured():
    return bool(config.get(SECTION, "url", default="") and config.get(SECTION, "file", default=""))


def number(Model, domain):  # noqa: N803
    """What `search_count` gives, or None where trytond has to count. Raises what trytond raises without access."""
    if not is_configured() or not _is_asked_from_outside():
        return None
    lists = known().get(Model.__name__)
    if not lists:
        return None
    try:
        check_access(Model, domain)
        found = _number(Model, domain, lists)
    except (NotExpressible, NotLive) as reason:
        answers[str(reason)[:200]] += 1
        return None
    answers[LIVE] += 1
    return found


def _is_asked_from_outside():
    """Calls of clients check access; trytond's own code counts with what it wrote itself in mind."""
    transaction = Transaction()
    return bool(backend.name == "postgresql" and transaction.user and transaction.context.get("_check_access"))


def file():
    """The definitions of the current database; empty: none are configured."""
    return config.get(SECTION, "file", default="").replace("{database}", Transaction().database.name)


def known():
    """The names of the lists that Headroom has, by model."""
    path = file()
    if path not in _known:
        _known[path] = Known(path)
    return _known[path].lists() if path else {}


def _number(Model, domain, lists):  # noqa: N803
    parts = named_parts(read(Model, domain), lists)
    position = _position()
    if len(parts) == 1:
        (_, name), = parts
        return _count(name, position)
    return _sum(parts, _counts(position) if parts else {})  # of one moment, since they are added


def number_among(Model, domain, numbers):  # noqa: N803
    """The number out of those that `counts` gave. Raises NotLive, NotExpressible, and what trytond raises without access."""
    check_access(Model, domain)
    return _sum(named_parts(read(Model, domain), known().get(Model.__name__, ())), numbers)


def _sum(parts, numbers):
    try:
        return sum(sign * numbers[name] for sign, name in parts)
    except KeyError:
        raise NotLive("Headroom does not count the list live") from None


def named_parts(wanted, lists):
    """Pairs of a sign and a list's name. Raises NotLive where a list is not among those that there are."""
    parts = signed_parts(wanted.alternatives)
    now = datetime.datetime.utcnow()
    if (now + datetime.timedelta(seconds=2)).date() != now.date():
        raise NotLive("the day is about to end")
    for write in ways_to_write(dates_of(part for _, part in parts), now.date()):
        named = [(sign, list_id(wanted.database, wanted.model, criteria(part, write))) for sign, part in parts]
        if all(name in lists for _, name in named):
            return named
    raise NotLive("the definitions have no list that asks for this")


def _position():
    """A position of the database's log with everything that was committed before this call."""
    with Transaction().connection.cursor() as cursor:
        cursor.execute(POSITION)
        has_written, position = cursor.fetchone()
    if has_written:
        raise NotLive("the transaction has written")
    return position


# Over HTTP
# ------------------------------------------------------------------------------------------------------------------------


def wait():
    """Seconds; at most what a client would not notice."""
    try:
        return min(max(float(config.get(SECTION, "wait", default="") or LONGEST_WAIT), 0.001), LONGEST_WAIT)
    except ValueError:
        return LONGEST_WAIT


def _count(name, position):
    return _ask("/worklist/lists/%s/%s" % (WORKFLOW, name), position)["list"]["count"]


def counts():
    """All live numbers by the names of their lists, of one moment from now on. Raises NotLive."""
    return _counts(_position())


def _counts(position):
    answer = _ask("/worklist/counts", position, all=1)
    return {one["list"].partition("/")[2]: one["count"] for one in answer["lists"] if one["way"] == LIVE}


def _ask(path, position, **query):
    global _paused_until
    if time.monotonic() < _paused_until:
        raise NotLive("Headroom did not answer a moment ago")
    query.update(way=LIVE, lsn=position, wait="%dms" % round(wait() * 1000))
    try:
        status, body = _exchange(path + "?" + urllib.parse.urlencode(query))
    except (OSError, http.client.HTTPException) as error:
        _close()
        # Who waits in vain for each number would make a slow page of many of them.
        _paused_until = time.monotonic() + PAUSE
        logger.warning("Headroom does not answer at %s: %s", config.get(SECTION, "url"), error)
        raise NotLive("Headroom does not answer") from None
    if status != 200:
        raise NotLive("Headroom answers %d" % status)
    try:
        return json.loads(body)
    except ValueError:
        raise NotLive("Headroom's answer is none") from None


def _exchange(target):
    reused = _connection_of_thread() is not None
    try:
        return _try_exchange(target)
    except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
        _close()
        # A server may close a kept connection between two requests.
        if not reused:
            raise
        return _try_exchange(target)


def _try_exchange(target):
    connection = _connection_of_thread() or _connect()
    connection.request("GET", target, headers={"Authorization": "Bearer " + _token()})
    response = connection.getresponse()
    body = response.read(MOST_ANSWER)
    if response.will_close or not response.isclosed():
        _close()
    return response.status, body


def _connection_of_thread():
    return getattr(_local, "connection", None)


def _connect():
    url = urllib.parse.urlsplit(config.get(SECTION, "url"))
    Kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    _local.connection = Kind(url.hostname, url.port, timeout=wait() + MARGIN)
    return _local.connection


def _close():
    connection = _connection_of_thread()
    if connection is not None:
        _local.connection = None
        connection.close()


def _token():
    """A JWT of the user 0, kept for half of its life."""
    token, until = getattr(_local, "token", (None, 0.0))
    if time.time() < until:
        return token
    now = int(time.time())
    token = signed({"sub": USER, "iat": now, "exp": now + TOKEN_LIFE}, _secret())
    _local.token = (token, now + TOKEN_LIFE / 2)
    return token


def _secret():
    try:
        with open(config.get(SECTION, "secret_file", default=""), encoding="utf-8") as file:
            return file.readline().strip().encode()
    except OSError as error:
        raise NotLive("secret_file can't be read: %s" % error.strerror) from None


def signed(claims, secret):
    """A JSON Web Token (HS256)."""
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    text = b".".join(map(_encoded, parts))
    return (text + b"." + _encoded(hmac.new(secret, text, hashlib.sha256).digest())).decode()


def _encoded(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=")
