"""One connection: how failures of the network and of `websockets` are told."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from artcafe import ArtcafeError, Backoff
from artcafe.client.endpoint import Endpoint
from artcafe.client.transport import ClosedError, DialError, Transport, dial
from artcafe.wire.codes import Code
from tests.kit.certificates import certificate_files
from tests.kit.deadlines import eventually
from tests.kit.scripted_client import client_of, gap_after
from tests.kit.scripted_server import Peer, Refusal, scripted, stay


async def dialled(url: str, tls: ssl.SSLContext | None = None, seconds: float = 5.0) -> Transport:
    return await dial(
        Endpoint.parse(url, tenant="acme", agent="planner"),
        tls=tls,
        user_agent="test/1",
        max_frame_bytes=10_000,
        seconds=seconds,
        clock=asyncio.get_running_loop().time,
    )


async def greet(peer: Peer) -> None:
    await peer.deliver("n", 1)


async def test_frames_go_both_ways_and_the_moments_are_kept() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(str(await peer.socket.recv()))

    async with scripted(script) as server:
        connection = await dialled(server.url)
        began = connection.heard
        await connection.send(b'"echo"')
        assert await connection.receive() == b'"echo"'
        assert began <= connection.sent <= connection.heard
        await connection.close()
        await connection.close()
        with pytest.raises(ClosedError) as caught:
            await connection.send(b"late")
        assert not caught.value.written


async def test_a_close_of_the_server_keeps_its_code_and_reason() -> None:
    async def script(peer: Peer) -> None:
        await peer.close(4502, "Revoked.")

    async with scripted(script) as server:
        connection = await dialled(server.url)
        with pytest.raises(ClosedError) as caught:
            await connection.receive()
        assert (caught.value.code, caught.value.reason) == (4502, "Revoked.")


async def test_a_lost_connection_is_1006_and_an_abandoned_one_keeps_its_verdict() -> None:
    async def lose(peer: Peer) -> None:
        peer.lose()

    async with scripted(lose, greet) as server:
        connection = await dialled(server.url)
        with pytest.raises(ClosedError) as caught:
            await connection.receive()
        assert caught.value.code == 1006
        connection = await dialled(server.url)
        assert await connection.receive()
        connection.abort(ClosedError(4003))
        with pytest.raises(ClosedError) as caught:
            await connection.receive()
        assert caught.value.code == 4003


async def test_what_this_end_refuses_has_the_code_it_was_refused_with() -> None:
    async def huge(peer: Peer) -> None:
        await peer.deliver("n", "x" * 10_001)

    async with scripted(huge) as server:
        connection = await dialled(server.url)
        with pytest.raises(ClosedError) as caught:
            await connection.receive()
        assert caught.value.code == 1009


async def test_nothing_listening_is_unavailable_with_the_reason() -> None:
    async with scripted(greet) as server:
        url = server.url
    with pytest.raises(DialError, match="No connection to ws://127") as caught:
        await dialled(url)
    assert (caught.value.error.code, caught.value.final, caught.value.mistaken) == (
        Code.unavailable,
        False,
        False,
    )


@contextlib.asynccontextmanager
async def tcp(answer: bytes | None) -> AsyncIterator[str]:
    """A TCP server that says this and hangs up; with None it says nothing and waits. Gives its address."""
    open_connections: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_connections.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        open_connections.discard(writer)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await eventually(lambda: not open_connections, "the end of every connection")


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        (b"", False),
        (b"HTTP/1.1 101 Switching", False),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", False),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n", True),
    ],
)
async def test_what_is_no_websocket_server(answer: bytes, final: bool) -> None:
    async with tcp(answer) as url:
        with pytest.raises(DialError) as caught:
            await dialled(url)
    assert caught.value.final is final


async def test_a_server_that_does_not_answer_the_upgrade_is_given_up() -> None:
    async with tcp(None) as url:
        with pytest.raises(DialError, match=r"no answer within 0\.05 seconds") as caught:
            await dialled(url, seconds=0.05)
    assert not caught.value.final


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with scripted(greet) as server:
        connection = await dialled(server.url)
        assert await connection.receive()
        await connection.close()


@pytest.mark.parametrize(
    ("proxy", "final"),
    [("http://127.0.0.1:1", False), ("gopher://127.0.0.1:1", True), ("socks5://127.0.0.1:1", True)],
)
async def test_a_proxy_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, proxy: str, final: bool) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(DialError) as caught:
        await dialled("wss://pubsub.example.com", tls=ssl.create_default_context())
    assert caught.value.final is final


async def test_tls_works_with_its_authority_and_a_stranger_is_told_at_once(tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificate, key)
    async with scripted(greet, tls=server_side) as server:
        assert server.url.startswith("wss://")
        connection = await dialled(server.url, tls=ssl.create_default_context(cafile=certificate))
        assert await connection.receive()
        await connection.close()
        with pytest.raises(DialError, match="certificate is not trusted") as caught:
            await dialled(server.url, tls=ssl.create_default_context())
        assert (caught.value.final, caught.value.mistaken) == (False, True)


# The upgrade refused.


@pytest.mark.parametrize(
    ("status", "problem", "code", "says"),
    [
        (401, {"code": "unauthorized", "detail": "No such login."}, Code.unauthorized, "No such login"),
        (401, None, Code.unauthorized, "401"),
        (403, {"code": "removed", "detail": "Suspended."}, Code.removed, "Suspended"),
        (404, None, Code.not_found, "404"),
        (302, None, Code.bad_request, "elsewhere"),
        (200, None, Code.protocol_error, "does not speak"),
    ],
)
async def test_an_upgrade_refused_for_good_is_raised_at_once(
    status: int, problem: dict[str, str] | None, code: Code, says: str
) -> None:
    refusal = Refusal(status, problem, {"Location": "ws://127.0.0.1:1/"} if status == 302 else {})
    async with scripted(refusal) as server:
        with pytest.raises(ArtcafeError, match=says) as caught:
            await client_of(server).connect()
    assert caught.value.code is code
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (503, {"code": "unavailable", "detail": "Starting."}),
        (502, None),
        (500, {"code": "internal", "detail": "A fault."}),
        (500, {"code": "bad_request", "detail": "A proxy that is confused."}),
        (429, {"code": "too_many_connections", "detail": "Full."}),
        (429, None),
        (408, None),
    ],
)
async def test_an_upgrade_refused_for_now_is_tried_again(status: int, problem: dict[str, str] | None) -> None:
    async with scripted(Refusal(status, problem), stay) as server, client_of(server) as client:
        assert client.connected
        assert client.reconnects == 0


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(503, {"code": "unavailable", "detail": "x", "retry_after_ms": 100}),
        Refusal(429, {"code": "too_many_connections", "detail": "x"}, {"Retry-After": "0"}),
        Refusal(503, None, {"Retry-After": "1"}),
    ],
)
async def test_an_upgrade_refused_for_a_time_is_tried_after_it(refusal: Refusal) -> None:
    waited = await gap_after(refusal, stay, backoff=Backoff(base=0.001, cap=0.001))
    told = (refusal.problem or {}).get("retry_after_ms", 0) / 1000 or float(
        refusal.headers.get("Retry-After", 0)
    )
    assert told <= waited < told + 1


async def test_a_server_that_does_not_know_the_protocol_is_not_asked_again() -> None:
    async with scripted(stay, speaks=False) as server:
        with pytest.raises(ArtcafeError, match=r"does not speak artcafe\.v1") as caught:
            await client_of(server).connect()
    assert caught.value.code is Code.protocol_error
    assert len(server.requests) == 1
