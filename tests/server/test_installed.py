"""What a server process stands on, opened; docs/operating.md, "Restore", on every store and a real NATS."""

import asyncio
import json
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace

from artcafe.server import installed
from artcafe.server.bus.channel_streams import NatsChannelStreams
from artcafe.server.core.installation import Installation
from artcafe.server.domain.channel import Channel
from artcafe.server.domain.durability import LEAST_BYTES, Durability
from artcafe.server.domain.ids import UserId
from artcafe.server.domain.installation import Mark, WrongInstallation
from artcafe.server.domain.tenant import Member, Role, Tenant
from artcafe.server.installed import join, open_store, store_at, until_done, whenever
from artcafe.server.process import SystemClock
from artcafe.server.settings import load
from artcafe.server.store import addresses as at
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.item import Backend, Delete, Put, StoreUnusable
from artcafe.server.store.schema import VERSION
from artcafe.server.store.servers import leases
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import PATIENCE
from tests.kit.nats import Nats, connected, make_tenant, running_nats
from tests.kit.records import a_channel, an_entry
from tests.kit.stores import BACKENDS


def test_dynamodb_without_its_extra_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "artcafe.server.store.dynamodb_calls", None)

    with pytest.raises(ValueError, match="needs the extra `aws`"):
        store_at(load(), "dynamodb:artcafe", SystemClock())


async def test_a_store_is_leased_as_long_as_it_is_open(tmp_path: Path) -> None:
    settings, clock = load(data_dir=tmp_path), SystemClock()
    async with AsyncExitStack() as other:
        looking, _ = await open_store(other, store_at(settings, "sqlite", clock), clock, "looking")
        async with AsyncExitStack() as stack:
            await open_store(stack, store_at(settings, "sqlite", clock), clock, "one")
            assert [lease.server for lease in await leases(looking)] == ["looking", "one"]
        assert [lease.server for lease in await leases(looking)] == ["looking"]


async def test_half_a_copy_is_not_opened(tmp_path: Path) -> None:
    settings, clock = load(data_dir=tmp_path), SystemClock()
    async with AsyncExitStack() as stack:
        store, lease = await open_store(stack, store_at(settings, "sqlite", clock), clock, "one")
        await lease.leave()
        await store.put(Put("COPY", "STATE", {"source": "sqlite:/other", "cursor": None, "rows": 0}))
        with pytest.raises(StoreUnusable, match="half a copy of sqlite:/other"):
            await open_store(stack, store_at(settings, "sqlite", clock), clock, "two")
        assert await leases(store) == []


async def test_a_store_of_a_newer_release_is_not_opened(tmp_path: Path) -> None:
    settings, clock = load(data_dir=tmp_path), SystemClock()
    async with AsyncExitStack() as stack:
        store, _ = await open_store(stack, store_at(settings, "sqlite", clock), clock, "one")
        await store.put(Put(*at.SCHEMA, {"version": VERSION + 1, "least": VERSION + 1}))
        with pytest.raises(StoreUnusable, match="written by a newer release"):
            await open_store(stack, store_at(settings, "sqlite", clock), clock, "two")
        assert [lease.server for lease in await leases(store)] == ["one"]


async def test_work_is_done_now_whenever_it_is_asked_for_and_when_it_was_not_for_long() -> None:
    asked, done = asyncio.Event(), asyncio.Semaphore(0)

    async def work() -> None:
        done.release()
        raise ArtcafeError(Code.unavailable)

    async with asyncio.timeout(PATIENCE):
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

    async with asyncio.timeout(PATIENCE):
        await until_done(step)

    assert next(steps, None) is None


