"""The authenticated caller: an agent or a human."""

from dataclasses import dataclass, field

from artcafe.server.domain.ids import AgentId, TenantId, UserId, human_sender
from artcafe.server.domain.tenant import Role
from artcafe.server.domain.usage import counted_as


@dataclass(frozen=True, slots=True)
class User:
    """A human with a valid token, not yet inside a tenant.

    `hint` is the token's own claim of a tenant: it picks among memberships, it never makes one. `groups`
    are what it names in the claim that the operator chose; domain.groups says what they are worth.
    `remote` is the address and `request` the id of the request that the human makes.
    """

    id: UserId
    email: str = ""
    hint: str | None = None
    remote: str = ""
    request: str = ""
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Human:
    """A user as a member of one tenant. `group` is the one that the role comes from, if it is not stored."""

    tenant: TenantId
    user: UserId
    role: Role
    email: str = ""
    remote: str = ""
    request: str = ""
    groups: frozenset[str] = frozenset()
    group: str = ""

    @property
    def counted_as(self) -> str:
        """Nothing: what a human says is counted for the tenant and in channels."""
        return ""

    @property
    def sender(self) -> str:
        """The human's name on the bus."""
        return human_sender(self.user)


@dataclass(frozen=True, slots=True)
class AgentPrincipal:
    """An agent that proved one of its keys."""

    tenant: TenantId
    agent: AgentId
    fingerprint: str
    incarnation: str = field(default="", compare=False)

    @property
    def counted_as(self) -> str:
        """The name of the agent's counters."""
        return counted_as(self.agent, self.incarnation)

    @property
    def sender(self) -> str:
        """The agent's name on the bus."""
        return self.agent


Principal = Human | AgentPrincipal
