"""What a server process stands on, opened."""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from artcafe.server import installed
from artcafe.server.installed import open_store, store_at, until_done, whenever
from artcafe.server.process import SystemClock
from artcafe.server.settings import load
from artcafe.server.store import addresses as at
from artcafe.server.store.item import Put, StoreUnusable
from artcafe.server.store.schema import VERSION
from artcafe.server.store.servers import leases
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


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


async def test_work_is_done_now_whenever_it_is_asked_for_and_when_it_was_not_for_long() -> None:
    asked, done = asyncio.Event(), asyncio.Semaphore(0)

    async def work() -> None:
        done.release()
        raise ArtcafeError(Code.unavailable)

    async with asyncio.timeout(5):
        for seconds in (0.01, 60.0):
            doing = asyncio.create_task(whenever(asked, seconds, work))
            await done.acquire()
            if seconds == 60.0:
                asked.set()
            await done.acquire()
            doing.cancel()


async def test_steps_are_done_until_there_is_none_whatever_fails_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installed, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(installed, "STEP_RETRY_SECONDS", 0.001)
    planned: list[bool | ArtcafeError] = [False, ArtcafeError(Code.unavailable), False, True]
    steps = iter(planned)

    async def step() -> bool:
        result = next(steps)
        if isinstance(result, ArtcafeError):
            raise result
        return result

    async with asyncio.timeout(5):
        await until_done(step)

    assert next(steps, None) is None
