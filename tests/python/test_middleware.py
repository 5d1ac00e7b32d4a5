"""The middleware alone, around small WSGI applications."""
import gzip

import fake_native
import pytest
from headroom.adapters.exchange import Middleware


def get(application, method="GET", **environ):
    """Runs one request as a server does; returns status and body."""
    seen = []

    def start_response(status, headers, exc_info=None):
        seen.append(status)

    environ = {"REQUEST_METHOD": method, "PATH_INFO": "/", **environ}
    body = Middleware(application, fake_native)(environ, start_response)
    try:
        content = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return seen, content


def only(journal):
    entry, = journal
    assert entry["closed"] == 1
    assert fake_native.current() is None
    return entry


def plain(environ, start_response):
    start_response("200 OK", [("content-length", "5")])
    return iter([b"hello"])


def test_a_request_is_one_call_with_its_sizes_and_status(journal):
    assert get(plain, "POST", CONTENT_LENGTH="12") == (["200 OK"], b"hello")
    entry = only(journal)
    assert (entry["kind"], entry["http"], entry["in"], entry["out"]) == ("route", 200, 12, 5)


def test_what_the_application_never_names_is_static_when_it_is_read(journal):
    get(plain)
    assert only(journal)["kind"] == "static"


def test_a_body_of_known_length_is_handed_to_the_server_as_it_is(journal):
    body = iter([b"hello"])

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        return body

    assert Middleware(application, fake_native)({"REQUEST_METHOD": "GET"}, lambda *a: None) is body
    only(journal)


def test_a_list_is_measured(journal):
    def application(environ, start_response):
        start_response("201 Created", [])
        return [b"ab", b"c"]

    get(application)
    assert (only(journal)["http"], journal[0]["out"]) == (201, 3)


def test_a_stream_is_open_until_its_last_chunk(journal):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"one"
        assert not journal[0]["closed"] and fake_native.current() is not None
        yield b"two"

    assert get(application)[1] == b"onetwo"
    assert only(journal)["out"] == 6


def test_a_stream_that_fails_is_recorded_and_its_error_passes_unchanged(journal):
    error = ValueError("in the stream")

    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"one"
        raise error

    with pytest.raises(ValueError) as caught:
        get(application)
    assert caught.value is error
    assert only(journal)["errors"] == [("exception", "ValueError")]


def test_a_stream_that_the_server_drops_without_close_still_ends_its_call(journal):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"one"
        yield b"two"

    body = Middleware(application, fake_native)({"REQUEST_METHOD": "GET"}, lambda *a: None)
    next(iter(body))
    del body
    assert only(journal)["http"] == 200


def test_the_close_of_the_body_is_called_once_and_its_error_passes(journal):
    class Stream:
        closed = 0

        def __iter__(self):
            return iter([b"x"])

        def close(self):
            Stream.closed += 1
            raise OSError("while closing")

    def application(environ, start_response):
        start_response("200 OK", [])
        return Stream()

    with pytest.raises(OSError):
        get(application)
    assert Stream.closed == 1
    only(journal)


def test_an_error_of_the_application_passes_unchanged_and_ends_the_call(journal):
    error = KeyError("boom")

    def application(environ, start_response):
        raise error

    with pytest.raises(KeyError) as caught:
        get(application)
    assert caught.value is error
    assert (only(journal)["errors"], journal[0]["http"]) == ([("exception", "KeyError")], 500)


def test_start_response_gets_what_the_application_gave_and_its_result_comes_back(journal):
    def application(environ, start_response):
        write = start_response("200 OK", [], "exc_info")
        assert write == "write"
        return []

    given = []

    def start_response(*arguments):
        given.append(arguments)
        return "write"

    Middleware(application, fake_native)({"REQUEST_METHOD": "GET"}, start_response)
    assert given == [("200 OK", [], "exc_info")]


def test_two_middlewares_make_one_call(journal):
    get(Middleware(plain, fake_native))
    only(journal)


def test_a_broken_recorder_leaves_the_response_alone(journal, rules, caplog):
    rules.broken = True
    assert get(plain) == (["200 OK"], b"hello")
    assert journal == []


def test_a_recorder_that_breaks_on_the_way_leaves_the_response_alone(journal, rules):
    def application(environ, start_response):
        rules.broken = True
        start_response("not a number", [("Content-Length", "many")])
        return iter([b"fine"])

    assert get(application)[1] == b"fine"


@pytest.mark.parametrize("length", ["", "x", "-3", "²", "9" * 5000])
def test_a_length_that_is_no_number_does_no_harm(journal, length):
    assert get(plain, CONTENT_LENGTH=length)[1] == b"hello"
    assert only(journal)["in"] == 0


def test_bodies_are_kept_decoded_when_a_rule_wants_them(journal, rules):
    rules.wants_io = True

    def application(environ, start_response):
        packed = gzip.compress(b"the answer")
        start_response("200 OK", [("Content-Encoding", "gzip"), ("Content-Length", str(len(packed)))])
        return iter([packed[:4], packed[4:]])

    get(application)
    assert only(journal)["response"] == b"the answer"


def test_a_body_that_unpacks_to_gigabytes_is_cut(journal, rules):
    rules.wants_io = True
    bomb = gzip.compress(b"\0" * (8 << 20))

    def application(environ, start_response):
        start_response("200 OK", [("Content-Encoding", "gzip")])
        return [bomb]

    assert get(application)[1] == bomb
    entry = only(journal)
    assert (len(entry["response"]), entry["response_size"]) == (4 << 20, 8 << 20)


def test_a_long_body_is_kept_up_to_a_bound_with_its_true_size(journal, rules):
    rules.wants_io = True

    def application(environ, start_response):
        start_response("200 OK", [])
        return iter([b"x" * (1 << 20)] * 9)

    get(application)
    entry = only(journal)
    assert (len(entry["response"]), entry["response_size"]) == (4 << 20, 9 << 20)


def test_the_beginning_of_a_compressed_body_never_passes_for_the_whole():
    from headroom.adapters.exchange import decoded
    packed = gzip.compress(b"the answer" * 1000)
    assert decoded(packed, "gzip", len(packed)) == (b"the answer" * 1000, 10_000)
    beginning, size = decoded(packed[:40], "gzip", len(packed))
    assert size > len(beginning)
    assert decoded(b"no gzip", "gzip", 7) == (b"no gzip", 7)
