"""What ends live connections, told to every server process after it was stored."""

from msgspec import Struct

from artcafe.server.domain.ids import AgentId, TenantId
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

    def covers(self, agent: AgentId, fingerprint: str) -> bool:
        """Tell whether a connection of this tenant's agent, proven by this key, must go."""
        return (self.agent is None or self.agent == agent) and (
            self.fingerprint is None or self.fingerprint == fingerprint
        )
