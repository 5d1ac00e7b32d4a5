"""The choice of an adapter by trytond's version."""
import pytest

from headroom import adapters


@pytest.mark.parametrize("version, module", [
    ("6.0.29", "series_6_0"), ("6.0", "series_6_0"), ("6.2.1", "series_6_0"), ("6.8.5", "series_6_4"),
    ("7.0.0", "series_6_4"), ("7.6.7", "series_6_4"), ("8.0.6", "series_8_0")])
def test_each_known_series_has_its_adapter(version, module):
    assert adapters.choose(version).__name__ == "headroom.adapters." + module


@pytest.mark.parametrize("version", ["5.8.1", "6.1.0", "7.10.0", "8.2.0", "60.0", "", "six"])
def test_a_version_that_nobody_has_checked_has_none(version):
    assert adapters.choose(version) is None


def test_no_series_is_claimed_twice():
    assert len(adapters.known()) == len(set(adapters.known()))
