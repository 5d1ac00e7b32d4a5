"""One module per group of trytond series whose hooks are the same; each was read against that trytond's source.

A module gives `SERIES`, the series that it knows, `prepare(hooks)` and `complete(hooks)` (see headroom.attach).
"""
import re

from headroom.adapters import series_6_0, series_6_4, series_8_0

_ADAPTERS = (series_6_0, series_6_4, series_8_0)


def choose(version):
    """Gives the adapter of a trytond version such as "6.0.29"; None for one that nobody has checked."""
    match = re.match(r"(\d+\.\d+)(?:\.|$)", version)
    if match is None:
        return None
    for adapter in _ADAPTERS:
        if match[1] in adapter.SERIES:
            return adapter
    return None


def known():
    """All series that have an adapter, oldest first."""
    return [series for adapter in _ADAPTERS for series in adapter.SERIES]
