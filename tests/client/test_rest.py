"""Management calls against a stand-in server: what is sent, what comes back, what every failure becomes."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi.responses import JSONResponse, PlainTextResponse

from artcafe.client.rest import Rest, UnreachableError
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.rest_stub import SECRET, TOKEN, RestStub, problem, rest_stub, unused_url


@pytest.fixture(scope="module")
def running() -> Iterator[RestStub]:
    with rest_stub() as stub:
        yield stub


@pytest.fixture
def stub(running: RestStub) -> RestStub:
    running.forget()
    return running


async def test_the_token_and_the_tenant_travel_as_headers(stub: RestStub) -> None:
    async with Rest(stub.url + "/", "t.o.k", tenant="acme") as rest:
        assert await rest.tenants() == []

    asked = stub.last()
    assert asked.path == "/api/v1/tenants"
    assert asked.headers["authorization"] == "Bearer t.o.k"
    assert asked.headers["x-tenant-id"] == "acme"


async def test_without_a_tenant_none_is_claimed(stub: RestStub) -> None:
    async with Rest(stub.url, "t") as rest:
        await rest.agents()

    assert "x-tenant-id" not in stub.last().headers


async def test_the_life_of_a_tenant(stub: RestStub) -> None:
    async with Rest(stub.url, "t") as rest:
        made = await rest.create_tenant(name="Acme", id="acme", subscription_tier="growth")
        assert made["tenant_id"] == "acme"
        assert stub.last().body == {"name": "Acme", "id": "acme", "subscription_tier": "growth"}

        assert (await rest.change_tenant("acme", allow_client_challenge=True))[
            "allow_client_challenge"
        ] is True
        assert (stub.last().method, stub.last().body) == ("PUT", {"allow_client_challenge": True})
        assert (await rest.tenant("acme"))["name"] == "Acme"

        await rest.delete_tenant("acme")
        with pytest.raises(ArtcafeError) as refused:
            await rest.tenant("acme")

    assert refused.value.code is Code.not_found


async def test_lists_are_followed_to_their_end(stub: RestStub) -> None:
    for name in "abcde":
        stub.add_agent(name)

    async with Rest(stub.url, "t") as rest:
        found = await rest.agents(status="offline")

    assert [agent["id"] for agent in found] == list("abcde")
    assert [asked.query for asked in stub.asked] == [
        {"status": "offline"},
        {"status": "offline", "next_token": "b"},
        {"status": "offline", "next_token": "d"},
    ]


async def test_the_life_of_an_agent_and_its_keys(stub: RestStub) -> None:
    async with Rest(stub.url, "t") as rest:
        made = await rest.create_agent(name="Planner", id="planner")
        assert made["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
        assert (await rest.change_agent("planner", name="P"))["name"] == "P"
        assert (await rest.agent("planner"))["name"] == "P"

        stub.add_agent("planner", "SHA256:one")
        assert (await rest.add_key("planner", "ssh-ed25519 AAAA"))["fingerprint"] == "SHA256:new"
        assert stub.last().body == {"public_key": "ssh-ed25519 AAAA"}
        assert (await rest.revoke_key("planner", "one"))["status"] == "revoked"
        assert (stub.last().method, stub.last().body) == ("PUT", {"status": "revoked"})
        await rest.delete_key("planner", "one")
        assert await rest.keys("planner") == []

        await rest.delete_agent("planner")

    assert stub.agents == {}


async def test_the_life_of_a_channel(stub: RestStub) -> None:
    async with Rest(stub.url, "t") as rest:
        assert (await rest.create_channel(name="tasks"))["id"] == "tasks"
        assert (await rest.channel("tasks"))["name"] == "tasks"
        assert [channel["id"] for channel in await rest.channels()] == ["tasks"]
        assert (await rest.publish("tasks", {"n": 1}))["message_id"] == "m1"
        assert (stub.last().path, stub.last().body) == ("/api/v1/channels/tasks/messages", {"n": 1})
        await rest.delete_channel("tasks")

    assert stub.channels == {}


async def test_a_local_token_is_asked_for_with_what_was_given(stub: RestStub) -> None:
    async with Rest(stub.url) as rest:
        assert (await rest.local_token(SECRET))["access_token"] == TOKEN
        assert stub.asked[-1].body == {"secret": SECRET}
        await rest.local_token(SECRET, tenant="acme", role="viewer")

    assert stub.asked[-1].body == {"secret": SECRET, "tenant": "acme", "role": "viewer"}


@pytest.mark.parametrize("segment", ["", ".", ".."])
async def test_an_id_that_would_name_another_place_is_not_sent(stub: RestStub, segment: str) -> None:
    async with Rest(stub.url, "t") as rest:
        with pytest.raises(ArtcafeError) as refused:
            await rest.delete_key("planner", segment)

    assert refused.value.code is Code.bad_request
    assert stub.asked == []


async def test_an_id_stays_one_segment(stub: RestStub) -> None:
    async with Rest(stub.url, "t") as rest:
        with pytest.raises(ArtcafeError):
            await rest.agent("../tenants/acme?x=1#y")

    assert stub.last().path == "/api/v1/agents/..%2Ftenants%2Facme%3Fx%3D1%23y"
    assert stub.last().query == {}


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "žeton"])
def test_a_token_that_is_no_header_value_is_refused(token: str) -> None:
    with pytest.raises(ArtcafeError) as refused:
        Rest("http://127.0.0.1:1", token)

    assert token not in refused.value.message or token == ""


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://[", "http://a:x"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ArtcafeError) as refused:
        Rest(url)

    assert refused.value.code is Code.bad_request


async def test_a_refusal_keeps_the_servers_code_words_and_hint(stub: RestStub) -> None:
    stub.answers["GET", "/api/v1/agents"] = problem(
        429, "too_many_connections", "Wait a little.", **{"retry-after": "7"}
    )

    async with Rest(stub.url, "t") as rest:
        with pytest.raises(ArtcafeError) as refused:
            await rest.agents()

    assert refused.value.code is Code.too_many_connections
    assert refused.value.message == "Wait a little."
    assert refused.value.retry_after == 7


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, Code.forbidden), (418, Code.bad_request), (500, Code.unavailable), (502, Code.unavailable)],
)
async def test_a_refusal_without_a_code_is_read_by_its_status(
    stub: RestStub, status: int, code: Code
) -> None:
    stub.answers["GET", "/api/v1/agents"] = PlainTextResponse("<html>", status)

    async with Rest(stub.url, "t") as rest:
        with pytest.raises(ArtcafeError) as refused:
            await rest.agents()

    assert refused.value.code is code
    assert str(status) in refused.value.message
    assert "<html>" not in refused.value.message


async def test_the_plain_detail_of_older_servers_is_kept(stub: RestStub) -> None:
    stub.answers["GET", "/api/v1/agents"] = JSONResponse({"detail": "No agents today."}, 404)

    async with Rest(stub.url, "t") as rest:
        with pytest.raises(ArtcafeError, match="not_found: No agents today"):
            await rest.agents()


@pytest.mark.parametrize(
    "answer",
    [
        PlainTextResponse("<html>It works!</html>"),
        JSONResponse([1]),
        JSONResponse({"agents": None}),
        JSONResponse({}),
    ],
)
async def test_another_server_at_the_address_is_told(stub: RestStub, answer: PlainTextResponse) -> None:
    stub.answers["GET", "/api/v1/agents"] = answer

    async with Rest(stub.url, "t") as rest:
        with pytest.raises(ArtcafeError, match="not an ArtCafe platform"):
            await rest.agents()


async def test_nothing_at_the_address_has_an_error_of_its_own() -> None:
    url = unused_url()

    async with Rest(url, "t") as rest:
        assert await rest.answers() is False
        with pytest.raises(UnreachableError) as refused:
            await rest.agents()

    assert refused.value.url == url
    assert refused.value.code is Code.unavailable


async def test_whatever_answers_is_there(stub: RestStub) -> None:
    stub.answers["GET", "/api/v1/health"] = problem(503, "unavailable", "The bus is away.")

    async with Rest(stub.url) as rest:
        assert await rest.answers() is True


async def test_silence_ends_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with Rest(f"http://127.0.0.1:{silent.getsockname()[1]}", "t", timeout=0.1) as rest:
            with pytest.raises(ArtcafeError) as refused:
                await rest.delete_tenant("acme")

    assert refused.value.code is Code.unavailable
    assert "not known" in refused.value.message


async def test_a_server_without_tls_is_not_called_away(stub: RestStub) -> None:
    async with Rest(stub.url.replace("http:", "https:"), "t") as rest:
        with pytest.raises(ArtcafeError, match="No TLS connection") as refused:
            await rest.tenants()

    assert not isinstance(refused.value, UnreachableError)


async def test_a_certificate_that_nobody_vouches_for_is_told(tmp_path: Path) -> None:
    context = self_signed(tmp_path)
    serving = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with serving:
        url = f"https://127.0.0.1:{serving.sockets[0].getsockname()[1]}"
        async with Rest(url, "t") as rest:
            with pytest.raises(ArtcafeError, match="is not one this machine trusts"):
                await rest.tenants()


async def test_the_callers_own_authorities_are_believed(tmp_path: Path) -> None:
    context = self_signed(tmp_path)
    serving = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with serving:
        url = f"https://127.0.0.1:{serving.sockets[0].getsockname()[1]}"
        tls = ssl.create_default_context(cafile=tmp_path / "server.pem")
        async with Rest(url, "t", tls=tls) as rest:
            with pytest.raises(ArtcafeError, match="The connection to the server broke"):
                await rest.tenants()


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate of its own making, for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    here = x509.IPAddress(IPv4Address("127.0.0.1"))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([here]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return context
