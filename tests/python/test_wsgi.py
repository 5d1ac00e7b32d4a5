"""The middleware for any WSGI application: names, users, bodies and faults."""
import io
import json
import sys
import types
import xmlrpc.client

import fake_native
import pytest

from headroom import wsgi

OBJECT = {"PATH_INFO": "/jsonrpc", "REQUEST_METHOD": "POST"}


@pytest.fixture(autouse=True)
def no_sessions():
    wsgi._sessions._users.clear()


def remote_call(password="secret word", model="res.partner", method="read"):
    return json.dumps({"jsonrpc": "2.0", "params": {"service": "object", "method": "execute_kw",
        "args": ["shop", 2, password, model, method, [[1]]]}}).encode()


def run(application, body=b"", options={}, **environ):
    """One request; returns what the server got."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x/4711", "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)), **environ}
    answer = wsgi.Middleware(application, **options)(environ, lambda *arguments: None)
    try:
        return b"".join(answer)
    finally:
        if hasattr(answer, "close"):
            answer.close()


def answering(*chunks, status="200 OK", headers=()):
    def application(environ, start_response):
        environ["wsgi.input"].read()
        start_response(status, list(headers))
        return list(chunks)
    return application


plain = answering(b"fine")


def only(journal):
    entry, = journal
    assert entry["closed"] == 1
    assert fake_native.current() is None and wsgi.current() is None
    return entry


def named(journal):
    entry = only(journal)
    return entry["kind"], entry["method"], entry["database"]


def test_a_request_that_nobody_names_has_no_name_from_its_path(journal):
    assert run(plain) == b"fine"
    assert named(journal) == ("route", "unrouted", "")
    assert journal[0]["verified"] == [(None, "(anonymous)")]
    assert not [name for name in journal[0]["names"] if "4711" in name[1]]


def test_the_function_for_routes_names_what_the_application_has_put_in_the_environ(journal):
    def application(environ, start_response):
        environ["routing.rule"] = "shop.order"
        return plain(environ, start_response)

    run(application, options={"route": lambda environ: environ.get("routing.rule")})
    assert named(journal) == ("route", "shop.order", "")
    assert journal[0]["verified"] == [(None, "(anonymous)")]


def test_the_route_of_a_stream_is_asked_again_at_its_end(journal):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"one"
        environ["routing.rule"] = "late"

    assert run(application, options={"route": lambda environ: environ.get("routing.rule")}) == b"one"
    assert named(journal)[1] == "late"


@pytest.mark.parametrize("user, verified", [
    (lambda environ: "admin", (None, "admin")), (lambda environ: (7, "admin"), (7, "admin")),
    (lambda environ: ("6f1e-uuid", "admin"), (None, "admin")), (lambda environ: None, (None, "(anonymous)"))])
def test_the_function_for_users_is_believed(journal, user, verified):
    run(plain, options={"user": user})
    assert only(journal)["verified"] == [verified]


def test_the_server_that_has_authenticated_somebody_is_believed_and_a_header_is_not(journal):
    run(plain, REMOTE_USER="admin")
    run(plain, HTTP_REMOTE_USER="admin", HTTP_X_REMOTE_USER="admin", HTTP_AUTHORIZATION="Basic YWRtaW46YWRtaW4=")
    assert [entry["verified"] for entry in journal] == [[(None, "admin")], [(None, "(anonymous)")]]
    assert [entry["claims"] for entry in journal] == [[(None, "admin", None)], [(None, None, None)]]


def test_a_user_of_the_application_goes_before_the_one_of_the_server(journal):
    def application(environ, start_response):
        wsgi.current().identify(7, "inner")
        return plain(environ, start_response)

    run(application, REMOTE_USER="outer")
    assert only(journal)["verified"] == [(7, "inner")]


@pytest.mark.parametrize("function", ["route", "user"])
def test_a_function_that_fails_does_no_harm(journal, function):
    def broken(environ):
        raise KeyError("mine")

    assert run(plain, options={function: broken}) == b"fine"
    assert named(journal) == ("route", "unrouted", "") and journal[0]["http"] == 200
    assert journal[0]["verified"] == [(None, "(anonymous)")]


@pytest.mark.parametrize("said", [7, (), ("a", "b", "c"), "", b"admin", [7, "admin"]])
def test_what_a_function_should_not_say_counts_as_nothing(journal, said):
    run(plain, options={"user": lambda environ: said, "route": lambda environ: said if said != "" else None})
    assert only(journal)["verified"] == [(None, "(anonymous)")] and journal[0]["method"] == "unrouted"


def test_the_session_is_claimed_and_whom_it_belonged_to_is_remembered_for_the_claim_only(journal):
    cookie = "a=b; session_id=abc123; c=d"
    run(plain, HTTP_COOKIE=cookie, options={"user": lambda environ: "admin"})
    run(plain, HTTP_COOKIE=cookie)
    assert [entry["claims"] for entry in journal] == [[(None, None, "abc123")], [(None, "admin", "abc123")]]
    assert journal[1]["verified"] == [(None, "(anonymous)")]


@pytest.mark.parametrize("cookie", ["", "xsession_id=1", "session_id=", "=;;=", "session_id", "\xff" * 9000])
def test_another_cookie_claims_no_session(journal, cookie):
    run(plain, HTTP_COOKIE=cookie)
    assert only(journal)["claims"] == [(None, None, None)]


def test_the_memory_of_sessions_is_bounded(monkeypatch):
    monkeypatch.setattr(wsgi, "_SESSIONS", 3)
    for number in range(10):
        run(plain, HTTP_COOKIE="sessionid=%d" % number, options={"user": lambda environ: "admin"})
    assert len(wsgi._sessions._users) <= 3


def test_a_remote_call_is_named_while_the_application_reads_it_and_stays_unverified(journal):
    def application(environ, start_response):
        assert journal[0]["names"][-1] == ("route", "")
        assert environ["wsgi.input"].read(10) + environ["wsgi.input"].read() == remote_call()
        assert journal[0]["names"][-1] == ("rpc", "res.partner.read")
        start_response("200 OK", [])
        return [b"{}"]

    run(application, remote_call(), **OBJECT)
    assert named(journal) == ("rpc", "res.partner.read", "shop")
    assert journal[0]["claims"][-1] == (2, None, None) and journal[0]["verified"] == []


@pytest.mark.parametrize("reading", [
    lambda stream: stream.read(), lambda stream: b"".join(stream), lambda stream: b"".join(stream.readlines()),
    lambda stream: b"".join(iter(stream.readline, b"")), lambda stream: b"".join(iter(lambda: stream.read(7), b"")),
    lambda stream: stream.read(0) + stream.read(100_000)])
@pytest.mark.parametrize("length", [True, False])
def test_the_application_reads_its_input_as_it_likes(journal, reading, length):
    body = remote_call().replace(b", ", b",\n")

    def application(environ, start_response):
        assert reading(environ["wsgi.input"]) == body
        start_response("200 OK", [])
        return []

    run(application, body, **OBJECT, **({} if length else {"CONTENT_LENGTH": ""}))
    assert named(journal)[1] == "res.partner.read"


def test_a_call_of_another_kind_has_the_name_that_the_application_gives_it(journal, rules):
    rules.wants_io = True
    body = b'{"jsonrpc": "2.0", "method": "sum", "params": [1, 2]}'
    run(plain, body, options={"route": lambda environ: "calculator"}, **OBJECT)
    run(plain, body, **OBJECT)
    assert [(entry["kind"], entry["method"]) for entry in journal] == [("route", "calculator"), ("rpc", "unread")]
    assert [entry["request"] for entry in journal] == [None, None]


def test_a_body_that_the_application_never_reads_stays_where_it_is(journal):
    stream = io.BytesIO(remote_call())

    def application(environ, start_response):
        start_response("413 Too Large", [])
        return []

    run(application, **OBJECT, **{"wsgi.input": stream})
    assert stream.tell() == 0
    assert named(journal) == ("route", "unrouted", "") and journal[0]["http"] == 413


def test_a_request_is_kept_without_the_password_among_its_arguments(journal, rules):
    rules.wants_io = True
    run(plain, remote_call("secret word"), **OBJECT)
    run(plain, xmlrpc.client.dumps(("shop", 2, "secret word", "res.users", "read", [1]), "execute").encode(),
        REQUEST_METHOD="POST", PATH_INFO="/xmlrpc/2/object")
    for entry in journal:
        assert b"secret word" not in entry["request"] and b"***" in entry["request"]
        assert entry["request_size"] == len(entry["request"])


@pytest.mark.parametrize("path, body", [
    ("/jsonrpc", remote_call().replace(b"execute_kw", b"unknown")), ("/xmlrpc/2/db", xmlrpc.client.dumps(
        ("secret word", "shop"), "drop").encode()), ("/xmlrpc/2/object", b"<!DOCTYPE x>secret word"),
    ("/jsonrpc", b'{"params": {"args": ["shop", 2, "secret word"')])
def test_a_request_whose_password_is_not_found_is_not_kept(journal, rules, path, body):
    rules.wants_io = True
    run(plain, body, REQUEST_METHOD="POST", PATH_INFO=path)
    assert only(journal)["request"] is None


def test_a_request_that_was_read_by_half_is_not_kept(journal, rules):
    rules.wants_io = True

    def application(environ, start_response):
        environ["wsgi.input"].read(100)
        start_response("400 Bad Request", [])
        return []

    run(application, remote_call(), **OBJECT)
    assert only(journal)["request"] is None


def test_any_other_body_is_kept_up_to_a_bound(journal, rules):
    rules.wants_io = True
    run(plain, b"x" * (5 << 20), REQUEST_METHOD="POST")
    entry = only(journal)
    assert (len(entry["request"]), entry["request_size"]) == (4 << 20, 5 << 20)


FAULT = json.dumps({"jsonrpc": "2.0", "error": {"message": "Odoo Server Error", "data": {
    "name": "odoo.exceptions.UserError", "message": "no"}}}).encode()


@pytest.mark.parametrize("headers", [(), (("Content-Length", str(len(FAULT))),)])
@pytest.mark.parametrize("as_list", [True, False])
def test_an_error_that_comes_with_status_200_is_recorded_and_the_answer_unchanged(journal, headers, as_list):
    closed = []

    class Answer:
        def __iter__(self):
            return iter([FAULT[:200], FAULT[200:]] if not headers else [FAULT])

        def close(self):
            closed.append(True)

    def application(environ, start_response):
        start_response("200 OK", list(headers))
        return [FAULT] if as_list else Answer()

    assert run(application, remote_call(), PATH_INFO="/web/dataset/call_kw/res.partner/read", REQUEST_METHOD="POST") == FAULT
    assert closed == ([] if as_list else [True])
    if as_list or headers:
        assert only(journal)["errors"] == [("user_error", "UserFault")]


def test_an_error_of_ours_loses_no_part_of_the_answer(journal, monkeypatch):
    monkeypatch.setattr(wsgi.rpc, "fault_of", lambda beginning: 1 / 0)

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "6")])
        return iter([b"one", b"two"])

    path = "/web/dataset/call_kw/res.partner/read"
    assert run(application, PATH_INFO=path, REQUEST_METHOD="POST") == b"onetwo"
    only(journal)


def test_an_answer_that_fails_at_its_first_part_fails_where_it_would_have(journal):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "9")])
        return broken()

    def broken():
        raise KeyError("mine")
        yield

    with pytest.raises(KeyError):
        run(application, PATH_INFO="/web/dataset/call_kw/res.partner/read", REQUEST_METHOD="POST")
    only(journal)


def test_errors_of_drivers_are_collisions_also_when_a_framework_wraps_them():
    inner = type("SerializationFailure", (Exception,), {"pgcode": "40001"})()
    outer = RuntimeError("wrapped")
    outer.__cause__ = inner
    locked = type("OperationalError", (Exception,), {"sqlite_errorcode": 5})()
    assert isinstance(outer, wsgi.Collision) and isinstance(locked, wsgi.Collision)
    assert not isinstance(RuntimeError("other"), wsgi.Collision)


@pytest.fixture
def odoo(monkeypatch):
    """The shape of odoo.service.security as its sources have it."""
    security = types.ModuleType("odoo.service.security")

    def check(db, uid, passwd):
        if passwd != "right":
            raise PermissionError("Access Denied")

    def check_session(session, env):
        return session.session_token == "right"

    security.check, security.check_session = check, check_session
    monkeypatch.setitem(sys.modules, "odoo.service.security", security)
    return security


def session(token):
    return types.SimpleNamespace(uid=7, login="demo", db="shop", session_token=token)


def test_a_session_that_odoo_has_checked_verifies_its_user(journal, odoo):
    def application(environ, start_response):
        assert odoo.check_session(session("right"), None) is True
        return plain(environ, start_response)

    run(application, PATH_INFO="/web/dataset/call_kw/res.partner/read", REQUEST_METHOD="POST",
        HTTP_COOKIE="session_id=abc")
    assert named(journal) == ("rpc", "res.partner.read", "shop")
    assert (journal[0]["claims"], journal[0]["verified"]) == ([(None, None, "abc")], [(7, "demo")])


def test_a_session_that_odoo_refuses_verifies_nobody(journal, odoo):
    def application(environ, start_response):
        assert odoo.check_session(session("wrong"), None) is False
        return plain(environ, start_response)

    run(application, PATH_INFO="/web/dataset/call_kw/res.partner/read", REQUEST_METHOD="POST")
    assert only(journal)["verified"] == []


@pytest.mark.parametrize("password, verified", [("right", [(2, None)]), ("wrong", [])])
def test_a_password_that_odoo_has_checked_verifies_its_user(journal, odoo, password, verified):
    def application(environ, start_response):
        arguments = json.loads(environ["wsgi.input"].read())["params"]["args"]
        odoo.check(*arguments[:3])
        start_response("200 OK", [])
        return []

    try:
        run(application, remote_call(password), **OBJECT)
    except PermissionError:
        assert password == "wrong"
    assert only(journal)["verified"] == verified
    assert journal[0]["method"] == "res.partner.read"


def test_odoo_is_heard_once_however_many_applications_are_wrapped(odoo):
    wsgi.Middleware(plain)
    hooked = odoo.check
    wsgi.Middleware(plain)
    assert odoo.check is hooked
