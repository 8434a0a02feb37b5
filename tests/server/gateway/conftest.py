"""A server with an application and WebSockets, on uvloop as in production."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
import uvloop
from fastapi import FastAPI

from artcafe.server.bus.memory import BUFFER_BYTES, MemoryLink
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from tests.kit.doorman import LIMITS, Doorman
from tests.kit.hubs import ACME, Publish, publisher
from tests.kit.servers import Server, serving
from tests.kit.unreliable_bus import UnreliableLink


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running() -> AsyncIterator[tuple[Server, Doorman]]:
    app = FastAPI()

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    doorman = Doorman()
    async with serving(app, doorman, LIMITS) as server:
        yield server, doorman


@pytest.fixture
def server(running: tuple[Server, Doorman]) -> Server:
    return running[0]


@pytest.fixture
def doorman(running: tuple[Server, Doorman]) -> Doorman:
    running[1].forget()
    return running[1]


@pytest.fixture
def link() -> UnreliableLink:
    return UnreliableLink(MemoryLink(BUFFER_BYTES))


@pytest.fixture
def hub(link: UnreliableLink) -> TenantHub:
    return TenantHub(ACME, link, TurnScheduler())


@pytest.fixture
def publish(link: UnreliableLink) -> Publish:
    return publisher(link)


@pytest.fixture
def silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing but events is logged, by picows or asyncio either, unless a test expects it and clears it."""
    caplog.set_level(logging.INFO)
    yield
    assert [
        r for r in caplog.get_records("call") if not r.name.startswith(("uvicorn", "httpx", "artcafe.events"))
    ] == []
