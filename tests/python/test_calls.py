"""Real calls to real trytond: each is begun once, closed once, named, and attributed to whom the server knows."""
import base64
import gzip
import json

import fake_native
import pytest


@pytest.fixture
def methods(server):
    """Adds remote methods to res.user for one test: methods(name=function, ...)."""
    from trytond.pool import Pool
    from trytond.rpc import RPC
    User = Pool(server.name).get("res.user")
    added = []

    def add(readonly=False, **functions):
        for name, function in functions.items():
            setattr(User, name, classmethod(function))
            User.__rpc__[name] = RPC(readonly=readonly)
            added.append(name)

    yield add
    for name in added:
        delattr(User, name)
        del User.__rpc__[name]


def only(journal):
    """The one call of a test."""
    assert [entry["closed"] for entry in journal] == [1], journal
    assert fake_native.current() is None
    return journal[0]


def named(entry):
    return entry["kind"], entry["method"], entry["database"]


def test_a_call_is_named_and_verified_once_with_its_numbers(client, journal):
    response = client.rpc("model.res.user.read", [1], ["login"], {})
    assert response.json["result"] == [{"id": 1, "login": "admin"}]
    entry = only(journal)
    assert named(entry) == ("rpc", "model.res.user.read", "test")
    assert entry["verified"] == [(1, None)]
    assert (entry["attempts"], entry["errors"], entry["http"]) == (1, [], 200)
    assert entry["out"] == len(response.data) and entry["in"] > 0
    assert any("res_user" in statement for statement in entry["sql"])
    assert entry["commits"] and entry["connections"] and entry["hits"] + entry["misses"]


def test_statements_of_the_check_of_the_session_belong_to_the_call(client, journal):
    client.rpc("model.res.user.read", [1], ["login"], {})
    assert any("ir_session" in statement for statement in only(journal)["sql"])


def test_the_session_is_claimed_before_the_server_checks_it(client, journal):
    client.rpc("model.res.user.read", [1], ["login"], {})
    user, token = client.session
    assert only(journal)["claims"] == [(user, "admin", token)]


def test_the_login_of_a_verified_user_comes_from_the_database_not_from_the_header(client, journal, rules):
    rules.login_needed_ = True
    client.rpc("model.res.user.read", [1], ["login"], {}, headers=client.headers(login="somebody"))
    entry = only(journal)
    assert entry["claims"][0][1] == "somebody"
    assert entry["verified"] == [(1, "admin")]


def test_the_look_up_of_a_login_is_no_statement_of_the_call(client, journal, rules):
    from headroom import attach
    attach._hooks.logins._known.clear()
    client.rpc("model.res.user.read", [1], ["name"], {})
    rules.login_needed_ = True
    client.rpc("model.res.user.read", [1], ["name"], {})
    assert journal[1]["verified"] == [(1, "admin")]
    assert len(journal[1]["sql"]) <= len(journal[0]["sql"])
    assert not any('"res_user" WHERE "id" = 1' in statement for statement in journal[1]["sql"])


def test_a_login_is_remembered_for_a_minute_and_the_memory_is_bounded(client, rules, monkeypatch):
    from headroom import attach
    logins = attach._hooks.logins
    logins._known.clear()
    reads = []
    monkeypatch.setattr(logins, "_read", lambda database, user: reads.append(user) or "x")
    monkeypatch.setattr(type(logins), "MOST", 3)
    for user in (1, 1, 2, 3, 4):
        assert logins.find("test", user) == "x"
    assert reads == [1, 2, 3, 4]
    assert len(logins._known) <= 3
    monkeypatch.setattr("headroom.adapters.base.time.monotonic", lambda: 1e12)
    logins.find("test", 4)
    assert reads[-2:] == [4, 4]
    logins._known.clear()


def test_a_request_with_a_false_token_verifies_nobody(client, journal):
    client.session = (1, "0" * 64)
    assert client.rpc("model.res.user.read", [1], ["login"], {}).status_code == 401
    entry = only(journal)
    assert entry["claims"] and not entry["verified"]
    assert (entry["http"], entry["method"], entry["attempts"]) == (401, "model.res.user.read", 0)


