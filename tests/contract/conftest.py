"""Every bus in turn: fixtures."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.kit.buses import BUSES, Buses
from tests.kit.deadlines import PATIENCE
from tests.kit.nats import Nats, running_nats


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    """One nats-server for all."""
    async with running_nats(tmp_path_factory.mktemp("nats")) as nats:
        yield nats


@pytest_asyncio.fixture(params=BUSES)
async def buses(request: pytest.FixtureRequest, nats: Nats) -> AsyncIterator[Buses]:
    """Each bus in turn; questions are patient."""
    async with BUSES[request.param](nats, 2 * PATIENCE) as buses:
        yield buses


@pytest_asyncio.fixture(params=BUSES)
async def hasty(request: pytest.FixtureRequest, nats: Nats) -> AsyncIterator[Buses]:
    """Each bus in turn, with questions that wait for a tenth of a second."""
    async with BUSES[request.param](nats, 0.1) as buses:
        yield buses
