"""Opens a server's store with its lease, and the bus that belongs to it."""

import asyncio
import logging
import random
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Protocol

from artcafe.server.bus.accounts.authority import Authority
from artcafe.server.bus.accounts.operator import Operator
from artcafe.server.bus.channel_streams import NatsChannelStreams
from artcafe.server.bus.control import ControlLink
from artcafe.server.bus.memory import MemoryBus
from artcafe.server.bus.tenants import TenantLinks
from artcafe.server.core.installation import Installation
from artcafe.server.domain.installation import WrongInstallation
from artcafe.server.domain.tenant import TenantRules
from artcafe.server.events import AccountsReconciled, StreamsReconciled, note
from artcafe.server.ports.bus import Accounts, Bus, Control, Reconciled
from artcafe.server.ports.channel_streams import NO_STREAMS, ChannelStreams
from artcafe.server.ports.installation import Marked
from artcafe.server.process import SystemClock, new_id
from artcafe.server.settings import Settings
from artcafe.server.store import places
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.copying import require_whole
from artcafe.server.store.installation import InstallationTable
from artcafe.server.store.item import Backend
from artcafe.server.store.memory import MemoryStore
from artcafe.server.store.schema import enter
from artcafe.server.store.servers import ServerLease
from artcafe.server.store.table import Table, translated
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe")

STEP_SECONDS = 0.1
STEP_RETRY_SECONDS = 10.0
"""How long work rests that is done once in the life of a store, between two steps, and when one failed."""

TEND_SECONDS = 5.0
"""How often it is looked whether something is due on the bus."""


class BusAccounts(Accounts, Marked, Protocol):
    """The accounts of tenants on the bus, and the mark of the installation that owns them."""


def store_at(settings: Settings, name: str, clock: SystemClock) -> Backend:
    """The store of that name, not opened yet (store.places). Raises ValueError."""
    return places.store_at(
        name,
        folder=settings.data_dir,
        region=settings.aws_region,
        clock=clock.now,
        new_rev=new_id,
        jitter=random.random,
    )


def in_memory(clock: SystemClock) -> Backend:
    """A store that ends with this process, not opened yet."""
    return MemoryStore(clock=clock.now, new_rev=new_id)


async def open_store(
    stack: AsyncExitStack, store: Backend, clock: SystemClock, server: str
) -> tuple[Backend, ServerLease]:
    """The store, whole and leased by this process, until the stack is left.

    Raises StoreUnusable, StoreUnavailable, ArtcafeError(unavailable).
    """
    await store.open()
    stack.push_async_callback(store.close)
    await require_whole(store)
    await enter(store)
    lease = ServerLease(store, server, clock.now)
    await lease.renew()
    stack.push_async_callback(logged, lease.leave)
    return store, lease


def store_check(store: Backend) -> Callable[[], Awaitable[None]]:
    """A health check of the store; it raises unavailable."""

    async def check() -> None:
        with translated():
            await store.ping()

    return check


async def control_plane(
    stack: AsyncExitStack, settings: Settings, nats_url: str, operator: Operator, memory: MemoryBus | None
) -> tuple[BusAccounts, Control, ChannelStreams]:
    """The accounts, the words between processes, and the streams, on a NATS or in memory, until the stack is
    left. Raises BusRefusedError, ArtcafeError(unavailable)."""
    if memory is not None:
        return memory, memory, memory
    tls = _bus_tls(settings)
    return (
        await stack.enter_async_context(Authority(nats_url, operator, tls=tls)),
        await stack.enter_async_context(ControlLink(nats_url, operator, tls=tls)),
        NatsChannelStreams(nats_url, operator, replicas=settings.stream_replicas, tls=tls),
    )


async def links_of(
    stack: AsyncExitStack,
    settings: Settings,
    nats_url: str,
    operator: Operator,
    memory: MemoryBus | None,
    restore: Callable[[TenantRules], Awaitable[bool]],
) -> Bus:
    """The links of tenants, likewise; `restore` makes an account anew that NATS does not know."""
    if memory is not None:
        return memory
    return await stack.enter_async_context(
        TenantLinks(
            nats_url,
            operator,
            idle_seconds=settings.idle_link_seconds,
            tls=_bus_tls(settings),
            restore=restore,
            replicas=settings.stream_replicas,
        )
    )


def _bus_tls(settings: Settings) -> ssl.SSLContext | None:
    return None if settings.nats_ca is None else ssl.create_default_context(cafile=settings.nats_ca)


def sweep_of(store: Backend) -> Callable[[], Awaitable[None]]:
    """A function that removes expired rows from the store; it raises unavailable."""

    async def sweep() -> None:
        with translated():
            await store.sweep()

    return sweep


async def join(
    settings: Settings, authority: BusAccounts, streams: ChannelStreams, table: Table, clock: SystemClock
) -> Installation:
    """The installation of this store and this bus. Raises WrongInstallation, ArtcafeError(unavailable)."""
    records = TenantTable(table)
    installation = Installation(
        records=InstallationTable(table),
        marked=authority,
        accounts=authority,
        streams=streams,
        tenants=records,
        index=records,
        durable=ChannelTable(table),
        clock=clock,
        new_id=new_id,
        jitter=random.random,
        adopt=settings.adopt_bus,
    )
    _tell(await installation.join(), installation)
    return installation


class Tending:
    """The periodic reconciliation of the bus with the store, called every TEND_SECONDS."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._said = ""

    async def __call__(self) -> None:
        """Do what is due. What is wrong with the installation is logged once. Raises unavailable."""
        try:
            _tell(await self._installation.tend(), self._installation)
            self._said = ""
        except WrongInstallation as fault:
            if f"{fault}" != self._said:
                LOG.error("%s", fault)
            self._said = f"{fault}"


def _tell(done: Reconciled | None, installation: Installation) -> None:
    if done is None:
        return
    note(
        AccountsReconciled(
            pushed=done.pushed, removed=done.removed, kept=done.kept, bus=f"{installation.mark}"
        )
    )
    streams = done.streams
    if streams != NO_STREAMS or done.streams_failed:
        note(
            StreamsReconciled(
                made=streams.made,
                changed=streams.changed,
                deleted=streams.deleted,
                refused=streams.refused,
                failed=done.streams_failed,
            )
        )


async def logged(work: Callable[[], Awaitable[None]]) -> None:
    """Do it; what fails for a moment is logged."""
    try:
        await work()
    except ArtcafeError as error:
        LOG.warning("%s", error)


async def every(seconds: float, *works: Callable[[], Awaitable[None]]) -> None:
    """Do this again and again; what fails for a moment is logged and done again next time.

    Cancelled, it ends what it has begun: of a write that is cut off nobody knows whether it happened.
    """
    async with asyncio.TaskGroup() as tasks:
        while True:
            await asyncio.sleep(seconds)
            for work in works:
                begun = tasks.create_task(logged(work))
                try:
                    await asyncio.shield(begun)
                except asyncio.CancelledError:
                    await asyncio.wait([begun])
                    raise


async def until_done(step: Callable[[], Awaitable[bool]]) -> None:
    """One step after the other, until one says that all is done, and never so fast that others feel it; what
    fails for a moment is logged and tried again after a while."""
    while True:
        pause = STEP_SECONDS
        try:
            if await step():
                return
        except ArtcafeError as error:
            LOG.warning("%s", error)
            pause = STEP_RETRY_SECONDS
        await asyncio.sleep(pause)


async def whenever(asked: asyncio.Event, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """The same now, as soon as it is asked for, and when it was not for so long."""
    while True:
        asked.clear()
        await logged(work)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asked.wait()
