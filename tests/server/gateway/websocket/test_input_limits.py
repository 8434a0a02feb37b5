"""What one socket takes from its client: control frames at a rate, and little before the login."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from fastapi import FastAPI

from artcafe.server.gateway.websocket.framing import FREE_FRAGMENTS, SMALL_FRAGMENT
from artcafe.server.gateway.websocket.input_limits import (
    CONTROL_BURST_SECONDS,
    FRAME_OVERHEAD,
    ControlFrameLimiter,
)
from artcafe.server.gateway.websocket.mount import Accept, SocketLimits, Upgrade
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.doorman import Doorman
from tests.kit.raw_websocket import (
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    UPGRADE,
    RawClient,
    closing,
    masked,
    raw_client,
    raw_websocket,
)
from tests.kit.servers import Server, serving
from tests.kit.turns import turns

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("silence")]

FLOODING, TOO_LARGE = Code.flooding.close, Code.too_large.close

MOST = 5_000
RATE = 5.0
BURST = round(CONTROL_BURST_SECONDS * RATE)
LIMITS = SocketLimits(
    message_bytes=100_000, login_bytes=MOST, control_frames_per_second=RATE, close_seconds=10
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running() -> AsyncIterator[tuple[Server, Doorman]]:
    doorman = Doorman()
    async with serving(FastAPI(), doorman, LIMITS) as server:
        yield server, doorman


def shut(doorman: Doorman) -> None:
    """Whoever comes from now on is not logged in."""

    async def admit(upgrade: Upgrade) -> Accept:
        accept = await doorman.admit(upgrade)
        doorman.last.on["opened"] = lambda: None
        return accept

    doorman.decide = admit


async def answered(client: RawClient) -> tuple[int, int]:
    """How many frames came before the server's CLOSE, and its code."""
    count = 0
    while (got := await client.frame())[0] != CLOSE:
        count += 1
    return count, int.from_bytes(got[1][:2], "big")


# Control frames.


async def test_a_burst_passes_and_then_the_rate() -> None:
    now = 0.0
    frames = ControlFrameLimiter(2.0, lambda: now)
    for _ in range(round(2 * CONTROL_BURST_SECONDS)):
        frames.take()
    with pytest.raises(ArtcafeError) as flooded:
        frames.take()
    assert flooded.value.code is Code.flooding
    now = 0.5
    frames.take()
    with pytest.raises(ArtcafeError):
        frames.take()


@pytest.mark.parametrize("kind", [PING, PONG])
@pytest.mark.parametrize("let_in", [True, False])
async def test_control_frames_beyond_the_rate_close(
    server: Server, doorman: Doorman, kind: int, *, let_in: bool
) -> None:
    if not let_in:
        shut(doorman)
    async with raw_websocket(server.port) as client:
        for _ in range(20):
            client.write(masked(b"", kind) * 100)
        count, code = await answered(client)
        assert code == FLOODING
        # A few are forgiven in the time that it takes.
        assert BURST <= count < 1000 if kind == PING else count == 0
        assert await client.ended() == b""
    await eventually(lambda: doorman.last.closes == [FLOODING])


async def test_messages_between_do_not_buy_control_frames(server: Server) -> None:
    async with raw_websocket(server.port) as client:
        client.write((masked(b"", PING) + masked(b"text")) * 1000)
        count, code = await answered(client)
        assert code == FLOODING
        assert 2 * BURST <= count < 1000


async def test_a_few_small_fragments_are_free_and_more_are_charged(server: Server, doorman: Doorman) -> None:
    free = masked(b"", fin=False) + masked(b"", CONTINUATION, fin=False) * (FREE_FRAGMENTS - 2)
    async with raw_websocket(server.port) as client:
        for _ in range(2 * BURST):
            client.write(free + masked(b"end", CONTINUATION))
            assert await client.frame() == (TEXT, b"end")
        crumbs = masked(b"", fin=False) + masked(b"", CONTINUATION, fin=False) * 50
        client.write((crumbs + masked(b"end", CONTINUATION)) * 20)
        count, code = await answered(client)
        # Of each message of 52 fragments, 44 are charged.
        assert code == FLOODING
        assert BURST // 44 <= count < 10


