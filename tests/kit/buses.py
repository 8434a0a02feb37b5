"""Every implementation of the bus, as two server processes of one installation see it.

One more line in BUSES, and it is in the contract suite.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

from artcafe.server.bus.control import ControlLink
from artcafe.server.bus.memory import MemoryBus
from artcafe.server.bus.restoration import Restore, no_restoration
from artcafe.server.bus.tenants import TenantLinks
from artcafe.server.domain.tenant import Tenant
from artcafe.server.ports.bus import Accounts, Bus, Control, Link
from artcafe.server.ports.installation import Marked
from tests.kit.nats import Nats, make_tenant

IDLE_SECONDS = 0.1
BUFFER_BYTES = 256 * 1024
PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Buses:
    """What two processes hold. With the memory bus, both are the same object."""

    bus: Bus
    other_bus: Bus
    accounts: Accounts
    marked: Marked
    control: Control
    other_control: Control

    async def tenant(self, name: str = "acme") -> Tenant:
        """A new tenant whose account is there."""
        tenant = make_tenant(name)
        await self.accounts.push(tenant)
        return tenant

    async def links(self, tenant: Tenant) -> tuple[Link, Link]:
        """The links of both processes to one tenant."""
        return await self.bus.link(tenant), await self.other_bus.link(tenant)


@asynccontextmanager
async def memory_buses(_nats: Nats, answer_seconds: float) -> AsyncIterator[Buses]:
    """One MemoryBus."""
    bus = MemoryBus(idle_seconds=IDLE_SECONDS, buffer_bytes=BUFFER_BYTES, answer_seconds=answer_seconds)
    yield Buses(bus, bus, bus, bus, bus, bus)


@asynccontextmanager
async def nats_buses(nats: Nats, answer_seconds: float) -> AsyncIterator[Buses]:
    """Two gateways and an authority on a real nats-server."""
    async with (
        nats.authority() as authority,
        tenant_links(nats) as bus,
        tenant_links(nats) as other_bus,
        control_link(nats, answer_seconds) as control,
        control_link(nats, answer_seconds) as other_control,
    ):
        yield Buses(bus, other_bus, authority, authority, control, other_control)


def tenant_links(
    nats: Nats,
    *,
    url: str = "",
    idle_seconds: float = IDLE_SECONDS,
    buffer_bytes: int = BUFFER_BYTES,
    patience: float = PATIENCE,
    restore: Restore = no_restoration,
) -> TenantLinks:
    """The links of one process, to enter; quick to give up. `url` leads there by another way."""
    return TenantLinks(
        url or nats.url,
        nats.operator,
        idle_seconds=idle_seconds,
        buffer_bytes=buffer_bytes,
        patience=patience,
        restore=restore,
    )


def control_link(nats: Nats, answer_seconds: float) -> ControlLink:
    """The control link of one process, to enter; quick to give up."""
    return ControlLink(nats.url, nats.operator, patience=PATIENCE, answer_seconds=answer_seconds)


OpenBuses: TypeAlias = Callable[[Nats, float], AbstractAsyncContextManager[Buses]]

# Opened on a nats-server; a question is given so many seconds for its answers.
BUSES: dict[str, OpenBuses] = {
    "memory": memory_buses,
    "nats": nats_buses,
}