def test_a_method_that_is_not_open_is_403_with_a_verified_user(client, journal):
    assert client.rpc("model.res.user.unlink_all", {}).status_code == 403
    entry = only(journal)
    assert (entry["http"], entry["verified"], entry["errors"]) == (403, [(1, None)], [])


def test_basic_authentication_is_verified_by_the_password(client, journal, server):
    def basic(password):
        return {"Authorization": "Basic " + base64.b64encode(("admin:" + password).encode()).decode()}
    client.rpc("model.res.user.read", [1], ["login"], {}, headers=basic(server.password))
    entry = only(journal)
    assert (entry["claims"], entry["verified"]) == ([(None, "admin", None)], [(1, None)])


def test_a_wrong_password_in_basic_authentication_is_a_failed_login(client, journal):
    headers = {"Authorization": "Basic " + base64.b64encode(b"somebody:wrong").decode()}
    codes = [client.rpc("model.res.user." + "x" * 50, [1], {}, headers=headers).status_code for _ in range(5)]
    assert set(codes) == {401, 429}
    for entry, code in zip(journal, codes):
        assert named(entry) == ("login", "common.db.login", "test"), "the method may be any text"
        assert (entry["http"], entry["verified"], entry["claims"][-1]) == (code, [], (None, "somebody", None))


def test_a_login_starts_a_session(client, journal, server):
    user, token = client.rpc("common.db.login", "admin", {"password": server.password}, headers={}).json["result"]
    entry = only(journal)
    assert named(entry) == ("login", "common.db.login", "test")
    assert (entry["verified"], entry["session"], entry["http"]) == ([(user, None)], token, 200)


def test_failed_logins_and_the_rate_limit_verify_nobody(client, journal):
    codes = [client.rpc("common.db.login", "nobody", {"password": "x"}, headers={}).status_code for _ in range(5)]
    assert set(codes) == {401, 429}
    assert [entry["http"] for entry in journal] == codes
    for entry in journal:
        assert named(entry) == ("login", "common.db.login", "test")
        assert entry["closed"] == 1 and not entry["verified"] and entry["claims"][-1] == (None, "nobody", None)


def test_a_login_that_asks_for_a_password_is_a_user_error(client, journal):
    client.rpc("common.db.login", "admin", {}, headers={})
    assert only(journal)["errors"][0] == ("user_error", "LoginException")


def test_a_logout_is_a_call(server, journal, rules):
    client = server.client()
    client.session = server.login()
    rules.reset()
    client.rpc("common.db.logout")
    assert (named(only(journal)), journal[0]["verified"]) == (("rpc", "common.db.logout", "test"), [(1, None)])


@pytest.mark.parametrize("method", ["system.listMethods", "system.methodSignature"])
def test_the_methods_of_the_system_are_calls(client, journal, method):
    client.rpc(method)
    assert (named(only(journal)), journal[0]["verified"]) == (("rpc", method, "test"), [(1, None)])


@pytest.mark.parametrize("method", ["common.server.version", "common.db.list"])
def test_calls_without_a_database(client, journal, method):
    client.rpc(method, database="", headers={})
    assert named(only(journal)) == ("route", method, "")


def test_a_name_without_a_database_that_the_server_does_not_know_stays_a_remote_call(client, journal):
    client.rpc("common.server.nonsense", database="", headers={})
    assert named(only(journal)) == ("rpc", "common.server.nonsense", "")


@pytest.mark.parametrize("error, status", [
    ("UserError", "user_error"), ("UserWarning", "warning"), ("ConcurrencyException", "concurrency"),
    ("ZeroDivisionError", "exception")])
def test_errors_of_a_method_set_the_status(client, journal, methods, error, status):
    from trytond import exceptions

    def fail(cls):
        kind = getattr(exceptions, error, ZeroDivisionError)
        raise kind("name", "text") if error == "UserWarning" else kind("text")

    methods(fail=fail)
    assert "error" in client.rpc("model.res.user.fail", {}).json
    entry = only(journal)
    assert entry["errors"][0] == (status, error)
    assert (entry["http"], entry["verified"]) == (200, [(1, None)])


