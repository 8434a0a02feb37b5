"""An agent and the keys that prove it."""

from typing import Any

from msgspec import Struct, field

from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.policy import Policy
from artcafe.server.domain.usage import counted_as

MAX_KEYS = 8
"""Keys per agent, revoked ones included until they are removed."""


class AgentKey(Struct, frozen=True, kw_only=True):
    """One SSH public key: `line` in OpenSSH form without comment, `fingerprint` as ssh-keygen prints it."""

    fingerprint: str
    line: str
    type: str
    comment: str = ""
    status: str = "active"
    created_at: str
    revoked_at: str | None = None


class AgentRules(Struct, frozen=True, kw_only=True):
    """The part of an agent that decides about its logins and messages: every login reads it."""

    id: AgentId
    tenant: TenantId
    incarnation: str = ""
    """Tells it from those that had the id before and were deleted; empty where it is older than the field."""
    enabled: bool = True
    policy: Policy = field(default_factory=Policy)
    keys: list[AgentKey] = []

    @property
    def counted_as(self) -> str:
        """The name of its counters, which no agent has after it."""
        return counted_as(self.id, self.incarnation)

    def active_keys(self) -> list[AgentKey]:
        """The keys that may log in now."""
        return [key for key in self.keys if key.status == "active"]


class Agent(AgentRules, frozen=True, kw_only=True):
    """An agent's record. Its connections are not part of it: see core.presence."""

    name: str
    type: str = "agent"
    capabilities: list[str] = []
    capability_definitions: list[Any] | dict[str, Any] = []
    metadata: dict[str, Any] = {}
    version: int = 1
    created_at: str
    updated_at: str
