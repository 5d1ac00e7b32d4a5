"""Section [perf] of trytond.conf."""
import configparser
import logging
import re

import pytest

from headroom import settings


class Config(configparser.ConfigParser):
    """As trytond's: `get` takes a default."""

    def get(self, section, option, default=None, **kwargs):
        return super().get(section, option, fallback=default, **kwargs)


def read(text, path="/var/lib/tryton"):
    config = Config(interpolation=None)
    config.read_string("[database]\npath = %s\n[perf]\n%s" % (path, text))
    return settings.read(config)


def complaints(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_without_a_section_everything_has_its_default_and_nobody_is_traced(caplog):
    assert settings.read(Config()) == {
        "broker": "sqlite:///var/lib/headroom/perf.sqlite", "state": "/var/lib/headroom", "rules": []}
    assert not complaints(caplog)


def test_the_original_keys_make_one_rule():
    values = read("broker = redis://localhost:6379/1\nusers = admin, 7\nio = model.res.user.*\n"
        "profile = model.sale.sale.read\ndb = *\nquery = 0.25\n")
    assert values["broker"] == "redis://localhost:6379/1"
    assert values["rules"] == [{
        "users": ["admin", "7"], "io": ["model.res.user.*"], "profile": ["model.sale.sale.read"], "db": ["*"],
        "query": 0.25}]


def test_lists_may_span_lines_and_end_with_a_comma():
    values = read("users = admin,\n  login:42,\n\n  7,\n")
    assert values["rules"][0]["users"] == ["admin", "login:42", "7"]


def test_a_file_without_users_and_methods_makes_no_rule():
    assert read("profile = *\nquery = 1\n")["rules"] == []


def test_methods_alone_make_a_rule_for_everybody():
    assert read("methods = model.sale.*\none_in = 1/100\n")["rules"] == [{"methods": ["model.sale.*"], "one_in": 100}]


@pytest.mark.parametrize("text, seconds", [("0.5", 0.5), ("2", 2.0), ("500ms", 0.5), ("2 s", 2.0), (".5m", 30.0)])
def test_durations_are_seconds_or_carry_a_unit(text, seconds):
    assert read("users = a\nquery = %s\n" % text)["rules"][0]["query"] == seconds


@pytest.mark.parametrize("text, size", [("100", 100), ("64k", 65536), ("64 KiB", 65536), ("2MB", 2 << 20)])
def test_sizes_are_bytes_or_carry_a_unit(text, size):
    assert read("body_limit = %s\n" % text)["body_limit"] == size


@pytest.mark.parametrize("line, named", [
    ("query = soon", "query"), ("query = 25h", "query"), ("query = 99999999999999999999h", "query"),
    ("query = %sh" % ("9" * 400), "query"), ("body_limit = -1", "body_limit"), ("body_limit = 17m", "body_limit"),
    ("body_limit = 99999999999999g", "body_limit"), ("body_limit = %s" % ("9" * 5000), "body_limit"),
    ("buffer_limit = 0", "buffer_limit"), ("buffer_limit = 63k", "buffer_limit"), ("buffer_limit = 2g", "buffer_limit"),
    ("io = ,", "io"), ("io = *, model.[a", "io"), ("broker = mysql://x", "broker"),
    ("broker = sqlite://relative.db", "broker"), ("state = here", "state"), ("colour = red", "colour"),
    ("profil = *", "profil")])
def test_a_wrong_value_is_one_line_in_the_log_and_the_key_is_ignored(line, named, caplog):
    values = read("methods = *\n" + line)
    assert len(complaints(caplog)) == 1
    assert "[perf] %s" % named in complaints(caplog)[0]
    assert values["rules"] == [{"methods": ["*"]}]
    assert values["broker"] == "sqlite:///var/lib/headroom/perf.sqlite"


@pytest.mark.parametrize("glob", ["*", "model.sale.*", "m?del", "[a-z]*", "[!abc]", "[]]", "[!]a]", "a]", "[a][b]"])
def test_every_form_of_a_glob_is_accepted(glob):
    assert read("users = %s\nmethods = %s\n" % (glob, glob))["rules"] == [{"users": [glob], "methods": [glob]}]


@pytest.mark.parametrize("glob", ["[", "a[b", "[]", "[!]", "[a][b"])
def test_a_glob_that_matches_nothing_is_refused(glob, caplog):
    assert "io" not in read("users = *\nio = %s\n" % glob)["rules"][0]
    assert "is not closed" in complaints(caplog)[0]


@pytest.mark.parametrize("line, named", [
    ("users = admin, login:", "users"), ("users = ,", "users"), ("users = [a", "users"),
    ("database = a, b", "database"), ("database = [a", "database"), ("one_in = 0", "one_in"),
    ("slower_than = 2sec", "slower_than"), ("user = admin", "user"), ("one-in = 100", "one-in"),
    ("databases = shop", "databases")])
def test_a_restriction_that_is_not_understood_records_nobody_instead_of_everybody(line, named, caplog):
    values = read("methods = *\nio = *\n" + line)
    assert values["rules"] == []
    assert len(complaints(caplog)) == 1
    assert re.match(r"\[perf\] %s\b.*the rule of this section.*records nobody" % named, complaints(caplog)[0])


@pytest.mark.parametrize("methods", [",", "[a"])
def test_methods_that_are_not_understood_do_not_leave_all_calls_of_the_users(methods, caplog):
    assert read("users = *\nmethods = %s\n" % methods)["rules"] == []
    assert len(complaints(caplog)) == 1


def test_the_password_of_a_broker_is_never_logged(caplog):
    read("broker = mysql://user:hidden@host/db\n")
    assert complaints(caplog) and "hidden" not in caplog.text


@pytest.mark.parametrize("path", ["/srv/tryton/perf.sqlite", "/srv/tryton/deep/perf.db", "/srv/tryton/../tryton/x"])
def test_a_broker_among_the_databases_of_trytond_is_refused(path, caplog):
    values = read("broker = sqlite://%s\n" % path, path="/srv/tryton")
    assert values["broker"] == "sqlite:///var/lib/headroom/perf.sqlite"
    assert "inside [database] path" in complaints(caplog)[0]


def test_a_broker_beside_the_databases_is_accepted():
    assert read("broker = sqlite:///srv/tryton-perf/x.db\n", path="/srv/tryton")["broker"].endswith("/x.db")


def test_there_is_no_broker_when_even_the_default_lies_among_the_databases():
    assert read("", path="/var/lib/headroom")["broker"] == ""


def test_the_default_store_follows_the_state_folder():
    assert read("state = /srv/state\n")["broker"] == "sqlite:///srv/state/perf.sqlite"
