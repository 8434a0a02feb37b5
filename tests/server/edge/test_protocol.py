"""What one connection may hold and how long it may take, on a real socket."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network

import pytest

from artcafe.server.edge.limits import HttpLimits
from tests.kit.deadlines import eventually
from tests.kit.doorman import Doorman
from tests.kit.http_corpus import IN_CHUNKS, SMUGGLED, WEBSOCKET, chunked, counted, request
from tests.kit.http_wire import Echo, wire
from tests.kit.raw_websocket import raw_websocket
from tests.kit.servers import Server, serving

pytestmark = pytest.mark.asyncio

PATIENT = HttpLimits(head_seconds=60, body_seconds=60, idle_seconds=60, answer_seconds=60)
"""No deadline comes by accident."""
SOON = 1.0
"""A deadline that comes: long enough that what is sent before it is sent in time on a busy machine."""

GET = request()
SLOW = request(target=b"/slow/1")
UPGRADE = request(*WEBSOCKET.rstrip().split(b"\r\n"))


@asynccontextmanager
async def running(echo: Echo | None = None, **given: object) -> AsyncIterator[Server]:
    """A server with these of `serving`'s options."""
    options: dict[str, object] = {"http": PATIENT, **given}
    async with serving((echo or Echo()).app, Doorman(), **options) as server:  # type: ignore[arg-type]  # the tests name them
        yield server


async def gone(server: Server) -> None:
    await eventually(lambda: not server.connections, "the end of every connection")


# Deadlines.


@pytest.mark.parametrize("start", [b"", b"\r\n"])
async def test_a_silent_socket_is_closed_without_a_word(start: bytes) -> None:
    async with running(http=replace(PATIENT, head_seconds=SOON)) as server, wire(server.port) as client:
        await client.send(start)
        assert await client.answer() is None
        await gone(server)


@pytest.mark.parametrize("before", [b"", GET])
async def test_half_a_head_is_408(before: bytes) -> None:
    async with running(http=replace(PATIENT, head_seconds=SOON)) as server, wire(server.port) as client:
        await client.send(before + GET[:20])
        if before:
            assert (await client.answer()).status == 200  # type: ignore[union-attr]
        answer = await client.answer()
        assert answer is not None
        assert (answer.status, b"request_timeout" in answer.body) == (408, True)
        assert await client.answer() is None
    await gone(server)


async def test_a_head_that_drips_is_not_given_more_time() -> None:
    async with running(http=replace(PATIENT, head_seconds=SOON)) as server, wire(server.port) as client:
        await client.send(b"GET / HTTP/1.1\r\nX: ")

        async def drip() -> None:
            while True:
                await client.send(b"a")
                await asyncio.sleep(0.02)

        dripping = asyncio.get_running_loop().create_task(drip())
        answer = await client.answer()
        dripping.cancel()
        assert answer is not None
        assert answer.status == 408


@pytest.mark.parametrize("raw", [counted(), chunked(body=IN_CHUNKS)], ids=["counted", "chunked"])
async def test_silence_inside_a_body_is_408(raw: bytes) -> None:
    echo = Echo()
    async with running(echo, http=replace(PATIENT, body_seconds=SOON)) as server, wire(server.port) as client:
        await client.send(raw[:-10])
        answer = await client.answer()
        assert answer is not None
        assert (answer.status, echo.seen) == (408, [])
        await eventually(lambda: not server.core.server_state.tasks, "the end of the application")
        assert await client.answer() is None


async def test_a_body_that_keeps_coming_may_take_its_time() -> None:
    echo = Echo()
    async with running(echo, http=replace(PATIENT, body_seconds=1.0)) as server, wire(server.port) as client:
        raw = counted()
        for byte in raw:
            await client.send(bytes([byte]))
            await asyncio.sleep(0.015)
        answer = await client.answer()
        assert answer is not None
        assert (answer.status, echo.seen[0]["body"]) == (200, SMUGGLED.decode())


