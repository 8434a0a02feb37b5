"""Who may do what: one pure table, asked by REST and by the gateway."""

from enum import StrEnum

from artcafe.server.domain.ids import PLATFORM_SENDER
from artcafe.server.domain.principal import AgentPrincipal, Human, Principal
from artcafe.server.domain.tenant import Role
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import Address


class Action(StrEnum):
    """What a human does inside a tenant, as noun and verb."""

    read = "read"
    change_tenant = "change_tenant"
    delete_tenant = "delete_tenant"
    manage_members = "manage_members"
    manage_agents = "manage_agents"
    manage_channels = "manage_channels"
    publish = "publish"


_VIEWER = frozenset({Action.read})
_MEMBER = _VIEWER | {Action.manage_agents, Action.manage_channels, Action.publish}
_ADMIN = _MEMBER | {Action.change_tenant, Action.manage_members}
_OWNER = _ADMIN | {Action.delete_tenant}

ALLOWED: dict[Role, frozenset[Action]] = {
    Role.viewer: _VIEWER,
    Role.member: _MEMBER,
    Role.admin: _ADMIN,
    Role.owner: _OWNER,
}


def allows(human: Human, action: Action) -> bool:
    """Tell whether a member may do this in the tenant it is a member of."""
    return action in ALLOWED[human.role]


def require(human: Human, action: Action) -> None:
    """Raise forbidden unless the member may do this."""
    if not allows(human, action):
        raise ArtcafeError(Code.forbidden, f"The role {human.role} may not do this ({action}).")


def check_publish(principal: Principal, address: Address) -> None:
    """Raise forbidden unless the principal may publish to the subject.

    Everybody in a tenant may write to an agent's own subjects; that is what they are for.
    """
    if address.platform:
        raise ArtcafeError(Code.forbidden, f"Only the platform ({PLATFORM_SENDER}) publishes there.")
    if isinstance(principal, Human):
        require(principal, Action.publish)


def check_subscribe(principal: Principal, address: Address) -> None:
    """Raise forbidden unless the principal may subscribe to the pattern.

    An agent's own subjects are for that agent, and for humans who manage agents.
    """
    if address.owner is None:
        return
    if isinstance(principal, AgentPrincipal):
        if address.owner != principal.agent:
            raise ArtcafeError(Code.forbidden, "The pattern reaches into another agent's own subjects.")
    else:
        require(principal, Action.manage_agents)
