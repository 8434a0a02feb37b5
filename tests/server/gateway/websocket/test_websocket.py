"""WebSockets on a real uvicorn: messages, and what handlers do with their peers."""

import tracemalloc

import httpx
import pytest

from artcafe.server.gateway.websocket.mount import Accept, Upgrade, frame
from tests.kit.deadlines import eventually
from tests.kit.doorman import Doorman
from tests.kit.raw_websocket import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    closing,
    masked,
    raw_websocket,
)
from tests.kit.servers import Server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("silence")]


async def test_fragments_with_a_ping_between(server: Server, doorman: Doorman) -> None:
    smile = "\U0001f600".encode()
    async with raw_websocket(server.port) as client:
        client.write(masked(b"a" + smile[:2], fin=False) + masked(b"now", PING))
        client.write(masked(smile[2:], CONTINUATION, fin=False) + masked(b"", CONTINUATION))
        client.write(masked(b"\xff", BINARY))
        assert await client.frame() == (PONG, b"now")
        assert await client.frame() == (TEXT, b"a" + smile)
        assert await client.frame() == (BINARY, b"\xff")


async def test_pings_are_answered_in_order(server: Server) -> None:
    async with raw_websocket(server.port) as client:
        client.write(b"".join(masked(b"%d" % n, PING) + masked(b"text %d" % n) for n in range(500)))
        for n in range(500):
            assert await client.frame() == (PONG, b"%d" % n)
            assert await client.frame() == (TEXT, b"text %d" % n)


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (masked(b"x", rsv=4), 1002),
        (masked(b"x", rsv=2), 1002),
        (masked(b"x", PING, rsv=1), 1002),
        (masked(b"x", opcode=3), 1002),
        (b"\x81\x01x", 1002),  # not masked
        (masked(b"x", CONTINUATION), 1002),
        (masked(b"x", fin=False) + masked(b"y"), 1002),
        (masked(b"x", fin=False) + masked(b"y", BINARY, fin=False), 1002),
        (masked(b"\xff"), 1007),
        (masked(b"\xed\xa0\x80"), 1007),
        (masked(b"\xf0\x9f", fin=False) + masked(b"x", CONTINUATION, fin=False), 1007),
        (masked(b"\xf0\x9f", fin=False) + masked(b"", CONTINUATION), 1007),
        (masked(b"x" * 100_001), 1009),
        (masked(b"x" * 60_000, fin=False) + masked(b"x" * 40_001, CONTINUATION), 1009),
        (masked(b"", fin=False) + masked(b"", CONTINUATION, fin=False) * 8, 1009),
        (masked(b"\x03", 8), 1002),
        (closing(1000, b"\xff"), 1007),
        *((closing(code), 1002) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535)),
    ],
)
async def test_a_broken_rule(server: Server, doorman: Doorman, broken: bytes, code: int) -> None:
    async with raw_websocket(server.port) as client:
        client.write(masked(b"before"))
        assert await client.frame() == (TEXT, b"before")
        client.write(broken)
        assert await client.close_code() == code
        client.write(masked(b"after") + closing(code))
        assert await client.ended() == b""
    await eventually(lambda: doorman.last.closes)
    assert doorman.last.texts == [b"before"]
    assert doorman.last.closes == [code]
    assert not server.core.server_state.connections


async def test_the_largest_message_and_the_most_fragments(server: Server, doorman: Doorman) -> None:
    async with raw_websocket(server.port) as client:
        client.write(masked(b"x" * 100_000))
        assert await client.frame() == (TEXT, b"x" * 100_000)
        client.write(masked(b"a", fin=False) + masked(b"", CONTINUATION, fin=False) * 6)
        client.write(masked(b"b", CONTINUATION))
        assert await client.frame() == (TEXT, b"ab")


async def test_a_client_hears_1009_while_it_still_sends(server: Server) -> None:
    """A reset would overtake the CLOSE, and the client would come back with the same message for ever."""
    async with raw_websocket(server.port) as client:
        client.write(masked(b"x" * 30_000_000))
        await client.writer.drain()
        assert await client.close_code() == 1009


async def test_a_message_too_large_is_not_kept(server: Server) -> None:
    async with raw_websocket(server.port) as client:
        part = b"\x81\xff" + (1 << 40).to_bytes(8, "big") + bytes(1_000_000)
        tracemalloc.start()
        try:
            for _ in range(100):
                client.write(part)
                await client.writer.drain()
            assert tracemalloc.get_traced_memory()[1] < 2_000_000
        finally:
            tracemalloc.stop()
        assert await client.close_code() == 1009


# The Peer.


