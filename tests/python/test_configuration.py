"""Section [perf] from a file of its own and from the environment."""
import logging

import pytest

from headroom import settings
from headroom.configuration import Configuration


def read(path, text, environment=None, name="headroom.ini"):
    file = path / name
    file.write_text(text)
    return settings.read(Configuration(file, environment or {}))


def test_an_ini_file_and_toml_say_the_same(tmp_path):
    expected = [{"users": ["admin", "7"], "query": 0.25, "db": ["shop.*"]}]
    assert read(tmp_path, "[perf]\nusers = admin, 7\nquery = 250ms\ndb = shop.*\n")["rules"] == expected
    assert read(tmp_path, '[perf]\nusers = ["admin", 7]\nquery = 0.25\ndb = "shop.*"\n', name="x.toml")["rules"] == expected


def test_the_environment_is_stronger_than_the_file(tmp_path):
    values = read(tmp_path, "[perf]\nusers = admin\nstate = /srv/one\n", {"HEADROOM_PERF_USERS": "demo"})
    assert (values["rules"], values["state"]) == ([{"users": ["demo"]}], "/srv/one")


def test_the_environment_alone_is_enough_and_may_name_the_file(tmp_path):
    assert settings.read(Configuration(None, {"HEADROOM_PERF_METHODS": "*"}))["rules"] == [{"methods": ["*"]}]
    (tmp_path / "x.ini").write_text("[perf]\nusers = admin\n")
    found = settings.read(Configuration(None, {"HEADROOM_PERF_CONFIG": str(tmp_path / "x.ini"), "HEADROOM_OTHER": "1"}))
    assert found["rules"] == [{"users": ["admin"]}]


def test_without_anything_nobody_is_recorded(caplog):
    assert settings.read(Configuration(None, {}))["rules"] == []
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("name, text", [("x.ini", "users = admin"), ("x.toml", "[perf\n"), ("x.toml", "perf = 3"),
    ("x.ini", "[perf]\nusers = a\nusers = b\n")])
def test_a_file_that_can_not_be_read_records_nobody_in_one_line(tmp_path, name, text, caplog):
    values = read(tmp_path, text, {"HEADROOM_PERF_METHODS": "*"}, name)
    assert values["rules"] == []
    line, = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "nobody is recorded" in line and name in line and "\n" not in line


def test_a_file_that_is_not_there_records_nobody_in_one_line(tmp_path, caplog):
    assert settings.read(Configuration(tmp_path / "missing.ini", {"HEADROOM_PERF_USERS": "*"}))["rules"] == []
    assert "missing.ini" in caplog.text


def test_a_key_that_does_not_exist_is_named_wherever_it_comes_from(caplog):
    assert settings.read(Configuration(None, {"HEADROOM_PERF_METHODS": "*", "HEADROOM_PERF_USER": "a"}))["rules"] == []
    assert "[perf] user is ignored" in caplog.text
