"""Later series of trytond, as stand-ins of their shape: every hook finds its place."""
import stand_in
import pytest
from programs import run

SERVE = """
import json
import trytond.wsgi, trytond.cache, trytond.worker, fake_native
from trytond.pool import Pool
from trytond.protocols import dispatcher
from werkzeug.test import Client
Pool.start()
client = Client(trytond.wsgi.app, use_cookies=False)
eight = trytond.__version__.startswith("8")

def rpc(method, *params, database="db", token="good", headers=None):
    path = ("/%s/" % database if database else "/") + ("rpc/" if eight else "")
    return client.post(path, data=json.dumps({"method": method, "params": params}),
        headers={"Authorization": "header-login:7:" + token} if headers is None else headers)

def only():
    entry, = fake_native.journal
    assert entry["closed"] == 1 and fake_native.current() is None
    fake_native.journal.clear()
    return entry
"""


@pytest.fixture
def shape(tmp_path):
    """Gives a function that runs a program in a stand-in of a version."""
    def run_in(version, program):
        stand_in.write(tmp_path, version)
        run(SERVE + program, path=[tmp_path])
    return run_in


@pytest.fixture(params=["6.4.9", "7.2.9", "8.0.6"])
def serve(request, tmp_path):
    stand_in.write(tmp_path, request.param)
    return lambda program: run(SERVE + program, path=[tmp_path])


def test_everything_is_hooked(serve):
    said = serve("""
print(fake_native.started[0]["version"], fake_native.started[0]["rules"], logged[0][0])
print(sorted(error.__name__ for error in fake_native.error_classes["concurrency"]))
""")
    assert "not hooked" not in said and "[{'users': ['admin']}]" in said and "INFO" in said
    for hook in ("postgresql", "transaction", "worker", "pool", "wsgi", "identity", "dispatcher", "rpc", "queue",
            "cron", "user application"):
        assert hook in said
    assert "SerializationFailure" in said or "TransactionRollbackError" in said


def test_a_call_with_its_attempts_statements_and_verified_user(serve):
    serve("""
from trytond.transaction import Transaction
from trytond import backend
fake_native.login_needed_ = True
runs = []

def read(ids):
    runs.append(1)
    cursor = Transaction().connection.cursor()
    cursor.execute("SELECT 1")
    if len(runs) < 2:
        raise backend.DatabaseOperationalError("serialize")
    return ids

dispatcher.METHODS["model.party.party.read"] = read
assert rpc("model.party.party.read", [1]).data == b"[1]"
entry = only()
assert (entry["kind"], entry["method"], entry["database"]) == ("rpc", "model.party.party.read", "db"), entry
assert entry["claims"] == [(7, "header-login", "good")], entry
assert entry["verified"] == [(7, "login-of-database")], entry
assert (entry["attempts"], entry["sql"], entry["errors"]) == (2, ["SELECT 1"] * 2, []), entry
assert (entry["connections"], entry["commits"] > 0, entry["rollbacks"] > 0) == (2, True, True), entry
""")


def test_a_false_session_verifies_nobody(serve):
    serve("""
assert rpc("model.party.party.read", [1], token="bad").status_code == 401
entry = only()
assert entry["claims"] and not entry["verified"] and entry["http"] == 401, entry
""")


def test_an_error_of_the_database_is_recorded_though_the_client_sees_503(serve):
    serve("""
from trytond import backend
def fail():
    raise backend.DatabaseOperationalError("gone")
dispatcher.METHODS["model.x.fail"] = fail
assert rpc("model.x.fail").status_code == 503
entry = only()
assert (entry["http"], entry["errors"], entry["attempts"]) == (503, [("exception", "OperationalError")], 3), entry
""")


def test_a_login_with_a_third_value_starts_a_session(serve):
    serve("""
rpc("common.db.login", "admin", "right", headers={})
entry = only()
assert (entry["kind"], entry["session"], entry["verified"]) == ("login", "token-of-login", [(1, None)]), entry
assert rpc("common.db.login", "admin", "wrong", headers={}).status_code == 401
entry = only()
assert (entry["kind"], entry["verified"], entry["http"]) == ("login", [], 401), entry
for method in ("common.db.reset_password", "common.db.logout"):
    rpc(method, *(["admin"] if "reset" in method else []))
    assert only()["method"] == method
""")


def test_calls_without_a_database_routes_and_the_bus(serve):
    serve("""
rpc("common.server.version", database="")
entry = only()
assert (entry["kind"], entry["method"], entry["database"]) == ("route", "common.server.version", ""), entry
client.get("/db/data/res.user", headers={"Authorization": "x:7:good"})
entry = only()
assert (entry["kind"], entry["method"], entry["verified"]) == ("route", "trytond.ir.routes.data", [(7, None)]), entry
client.post("/db/bus", headers={"Authorization": "x:7:good"})
assert only()["kind"] == "bus"
""")


def test_a_session_in_a_cookie(shape):
    shape("8.0.6", """
dispatcher.METHODS["model.x.ok"] = lambda: None
rpc("model.x.ok", headers={"Cookie": "tryton_session=cookie-login:9:good"})
entry = only()
assert entry["claims"] == [(9, "cookie-login", "good")] and entry["verified"] == [(9, None)], entry
""")


def test_the_cache_keeps_the_arguments_of_its_series(serve):
    serve("""
from trytond.cache import Cache, MemoryCache
cache = Cache("name", duration=5, context=False, context_ignored_keys={"x"})
assert issubclass(Cache, MemoryCache) and cache.context_ignored_keys == {"x"}
call = fake_native.begin("rpc")
cache.set(1, 2), cache.get(1), cache.get(3), cache.clear()
assert cache.get(1) is None
call.close()
entry = only()
assert (entry["hits"], entry["misses"], entry["clears"]) == (1, 2, 1), entry
""")


def test_tasks_from_every_reference_and_scheduled_tasks(serve):
    serve("""
from trytond.ir import cron, routes
for run_task in (trytond.worker.run_task, dispatcher.run_task, cron.run_task, routes.data.run_task):
    run_task("db", 4)
    entry = only()
    assert (entry["kind"], entry["method"], entry["verified"]) == ("task", "model.sale.sale.process", [(3, None)]), entry
cron.Cron.run("db")
entry = only()
assert (entry["kind"], entry["method"], entry["attempts"]) == ("cron", "ir.queue|clean", 2), entry
""")
