"""The window: what leaves leaves in order, once for each turn, and never more than it holds unconfirmed."""

import asyncio
from typing import cast

from artcafe.server.bus.nats.window import WINDOW_BYTES, Window

COMMAND = b"PUB m.a 1000\r\n" + b"x" * 1000 + b"\r\n"


class Wire:
    """As much of a transport as a window uses."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closing = False

    def is_closing(self) -> bool:
        """asyncio.Transport.is_closing."""
        return self.closing

    def write(self, data: bytes) -> None:
        """asyncio.Transport.write."""
        self.written.append(data)


def opened() -> tuple[Window, Wire]:
    """A window on a wire that keeps what is written."""
    window, wire = Window(asyncio.get_running_loop()), Wire()
    window.open(cast("asyncio.Transport", wire))
    return window, wire


def pong() -> "asyncio.Future[bool]":
    """Somebody who waits for a confirmation."""
    return asyncio.get_running_loop().create_future()


async def test_a_turn_is_one_write_in_order() -> None:
    window, wire = opened()
    assert window.send(b"1")
    window.write(b"2")
    window.ping(None)
    assert window.send(b"3")
    assert wire.written == []
    await asyncio.sleep(0)
    assert wire.written == [b"12PING\r\n3"]
    window.write(b"4")
    await asyncio.sleep(0)
    assert wire.written[1:] == [b"4"]


async def test_a_command_and_its_payload_are_one() -> None:
    window, wire = opened()
    assert window.send(b"PUB a 3\r\n", b"abc")
    assert window.send(b"PUB a 0\r\n", b"")
    assert window.send(b"PUB a 1\r\nx\r\n")
    await asyncio.sleep(0)
    assert wire.written == [b"PUB a 3\r\nabc\r\nPUB a 0\r\n\r\nPUB a 1\r\nx\r\n"]
    assert window.unconfirmed == len(wire.written[0])


async def test_it_closes_when_full_and_a_confirmation_opens_it() -> None:
    window, _ = opened()
    taken = 0
    while window.send(COMMAND):
        taken += len(COMMAND)
    assert WINDOW_BYTES <= taken == window.unconfirmed < WINDOW_BYTES + len(COMMAND)
    assert window.confirm(), "it asked on its own, at half of it"
    assert 0 < window.unconfirmed <= WINDOW_BYTES // 2 + len(COMMAND)
    assert window.send(COMMAND)


async def test_who_waits_gets_the_confirmation_of_what_was_before() -> None:
    window, _ = opened()
    first, second = pong(), pong()
    window.send(COMMAND)
    window.ping(first)
    window.send(COMMAND)
    window.ping(second)
    assert window.confirm()
    assert first.result()
    assert not second.done()
    assert window.unconfirmed == len(COMMAND)
    assert window.confirm()
    assert second.result()
    assert window.settled
    assert not window.confirm(), "nobody asked"


async def test_who_left_meanwhile_is_no_obstacle() -> None:
    window, _ = opened()
    gone, there = pong(), pong()
    window.ping(gone)
    window.ping(there)
    gone.cancel()
    assert window.confirm()
    window.give_up()
    assert there.result() is False
    assert window.settled


async def test_nothing_is_written_to_what_closes_or_is_not_there_yet() -> None:
    window, wire = opened()
    wire.closing = True
    window.send(b"1")
    window.flush()
    wire.closing = False
    await asyncio.sleep(0)
    assert wire.written == []
    early = Window(asyncio.get_running_loop())
    early.write(b"1")
    early.flush()
    assert early.unconfirmed == 0