# Restore: a store and a bus that are not of the same moment.


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    """One nats-server for all."""
    async with running_nats(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture
async def bus(shared: Nats) -> Nats:
    """A bus without a mark and without tenants, and a clock by which no account is young."""
    async with shared.authority() as authority:
        mark = shared.operator.installation_account(Mark("", 0))[0]
        if await authority.mark() is not None:
            await authority._delete(mark)
        await authority.reconcile([], many=True)
    return shared


@dataclass
class Drill:
    """A store at a bus, as each server process that starts finds it."""

    store: Backend
    bus: Nats

    @property
    def streams(self) -> NatsChannelStreams:
        """What keeps the streams on that bus."""
        return NatsChannelStreams(self.bus.url, self.bus.operator)

    async def start(self, adopt: str | None = None) -> Installation:
        """A server process that joins. Raises WrongInstallation."""
        async with self.bus.authority() as authority:
            return await join(
                load(adopt_bus=adopt), authority, self.streams, Table(self.store), SystemClock()
            )

    async def an_hour_later(self) -> None:
        """Accounts are reconciled by a server that runs."""
        await self.store.delete(Delete("INSTALLATION", "TURN"))
        async with self.bus.authority() as authority:
            installation = await join(load(), authority, self.streams, Table(self.store), SystemClock())
            assert await installation.tend() is not None

    async def make(self, name: str) -> Tenant:
        """A tenant with its account."""
        tenant = make_tenant(name)
        owner = Member(tenant=tenant.id, user=UserId("ada"), role=Role.owner, joined_at=tenant.created_at)
        async with self.bus.authority() as authority:
            await authority.push(tenant)
        await TenantTable(Table(self.store)).create(tenant, owner, an_entry(tenant=name))
        return tenant

    async def streams_of(self, tenant: Tenant) -> dict[str, int]:
        """The streams of a tenant on the bus, and how many messages each may hold."""
        user = self.bus.operator.streams_credentials(tenant)
        async with connected(self.bus.url, user) as client:
            answer = await client.request("$JS.API.STREAM.LIST", b"", timeout=5)
        configs = [stream["config"] for stream in json.loads(answer.data)["streams"] or []]
        return {config["name"]: config["max_msgs"] for config in configs}

    async def mark(self) -> str:
        """The mark of the bus."""
        async with self.bus.authority() as authority:
            return f"{await authority.mark()}"

    async def refusal(self, adopt: str | None = None) -> str:
        """Why no server starts; what the bus holds is as before."""
        before = await self._held()
        with pytest.raises(WrongInstallation) as raised:
            await self.start(adopt)
        assert await self._held() == before
        return f"{raised.value}"

    async def _held(self) -> dict[str, str]:
        async with self.bus.authority() as authority:
            return await authority._every()


async def backed_up(store: Backend, backup: Backend) -> None:
    """Have all rows in the other store, too."""
    cursor = None
    while True:
        rows, cursor = await store.rows(cursor)
        await backup.restore(rows)
        if cursor is None:
            return


@pytest.fixture(params=BACKENDS)
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Backend, Backend]]:
    """Two empty ones."""
    opened = BACKENDS[request.param]
    async with opened(tmp_path, time.time) as store, opened(tmp_path, time.time) as other:
        yield store, other


async def test_an_older_store_at_a_newer_bus_is_refused_until_it_is_said_to_be_right(
    stores: tuple[Backend, Backend], bus: Nats
) -> None:
    store, backup = (Drill(each, bus) for each in stores)
    await store.start()
    kept = await store.make("kept")
    await backed_up(store.store, backup.store)
    later = await store.make("later")
    await store.an_hour_later()

    assert "older than the bus knows it" in await backup.refusal()
    assert await bus.admits(later)
    mark = await store.mark()
    await backup.start(adopt=mark)
    assert await bus.admits(kept)
    assert not await bus.admits(later)
    assert "older than the bus knows it" in await store.refusal(adopt=mark), "it was said once"
    await backup.start(adopt=mark)
    assert await bus.admits(kept)


async def test_a_newer_store_at_an_older_bus_fills_it(
    stores: tuple[Backend, Backend], tmp_path: Path
) -> None:
    """A bus that came back from a copy of its files, or an empty one, or one under the next seed."""
    async with running_nats(tmp_path / "first") as first:
        drill = Drill(stores[0], first)
        await drill.start()
        tenants = [await drill.make("first")]
        shutil.copytree(tmp_path / "first", tmp_path / "second", ignore=shutil.ignore_patterns("*lock*"))
        tenants.append(await drill.make("second"))
        await drill.an_hour_later()
    async with running_nats(tmp_path / "second", seed=first.seed) as second:
        await Drill(stores[0], second).start()
        assert [await second.admits(tenant) for tenant in tenants] == [True, True]
        assert "the store is new" in await Drill(stores[1], second).refusal()
    async with running_nats(tmp_path / "second") as rotated:
        assert rotated.seed != first.seed
        assert "the store is new" in await Drill(stores[1], rotated).refusal()
        await Drill(stores[0], rotated).start()
        assert [await rotated.admits(tenant) for tenant in tenants] == [True, True]
        held = await Drill(stores[0], rotated)._held()
        assert len(held) == len(tenants) + 3, "accounts of the seed before are gone"


async def test_streams_are_those_of_the_store_after_a_reconciliation(
    stores: tuple[Backend, Backend], bus: Nats
) -> None:
    drill = Drill(stores[0], bus)
    await drill.start()
    tenant = await drill.make("acme")
    channels = ChannelTable(Table(drill.store))
    tasks, jobs = (
        a_channel(name, durability=Durability(max_bytes=LEAST_BYTES)) for name in ("tasks", "jobs")
    )
    for channel in (tasks, jobs):
        await channels.create(channel, None, an_entry())
    await drill.an_hour_later()
    assert await drill.streams_of(tenant) == {tasks.stream: -1, jobs.stream: -1}

    def bounded(channel: Channel) -> Channel:
        return replace(channel, durability=Durability(max_bytes=LEAST_BYTES, max_messages=7))

    await channels.change(tenant.id, tasks.id, bounded, an_entry())
    await channels.delete(tenant.id, jobs.id, lambda _: None, an_entry())
    await drill.an_hour_later()
    assert await drill.streams_of(tenant) == {tasks.stream: 7}


async def test_servers_that_start_at_once_with_a_new_store_and_a_new_bus_agree(
    stores: tuple[Backend, Backend], bus: Nats
) -> None:
    drill = Drill(stores[0], bus)
    started = await asyncio.gather(*(drill.start() for _ in range(6)))
    assert {installation.mark.id for installation in started} == {(await drill.mark()).partition(".")[0]}
    assert "the store is new" in await Drill(stores[1], bus).refusal()
