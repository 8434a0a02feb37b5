"""What an issuer says of itself, remembered."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from artcafe.server.identity.discovery import IssuerDiscovery
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.issuers import Answer, Issuer, StoppedClock, running_issuer

ENDPOINTS = {
    "authorization_endpoint": "https://a.example/authorize",
    "token_endpoint": "https://a.example/token",
}


@dataclass
class World:
    issuer: Issuer
    clock: StoppedClock
    client: httpx.AsyncClient

    def discovery(self, **given: str) -> IssuerDiscovery:
        return IssuerDiscovery(
            self.issuer.url, self.client, self.clock, given=given, allow_insecure_loopback=True
        )


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running_issuer({}) as issuer, httpx.AsyncClient(verify=False, trust_env=False) as client:
        yield World(issuer, StoppedClock(), client)


async def test_it_is_asked_once_an_hour(world: World) -> None:
    world.issuer.says({"issuer": world.issuer.url, **ENDPOINTS})
    discovery = world.discovery()

    found = await asyncio.gather(*(discovery.document() for _ in range(5)))
    assert found[0]["token_endpoint"] == ENDPOINTS["token_endpoint"]
    assert world.issuer.fetches == 1
    world.clock.advance(3600)
    world.issuer.answer = Answer(status=500)

    assert await discovery.document() == found[0]  # What was had is good enough meanwhile.
    assert world.issuer.fetches == 2


async def test_while_it_was_never_had_it_is_unavailable_and_seldom_asked(world: World) -> None:
    discovery = world.discovery()
    for answer in (Answer(status=500), Answer(b'{"issuer": "https://another.example"}')):
        world.issuer.answer = answer
        for _ in range(3):
            with pytest.raises(ArtcafeError) as refused:
                await discovery.document()
            assert refused.value.code is Code.unavailable
        world.clock.advance(5)

    assert world.issuer.fetches == 2


async def test_what_an_operator_set_goes_before(world: World) -> None:
    world.issuer.says({"issuer": world.issuer.url, **ENDPOINTS})
    token = "https://other.example/token"

    assert (await world.discovery(token_endpoint=token).document())["token_endpoint"] == token
    assert (await world.discovery(**ENDPOINTS).document()) == {"issuer": world.issuer.url, **ENDPOINTS}
    assert world.issuer.fetches == 1


@pytest.mark.parametrize("url", ["http://a.example/", "javascript:alert(1)", "", "https://u:p@a.example/"])
async def test_an_endpoint_that_is_not_safe_is_left_out(world: World, url: str) -> None:
    world.issuer.says({"issuer": world.issuer.url, **ENDPOINTS, "authorization_endpoint": url})

    assert "authorization_endpoint" not in await world.discovery().document()
    with pytest.raises(ValueError, match="authorization_endpoint"):
        world.discovery(authorization_endpoint=url)
