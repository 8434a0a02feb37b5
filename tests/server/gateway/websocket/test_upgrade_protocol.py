"""The way in: requests to upgrade on a real uvicorn, with clients that err, hurry and leave."""

import asyncio
import contextlib
import json
from dataclasses import replace
from importlib.metadata import version
from ipaddress import ip_network

import httpx
import pytest
from fastapi import FastAPI
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from artcafe.server.gateway.websocket.mount import Accept, Refuse, Upgrade
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.doorman import LIMITS, Doorman, Recorder
from tests.kit.raw_websocket import (
    TEXT,
    UPGRADE,
    RawClient,
    masked,
    raw_client,
)
from tests.kit.servers import Server, serving

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("silence")]


async def test_the_versions_whose_handover_is_known() -> None:
    """handover.py, frame_parser.py and websocket.py lean on how these two are built.

    With another version, read again what uvicorn's `handle_websocket_upgrade` and `Server.shutdown`
    do, and picows' `WSProtocol`, `_send`, and `_get_next_frame`; then this whole folder must pass.
    """
    assert version("uvicorn") == "0.54.0"
    assert version("picows") == "2.3.1"


OFFERED = [Subprotocol("artcafe.v1"), Subprotocol("other")]


async def test_what_the_endpoint_is_asked(server: Server, doorman: Doorman) -> None:
    headers = {"X-Forwarded-For": "6.6.6.6", "X-Tenant-Id": "acme"}
    url = f"{server.ws}/api/v1/ws/agent/a1?tenant_id=acme&x=1&x=2"
    async with connect(url, subprotocols=OFFERED, additional_headers=headers) as client:
        assert client.subprotocol == "artcafe.v1"
        await client.send("hello")
        assert await client.recv() == "hello"
    (upgrade,) = doorman.asked
    assert upgrade.path == "/api/v1/ws/agent/a1"
    assert upgrade.query == {"tenant_id": ["acme"], "x": ["1", "2"]}
    assert upgrade.headers["x-tenant-id"] == "acme"
    assert upgrade.protocols == ("artcafe.v1", "other")
    assert upgrade.host == f"127.0.0.1:{server.port}"
    assert upgrade.remote == doorman.last.peer.remote == "127.0.0.1"


async def test_the_address_behind_a_trusted_proxy(doorman: Doorman) -> None:
    async with serving(FastAPI(), doorman, LIMITS, [ip_network("127.0.0.0/8")]) as server:
        headers = {"X-Forwarded-For": "6.6.6.6, 198.51.100.7"}
        async with connect(server.ws, additional_headers=headers):
            assert doorman.last.peer.remote == "198.51.100.7"


async def test_firefox_sends_two_tokens(server: Server) -> None:
    async with raw_client(server.port) as client:
        request = UPGRADE.format(target="/").replace("Connection: Upgrade", "Connection: keep-alive, Upgrade")
        client.write(request.encode())
        status, headers, _ = await client.answer()
        assert status == 101
        assert headers["sec-websocket-accept"] == "ICX+Yqv66kxgM0FcWaLWlFLwTAI="
        assert "sec-websocket-protocol" not in headers
        client.write(masked(b"hello"))
        assert await client.frame() == (TEXT, b"hello")


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("GET", "POST", 405),
        ("Version: 13", "Version: 8", 426),
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        ("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", "", 400),
        ("Key: AAAAAAAAAAAAAAAAAAAAAA==", "Key: AAAA", 400),
        ("Host: test", "Host: test\r\nHost: again", 400),
        ("Host: test", "Host: test\r\nContent-Length: 2", 400),
    ],
)
async def test_an_unsound_handshake(
    server: Server, doorman: Doorman, old: str, new: str, status: int
) -> None:
    async with raw_client(server.port) as client:
        client.write(UPGRADE.format(target="/").replace(old, new, 1).encode() + b"{}")
        got, headers, body = await client.answer()
        assert got == status
        assert headers["content-type"] == "application/problem+json"
        assert json.loads(body)["status"] == status
        assert await client.ended() == b""
    assert doorman.asked == []
    await eventually(lambda: not server.core.server_state.connections)


async def test_a_refusal(server: Server, doorman: Doorman) -> None:
    async def refuse(upgrade: Upgrade) -> Refuse:
        return Refuse.because(ArtcafeError(Code.not_found, "Nothing is served there."))

    doorman.decide = refuse
    async with raw_client(server.port) as client:
        client.write(UPGRADE.format(target="/elsewhere").encode())
        status, headers, body = await client.answer()
        assert (status, json.loads(body)["code"]) == (404, "not_found")
        assert "date" in headers
        assert await client.ended() == b""
    await eventually(lambda: not server.core.server_state.connections)


