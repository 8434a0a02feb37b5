"""Frames that leave together: in order, whole, and none for the end of another."""

from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.gateway.websocket.writer import MOST, Writer
from tests.kit.turns import turns


async def test_what_is_put_in_one_turn_leaves_in_one_write_in_order() -> None:
    writes: list[bytes] = []
    writer = Writer(writes.append, TurnScheduler())
    for number in range(10):
        writer.put(b"%d" % number)
    assert (writes, writer.size) == ([], 10)
    await turns(2)
    assert (writes, writer.size) == ([b"0123456789"], 0)
    writer.put(b"next")
    await turns(2)
    assert writes == [b"0123456789", b"next"]


async def test_each_client_gets_its_own() -> None:
    writes: list[tuple[str, bytes]] = []
    scheduler = TurnScheduler()
    red = Writer(lambda data: writes.append(("red", data)), scheduler)
    blue = Writer(lambda data: writes.append(("blue", data)), scheduler)
    for writer, framed in ((red, b"1"), (blue, b"2"), (red, b"3")):
        writer.put(framed)
    await turns(2)
    assert writes == [("red", b"13"), ("blue", b"2")]


async def test_a_frame_alone_is_written_as_it_is() -> None:
    """Others share its bytes: nothing is copied."""
    writes: list[bytes] = []
    shared = b"x" * 1000
    Writer(writes.append, TurnScheduler()).put(shared)
    await turns(2)
    assert writes[0] is shared


async def test_much_does_not_wait_for_the_end_of_the_turn() -> None:
    writes: list[bytes] = []
    writer = Writer(writes.append, TurnScheduler())
    for _ in range(3):
        writer.put(b"x" * (MOST // 2))
    assert (len(writes), writer.size) == (1, 0)
    writer.put(b"last")
    await turns(2)
    assert b"".join(writes) == b"x" * (MOST // 2 * 3) + b"last"


async def test_what_is_flushed_or_cleared_is_written_once_or_never() -> None:
    writes: list[bytes] = []
    writer = Writer(writes.append, TurnScheduler())
    writer.put(b"now")
    writer.flush()
    assert writes == [b"now"]
    writer.put(b"never")
    writer.clear()
    await turns(2)
    assert (writes, writer.size) == ([b"now"], 0)
