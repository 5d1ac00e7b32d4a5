"""Names of Odoo's remote calls, from requests as its clients send them."""
import json
import random
import time
import xmlrpc.client

import pytest

from headroom import rpc

PASSWORD = 'a "long" <secret> & word'


def jsonrpc(service, method, *arguments):
    return json.dumps({"jsonrpc": "2.0", "method": "call", "id": 7,
        "params": {"service": service, "method": method, "args": list(arguments)}}).encode()


def xml(method, *arguments):
    return xmlrpc.client.dumps(arguments, method, allow_none=True).encode()


def read(path, body=b""):
    reader = rpc.reader_of(path)
    return reader if isinstance(reader, rpc.Read) else reader(body)


def named(found):
    return found.kind, found.method, found.database, found.user_id


@pytest.mark.parametrize("path, method", [
    ("/web/dataset/call_kw/res.partner/web_search_read", "res.partner.web_search_read"),
    ("/web/dataset/call_button/sale.order/action_confirm", "sale.order.action_confirm"),
    ("/json/2/stock.picking/button_validate", "stock.picking.button_validate")])
def test_the_path_of_the_web_client_tells_model_and_method(path, method):
    assert named(read(path)) == ("rpc", method, "", None)


@pytest.mark.parametrize("path", ["/", "/web", "/web/dataset/call_kw/res.partner", "/web/dataset/call_kw/a/b/c",
    "/web/dataset/call_kw/res.partner/7", "/web/dataset/call_kw/é/read", "/web/dataset/call_kw/a/b\n", "/jsonrpc/x",
    "/xmlrpc/2/", "/xmlrpc/2/object/9"])
def test_another_path_is_no_remote_call(path):
    assert rpc.reader_of(path) is None


@pytest.mark.parametrize("call, params, method", [
    ("call_kw", {"model": "sale.order", "method": "read", "args": [[1]], "kwargs": {}}, "sale.order.read"),
    ("call_button", {"args": [[3]], "model": "sale.order", "method": "action_cancel"}, "sale.order.action_cancel"),
    ("search_read", {"model": "sale.order", "fields": ["name"], "limit": 80}, "sale.order.search_read")])
def test_older_web_clients_tell_model_and_method_in_the_body(call, params, method):
    body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params, "id": 1}).encode()
    assert named(read("/web/dataset/" + call, body)) == ("rpc", method, "", None)


def test_a_call_to_jsonrpc_is_named_by_model_and_method_and_claims_a_user():
    body = jsonrpc("object", "execute_kw", "shop", 2, PASSWORD, "res.partner", "search_read", [[["name", "=", "x"]]], {})
    assert named(read("/jsonrpc", body)) == ("rpc", "res.partner.search_read", "shop", 2)


@pytest.mark.parametrize("path", ["/xmlrpc/object", "/xmlrpc/2/object"])
@pytest.mark.parametrize("method", ["execute", "execute_kw"])
def test_a_call_by_xml_is_named_by_model_and_method(path, method):
    body = xml(method, "shop", 2, PASSWORD, "res.partner", "search", [["name", "=", "x"]])
    assert named(read(path, body)) == ("rpc", "res.partner.search", "shop", 2)


def test_xml_without_types_and_blanks_is_understood():
    body = (b"<methodCall><methodName>execute</methodName><params><param><value>shop</value></param><param><value><i4>2"
        b"</i4></value></param><param><value>pw</value></param><param><value>res.users</value></param><param><value>read"
        b"</value></param></params></methodCall>")
    assert named(read("/xmlrpc/2/object", body)) == ("rpc", "res.users.read", "shop", 2)


@pytest.mark.parametrize("body", [
    jsonrpc("object", "execute_kw", "shop", 2, PASSWORD, "res.partner", "write", [[1], {"name": "x"}]),
    xml("execute_kw", "shop", 2, PASSWORD, "res.partner", "write", [[1], {"name": "x"}])])
def test_the_password_among_the_arguments_is_masked_and_nothing_else(body):
    path = "/jsonrpc" if body.startswith(b"{") else "/xmlrpc/2/object"
    masked = read(path, body).masked(body)
    arguments = (json.loads(masked)["params"]["args"] if path == "/jsonrpc" else xmlrpc.client.loads(masked)[0])
    assert list(arguments) == ["shop", 2, "***", "res.partner", "write", [[1], {"name": "x"}]]


@pytest.mark.parametrize("method", ["login", "authenticate"])
def test_the_password_of_a_login_is_masked_and_its_name_is_a_claim(method):
    for path, body in (("/jsonrpc", jsonrpc("common", method, "shop", "admin", PASSWORD, {})),
            ("/xmlrpc/2/common", xml(method, "shop", "admin", PASSWORD, {}))):
        found = read(path, body)
        assert (found.kind, found.method, found.login) == ("route", "common." + method, "admin")
        assert b"long" not in found.masked(body) and b"admin" in found.masked(body)


@pytest.mark.parametrize("service, method, name", [
    ("common", "version", "common.version"), ("common", "x" * 40, "unread"), ("db", "drop", "db.(other)"),
    ("db", "create_database", "db.(other)"), ("db", "y" * 40, "db.(other)"), ("made_up", "z", "unread")])
