"""headroom.trytond.Bus in trytond 6.0, on a database that has no channels; scenario.bus_outbox has the others."""
import pytest


def test_it_is_a_bus_of_trytond_made_once(server):
    from trytond.bus import LongPollingBus
    from trytond.tools import resolve
    made = resolve("headroom.trytond.Bus")
    assert issubclass(made, LongPollingBus) and made is resolve("headroom.trytond.Bus")


def test_a_database_without_channels_publishes_nothing(server):
    from trytond.transaction import Transaction
    from headroom.trytond import Bus
    message = {"type": "notification"}
    with Transaction().start(server.name, 0):
        Bus.publish("user:1", message)
    assert message == {"type": "notification"}


def test_nobody_waits(server):
    from werkzeug.exceptions import NotImplemented
    from headroom.trytond import Bus
    with pytest.raises(NotImplemented):
        Bus.subscribe(server.name, {"user:1"})
