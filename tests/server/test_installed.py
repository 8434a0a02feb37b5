"""What a server process stands on, opened."""

import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from artcafe.server.installed import open_store, store_at
from artcafe.server.process import SystemClock
from artcafe.server.settings import load
from artcafe.server.store import addresses as at
from artcafe.server.store.item import Put, StoreUnusable
from artcafe.server.store.schema import VERSION
from artcafe.server.store.servers import leases


def test_dynamodb_without_its_extra_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "artcafe.server.store.dynamodb_calls", None)

    with pytest.raises(ValueError, match="needs the extra `aws`"):
        store_at(load(), "dynamodb:artcafe", SystemClock())


async def test_a_store_is_leased_as_long_as_it_is_open(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path)
    async with AsyncExitStack() as other:
        looking, _ = await open_store(other, settings, SystemClock(), "looking")
        async with AsyncExitStack() as stack:
            await open_store(stack, settings, SystemClock(), "one")
            assert [lease.server for lease in await leases(looking)] == ["looking", "one"]
        assert [lease.server for lease in await leases(looking)] == ["looking"]


async def test_half_a_copy_is_not_opened(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path)
    async with AsyncExitStack() as stack:
        store, lease = await open_store(stack, settings, SystemClock(), "one")
        await lease.leave()
        await store.put(Put("COPY", "STATE", {"source": "sqlite:/other", "cursor": None, "rows": 0}))
        with pytest.raises(StoreUnusable, match="half a copy of sqlite:/other"):
            await open_store(stack, settings, SystemClock(), "two")
        assert await leases(store) == []


async def test_a_store_of_a_newer_release_is_not_opened(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path)
    async with AsyncExitStack() as stack:
        store, _ = await open_store(stack, settings, SystemClock(), "one")
        await store.put(Put(*at.SCHEMA, {"version": VERSION + 1, "least": VERSION + 1}))
        with pytest.raises(StoreUnusable, match="written by a newer release"):
            await open_store(stack, settings, SystemClock(), "two")
        assert [lease.server for lease in await leases(store)] == ["one"]