async def test_large_fragments_are_free(server: Server) -> None:
    part = b"x" * SMALL_FRAGMENT
    whole = masked(part, fin=False) + masked(part, CONTINUATION, fin=False) * 60 + masked(b"", CONTINUATION)
    async with raw_websocket(server.port) as client:
        for _ in range(5):
            client.write(whole)
            assert await client.frame() == (TEXT, part * 61)


# Before the login.


async def test_until_the_login_frames_are_small(server: Server, doorman: Doorman) -> None:
    shut(doorman)
    async with raw_websocket(server.port) as client:
        client.write(masked(b"x" * MOST))
        assert await client.frame() == (TEXT, b"x" * MOST)
    for large in (
        masked(b"x" * (MOST + 1)),
        masked(b"x" * 90_000),
        masked(b"x" * (MOST - 1), fin=False) + masked(b"xx", CONTINUATION),
        b"\x81\xff" + (90_000).to_bytes(8, "big") + bytes(20_000),
    ):
        async with raw_websocket(server.port) as client:
            client.write(large)
            assert await client.close_code() == TOO_LARGE
            assert await client.ended() == b""
        assert doorman.last.texts == []


async def test_after_the_login_they_may_be_large(server: Server, doorman: Doorman) -> None:
    shut(doorman)
    async with raw_websocket(server.port) as client:
        client.write(masked(b"login"))
        assert await client.frame() == (TEXT, b"login")
        # In the middle of a frame.
        late = masked(b"x" * 90_000)
        client.write(late[:1000])
        await eventually(doorman.last.peer.heard)
        doorman.last.peer.admitted()
        client.write(late[1000:])
        assert await client.frame() == (TEXT, b"x" * 90_000)
        client.write(masked(b"y" * 90_000) + masked(b"z"))
        assert await client.frame() == (TEXT, b"y" * 90_000)
        assert await client.frame() == (TEXT, b"z")


async def test_until_the_login_all_frames_together_are_little(server: Server, doorman: Doorman) -> None:
    shut(doorman)
    async with raw_websocket(server.port) as client:
        client.write(masked(b"") * 1000)
        count, code = await answered(client)
        assert (count, code) == (2 * MOST // FRAME_OVERHEAD, FLOODING)
    async with raw_websocket(server.port) as client:
        client.write(masked(b"x" * 1000) * 20)
        count, code = await answered(client)
        assert (count, code) == (2 * MOST // (1000 + FRAME_OVERHEAD), FLOODING)


async def test_what_comes_before_the_upgrade_is_answered_counts_too(server: Server, doorman: Doorman) -> None:
    shut(doorman)
    async with raw_client(server.port) as client:
        doorman.gate.clear()
        client.write(UPGRADE.format(target="/").encode())
        await eventually(lambda: doorman.asked)
        client.write(masked(b"x" * (MOST + 1)))
        await client.writer.drain()
        await turns()
        doorman.gate.set()
        assert (await client.answer())[0] == 101
        assert await client.close_code() == TOO_LARGE
    assert doorman.last.texts == []


async def test_who_closes_before_the_login_is_answered(server: Server, doorman: Doorman) -> None:
    shut(doorman)
    async with raw_websocket(server.port) as client:
        client.write(closing(1000))
        assert await client.close_code() == 1000
    await eventually(lambda: doorman.last.closes == [1000])


async def test_to_be_let_in_twice_or_too_late_changes_nothing(server: Server, doorman: Doorman) -> None:
    async with raw_websocket(server.port) as client:
        doorman.last.peer.admitted()
        client.write(masked(b"1"))
        assert await client.frame() == (TEXT, b"1")
    shut(doorman)
    async with raw_websocket(server.port) as client:
        doorman.last.peer.close(1000)
        doorman.last.peer.admitted()
        assert await client.close_code() == 1000
        assert await client.ended() == b""
