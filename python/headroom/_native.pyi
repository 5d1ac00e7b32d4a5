"""The native part of Headroom inside the application server: the contract between it and the Python adapters.

Everything here may be called from any thread or greenlet. Nothing here raises into the caller but TypeError and
ValueError for a wrong argument of the adapter itself: an error of the recorder is counted, logged once a minute and
swallowed. Without `start` every function is a cheap no-op.
"""
from typing import Any, Callable, Dict, List, Optional, Tuple, Type

def start(settings: Dict[str, Any]) -> Dict[str, Any]:
    """Starts the recorder in this process; a second call changes nothing. Never blocks longer than 2 s.

    Keys (all but broker and state may be missing): broker (store URL), state (folder of scoreboards), role
    ("trytond", "trytond-worker", "uwsgi" ...), version (what is shown by `headroom status`), rules (list of dicts with
    the keys of a trace rule: users, database, methods, profile, sample, db, io: lists of str; query, slower_than:
    seconds; one_in), secrets (names of fields whose values are removed, besides the built-in ones), body_limit,
    buffer_limit (bytes), flush_interval (seconds), coroutine (bool: greenlets share threads).
    Returns {"store": URL without password, "error": str} (error is empty when the store answered).
    """

def stop(timeout: float) -> bool:
    """Closes the recorder after writing what is waiting; True when all was written within the timeout."""

def flush(timeout: float) -> bool:
    """Waits until what is finished now is in the store; True when it is."""

def database_opened(name: str) -> None:
    """This database exists. A failed login into another one is recorded without its name, which may be made up."""

def status() -> Dict[str, Any]:
    """Counters of this process: calls, records, dropped_records, errors, last_error, rules_version, queued."""

def set_error_classes(classes: Dict[str, Tuple[Type[BaseException], ...]]) -> None:
    """Which exceptions mean which status: keys "user_error", "warning", "concurrency" (the first in that order for
    which `isinstance` is true, so that a class may decide by code); any other exception is "exception"."""

def begin(kind: str, method: str = "", database: str = "") -> "Call":
    """Opens a call and makes it the current one of this thread or greenlet; the one before becomes its parent.
    Kinds: rpc, login, task, cron, route, report, wizard, bus, static. A call of kind rpc whose method starts with
    "report." or "wizard." gets that kind by itself."""

def current() -> Optional["Call"]:
    """The innermost open call of this thread or greenlet."""

def cursor_class(base: type, dialect: str) -> type:
    """A subclass of a DB-API cursor class that records execute, executemany, callproc, copy_from, copy_to,
    copy_expert, every fetch and iteration. Dialects: "postgresql" (psycopg2 or psycopg), "sqlite" (also times the wait
    for the write lock). The same base gives the same class."""

def hook(function: Callable, kind: str) -> Callable:
    """A function (it binds as a method does) that calls `function` and tells the current call about it:
    "connection": its time is waiting for a connection; "commit": its time is commit time; "rollback": ends an attempt
    with the exception being handled, if any. A pickled or inspected hook looks like the function (__wrapped__ is set)."""

class CacheCounters:
    """Base class with integer attributes `hit` and `miss` (as trytond's BaseCache uses them) whose growth is counted
    in the current call; and cache_cleared(), which counts a clear."""
    hit: int
    miss: int
    def cache_cleared(self) -> None: ...

class Call:
    """One call in progress. It is closed by `close`, or when the last reference is gone, whatever comes first."""

    address: str   # the client's, settable
    bytes_in: int  # settable
    bytes_out: int # settable
    @property
    def recording(self) -> bool:
        """Details may be kept: a rule matches, or may match once the user is verified."""
    @property
    def wants_io(self) -> bool: ...
    @property
    def id(self) -> str: ...

    def describe(self, kind: str, method: str, database: str) -> None:
        """Names the call once that is known."""
    def claim(self, user_id: Optional[int], login: Optional[str], session: Optional[str]) -> None:
        """Who the request says it is, unchecked: `session` is the token (only its hash is kept) or None.
        If a rule may match, details are kept provisionally; they are dropped at the end unless `verify` comes."""
    def verify(self, user_id: Optional[int], login: Optional[str]) -> None:
        """The server authenticated the caller; decides what is recorded and starts the profiles that rules want.
        `user_id` is None where the application has no number for the user.
        `login` must come from the database, never from the request. None: unknown."""
    def login_needed(self) -> bool:
        """A rule names a login, or the call is being recorded, so `verify` needs one."""
    def attempt(self) -> None:
        """A new run of the transaction begins. The first call is the first attempt."""
    def fail(self, error: BaseException) -> None:
        """The error that the caller will get; sets status, class and text (redacted)."""
    def request_body(self, body: bytes, size: int = 0) -> None:
        """The decoded body (gunzipped); ignored unless `wants_io`. `size` is that of the whole when this is only its
        beginning. Both go without keyword."""
    def response_body(self, body: bytes, size: int = 0) -> None: ...
    def session_started(self, session: str) -> None:
        """A login succeeded and gave this token: the record goes to that session."""
    def close(self, http_status: int = 0) -> None:
        """Ends the call and makes its parent current again. Later calls of any method do nothing."""
    def __enter__(self) -> "Call": ...
    def __exit__(self, type: Any, value: Any, traceback: Any) -> None:
        """`fail` with the exception, if there is one, then `close`."""