async def test_whatever_is_sent_keeps_its_order_and_shape(server: Server, doorman: Doorman) -> None:
    """picows' own `send` mixes up the headers of messages over 8 KiB as soon as a client is slow."""
    async with raw_websocket(server.port, receive_buffer=4096) as client:
        peer = doorman.last.peer
        for n in range(400):
            peer.send(b"%3d " % n + b"x" * (37 * n))
            peer.write(frame(b"%3d a" % n) + frame(b"%3d b" % n))
            peer.ping()
        assert peer.queued() > 1_000_000
        for n in range(400):
            assert await client.frame() == (TEXT, b"%3d " % n + b"x" * (37 * n))
            assert await client.frame() == (TEXT, b"%3d a" % n)
            assert await client.frame() == (TEXT, b"%3d b" % n)
            assert await client.frame() == (PING, b"")
        assert peer.queued() == 0


async def test_what_a_message_caused_comes_before_the_close_for_the_next_one(
    server: Server, doorman: Doorman
) -> None:
    """The parser writes its own CLOSE past whatever we hold back for the end of the turn."""
    async with raw_websocket(server.port) as client:
        peer = doorman.last.peer

        def answer() -> None:
            for n in range(3):
                peer.send(b"%d" % n)
            peer.ping()

        doorman.last.on["text"] = answer
        client.write(masked(b"hello"))
        for n in range(3):
            assert await client.frame() == (TEXT, b"%d" % n)
        assert await client.frame() == (PING, b"")
        for n in range(3):
            peer.send(b"again %d" % n)
        assert peer.queued() > 0
        doorman.last.peer._transport.send_close(1002)  # type: ignore[attr-defined]  # as picows does
        for n in range(3):
            assert await client.frame() == (TEXT, b"again %d" % n)
        assert await client.close_code() == 1002


async def test_small_frames_are_as_slow_as_large_ones(server: Server, doorman: Doorman) -> None:
    async with raw_websocket(server.port, receive_buffer=4096):
        recorder = doorman.last
        for _ in range(20_000):
            recorder.peer.send(b"x" * 100)
        assert recorder.peer.queued() > 1_000_000
        await eventually(lambda: recorder.slows == 1)
        recorder.peer.close(4002)
        assert recorder.peer.closed


async def test_the_kernel_buffers_little(server: Server, doorman: Doorman) -> None:
    async with raw_websocket(server.port, receive_buffer=4096):
        peer = doorman.last.peer
        for _ in range(64):
            peer.send(b"x" * 65_536)
        assert peer.queued() > 64 * 65_536 - 700_000


async def test_slow_comes_once_and_not_from_inside_send(server: Server, doorman: Doorman) -> None:
    async with raw_websocket(server.port, receive_buffer=4096) as client:
        recorder = doorman.last
        for _ in range(64):
            recorder.peer.send(b"x" * 65_536)
        assert recorder.slows == 0
        await eventually(lambda: recorder.slows)
        for _ in range(64):
            recorder.peer.send(b"x" * 65_536)
        assert not recorder.peer.closed
        for _ in range(128):
            assert len((await client.frame())[1]) == 65_536
        assert recorder.slows == 1


async def test_heard(server: Server, doorman: Doorman) -> None:
    async with raw_websocket(server.port) as client:
        peer = doorman.last.peer
        peer.heard()
        assert not peer.heard()
        peer.ping()
        assert await client.frame() == (PING, b"")
        client.write(masked(b"", PONG))
        await eventually(peer.heard)
        assert not peer.heard()
        message = masked(b"x" * 1000)
        client.write(message[:500])
        await eventually(peer.heard)
        assert not peer.heard()
        client.write(message[500:])
        assert await client.frame() == (TEXT, b"x" * 1000)
        assert peer.heard()


async def test_pause_and_resume(server: Server, doorman: Doorman) -> None:
    async def paused(upgrade: Upgrade) -> Accept:
        recorder = doorman.hire()
        recorder.on["opened"] = lambda: recorder.peer.pause()  # noqa: PLW0108 - there is no peer yet
        return Accept(recorder)

    doorman.decide = paused
    async with raw_websocket(server.port) as client, httpx.AsyncClient(base_url=server.http) as rest:
        client.write(masked(b"hello"))
        for _ in range(3):
            await rest.get("/health")
        assert doorman.last.texts == []
        doorman.last.peer.resume()
        assert await client.frame() == (TEXT, b"hello")
        doorman.last.peer.pause()
        doorman.last.peer.close(4000)
        assert await client.close_code() == 4000
        client.write(closing(4000))
        assert await client.ended() == b""
    await eventually(lambda: doorman.last.closes == [4000])
