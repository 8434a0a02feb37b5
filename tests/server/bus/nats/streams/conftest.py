"""A stream, made by a user who may, and a link that stores in it and reads it over a network that the tests
break: fixtures."""

from collections.abc import AsyncIterator

import pytest_asyncio

from artcafe.server.domain.tenant import Tenant
from tests.kit.deadlines import PATIENCE
from tests.kit.nats import Nats
from tests.kit.proxy import Proxy
from tests.kit.streams import Streaming, StreamMaker, stream_maker, streaming


@pytest_asyncio.fixture
async def maker(nats: Nats, tenant: Tenant) -> AsyncIterator[StreamMaker]:
    """It has made the stream of the channel `tasks.>`."""
    async with stream_maker(nats, tenant) as maker:
        await maker.make()
        yield maker


@pytest_asyncio.fixture
async def process(nats: Nats, proxy: Proxy, tenant: Tenant, maker: StreamMaker) -> AsyncIterator[Streaming]:
    """A process behind the proxy. Calls wait for an absence longer than any test."""
    async with streaming(nats, tenant, proxy.url, patience=2 * PATIENCE) as process:
        yield process


@pytest_asyncio.fixture
async def other(nats: Nats, tenant: Tenant, maker: StreamMaker) -> AsyncIterator[Streaming]:
    """Another process, whose connection never breaks."""
    async with streaming(nats, tenant) as process:
        yield process
