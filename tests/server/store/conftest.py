"""A store of every backend, behind something that can fail, and typed records in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from artcafe.server.store.item import ItemStore
from artcafe.server.store.table import Table
from tests.kit.stores import BACKENDS, SetClock
from tests.kit.unreliable_store import UnreliableStore


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=BACKENDS)
async def backend(
    request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock
) -> AsyncIterator[ItemStore]:
    async with BACKENDS[request.param](tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def unreliable(backend: ItemStore) -> UnreliableStore:
    return UnreliableStore(backend)


@pytest.fixture
def table(unreliable: UnreliableStore) -> Table:
    """It adds to the first of several counters, and waits for nobody."""
    return Table(unreliable, chance=lambda: 0.0)
