"""How WebSockets end: by either side, by a fault, by a reset, by the server's stop; and that all do."""

import asyncio
import gc
import random
import time
import weakref
from dataclasses import replace

import pytest
from fastapi import FastAPI, Response
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from artcafe.server.gateway.websocket.mount import Accept, Upgrade
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.doorman import LIMITS, Doorman, Recorder
from tests.kit.raw_websocket import CLOSE, PING, TEXT, UPGRADE, closing, masked, raw_client, raw_websocket
from tests.kit.servers import Server, serving

HASTY = replace(LIMITS, close_seconds=0.2)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("silence")]


def fill(recorder: Recorder) -> None:
    """Send more than the kernel takes for a client that does not read."""
    for _ in range(32):
        recorder.peer.send(b"x" * 65_536)
    assert recorder.peer.queued() > 1_000_000


# The server closes.


async def test_a_handler_closes(server: Server, doorman: Doorman) -> None:
    async with raw_websocket(server.port) as client:
        peer = doorman.last.peer
        before = peer.closed
        peer.send(b"last words")
        peer.close(4002, "\u00e9" * 100)
        assert (before, peer.closed) == (False, True)
        peer.close(4003, "the first close wins")
        peer.send(b"never")
        peer.write(b"never")
        peer.ping()
        assert await client.frame() == (TEXT, b"last words")
        assert await client.frame() == (CLOSE, (4002).to_bytes(2, "big") + "\u00e9".encode() * 61)
        client.write(masked(b"too late") + closing(4002))
        assert await client.ended() == b""
    await eventually(lambda: doorman.last.closes == [4002])
    assert (doorman.last.texts, doorman.last.endings) == ([], 1)
    assert not server.core.server_state.connections
    peer.send(b"never")
    peer.pause()
    peer.resume()
    assert (peer.closed, peer.heard(), peer.queued()) == (True, False, 0)


async def test_a_code_that_must_not_be_sent(server: Server, doorman: Doorman) -> None:
    async with raw_websocket(server.port) as client:
        for code in (0, 1005, 1006, 5000):
            with pytest.raises(ValueError, match=f"{code} must not be sent"):
                doorman.last.peer.close(code)
        client.write(masked(b"still here"))
        assert await client.frame() == (TEXT, b"still here")


async def test_nothing_is_heard_after_a_close(server: Server, doorman: Doorman) -> None:
    async with raw_websocket(server.port) as client:
        recorder = doorman.last
        recorder.on["text"] = lambda: recorder.peer.close(4000)
        client.write(masked(b"one") + masked(b"two") + masked(b"", PING))
        assert await client.close_code() == 4000
        client.write(closing(4000))
        assert await client.ended() == b""
        assert recorder.texts == [b"one"]


async def test_a_flooding_client_hears_why(server: Server, doorman: Doorman) -> None:
    """Hanging up on unread bytes makes the kernel send a reset, which discards the CLOSE before it."""
    async with raw_websocket(server.port) as client:
        recorder = doorman.last

        def close() -> None:
            recorder.peer.close(Code.flooding.close)
            recorder.peer.pause()

        recorder.on["text"] = close
        client.write(masked(b"x" * 1000) * 20_000)
        await client.writer.drain()
        assert await client.close_code() == 4005
    await eventually(lambda: recorder.closes == [4005])


async def test_a_client_that_ignores_the_close(doorman: Doorman) -> None:
    async with serving(FastAPI(), doorman, HASTY) as server, raw_websocket(server.port) as client:
        started = time.monotonic()
        doorman.last.peer.close(4000)
        assert await client.close_code() == 4000
        await eventually(lambda: doorman.last.closes == [4000])
        assert time.monotonic() - started > 0.1


