"""One request and its response: the part of the hooks that knows WSGI and nothing of the application.

Middleware opens a call for each request and closes it once, on every path: answer, error, broken connection, a body that
the server drops. The open call stands in the WSGI environ under CALL. An application's own way of naming a call and of
knowing its user is a subclass of Exchange, or hooks that find the call in the environ.

The rules of headroom.adapters.base hold here too: the application runs exactly once, its response and its exceptions pass
unchanged, an error of these lines ends in `trouble`.
"""
import zlib

from headroom.runtime import trouble

CALL = "headroom.call"
BODY_LIMIT = 4 << 20

_LENGTH_DIGITS = 18
_MEASURED_BODY = 64 << 20


class Middleware:
    """Makes one call of each request. The outermost one opens it, those further in pass the request on."""

    __slots__ = ("application", "native")

    def __init__(self, application, native):
        self.application = application
        self.native = native

    def __call__(self, environ, start_response):
        if CALL in environ:
            return self.application(environ, start_response)
        try:
            exchange = self.open(environ, start_response)
        except Exception:
            trouble("opening a call")
            return self.application(environ, start_response)
        try:
            body = self.application(environ, exchange.start_response)
        except BaseException as error:
            exchange.fail(error)
            raise
        return exchange.deliver(body)

    def open(self, environ, start_response):
        """Opens the call of a request; gives its exchange."""
        return Exchange(self.native, environ, start_response)


class Exchange:
    """One request and its response."""

    __slots__ = ("call", "respond", "status", "length", "encoding")

    def __init__(self, native, environ, start_response):
        self.respond = start_response
        self.status = 0
        self.length = None
        self.encoding = None
        self.call = self.begin(native, environ)
        length = environ.get("CONTENT_LENGTH")
        if length and len(length) <= _LENGTH_DIGITS and length.isdecimal():
            self.call.bytes_in = int(length)
        environ[CALL] = self.call

    def begin(self, native, environ):
        """A request that never reaches trytond's dispatcher keeps this name: static files do, and what is refused
        before."""
        if environ.get("REQUEST_METHOD") in ("GET", "HEAD"):
            return native.begin("static", "static", "")
        return native.begin("route", "unrouted", "")

    def start_response(self, status, headers, exc_info=None):
        try:
            self.status = int(status[:3])
            for name, value in headers:
                if len(name) == 14 and name.lower() == "content-length":
                    self.length = int(value)
                elif len(name) == 16 and name.lower() == "content-encoding":
                    self.encoding = value
        except Exception:
            trouble("start_response")
        if exc_info is None:
            return self.respond(status, headers)
        return self.respond(status, headers, exc_info)

    def deliver(self, body):
        """Gives the response's body to the server. The call ends when the body is complete, not when it is sent: a
        slow network is no time of the application."""
        try:
            if type(body) in (list, tuple):
                return self._deliver_list(body)
            if self.length is not None and not self.call.wants_io:
                # A length that is known beforehand means that the work is done. The server gets its own object back,
                # so that sendfile and the like still work.
                self.finish(self.length)
                return body
            return Body(body, self)
        except Exception:
            trouble("delivering a response")
            return body

    def _deliver_list(self, body):
        if self.call.wants_io:
            whole = b"".join(body)
            self.keep(whole, len(whole))
        self.finish(sum(map(len, body)))
        return body

    def keep(self, body, size):
        self.call.response_body(*decoded(body, self.encoding, size))

    def fail(self, error):
        try:
            self.call.fail(error)
            self.call.close(self.status or 500)
        except Exception:
            trouble("closing a call")

    def finish(self, size):
        self.call.bytes_out = size
        self.call.close(self.status)


class Body:
    """A response's body that is still being made while it is sent."""

    __slots__ = ("body", "iterator", "exchange", "size", "kept")

    def __init__(self, body, exchange):
        self.body = body
        self.iterator = None
        self.exchange = exchange
        self.size = 0
        self.kept = [] if exchange.call.wants_io else None

    def __iter__(self):
        return self

    def __next__(self):
        try:
            if self.iterator is None:
                self.iterator = iter(self.body)
            chunk = next(self.iterator)
        except StopIteration:
            self.finish()
            raise
        except BaseException as error:
            exchange, self.exchange = self.exchange, None
            if exchange is not None:
                exchange.fail(error)
            raise
        try:
            if self.kept is not None and self.size < BODY_LIMIT:
                self.kept.append(bytes(chunk))
            self.size += len(chunk)
        except Exception:
            trouble("reading a response")
        return chunk

    def close(self):
        try:
            close = getattr(self.body, "close", None)
            if close is not None:
                close()
        finally:
            self.finish()

    def __del__(self):
        # A server that lost its client may forget to call close.
        self.finish()

    def finish(self):
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        try:
            if self.kept:
                exchange.keep(b"".join(self.kept), self.size)
            exchange.finish(self.size)
        except Exception:
            trouble("closing a call")


def decoded(body, encoding, size):
    """Gives a body without its compression, cut where it passes the limit, and the size of the whole; as it is when it
    can't be read. `body` may be the beginning of `size` bytes.

    What is compressed is measured up to a bound, for it may hold a thousand times its own size.
    """
    if encoding not in ("gzip", "deflate"):
        return body[:BODY_LIMIT], size
    try:
        stream = zlib.decompressobj(zlib.MAX_WBITS | 32)
        beginning = stream.decompress(body, BODY_LIMIT)
        whole = len(beginning)
        while stream.unconsumed_tail and whole < _MEASURED_BODY:
            whole += len(stream.decompress(stream.unconsumed_tail, BODY_LIMIT))
        return beginning, whole if stream.eof else max(whole + 1, size)
    except zlib.error:
        return body[:BODY_LIMIT], size
