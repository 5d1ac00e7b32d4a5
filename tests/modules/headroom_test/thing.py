"""One model, eight columns, and remote methods that run known statements, wait, lock and fail.

`shape_1` to `shape_8` are the columns: a statement that selects one of them has a fingerprint of its own, and the
name of the column stands in its normalised text. So a test can tell from the store alone which statements a call ran.
"""
import ctypes
import threading
import time

from trytond import backend
from trytond.exceptions import ConcurrencyException, UserError, UserWarning
from trytond.model import ModelSQL, fields
from trytond.rpc import RPC
from trytond.transaction import Transaction

SHAPES = 8


class Thing(ModelSQL):
    "Headroom Test Thing"
    __name__ = 'headroom_test.thing'

    name = fields.Char("Name")
    password = fields.Char("Password")
    shape_1 = fields.Integer("Shape 1")
    shape_2 = fields.Integer("Shape 2")
    shape_3 = fields.Integer("Shape 3")
    shape_4 = fields.Integer("Shape 4")
    shape_5 = fields.Integer("Shape 5")
    shape_6 = fields.Integer("Shape 6")
    shape_7 = fields.Integer("Shape 7")
    shape_8 = fields.Integer("Shape 8")

    # Runs of `retry` in this process that are still to fail, by the token of the caller.
    _left = {}

    @classmethod
    def __setup__(cls):
        super().__setup__()
        cls.__rpc__.update({
                'run': RPC(readonly=True),
                'change': RPC(readonly=False),
                'user_error': RPC(readonly=False),
                'user_warning': RPC(readonly=False),
                'concurrency': RPC(readonly=False),
                'exception': RPC(readonly=False),
                'retry': RPC(readonly=False),
                'collide': RPC(readonly=False),
                'sleep': RPC(readonly=True),
                'slow_statement': RPC(readonly=True),
                'hold_lock': RPC(readonly=False),
                'lock_in_order': RPC(readonly=False),
                'burn': RPC(readonly=True),
                'hold_gil': RPC(readonly=True),
                'wait_for_lock': RPC(readonly=True),
                'echo': RPC(readonly=True),
                'echo_failing': RPC(readonly=True),
                'exception_quoting': RPC(readonly=True),
                'enqueue': RPC(readonly=False),
                })

    @classmethod
    def _select(cls, shape, record=1):
        table = cls.__table__()
        cursor = Transaction().connection.cursor()
        cursor.execute(*table.select(getattr(table, 'shape_%d' % shape), where=table.id == record))
        return cursor.fetchall()

    @classmethod
    def _update(cls, shape, value, record=1):
        table = cls.__table__()
        cursor = Transaction().connection.cursor()
        cursor.execute(*table.update([getattr(table, 'shape_%d' % shape)], [value], where=table.id == record))
        return cursor.rowcount

    @classmethod
    def run(cls, shapes, context=None):
        """One select for each number in `shapes`, in that order."""
        for shape in shapes:
            cls._select(shape)
        return len(shapes)

    @classmethod
    def change(cls, shapes, value, record=1):
        for shape in shapes:
            cls._update(shape, value, record)
        return len(shapes)

    @classmethod
    def user_error(cls, shapes):
        cls.run(shapes)
        raise UserError("The user must do something else")

    @classmethod
    def user_warning(cls, shapes):
        cls.run(shapes)
        raise UserWarning('headroom_test.warning', "The user must confirm")

    @classmethod
    def concurrency(cls, shapes):
        cls.run(shapes)
        raise ConcurrencyException("Somebody else changed the record")

    @classmethod
    def exception(cls, shapes):
        cls.run(shapes)
        raise ZeroDivisionError("a defect in the module")

    @classmethod
    def retry(cls, token, times, shapes):
        """Fails as a serialization failure does the first `times` runs; trytond tries again each time."""
        cls.run(shapes)
        left = cls._left.setdefault(token, times)
        if left:
            cls._left[token] = left - 1
            raise backend.DatabaseOperationalError("could not serialize access (made by the test)")
        del cls._left[token]
        return times

    @classmethod
    def collide(cls, seconds, value, record=1):
        """Reads, waits, then writes a row: two of them at once are a serialization failure on PostgreSQL."""
        cls._select(1, record)
        time.sleep(seconds)
        return cls._update(1, value, record)

    @classmethod
    def sleep(cls, seconds):
        cls._select(1)
        time.sleep(seconds)
        return seconds

    @classmethod
    def slow_statement(cls, seconds):
        """One statement that takes that long in the database."""
        cursor = Transaction().connection.cursor()
        if backend.name == 'postgresql':
            cursor.execute('SELECT "id", pg_sleep(%s) FROM "headroom_test_thing" WHERE "id" = 1', (seconds,))
        else:
            Transaction().connection.create_function('headroom_sleep', 1, time.sleep)
            cursor.execute('SELECT "id", headroom_sleep(?) FROM "headroom_test_thing" WHERE "id" = 1', (seconds,))
        return len(cursor.fetchall())

    @classmethod
    def hold_lock(cls, seconds, record=1):
        """Keeps a row (PostgreSQL) or the write lock (SQLite) that long."""
        cls._update(2, 1, record)
        time.sleep(seconds)
        return seconds

    @classmethod
    def lock_in_order(cls, records):
        """Writes one row after the other in one transaction; each waits for who has it."""
        for record in records:
            cls._update(3, record, record)
        return len(records)

    @classmethod
    def burn(cls, seconds):
        """Uses CPU in this thread that long."""
        end = time.thread_time() + seconds
        turns = 0
        while time.thread_time() < end:
            turns += sum(range(100)) and 1
        return turns

    @classmethod
    def hold_gil(cls, seconds):
        """A function of C that keeps the interpreter's lock that long: nothing else of this process runs Python."""
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))
        return seconds

    @classmethod
    def wait_for_lock(cls, seconds):
        """Waits that long for a lock that it has itself."""
        lock = threading.Lock()
        lock.acquire()
        return lock.acquire(timeout=seconds)

    @classmethod
    def echo(cls, values):
        """Gives back what it got; also sends it through a statement, where it is a bound value."""
        table = cls.__table__()
        cursor = Transaction().connection.cursor()
        for value in values.values():
            cursor.execute(*table.select(table.id, where=table.password == str(value)))
        return values

    @classmethod
    def echo_failing(cls, values):
        """Fails with what it got in the text of the error."""
        raise UserError("Wrong: %s" % values)

    @classmethod
    def exception_quoting(cls, values):
        """A defect whose text quotes what it got."""
        raise ValueError("can't use %s" % values)

    @classmethod
    def enqueue(cls, shapes):
        """Leaves a task to the queue."""
        with Transaction().set_context(queue_name='headroom'):
            cls.__queue__.task(cls.browse([1]), shapes)

    @classmethod
    def task(cls, things, shapes):
        cls.run(shapes)

    @classmethod
    def tick(cls):
        """What the scheduled action runs."""
        cls._select(8)
