"""One installation in memory, with a tenant in it."""

import pytest

from artcafe.server.domain.principal import Human
from artcafe.server.store.memory import MemoryStore
from artcafe.server.store.presence import PresenceTable
from artcafe.server.store.table import Table
from tests.kit.installation import Installation, Process
from tests.kit.issuers import StoppedClock
from tests.kit.stores import new_rev


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
async def sightings(clock: StoppedClock) -> PresenceTable:
    memory = MemoryStore(clock=clock.now, new_rev=new_rev)
    await memory.open()
    return PresenceTable(Table(memory))


@pytest.fixture
async def installation() -> Installation:
    return await Installation.open()


@pytest.fixture
async def olivia(installation: Installation) -> Human:
    """The owner of the tenant `acme`."""
    return await installation.make_tenant()


@pytest.fixture
async def two_agents(installation: Installation, olivia: Human) -> None:
    """`a1` and `a2` of `acme`."""
    for agent in ("a1", "a2"):
        await installation.make_agent(olivia, agent)


@pytest.fixture
def first(installation: Installation) -> Process:
    return installation.process


@pytest.fixture
def second(installation: Installation) -> Process:
    return installation.start("p2")