async def test_an_idle_connection_is_closed() -> None:
    async with running(http=replace(PATIENT, idle_seconds=SOON)) as server, wire(server.port) as client:
        await client.send(GET)
        assert (await client.answer()) is not None
        assert await client.answer() is None
        await gone(server)


async def test_a_slow_application_is_nobodys_deadline() -> None:
    echo = Echo()
    echo.gate.clear()
    limits = HttpLimits(head_seconds=SOON, body_seconds=SOON, idle_seconds=60)
    async with running(echo, http=limits) as server, wire(server.port) as client:
        await client.send(SLOW)
        await asyncio.sleep(1.5 * SOON)  # The deadlines pass.
        echo.gate.set()
        answer = await client.answer()
        assert answer is not None
        assert answer.status == 200


async def test_who_does_not_read_an_answer_is_cut_off() -> None:
    async with running(http=replace(PATIENT, answer_seconds=SOON)) as server:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        with sock:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", server.port))
            await asyncio.get_running_loop().sock_sendall(sock, request(target=b"/large/20000000"))
            await eventually(lambda: server.connections, "the connection")
            await gone(server)
            await eventually(lambda: not server.core.server_state.tasks, "the end of the application")


# Pipelining.


async def test_what_is_not_to_be_answered_yet_is_not_read() -> None:
    echo = Echo()
    echo.gate.clear()
    async with running(echo) as server, wire(server.port) as client, wire(server.port) as neighbour:
        await client.send(b"".join(request(target=b"/slow/%d" % n) for n in range(200_000)))
        for _ in range(5):
            await neighbour.send(GET)
            assert (await neighbour.answer()) is not None
        # Sixteen megabytes were sent: the sockets' own buffers took some, and the server a few reads.
        assert client.writer.transport.get_write_buffer_size() > 4_000_000
        assert len(server.core.server_state.tasks) == 1
        echo.gate.set()
        for n in range(40):
            answer = await client.answer()
            assert answer is not None
            assert json.loads(answer.body)["path"] == f"/slow/{n}"


async def test_at_most_so_many_requests_wait() -> None:
    echo = Echo()
    echo.gate.clear()
    async with running(echo, http=replace(PATIENT, pipelined=3)) as server, wire(server.port) as client:
        await client.send(SLOW * 10)
        await eventually(lambda: server.core.server_state.tasks, "the first request")
        (connection,) = server.connections
        waiting = connection._exchanges  # type: ignore[attr-defined]  # what is counted
        assert len(waiting) == 3
        echo.gate.set()
        for _ in range(10):
            assert (await client.answer()) is not None
            assert len(waiting) <= 3
    assert len(echo.seen) == 10


@pytest.mark.parametrize(
    "broken", [b"nonsense\r\n\r\n", counted(b"Content-Length: 3"), UPGRADE, chunked(body=b"x\r\n")]
)
async def test_a_refusal_waits_for_the_answers_before_it(broken: bytes) -> None:
    echo = Echo()
    echo.gate.clear()
    async with running(echo) as server, wire(server.port) as client, wire(server.port) as neighbour:
        await client.send(SLOW + GET + broken + GET)
        await neighbour.send(GET)
        assert (await neighbour.answer()) is not None
        echo.gate.set()
        answers = [await client.answer() for _ in range(4)]
        assert [answer and answer.status for answer in answers] == [200, 200, 400, None]
    assert len(echo.seen) == 3


# Bodies.


