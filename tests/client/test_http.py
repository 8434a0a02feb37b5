"""One request against a stand-in server: what is not sent, what comes back, what every failure becomes."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
from fastapi.responses import JSONResponse, PlainTextResponse

from artcafe.client.errors import OutcomeUnknownError
from artcafe.client.http import Http, HttpRequest, path_of
from artcafe.client.rest import Rest, UnreachableError
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.certificates import certificate_files
from tests.kit.rest_stub import TAG, RestStub, problem, unused_url


def http_of(stub: RestStub) -> Http:
    return Http(stub.url, {"authorization": "Bearer t"}, timeout=5.0, tls=None)


async def test_the_tag_of_an_answer_is_in_the_record_and_nowhere_else(stub: RestStub) -> None:
    stub.add_agent("planner")
    http = http_of(stub)

    answer = await http.answer(HttpRequest("GET", path_of("agents", "planner")), record="agent")
    listed = await http.pages("agents", path_of("agents"))

    assert answer["agent"]["etag"] == TAG
    assert "etag" not in answer
    assert "etag" not in listed[0]
    await http.close()


async def test_what_a_request_says_about_itself_travels_as_headers(stub: RestStub) -> None:
    stub.add_agent("planner")
    http = http_of(stub)
    path = path_of("agents", "planner")

    await http.ask(HttpRequest("PUT", path, {"name": "P"}, if_match=TAG, idempotency_key="once"))
    assert (stub.last().headers["if-match"], stub.last().headers["idempotency-key"]) == (TAG, "once")
    await http.ask(HttpRequest("GET", path, query={"a": None, "b": True, "c": "x y"}))
    assert "if-match" not in stub.last().headers
    assert stub.last().query == {"b": "true", "c": "x y"}
    await http.close()


@pytest.mark.parametrize(
    "bad", [HttpRequest("PUT", "/x", if_match="a\nb"), HttpRequest("PUT", "/x", idempotency_key="")]
)
async def test_what_no_header_can_hold_is_not_sent(stub: RestStub, bad: HttpRequest) -> None:
    http = http_of(stub)

    with pytest.raises(ArtcafeError) as refused:
        await http.ask(bad)

    assert refused.value.code is Code.bad_request
    assert stub.asked == []
    await http.close()


@pytest.mark.parametrize(
    ("most", "found", "pages"), [(1, "a", 1), (2, "ab", 1), (3, "abc", 2), (9, "abcde", 3)]
)
async def test_no_more_pages_are_asked_for_than_are_wanted(
    stub: RestStub, most: int, found: str, pages: int
) -> None:
    for name in "abcde":
        stub.add_agent(name)
    http = http_of(stub)

    got = await http.pages("agents", path_of("agents"), most=most)

    assert "".join(agent["id"] for agent in got) == found
    assert len(stub.asked) == pages
    await http.close()


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

            with pytest.raises(ArtcafeError) as unread:
                await rest.agents()

    assert isinstance(refused.value, OutcomeUnknownError)
    assert "not known" in refused.value.message
    assert unread.value.code is Code.unavailable, "what only reads may be asked again"


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
        tls = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
        async with Rest(url, "t", tls=tls) as rest:
            with pytest.raises(ArtcafeError, match="The connection to the server broke"):
                await rest.tenants()


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate of its own making, for 127.0.0.1."""
    certificate, key = certificate_files(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context
