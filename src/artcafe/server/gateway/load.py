"""The load of the gateway of one process: counted when somebody asks, in the time that a few hundred
thousand connections a second take."""

from collections import Counter
from dataclasses import dataclass, field

from artcafe.server.domain.principal import Human
from artcafe.server.gateway.hubs import Hubs
from artcafe.server.gateway.login.pending import PendingLogins
from artcafe.server.gateway.registry import ConnectionRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLoad:
    """What a gateway holds. `connections` are counted by kind (`agent`, `human`) and the name of the tenant's
    plan; `queued_bytes` wait for all clients to read, `longest_queue` of them for one; `waiting` are messages
    that are not delivered yet, `gaps` counts tenants' links that may have missed messages."""

    connections: Counter[tuple[str, str]] = field(default_factory=Counter)
    tenants: int = 0
    pending_logins: int = 0
    queued_bytes: int = 0
    longest_queue: int = 0
    waiting: int = 0
    gaps: int = 0


def load_of(registry: ConnectionRegistry, pending_logins: PendingLogins, hubs: Hubs) -> GatewayLoad:
    """Count everything."""
    connections: Counter[tuple[str, str]] = Counter()
    queued = longest = 0
    for connection in registry:
        principal, peer = connection.principal, connection.peer
        if principal is None:
            continue
        kind = "human" if isinstance(principal, Human) else "agent"
        connections[kind, registry.plan_of(principal.tenant)] += 1
        if peer is not None:
            waiting = peer.queued()
            queued += waiting
            longest = max(longest, waiting)
    return GatewayLoad(
        connections=connections,
        tenants=registry.tenants,
        pending_logins=len(pending_logins),
        queued_bytes=queued,
        longest_queue=longest,
        waiting=hubs.waiting(),
        gaps=hubs.gaps,
    )