@pytest.mark.parametrize("half_closed", [False, True])
async def test_a_client_that_does_not_read(doorman: Doorman, half_closed: bool) -> None:
    async with (
        serving(FastAPI(), doorman, HASTY) as server,
        raw_websocket(server.port, receive_buffer=4096) as client,
    ):
        recorder = doorman.last
        recorder.on["slow"] = lambda: recorder.peer.close(Code.slow_consumer.close)
        if half_closed:
            client.writer.write_eof()
        fill(recorder)
        await eventually(lambda: recorder.closes)
        assert recorder.slows == 1
        assert not server.core.server_state.connections


async def test_a_slow_client_that_catches_up_hears_why(server: Server, doorman: Doorman) -> None:
    async with raw_websocket(server.port, receive_buffer=4096) as client:
        recorder = doorman.last
        recorder.on["slow"] = lambda: recorder.peer.close(Code.slow_consumer.close)
        fill(recorder)
        assert await client.close_code() == 4002


# The client closes.


@pytest.mark.parametrize(
    ("close", "answer", "code"),
    [
        (closing(1000, b"bye"), 1000, 1000),
        (closing(1001), 1001, 1001),
        (closing(4999), 4999, 4999),
        (masked(b"", CLOSE), 1000, 1005),
    ],
)
async def test_a_client_closes(
    server: Server, doorman: Doorman, close: bytes, answer: int, code: int
) -> None:
    async with raw_websocket(server.port) as client:
        client.write(masked(b"one") + close + masked(b"two"))
        assert await client.close_code() == answer
        assert await client.ended() == b""
    await eventually(lambda: doorman.last.closes)
    assert doorman.last.closes == [code]
    assert (doorman.last.texts, doorman.last.endings) == ([b"one"], 1)


async def test_a_client_closes_and_does_not_read(doorman: Doorman) -> None:
    async with (
        serving(FastAPI(), doorman, HASTY) as server,
        raw_websocket(server.port, receive_buffer=4096) as client,
    ):
        fill(doorman.last)
        told: list[int] = []
        doorman.last.on["ending"] = lambda: told.append(len(doorman.last.closes))
        client.write(closing(1000))
        await eventually(lambda: doorman.last.closes == [1000])
        assert told == [0], "once, and before the socket was gone"


async def test_a_client_vanishes(server: Server, doorman: Doorman) -> None:
    async with raw_websocket(server.port) as client:
        client.writer.write_eof()
        assert await client.ended() == b""
        await eventually(lambda: doorman.last.closes == [1006])
    async with raw_websocket(server.port) as client:
        recorder = doorman.last
        client.reset()
        while not recorder.closes:
            recorder.peer.send(b"x" * 9000)
            await asyncio.sleep(0)
        assert recorder.closes == [1006]
    await eventually(lambda: not server.core.server_state.connections)


# Faults.


