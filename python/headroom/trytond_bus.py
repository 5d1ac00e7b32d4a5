"""`[bus] class` of trytond: a message stands in the database's outbox once the caller's transaction commits.

`headroom serve` orders what stands there and keeps it, so a client that was away gets what it missed. Clients that poll
hear trytond's own notification, which is sent as well unless `[bus] notify` is off. docs/bus-tryton.md tells the rest.
"""
import json
import logging
import uuid

from trytond.config import config
from trytond.protocols.jsonrpc import JSONEncoder
from trytond.transaction import Transaction
from werkzeug.exceptions import NotImplemented as NotImplementedException

logger = logging.getLogger(__name__)

MOST_NOTIFIED = 7999  # bytes: what PostgreSQL's NOTIFY takes
PUBLISH = "SELECT headroom.publish(%s, %s, %s)"
HAS_OUTBOX = """SELECT EXISTS (
    SELECT FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = 'headroom' AND p.proname = 'publish'
    AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE'))"""

_ready = set()  # names of databases with an outbox
_warned = set()


def make(base):
    """Gives the class; `base` is trytond's own bus."""

    class Bus(base):
        """Publishes through the outbox; nobody waits in trytond."""

        @classmethod
        def subscribe(cls, database, channels, last_message=None):
            """Answers 501, and clients ask no more: their way leads past trytond."""
            raise NotImplementedException

        @classmethod
        def publish(cls, channel, message):
            transaction = Transaction()
            database = transaction.database
            if not database.has_channel():
                return
            message["message_id"] = str(uuid.uuid4())
            with transaction.connection.cursor() as cursor:
                has_outbox = _has_outbox(cursor, database.name)
                if not has_outbox or _is_notified(channel, message):
                    super().publish(channel, message)  # which gives it another id
                if has_outbox:
                    cursor.execute(PUBLISH, ("%s@%s" % (channel, database.name), _text(message), message["message_id"]))

    Bus.__module__ = "headroom.trytond"
    Bus.__qualname__ = Bus.__name__
    return Bus


def _text(value):
    return json.dumps(value, cls=JSONEncoder, separators=(",", ":"))


def _is_notified(channel, message):
    if not config.getboolean("bus", "notify", default=True):
        return False
    return len(_text({"channel": channel, "message": message}).encode()) <= MOST_NOTIFIED


def _has_outbox(cursor, name):
    if name in _ready:
        return True
    cursor.execute(HAS_OUTBOX)
    if cursor.fetchone()[0]:
        _ready.add(name)
        return True
    if name not in _warned:
        _warned.add(name)
        logger.warning("database %r has no outbox that this login may use (headroom bus sql; GRANT headroom_publisher): "
            "its messages are notified only, and those who are away miss them", name)
    return False