def test_what_anybody_may_call_has_one_of_a_few_names(service, method, name):
    assert read("/jsonrpc", jsonrpc(service, method, "master password", "shop")).method in (name, "common.(other)")


@pytest.mark.parametrize("body", [
    jsonrpc("db", "change_admin_password", "old one", "new one"), jsonrpc("object", "execute_kw", "shop", 2, "pw"),
    jsonrpc("object", "execute_kw", "shop", 2, ["in a list"], "res.partner", "read"),
    jsonrpc("object", "execute_kw", "shop", 2, {"a": "pw"}, "res.partner", "read"), b"", b"{", b"\x00\xff",
    b'{"params": {"service": "object"'])
def test_a_body_is_not_kept_where_its_password_is_not_found(body):
    assert read("/jsonrpc", body).masked(body) is None


def test_a_password_is_masked_in_a_body_of_which_only_the_beginning_was_read():
    body = jsonrpc("object", "execute_kw", "shop", 2, PASSWORD, "res.partner", "create", ["x" * 200_000])
    found = read("/jsonrpc", body[:rpc.HEAD])
    assert found.method == "res.partner.create"
    assert b"long" not in found.masked(body) and len(found.masked(body)) > 200_000


@pytest.mark.parametrize("name", ["a b", "x\n", "<b>", "é", "a" * 200, "", "1st", "../etc"])
def test_a_name_that_is_no_identifier_is_unread(name):
    assert read("/jsonrpc", jsonrpc("object", "execute_kw", "d", 1, "p", name, "read")).method == "unread"
    assert read("/xmlrpc/2/object", xml("execute_kw", "d", 1, "p", "res.users", name)).method == "unread"


BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>
<methodCall><methodName>execute</methodName><params><param><value>&b;</value></param></params></methodCall>"""
OUTSIDE = BOMB.replace(b'"aaaaaaaaaa"', b'SYSTEM "file:///etc/passwd"')


@pytest.mark.parametrize("body", [BOMB, OUTSIDE, b"<" * 70_000, b" " * 200_000, b"<methodCall>" + b" " * 200_000,
    b"<methodCall><methodName>x</methodName><params>" + b"<param><value>" * 9_000,
    b"<methodCall><methodName>x</methodName><params><param><value>" + b" " * 200_000,
    b"[" * 100_000, b'{"params":' * 10_000, b'"' + b"\\a" * 60_000, b"[1," * 30_000, b'{"a":"' + b"x" * 200_000])
def test_hostile_bodies_cost_little_and_tell_nothing(body):
    begun = time.thread_time()
    for path in ("/jsonrpc", "/xmlrpc/2/object", "/web/dataset/call_kw"):
        found = read(path, body)
        assert (found.method, found.database, found.user_id) == ("unread", "", None)
    rpc.fault_of(body)
    # Not a measurement: what is tried in every way takes minutes.
    assert time.thread_time() - begun < 5


def test_bodies_cut_anywhere_and_with_any_byte_changed_raise_nothing():
    dice = random.Random(20261121)
    for body in (jsonrpc("object", "execute_kw", "shop", 2, PASSWORD, "res.partner", "read", [1]),
            xml("execute_kw", "shop", 2, PASSWORD, "res.partner", "read", [1])):
        for _ in range(2_000):
            changed = bytearray(body[:dice.randrange(len(body) + 1)])
            if changed:
                changed[dice.randrange(len(changed))] = dice.randrange(256)
            for path in ("/jsonrpc", "/xmlrpc/2/object", "/web/dataset/call_kw", "/xmlrpc/2/common"):
                read(path, bytes(changed)).masked(bytes(changed))
            rpc.fault_of(bytes(changed))


def fault(name, message="what happened"):
    return json.dumps({"jsonrpc": "2.0", "id": 7, "error": {"code": 200, "message": "Odoo Server Error",
        "data": {"name": name, "debug": "Traceback\n" * 500, "message": message, "arguments": []}}}).encode()


@pytest.mark.parametrize("name, status", [
    ("odoo.exceptions.UserError", "user_error"), ("odoo.exceptions.AccessError", "user_error"),
    ("odoo.exceptions.RedirectWarning", "warning"), ("psycopg2.errors.SerializationFailure", "concurrency"),
    ("builtins.KeyError", "exception"), ("odoo.http.SessionExpiredException", "exception")])
def test_the_error_in_an_answer_tells_its_status(name, status):
    found = rpc.fault_of(fault(name))
    assert found.status == status
    assert str(found) == name + ": what happened"


@pytest.mark.parametrize("code, status", [
    (1, "exception"), (2, "user_error"), (3, "user_error"), ("warning -- UserError\n\nno", "user_error"), ("x", "exception")])
def test_a_fault_in_xml_tells_its_status(code, status):
    answer = xmlrpc.client.dumps(xmlrpc.client.Fault(code, "no"), methodresponse=True).encode()
    assert rpc.fault_of(answer).status == status


@pytest.mark.parametrize("answer", [
    b'{"jsonrpc": "2.0", "id": 7, "result": {"error": {"message": "a field of that name"}}}', b"", b"[]", b"plain",
    b'{"error": null}', xmlrpc.client.dumps((1,), methodresponse=True).encode()])
def test_an_answer_without_an_error_is_fine(answer):
    assert rpc.fault_of(answer) is None
