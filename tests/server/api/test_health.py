"""Is it alive, is it ready: what probes and people ask, without a token."""

import asyncio

import httpx
import pytest

from artcafe.server.api.readiness import CHECK_SECONDS, FRESH_SECONDS
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.api import Api, good


async def gone() -> None:
    raise ArtcafeError(Code.unavailable, "The bus does not answer.")


async def test_a_healthy_platform_says_so(api: Api, anyone: httpx.AsyncClient) -> None:
    assert good(await anyone.get("/livez")) == {"status": "ok"}
    await api.readiness.probe()
    assert good(await anyone.get("/readyz")) == {"status": "ok", "checks": {"bus": "ok", "store": "ok"}}
    healthy = {
        "status": "healthy",
        "nats_connected": True,
        "store_connected": True,
        "version": "1.2.3",
    }
    assert good(await anyone.get("/health")) == good(await anyone.get("/api/v1/health")) == healthy


async def test_without_its_bus_it_lives_and_is_not_ready(api: Api, anyone: httpx.AsyncClient) -> None:
    api.checks["bus"] = gone
    await api.readiness.probe()

    assert good(await anyone.get("/livez")) == {"status": "ok"}
    assert good(await anyone.get("/readyz"), 503) == {
        "status": "unavailable",
        "checks": {"bus": "The bus does not answer.", "store": "ok"},
    }
    told = good(await anyone.get("/health"), 503)
    assert good(await anyone.get("/api/v1/health"), 503) == told
    assert (told["status"], told["nats_connected"], told["store_connected"]) == ("degraded", False, True)


async def test_without_its_store_it_lives_and_is_not_ready(api: Api, anyone: httpx.AsyncClient) -> None:
    api.checks["store"] = gone
    await api.readiness.probe()

    good(await anyone.get("/readyz"), 503)
    told = good(await anyone.get("/health"), 503)
    assert good(await anyone.get("/api/v1/health"), 503) == told
    assert (told["status"], told["nats_connected"], told["store_connected"]) == ("degraded", True, False)


async def test_what_never_answers_is_not_waited_for(
    api: Api, anyone: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def silent() -> None:
        asked.set()
        await asyncio.Event().wait()

    api.checks["bus"] = silent
    probe = asyncio.create_task(api.readiness.probe())
    await asked.wait()

    # The time of the event loop jumps to the end of the wait.
    loop = asyncio.get_running_loop()
    jumped = loop.time() + CHECK_SECONDS
    monkeypatch.setattr(loop, "time", lambda: jumped)
    await probe
    told = good(await anyone.get("/readyz"), 503)

    assert told["checks"] == {"bus": "no answer within 2 seconds", "store": "ok"}


async def test_store_and_bus_are_asked_once_a_second_whoever_asks(
    api: Api, anyone: httpx.AsyncClient
) -> None:
    asked = 0

    async def counted() -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)

    api.checks |= {"bus": counted, "store": counted}
    for calls in range(1, 4):
        answers = await asyncio.gather(
            *(anyone.get(path) for path in ("/health", "/api/v1/health") for _ in range(20))
        )
        assert [answer.status_code for answer in answers] == [200] * 40
        api.installation.clock.advance(FRESH_SECONDS - 0.01)
        good(await anyone.get("/health"))
        assert asked == 2 * calls
        api.installation.clock.advance(0.01)

    api.checks["bus"] = gone
    assert good(await anyone.get("/health"), 503)["nats_connected"] is False


async def test_a_token_of_any_kind_changes_nothing(api: Api) -> None:
    good(await api.client(authorization="Bearer garbage", x_tenant_id="acme").get("/health"))
