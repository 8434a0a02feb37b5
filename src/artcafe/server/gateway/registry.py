"""The registry of admitted connections on this process."""

from collections.abc import Iterator

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.principal import Principal
from artcafe.server.gateway.sessions.connection import Connection


class ConnectionRegistry:
    """Admitted connections, by tenant and by the name of who is connected."""

    def __init__(self) -> None:
        self._tenants: dict[TenantId, dict[str, dict[Connection, None]]] = {}
        self._plans: dict[TenantId, str] = {}

    def add(self, connection: Connection) -> None:
        """Register a connection that was admitted."""
        principal = connection.principal
        assert principal is not None
        here = self._tenants.setdefault(principal.tenant, {})
        here.setdefault(principal.sender, {})[connection] = None

    def remove(self, connection: Connection) -> Principal | None:
        """Remove a connection: its principal, or None when it is not registered."""
        principal = connection.principal
        if principal is None:
            return None
        here = self._tenants.get(principal.tenant, {})
        mine = here.get(principal.sender, {})
        if connection not in mine:
            return None
        del mine[connection]
        if not mine:
            del here[principal.sender]
        if not here:
            del self._tenants[principal.tenant]
            self._plans.pop(principal.tenant, None)
        return principal

    def know(self, tenant: TenantId, plan: str) -> None:
        """Remember the name of the plan of a tenant, until its last connection is removed."""
        if tenant in self._tenants:
            self._plans[tenant] = plan

    def plan_of(self, tenant: TenantId) -> str:
        """The name of the plan that a tenant here was last known to have; empty where none is known."""
        return self._plans.get(tenant, "")

    @property
    def tenants(self) -> int:
        """The number of tenants that have a connection."""
        return len(self._tenants)

    def count(self, principal: Principal) -> int:
        """The number of connections of a principal."""
        return len(self._tenants.get(principal.tenant, {}).get(principal.sender, ()))

    def tenant(self, tenant: TenantId) -> list[Connection]:
        """The connections of a tenant, as they are now."""
        return [connection for mine in self._tenants.get(tenant, {}).values() for connection in mine]

    def __iter__(self) -> Iterator[Connection]:
        """All connections, as they are now."""
        return iter([connection for tenant in self._tenants for connection in self.tenant(tenant)])

    def __bool__(self) -> bool:
        """Whether there is any connection."""
        return bool(self._tenants)
