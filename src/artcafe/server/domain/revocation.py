"""Revocations: they end live connections, and are announced to every server process once stored."""

from msgspec import Struct

from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.principal import AgentPrincipal, Principal
from artcafe.wire.codes import Code

TOPIC = "revoked"
"""The control topic on which revocations travel."""


class Revocation(Struct, frozen=True, omit_defaults=True):
    """A tenant, an agent of it, or one key of that agent lost its right to be connected."""

    tenant: TenantId
    agent: AgentId | None = None
    fingerprint: str | None = None

    @property
    def code(self) -> Code:
        """How the connections are closed."""
        return Code.key_revoked if self.fingerprint else Code.removed

    def covers(self, principal: Principal) -> bool:
        """Tell whether who is connected must go. Humans go with their tenant alone."""
        if principal.tenant != self.tenant or self.agent is None:
            return principal.tenant == self.tenant
        return (
            isinstance(principal, AgentPrincipal)
            and principal.agent == self.agent
            and self.fingerprint in {None, principal.fingerprint}
        )
