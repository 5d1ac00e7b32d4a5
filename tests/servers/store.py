"""Reads a SQLite store of records call by call, for tests that must know every one of thousands.

The reports are checked through the executable. What a report adds up can hide a call too many against one too few, so
these read the tables themselves.
"""
import sqlite3
from collections import Counter
from dataclasses import dataclass

import msgpack

KINDS = ('rpc', 'login', 'task', 'cron', 'route', 'report', 'wizard', 'bus', 'static')
STATUSES = ('ok', 'user_error', 'warning', 'concurrency', 'exception', 'http_error', 'killed')
_CALLS = """
SELECT call.id, session.database, session.token, method.name, account.login, call.kind, call.status, call.attempts,
  call.http_status, call.statement_count, call.statements, call.rank
FROM call JOIN session ON session.n = call.session JOIN method ON method.n = call.method
  JOIN account ON account.n = call.account ORDER BY call.n"""


@dataclass
class StoredCall:
    id: str
    database: str
    session: str
    method: str
    user: str
    kind: str
    status: str
    attempts: int
    http_status: int
    statement_count: int
    #: How often it ran each statement, by normalised text.
    statements: Counter
    #: Its number in the session.
    rank: int

    def of_table(self, table):
        """Only the statements whose text names the table."""
        return Counter({text: count for text, count in self.statements.items() if table in text})


def stored_calls(path, method_prefix=''):
    """Every call of the store, in order of arrival, whose method starts so."""
    with sqlite3.connect('file:%s?mode=ro' % path, uri=True) as connection:
        connection.execute('BEGIN')  # one snapshot: a recorder writes between two statements
        texts = {number: msgpack.unpackb(info)['n'] if info else '?'
            for number, info in connection.execute('SELECT n, info FROM statement')}
        return [_call(row, texts) for row in connection.execute(_CALLS) if row[3].startswith(method_prefix)]


def _call(row, texts):
    identity, database, session, method, user, kind, status, attempts, http_status, count, blob, rank = row
    return StoredCall(identity, database, session, method, user, KINDS[kind], STATUSES[status], attempts, http_status,
        count, _statements(blob, texts), rank)


def _statements(blob, texts):
    numbers = _varints(blob)
    counted = Counter()
    for at in range(0, len(numbers), 6):  # statement, count, time, longest, rows, backtrace
        counted[texts[numbers[at]]] += numbers[at + 1]
    return counted


def _varints(blob):
    numbers, value, shift = [], 0, 0
    for byte in blob:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value, shift = 0, 0
    return numbers