async def test_an_error_of_the_endpoint_is_a_refusal(server: Server, doorman: Doorman) -> None:
    async def refuse(upgrade: Upgrade) -> Accept:
        raise ArtcafeError(Code.unauthorized)

    doorman.decide = refuse
    async with raw_client(server.port) as client:
        client.write(UPGRADE.format(target="/").encode())
        status, headers, _ = await client.answer()
        assert (status, headers["www-authenticate"]) == (401, "Bearer")


async def test_a_fault_of_the_endpoint(
    server: Server, doorman: Doorman, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(upgrade: Upgrade) -> Accept:
        raise KeyError("secret")

    async def offer(upgrade: Upgrade) -> Accept:
        return Accept(Recorder(), "never offered")

    for fault in (fail, offer):
        doorman.decide = fault
        async with raw_client(server.port) as client:
            client.write(UPGRADE.format(target="/").encode())
            status, _, body = await client.answer()
            assert status == 500
            assert b"secret" not in body
        assert "the endpoint failed" in caplog.text
        caplog.clear()


async def test_an_endpoint_that_does_not_decide(doorman: Doorman, caplog: pytest.LogCaptureFixture) -> None:
    doorman.gate.clear()
    limits = replace(LIMITS, handshake_seconds=0.05)
    async with serving(FastAPI(), doorman, limits) as server, raw_client(server.port) as client:
        client.write(UPGRADE.format(target="/").encode())
        status, headers, _ = await client.answer()
        assert (status, headers["retry-after"]) == (503, "1")
    assert "longer than 0.05 s" in caplog.text
    caplog.clear()


@pytest.mark.parametrize("leave", [RawClient.reset, lambda client: client.writer.write_eof()])
async def test_a_client_that_leaves_before_the_decision(
    server: Server, doorman: Doorman, leave: object
) -> None:
    assert callable(leave)
    doorman.gate.clear()
    async with raw_client(server.port) as client:
        client.write(UPGRADE.format(target="/").encode())
        await eventually(lambda: doorman.asked)
        leave(client)
        await eventually(lambda: doorman.cancelled)
    await eventually(lambda: not server.core.server_state.connections)
    assert doorman.recorders == []
    await eventually(lambda: not server.core.server_state.tasks)


async def test_a_decision_that_comes_too_late(server: Server, doorman: Doorman) -> None:
    async def stubborn(upgrade: Upgrade) -> Accept:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return Accept(doorman.hire())

    doorman.decide = stubborn
    async with raw_client(server.port) as client:
        client.write(UPGRADE.format(target="/").encode())
        await eventually(lambda: doorman.asked)
        client.reset()
        await eventually(lambda: doorman.recorders)
    await eventually(lambda: not server.core.server_state.tasks)
    assert doorman.last.opens == 0
    assert not server.core.server_state.connections


async def test_a_client_that_does_not_wait_for_the_decision(server: Server, doorman: Doorman) -> None:
    doorman.gate.clear()
    async with raw_client(server.port) as client:
        client.write(UPGRADE.format(target="/").encode())
        await eventually(lambda: doorman.asked)
        client.write(masked(b"one") + masked(b"two"))
        async with httpx.AsyncClient() as rest:
            await rest.get(f"{server.http}/health")
        doorman.gate.set()
        assert (await client.answer())[0] == 101
        client.write(masked(b"three"))
        assert [await client.frame() for _ in range(3)] == [(TEXT, b"one"), (TEXT, b"two"), (TEXT, b"three")]


async def test_bytes_that_come_too_early_are_not_piled_up(server: Server, doorman: Doorman) -> None:
    doorman.gate.clear()
    async with raw_client(server.port) as client, httpx.AsyncClient() as rest:
        client.write(UPGRADE.format(target="/").encode())
        await eventually(lambda: doorman.asked)
        client.write(bytes(40_000_000))
        for _ in range(3):
            await rest.get(f"{server.http}/health")
        assert client.writer.transport.get_write_buffer_size() > 20_000_000
        doorman.gate.set()
        assert (await client.answer())[0] == 101
        assert await client.close_code() == 1002


async def test_rest_on_the_same_port(server: Server) -> None:
    async with (
        connect(f"{server.ws}/health") as one,
        connect(f"{server.ws}/any") as two,
        httpx.AsyncClient(base_url=server.http) as rest,
    ):
        for client in (one, two, one):
            assert (await rest.get("/health")).json() == {"status": "ok"}
            await client.send("hello")
            assert await client.recv() == "hello"
        assert (await rest.get("/any")).status_code == 404
