"""Who may do what: one pure table, asked by REST and by the gateway."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from artcafe.server.domain.channel import Channel
from artcafe.server.domain.ids import PLATFORM_SENDER, ChannelId, agent_id
from artcafe.server.domain.policy import Grant, Policy
from artcafe.server.domain.principal import AgentPrincipal, Human, Principal
from artcafe.server.domain.tenant import Role
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import Address, covers, matches, overlap


class Action(StrEnum):
    """What a human does inside a tenant, as noun and verb."""

    read = "read"
    change_tenant = "change_tenant"
    delete_tenant = "delete_tenant"
    manage_members = "manage_members"
    manage_agents = "manage_agents"
    manage_channels = "manage_channels"
    publish = "publish"
    publish_as_system = "publish_as_system"
    read_audit = "read_audit"


_VIEWER = frozenset({Action.read})
_MEMBER = _VIEWER | {Action.manage_agents, Action.manage_channels, Action.publish}
_ADMIN = _MEMBER | {
    Action.change_tenant,
    Action.manage_members,
    Action.publish_as_system,
    Action.read_audit,
}
_OWNER = _ADMIN | {Action.delete_tenant}

LADDER = (Role.viewer, Role.member, Role.admin, Role.owner)
"""Each role may do what those before it may."""

ROLE_PREFIX = "role:"
"""What stands before a role where agents and roles are listed together."""

WHO = rf"^([A-Za-z0-9][A-Za-z0-9_-]{{0,62}}|{ROLE_PREFIX}({'|'.join(LADDER)}))$"
"""One of them, as JSON Schema says it."""

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


@dataclass(frozen=True, slots=True)
class Lane:
    """Where a principal may publish: the channels that the subject belongs to, and what they take."""

    channels: tuple[ChannelId, ...]
    max_bytes: int | None


class Rights:
    """What one principal may do with the subjects of its tenant, as things are now.

    `policy` is an agent's own; `channels` are all of the tenant's.
    """

    def __init__(self, principal: Principal, policy: Policy, channels: Iterable[Channel]) -> None:
        self._principal = principal
        self._policy = policy
        self._channels = tuple(channels)
        self._closed = tuple(channel for channel in self._channels if not self._admits(channel.subscribers))

    def publish(self, address: Address) -> Lane:
        """Where the principal may publish. Raises forbidden.

        An agent's own subjects are like any others here: to be written to is what they are for.
        """
        if address.platform:
            raise ArtcafeError(Code.forbidden, f"Only the platform ({PLATFORM_SENDER}) publishes there.")
        if isinstance(self._principal, Human):
            require(self._principal, Action.publish)
        elif not _granted(self._policy.publish, lambda pattern: matches(pattern, address.subject)):
            raise ArtcafeError(Code.forbidden, "The agent's policy does not let it publish there.")
        found = _on(address, self._channels)
        for channel in found:
            if not self._admits(channel.publishers):
                raise ArtcafeError(Code.forbidden, f"Not among who may publish into {channel.id}.")
        return _lane(found)

    def check_subscribe(self, address: Address, *, queue: bool) -> None:
        """Raises forbidden unless the principal may subscribe to the pattern.

        A pattern that reaches farther than the principal may hear is taken, and what the principal may
        not hear does not come (`hears`). In a queue group it is refused: what is kept from one member
        would be lost to the group.
        """
        pattern, own = address.subject, False
        if isinstance(self._principal, Human):
            if address.owner is not None:
                require(self._principal, Action.manage_agents)
        else:
            own = address.owner == self._principal.agent
            if address.owner is not None and not own:
                raise ArtcafeError(Code.forbidden, "The pattern reaches into another agent's own subjects.")
            allowed = self._policy.subscribe.allow
            if not own and allowed is not None and not any(covers(wide, pattern) for wide in allowed):
                raise ArtcafeError(Code.forbidden, "The agent's policy does not let it subscribe to that.")
        reaches = overlap if queue else covers
        if any(reaches(denied, pattern) for denied in self._policy.subscribe.deny):
            raise ArtcafeError(Code.forbidden, "The agent's policy does not let it subscribe to that.")
        for channel in self._closed:
            if reaches(channel.pattern, pattern):
                raise ArtcafeError(Code.forbidden, f"Not among who may subscribe to {channel.id}.")

    def hears(self, subject: str) -> bool:
        """Whether what comes by a subscription is for the principal's ears."""
        return not any(matches(denied, subject) for denied in self._policy.subscribe.deny) and not any(
            matches(channel.pattern, subject) for channel in self._closed
        )

    def _admits(self, audience: list[str] | None) -> bool:
        if audience is None:
            return True
        if isinstance(self._principal, AgentPrincipal):
            return self._principal.agent in audience
        return any(ROLE_PREFIX + role in audience for role in _at_most(self._principal.role))


def platform_lane(human: Human, address: Address, channels: Iterable[Channel]) -> Lane:
    """Where a human publishes in the platform's name, whoever may publish there else. Raises forbidden."""
    require(human, Action.publish_as_system)
    return _lane(_on(address, channels))


def _on(address: Address, channels: Iterable[Channel]) -> list[Channel]:
    if address.owner is not None:
        return []  # Channels are shared subjects.
    return [channel for channel in channels if matches(channel.pattern, address.subject)]


def _lane(channels: list[Channel]) -> Lane:
    sizes = [channel.max_message_bytes for channel in channels if channel.max_message_bytes is not None]
    return Lane(tuple(channel.id for channel in channels), min(sizes, default=None))


def _granted(grant: Grant, fits: Callable[[str], bool]) -> bool:
    allowed = grant.allow is None or any(fits(pattern) for pattern in grant.allow)
    return allowed and not any(fits(pattern) for pattern in grant.deny)


def _at_most(role: Role) -> tuple[Role, ...]:
    return LADDER[: LADDER.index(role) + 1]


def check_audience(audience: list[str]) -> None:
    """Raises validation_failed unless these can be who may: ids of agents, and roles with `role:`."""
    for who in audience:
        if who.startswith(ROLE_PREFIX):
            if who.removeprefix(ROLE_PREFIX) not in LADDER:
                raise ArtcafeError(Code.validation_failed, f"The roles are {', '.join(LADDER)}.")
        else:
            agent_id(who)