def test_every_run_of_the_transaction_is_an_attempt(client, journal, methods):
    from trytond import backend
    runs = []

    def collide(cls):
        runs.append(1)
        if len(runs) < 3:
            raise backend.DatabaseOperationalError("database is locked")
        return "done"

    methods(collide=collide)
    assert client.rpc("model.res.user.collide", {}).json["result"] == "done"
    entry = only(journal)
    assert (entry["attempts"], entry["errors"], entry["verified"]) == (3, [], [(1, None)])
    assert entry["rollbacks"] >= 2


def test_the_last_failed_attempt_is_a_collision(client, journal, methods):
    from trytond import backend

    def collide(cls):
        raise backend.DatabaseOperationalError("database is locked")

    methods(collide=collide)
    client.rpc("model.res.user.collide", {})
    assert (only(journal)["attempts"], journal[0]["errors"][0]) == (3, ("concurrency", "OperationalError"))


def test_an_error_of_the_database_that_is_no_collision_is_an_exception(client, journal, methods):
    def broken(cls):
        from trytond.transaction import Transaction
        Transaction().connection.cursor().execute("SELECT nothing FROM nowhere")

    methods(readonly=True, broken=broken)
    client.rpc("model.res.user.broken", {})
    assert only(journal)["errors"][0] == ("exception", "OperationalError")


def test_the_traceback_of_an_error_reaches_trytond_unchanged(client, journal, methods, server):
    error = ZeroDivisionError("unchanged")
    seen = []

    def fail(cls):
        raise error

    methods(fail=fail)
    server.app.error_handlers.append(lambda app, request, error: seen.append(error))
    try:
        client.rpc("model.res.user.fail", {})
    finally:
        server.app.error_handlers.pop()
    traceback, functions = seen[0].__traceback__, []
    while traceback is not None:
        functions.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    assert seen == [error] and functions[-1] == "fail" and "_dispatch" in functions


def test_compressed_requests_are_read_once(client, journal, rules):
    rules.wants_io = True
    body = json.dumps({"id": 1, "method": "model.res.user.read", "params": [[1], ["login"], {}]}).encode()
    response = client.http.post("/test/", data=gzip.compress(body), content_type="application/json",
        headers={**client.headers(), "Content-Encoding": "gzip"})
    assert response.json["result"][0]["login"] == "admin"
    entry = only(journal)
    assert (entry["request"], entry["verified"]) == (body, [(1, None)])
    assert json.loads(entry["response"])["result"] == [{"id": 1, "login": "admin"}]


def test_a_request_that_is_too_large_is_refused_unread(client, journal):
    response = client.http.post("/test/", data=b"x", content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": str(1 << 40)})
    assert response.status_code == 413
    assert (named(only(journal)), journal[0]["http"]) == (("rpc", "unread", "test"), 413)


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"method": 7, "params": []}', b'{"method": "\\u0000", "params": []}'])
def test_a_body_that_is_no_call_is_one_failed_call(client, journal, body):
    client.http.post("/test/", data=body, content_type="application/json", headers=client.headers())
    assert only(journal)["method"] in ("unread", "unreadable")


def test_a_database_that_does_not_exist_is_one_call(client, journal):
    assert client.rpc("model.res.user.read", [1], [], {}, database="elsewhere").status_code >= 200
    assert only(journal)["database"] == "elsewhere" and not journal[0]["verified"]


def test_only_a_database_that_was_opened_is_known_to_exist(client, journal, server):
    client.rpc("common.db.login", "admin", {"password": "wrong"}, database="nowhere", headers={})
    assert set(fake_native.opened) == {server.name}


def test_static_files_are_counted_apart(client, journal):
    response = client.http.get("/page.html")
    assert response.data == b"<p>static</p>"
    response.close()
    assert (named(only(journal)), journal[0]["out"]) == (("static", "static", ""), 13)


def test_the_bus_is_counted_apart(client, journal):
    client.http.post("/test/bus", data="{}", content_type="application/json", headers=client.headers())
    entry = only(journal)
    assert (named(entry), entry["verified"]) == (("bus", "trytond.bus.subscribe", "test"), [(1, None)])


def test_a_route_is_named_by_its_function_never_by_its_path(client, journal):
    response = client.http.get("/test/data/res.user?f=login&secret=x", headers=client.headers())
    assert response.status_code == 200 and b"admin" in response.data
    entry = only(journal)
    assert (named(entry), entry["verified"]) == (("route", "trytond.ir.routes.data", "test"), [(1, None)])


