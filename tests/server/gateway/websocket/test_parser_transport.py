"""What comes behind the last CLOSE is read and forgotten, and a flood of it is read slowly.

How a WebSocket closes, and how its parser is kept from gathering, is shown in test_websocket_endings.py.
"""

import asyncio
from typing import cast

import pytest

from artcafe.server.gateway.websocket.parser_transport import DRAINED_AT_ONCE, Drain
from tests.kit.deadlines import eventually

pytestmark = pytest.mark.asyncio


class Transport:
    """Remembers whether it is read from."""

    def __init__(self) -> None:
        self.reading = True
        self.closing = False
        self.pauses = 0

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.reading = False
        self.pauses += 1

    def resume_reading(self) -> None:
        assert not self.closing
        self.reading = True


def drain_of(transport: Transport) -> Drain:
    return Drain(cast("asyncio.Transport", transport), asyncio.Protocol())


async def test_what_an_honest_client_had_on_its_way_is_read_at_once() -> None:
    transport = Transport()
    drain_of(transport).data_received(bytes(DRAINED_AT_ONCE))
    assert transport.pauses == 0


async def test_a_flood_is_read_with_pauses() -> None:
    transport = Transport()
    drain = drain_of(transport)
    drain.data_received(bytes(DRAINED_AT_ONCE))
    for count in (1, 2, 3):
        drain.data_received(b"x")
        assert transport.pauses == count
        await eventually(lambda: transport.reading)


async def test_a_transport_that_closes_meanwhile_is_left_alone() -> None:
    transport = Transport()
    drain = drain_of(transport)
    drain.data_received(bytes(DRAINED_AT_ONCE + 1))
    transport.closing = True
    drain.data_received(b"x")
    await asyncio.sleep(0.05)
    assert (transport.reading, transport.pauses) == (False, 1)
