"""Events that use cases tell after a commit: caches, connections, the bus and counters follow the store."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from artcafe.server.domain.change import Change
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.revocation import Revocation
from artcafe.server.domain.tenant import TenantRules


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """What the tenant's account on the bus allows may not be what is stored any more."""

    tenant: TenantRules


@dataclass(frozen=True, slots=True)
class AccountUnowned:
    """An account was made on the bus of a tenant that was then not stored."""

    tenant: TenantRules


@dataclass(frozen=True, slots=True)
class StreamsChanged:
    """The tenant's streams on the bus may not be those of its durable channels any more."""

    tenant: TenantId


@dataclass(frozen=True, slots=True)
class CountersEnded:
    """What these counters of a tenant (domain.usage) count was deleted."""

    tenant: TenantId
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InboxEnded:
    """The owner of an inbox is gone, and what waits in it is for nobody."""

    tenant: TenantId
    owner: str


Event: TypeAlias = (
    Change | Revocation | AccountChanged | AccountUnowned | StreamsChanged | CountersEnded | InboxEnded
)


class Events(Protocol):
    """Whoever writes a record that somebody holds in memory, or that a live connection depends on, tells it
    here after the commit and before the answer; tests/server/core/test_events.py walks every use case.
    """

    async def tell(self, *events: Event) -> None:
        """Tell these, in this order: to this process at once, to the others over the bus.

        The change is stored, whether the bus can be told of it now or not, so nothing here raises
        unavailable. When the call returns it was tried. Where the bus is away it is tried again until it is
        done, so anything may be told twice. What waits is bounded, and lost with the process (event
        `not_told`); how soon receivers look again by themselves bounds what that costs (SECURITY.md).
        """

    async def tell_now(self, revocation: Revocation) -> None:
        """Tell it to every process, this one included, for who goes on only when it was told. Raises
        unavailable: then it may have been told, and is not tried again."""