@pytest.mark.parametrize("event", ["opened", "text", "slow", "closed"])
async def test_a_fault_of_a_handler(
    server: Server, doorman: Doorman, event: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()

    async def admit(upgrade: Upgrade) -> Accept:
        return Accept(recorder)

    def fail() -> None:
        raise KeyError("secret")

    doorman.decide = admit
    recorder.on[event] = fail
    async with raw_websocket(server.port, receive_buffer=4096) as client:
        if event == "slow":
            fill(recorder)
            await eventually(lambda: recorder.slows)
        client.write(masked(b"hello") + closing(1000))
        got = await client.close_code()
        client.write(closing(1000))
    await eventually(lambda: recorder.closes)
    assert (got, recorder.closes) == ((1000, [1000]) if event == "closed" else (1011, [1011]))
    await eventually(lambda: not server.core.server_state.connections)
    assert [(r.name, r.exc_info is not None) for r in caplog.records] == [("artcafe.gateway", True)]
    caplog.clear()


@pytest.mark.parametrize(("code", "close"), [(Code.bad_frame, 1003), (Code.conflict, 1011)])
async def test_an_error_that_a_handler_lets_out(
    server: Server, doorman: Doorman, code: Code, close: int, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> None:
        raise ArtcafeError(code, "What was wrong.")

    async with raw_websocket(server.port) as client:
        doorman.last.on["text"] = refuse
        client.write(masked(b"hello"))
        assert await client.frame() == (CLOSE, close.to_bytes(2, "big") + b"What was wrong.")
    assert len(caplog.records) == (close == 1011)
    caplog.clear()


# All of them end, and leave nothing.


async def test_resets_at_any_moment(server: Server, doorman: Doorman) -> None:
    chance = random.Random(6455)

    async def admit(upgrade: Upgrade) -> Accept:
        await asyncio.sleep(chance.choice((0, 0, 0.001)))
        recorder = doorman.hire()
        recorder.on["opened"] = lambda: recorder.peer.send(b"x" * chance.choice((10, 9_000, 900_000)))
        return Accept(recorder)

    doorman.decide = admit

    async def client(number: int) -> None:
        async with raw_client(server.port, receive_buffer=4096) as raw:
            raw.write(UPGRADE.format(target="/").encode())
            if number % 2:
                await raw.answer()
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(chance.choice((0, 0.001, 0.004)))
                part = chance.choice(
                    (masked(b"x" * 5000), masked(b"y")[:3], closing(1000), masked(b"", PING))
                )
                raw.write(part)
            await asyncio.sleep(chance.choice((0, 0.001, 0.004)))
            if chance.random() < 0.7:
                raw.reset()

    for _ in range(6):
        await asyncio.gather(*(client(number) for number in range(24)))
    await eventually(lambda: not server.core.server_state.connections)
    opened = [recorder for recorder in doorman.recorders if recorder.opens]
    assert len(opened) >= 6 * 12
    assert {(recorder.opens, len(recorder.closes)) for recorder in opened} == {(1, 1)}
    assert not any(recorder.closes for recorder in doorman.recorders if not recorder.opens)


@pytest.mark.parametrize("who", ["server", "client", "nobody"])
async def test_what_ended_is_freed_at_once(server: Server, doorman: Doorman, who: str) -> None:
    gc.collect()
    gc.disable()
    try:
        async with raw_websocket(server.port) as client:
            handler = weakref.ref(doorman.last)
            peer = weakref.ref(doorman.last.peer)
            if who == "server":
                doorman.last.peer.close(4000)
            elif who == "client":
                client.write(closing(1000))
                await client.close_code()
        doorman.forget()
        await eventually(lambda: handler() is None and peer() is None)
    finally:
        gc.enable()


async def test_a_refused_client_that_does_not_read(doorman: Doorman) -> None:
    app = FastAPI()

    @app.get("/large")
    async def large() -> Response:
        return Response(bytes(5_000_000))

    async with (
        serving(app, doorman, HASTY) as server,
        raw_client(server.port, receive_buffer=4096) as client,
    ):
        client.write(b"GET /large HTTP/1.1\r\nHost: test\r\n\r\n")
        await eventually(lambda: server.core.server_state.total_requests)
        client.write(UPGRADE.format(target="/").replace("Version: 13", "Version: 8").encode())
        await eventually(lambda: not server.core.server_state.connections)


async def test_the_server_stops() -> None:
    """Everybody is told, and nobody can hold it up: not by silence, not by not reading."""
    doorman = Doorman()
    async with (
        serving(FastAPI(), doorman, replace(HASTY, handshake_seconds=10 * PATIENCE)) as server,
        connect(server.ws) as polite,
        raw_websocket(server.port) as silent,
        raw_websocket(server.port, receive_buffer=4096),
        raw_client(server.port) as waiting,
    ):
        fill(doorman.last)
        doorman.gate.clear()
        waiting.write(UPGRADE.format(target="/").encode())
        await eventually(lambda: len(doorman.asked) == 4)
        stop = asyncio.create_task(server.stop())
        with pytest.raises(ConnectionClosed) as closed:
            await polite.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert await silent.close_code() == 1012
        assert (await waiting.answer())[0] == 503
        async with asyncio.timeout(PATIENCE):
            await stop
    assert [recorder.closes for recorder in doorman.recorders] == [[1012]] * 3
    assert doorman.cancelled == 1