def test_a_path_that_nothing_serves_is_one_unmatched_call(client, journal):
    assert client.http.get("/no/such/path/7").status_code in (404, 405)
    assert named(only(journal)) == ("route", "unmatched", "")


def test_a_cross_origin_request_that_is_refused_is_one_call(client, journal):
    from werkzeug.exceptions import Forbidden
    with pytest.raises(Forbidden):
        client.rpc("model.res.user.read", [1], [], {}, headers={"Origin": "http://evil.example"})
    assert only(journal)["errors"] == [("exception", "Forbidden")]


def test_a_user_application_is_verified_by_its_key(client, journal, server, rules):
    from trytond.pool import Pool
    from trytond.protocols.wrappers import user_application, with_pool, with_transaction
    from trytond.transaction import Transaction

    if not any(rule.rule == "/<database_name>/test_app" for rule in server.app.url_map.iter_rules()):
        @server.app.route("/<database_name>/test_app", methods=["GET"])
        @with_pool
        @with_transaction(readonly=False)
        @user_application("headroom_test")
        def test_app(request, pool):
            return {"user": Transaction().user}

    Application = Pool(server.name).get("res.user.application")
    Application.application.selection.append(("headroom_test", "Test"))
    try:
        with Transaction().start(server.name, 0):
            application, = Application.create([{"application": "headroom_test", "user": 1, "state": "validated"}])
            key = application.key
        rules.reset()
        response = client.http.get("/test/test_app", headers={"Authorization": "bearer " + key})
    finally:
        Application.application.selection.pop()
    assert response.json == {"user": 1}
    entry = only(journal)
    assert (entry["kind"], entry["verified"]) == ("route", [(1, None)])
    assert entry["method"].endswith(".test_app") and key not in str(entry["names"])


def test_the_address_is_the_one_behind_the_proxy(client, journal):
    client.rpc("common.server.version", database="", headers={"X-Forwarded-For": "6.6.6.6, 192.0.2.9"})
    assert only(journal)["address"] == "192.0.2.9"


def test_a_recorder_that_always_fails_changes_no_answer(client, journal, rules, caplog):
    expected = client.rpc("model.res.user.read", [1], ["login"], {}).json
    rules.broken = True
    assert client.rpc("model.res.user.read", [1], ["login"], {}).json == expected


@pytest.mark.parametrize("weak", ["describe", "verify", "claim", "attempt", "close", "fail"])
def test_each_failure_of_the_recorder_stays_in_the_recorder(client, journal, methods, monkeypatch, weak):
    def broken(self, *arguments):
        raise RuntimeError("the recorder itself, with the secret 123")

    def fail(cls):
        raise ZeroDivisionError("original")

    methods(fail=fail)
    expected = [client.rpc("model.res.user.read", [1], ["login"], {}).json, client.rpc("model.res.user.fail", {}).json]
    monkeypatch.setattr(fake_native.Call, weak, broken)
    assert [client.rpc("model.res.user.read", [1], ["login"], {}).json,
        client.rpc("model.res.user.fail", {}).json] == expected
    getattr(fake_native._local, "stack", []).clear()


def test_an_error_of_the_recorder_is_logged_once_a_minute_without_its_text(client, rules, monkeypatch, caplog):
    from headroom import runtime
    monkeypatch.setattr(runtime, "_silent_until", 0.0)
    monkeypatch.setattr(fake_native.Call, "attempt", lambda self: exec('raise RuntimeError("secret 123")'))
    for _ in range(3):
        client.rpc("model.res.user.read", [1], ["login"], {})
    lines = [record.getMessage() for record in caplog.records if record.name == "headroom"]
    assert len(lines) == 1 and "RuntimeError" in lines[0] and "secret" not in caplog.text


def test_threads_do_not_mix(server, journal, rules):
    import threading
    rules.reset()

    def work(number):
        client = server.client()
        for _ in range(10):
            client.rpc("model.res.user.read", [number], ["login"], {})

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal) == 20
    for entry in journal:
        assert (entry["closed"], entry["attempts"], len(entry["verified"])) == (1, 1, 1)
