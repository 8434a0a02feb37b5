"""Leases of server processes: what they said of connected agents holds while their lease does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from artcafe.server.domain.ids import AgentId, TenantId


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as it is stored. `holder` names one process from its start, or from the loss of its lease
    before, and is never used again. `rev` changes with each renewal; `at` is when that was, in Unix seconds,
    by the holder's clock.

    A lease that is `over` was taken from its holder, by the process `by`, which tells who is offline.
    """

    holder: str
    rev: str
    at: float
    over: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class ProcessAgents:
    """The agents of one tenant on one process, with the number of their connections. Those of a `leased` one
    are online while its lease holds; those of an older release until its rows end."""

    agents: Mapping[AgentId, int]
    leased: bool


@dataclass(frozen=True, slots=True)
class HeldTenant:
    """A tenant in which a process has agents, and the name of its partition in the store."""

    tenant: TenantId
    partition: str


class LeaseRecords(Protocol):
    """The leases of all processes. Every method raises unavailable."""

    async def all(self) -> Sequence[Lease]:
        """Those that hold and those that are over."""

    async def take(self, holder: str, at: float) -> str:
        """Make a lease, and return its revision."""

    async def renew(self, holder: str, rev: str, at: float) -> str | None:
        """Renew it, and return its next revision; None when it was taken from its holder."""

    async def end(self, lease: Lease, by: str) -> bool:
        """Take the lease from its holder, or from the process that took it before, unless it changed since it
        was read: True for one of all who try. What the holder said stays, to be cleared."""

    async def leave(self, holder: str) -> None:
        """Remove the lease of a process that has no agents any more."""

    async def lose(self, holder: str, at: float) -> None:
        """Note that this process lost its lease, once it writes nothing any more: whatever it wrote late is
        to be cleared, too."""

    async def held(self, holder: str) -> Sequence[HeldTenant]:
        """The tenants in which the process has agents."""

    async def clear(self, holder: str, held: HeldTenant) -> None:
        """Remove the agents of a process from a tenant, which may be gone by now."""

    async def forget(self, lease: Lease) -> None:
        """Remove a lease that is over, unless something is left to be cleared, or another process took it."""
