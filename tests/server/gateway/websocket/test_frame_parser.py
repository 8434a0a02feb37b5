"""The frame parser on a real uvicorn: what it holds of a client, whatever frames came."""

import tracemalloc

import pytest

from tests.kit.deadlines import eventually
from tests.kit.doorman import Doorman
from tests.kit.raw_websocket import CONTINUATION, PING, PONG, TEXT, masked, raw_websocket
from tests.kit.servers import Server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("silence")]


async def test_a_large_message_leaves_no_large_buffer(server: Server, doorman: Doorman) -> None:
    """picows keeps a buffer as large as the largest frame: with 10,000 clients, 1 MB once is 10 GB."""
    async with raw_websocket(server.port) as client:
        half, whole = masked(b"half"), masked(b"x" * 100_000)
        pieces = masked(b"x", fin=False) + masked(b"y" * 99_999, CONTINUATION)
        tracemalloc.start()
        try:
            for large, small in ((whole, half), (pieces, masked(b"", PONG) + half)):
                client.write(large + half[:7])
                assert len((await client.frame())[1]) == 100_000
                client.write(half[7:] + large + small)
                assert await client.frame() == (TEXT, b"half")
                assert len((await client.frame())[1]) == 100_000
                assert await client.frame() == (TEXT, b"half")
                doorman.last.texts.clear()
                assert tracemalloc.get_traced_memory()[0] < 50_000
        finally:
            tracemalloc.stop()
        client.write(masked(b"now", PING) + masked(b"x", CONTINUATION))
        assert await client.frame() == (PONG, b"now")
        assert await client.close_code() == 1002
    assert doorman.last.opens == 1
    await eventually(lambda: doorman.last.closes == [1002])
