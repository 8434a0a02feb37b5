"""What the composition root decides itself; that it composes is told by every end-to-end test."""

import asyncio

import pytest

from artcafe.server.app import _finish, server_name
from artcafe.server.core.usage import API_CALLS, Meter
from artcafe.server.installed import every
from artcafe.server.process import Place
from artcafe.server.settings import load
from artcafe.server.store.memory import MemoryStore
from artcafe.server.store.presence import SightingTable
from artcafe.server.store.table import Table
from tests.kit.installation import ACME
from tests.kit.issuers import StoppedClock
from tests.kit.stores import new_rev
from tests.kit.usage import KeptRecords, SlowRecords


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000"])
def test_on_loopback_every_loopback_name_is_the_servers(host: str) -> None:
    assert server_name(load(), Place("127.0.0.1", 8000))(host) == f"ws://{host}"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8000",
        "localhost:9000",
        "localhost",
        "",
        "localhost:8000@evil.example",
        "user@localhost:8000",
        "localhost:8000/path",
        "localhost:8000\nserver=x",
    ],
)
def test_a_name_that_a_client_made_up_is_never_signed(host: str) -> None:
    """An agent that signed a relay's name could be logged in elsewhere by the relay."""
    assert server_name(load(), Place("127.0.0.1", 8000))(host) == "ws://127.0.0.1:8000"


def test_the_public_url_is_the_name_whatever_the_host_says() -> None:
    name = server_name(load(public_url="wss://pubsub.example.com"), Place("127.0.0.1", 8000))
    assert name("localhost:8000") == "wss://pubsub.example.com"


class TestStopping:
    """What was counted is written once, whenever the stop comes."""

    @pytest.mark.parametrize("cancelled_again", [False, True])
    async def test_a_flush_that_the_store_has_is_waited_for(self, cancelled_again: bool) -> None:
        clock = StoppedClock()
        memory = MemoryStore(clock=clock.now, new_rev=new_rev)
        await memory.open()
        kept, sightings = KeptRecords(), SightingTable(Table(memory))
        slow = SlowRecords(kept)
        meter = Meter(slow, sightings, clock)
        meter.count(ACME, API_CALLS, 1000)
        chore = asyncio.create_task(every(0.0, sightings.flush, meter.flush))
        await slow.asked.wait()
        meter.count(ACME, API_CALLS, 10)
        for _ in range(2 if cancelled_again else 1):
            chore.cancel()
            for _ in range(5):
                await asyncio.sleep(0)
        assert chore.done() == cancelled_again
        slow.go_on.set()
        await asyncio.gather(chore, return_exceptions=True)
        await _finish(sightings, meter)

        assert kept.counts == {(ACME, "2025-11-24", API_CALLS): 1010}
        assert kept.writes == (1 if cancelled_again else 2)