async def test_a_body_is_asked_for_by_who_wants_it() -> None:
    async with running() as server, wire(server.port) as client:
        head, _, body = counted(b"Expect: 100-continue").partition(b"\r\n\r\n")
        await client.send(head + b"\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(body + GET)
        for _ in range(2):
            answer = await client.answer()
            assert answer is not None
            assert answer.status == 200


async def test_an_answer_before_the_body_was_asked_for_ends_the_connection() -> None:
    echo = Echo()
    async with running(echo) as server, wire(server.port) as client:
        raw = request(b"Expect: 100-continue", b"Content-Length: 100", method=b"POST", target=b"/deaf")
        await client.send(raw)
        answer = await client.answer()
        assert answer is not None
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        await client.send(GET)
        assert await client.answer() is None
    assert echo.seen == []


async def test_a_body_that_nobody_wants_is_read_to_its_end_or_to_a_bound() -> None:
    echo = Echo()
    async with running(echo) as server:
        for size, ends in ((1_000_000, False), (1_000_000_000, True)):
            async with wire(server.port) as client:
                await client.send(request(b"Content-Length: %d" % size, method=b"POST", target=b"/deaf"))
                answer = await client.answer()
                assert answer is not None
                assert answer.status == 200
                for _ in range(min(size // 1_000_000, 60)):
                    await client.send(bytes(1_000_000))
                    if not ends:
                        await client.send(GET)
                        assert (await client.answer()) is not None
                if ends:
                    assert await client.answer() is None
    assert len(echo.seen) == 1


async def test_an_application_that_does_not_read_holds_the_client_back() -> None:
    echo = Echo()
    echo.gate.clear()
    async with running(echo) as server, wire(server.port) as client, wire(server.port) as neighbour:
        size = 20_000_000
        await client.send(request(b"Content-Length: %d" % size, method=b"POST", target=b"/slow/1"))
        await client.send(bytes(size))
        for _ in range(5):
            await neighbour.send(GET)
            assert (await neighbour.answer()) is not None
        assert client.writer.transport.get_write_buffer_size() > 4_000_000
        echo.gate.set()
        answer = await client.answer()
        assert answer is not None
        assert len(echo.seen[-1]["body"]) == size


# The end.


async def test_a_client_that_sends_nothing_more_gets_its_answers() -> None:
    echo = Echo()
    echo.gate.clear()
    async with running(echo) as server, wire(server.port) as client:
        await client.send(SLOW + GET)
        client.writer.write_eof()
        await eventually(lambda: server.core.server_state.tasks, "the first request")
        echo.gate.set()
        for _ in range(2):
            answer = await client.answer()
            assert answer is not None
            assert answer.status == 200
        assert await client.answer() is None


async def test_a_request_that_ends_too_early_is_not_carried_out() -> None:
    echo = Echo()
    async with running(echo) as server:
        for raw in (GET[:-2], counted()[:-1], chunked(body=IN_CHUNKS)[:-2]):
            async with wire(server.port) as client:
                await client.send(raw)
                client.writer.write_eof()
                answer = await client.answer()
                assert answer is not None
                assert answer.status == 400
                assert await client.answer() is None
        await gone(server)
    assert echo.seen == []


async def test_a_client_hears_why_while_it_still_sends() -> None:
    """A reset would overtake the refusal."""
    async with running() as server, wire(server.port) as client:
        await client.send(b"GET / HTTP/1.1\r\nX: " + b"a" * 2_000_000)
        answer = await client.answer()
        assert answer is not None
        assert answer.status == 431


async def test_a_stop_lets_finish_what_has_begun() -> None:
    echo = Echo()
    echo.gate.clear()
    async with running(echo) as server, wire(server.port) as idle, wire(server.port) as busy:
        await idle.send(GET)
        assert (await idle.answer()) is not None
        await busy.send(SLOW)
        await eventually(lambda: server.core.server_state.tasks, "the request")
        stopping = asyncio.get_running_loop().create_task(server.stop())
        assert await idle.answer() is None
        echo.gate.set()
        answer = await busy.answer()
        assert answer is not None
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await busy.answer() is None
        await stopping


# How many.


async def test_http_and_websockets_are_counted_together_by_address() -> None:
    echo = Echo()
    echo.gate.clear()
    async with running(echo, most_per_address=3) as server, AsyncExitStack() as stack:
        await stack.enter_async_context(raw_websocket(server.port))
        for _ in range(2):
            client = await stack.enter_async_context(wire(server.port))
            await client.send(SLOW)
        await eventually(lambda: len(server.core.server_state.tasks) == 2, "both requests")
        async with wire(server.port) as refused:
            answer = await refused.answer()
            assert answer is not None
            assert (answer.status, b"too_many_connections" in answer.body) == (429, True)
        async with wire(server.port, local="127.0.0.2") as other:
            await other.send(GET)
            assert (await other.answer()).status == 200  # type: ignore[union-attr]
        assert server.connections.count("127.0.0.1") == 3
        echo.gate.set()
        await stack.aclose()
        await eventually(lambda: server.connections.count("127.0.0.1") == 0, "the end of all of them")


async def test_the_whole_server_is_full_for_everybody() -> None:
    async with (
        running(most=2) as server,
        raw_websocket(server.port),
        raw_websocket(server.port),
        wire(server.port, local="127.0.0.2") as refused,
    ):
        answer = await refused.answer()
        assert answer is not None
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize("bound", ["most", "most_per_address"])
@pytest.mark.parametrize(
    "start",
    [b"", GET[:10], GET, counted()[:-1], chunked(body=IN_CHUNKS)[:-1]],
    ids=["nothing", "half a head", "an answered request", "half a body", "half a chunked body"],
)
async def test_whoever_keeps_the_server_waiting_makes_room(bound: str, start: bytes) -> None:
    bounds: dict[str, object] = {bound: 10}
    async with running(None, **bounds) as server, AsyncExitStack() as stack:
        for _ in range(40):
            silent = await stack.enter_async_context(wire(server.port))
            await silent.send(start)
            await eventually(lambda: server.connections._idle, "its turn")
        async with wire(server.port) as client:
            await client.send(GET)
            assert (await client.answer()).status == 200  # type: ignore[union-attr]
            assert len(server.connections) <= 10
        assert server.connections.evicted >= 31
        assert server.connections.refused == 0


async def test_behind_a_proxy_a_websocket_counts_for_the_client_it_is_for() -> None:
    proxies = [ip_network("127.0.0.1/32")]

    def upgrade(address: str) -> bytes:
        return UPGRADE.replace(b"Host", b"X-Forwarded-For: %b\r\nHost" % address.encode())

    async with running(proxies=proxies, most_per_address=2) as server, AsyncExitStack() as stack:
        for address, expected in (
            ("192.0.2.1", 101),
            ("192.0.2.1", 101),
            ("192.0.2.1", 429),
            ("192.0.2.2", 101),
        ):
            client = await stack.enter_async_context(wire(server.port))
            await client.send(upgrade(address))
            head = await client.reader.readuntil(b"\r\n\r\n")
            assert int(head.split()[1]) == expected
        kept = [await stack.enter_async_context(wire(server.port)) for _ in range(5)]
        for client in kept:
            await client.send(GET)
            assert (await client.answer()).status == 200  # type: ignore[union-attr]
        assert server.connections.count("127.0.0.1") == 0
        assert server.connections.count("192.0.2.1") == 2


async def test_a_request_that_is_refused_before_the_application_is_an_event(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "artcafe.events")
    async with running() as server, wire(server.port) as client:
        await client.send(b"GET /secret HTTP/1.1\r\nHost: a\r\nHost: b\r\nAuthorization: secret\r\n\r\n")
        answer = await client.answer()
        assert answer is not None
        assert answer.status == 400
        await gone(server)

    [record] = [each for each in caplog.records if each.name == "artcafe.events"]
    assert record.__dict__["event"].fields() == {
        "reason": "bad_request",
        "status": 400,
        "address": "127.0.0.1",
    }


async def test_a_retired_connection_is_told_to_close_with_its_first_answer() -> None:
    async with running() as server, wire(server.port) as fresh, wire(server.port) as served:
        await served.send(GET)
        assert (await served.answer()).status == 200  # type: ignore[union-attr]
        await eventually(lambda: len(server.connections) == 2, "both")
        server.connections.retire()
        assert await served.answer() is None, "closed between two requests"
        await fresh.send(GET + GET)
        first = await fresh.answer()
        assert first is not None
        assert (first.status, first.headers["connection"]) == (200, "close")
        assert await fresh.answer() is None, "no second one"
