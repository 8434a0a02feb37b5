"""Authorization: one pure table, used by REST and by the gateway."""

from collections.abc import Sequence
from enum import StrEnum

from artcafe.server.domain.channel_rules import (
    NO_CHANNEL,
    Audience,
    ChannelRules,
    Found,
    PublishPermission,
    too_many_channels,
)
from artcafe.server.domain.ids import PLATFORM_SENDER, agent_id
from artcafe.server.domain.interest import Interest
from artcafe.server.domain.policy import Policy
from artcafe.server.domain.principal import AgentPrincipal, Human, Principal
from artcafe.server.domain.tenant import Role
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import Address, pattern_to_bus, to_bus


class Action(StrEnum):
    """A human's action inside a tenant, as noun and verb."""

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


def may_invite(maker: Role, role: Role) -> bool:
    """Tell whether a member invites somebody into this role: who manages members does, and an owner alone
    invites an owner."""
    return Action.manage_members in ALLOWED[maker] and (role is not Role.owner or maker is Role.owner)


class Patterns:
    """Short patterns of one list of a policy, as a tree that is made when somebody first asks."""

    __slots__ = ("_patterns", "_tree")

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = patterns
        self._tree: Interest[str] | None = None

    def _made(self) -> Interest[str]:
        if self._tree is None:
            self._tree = Interest()
            for pattern in self._patterns:
                self._tree.add(pattern_to_bus(pattern), pattern)
        return self._tree

    def match(self, subject: str) -> bool:
        """Whether one of them receives the subject."""
        return bool(self._patterns) and bool(self._made().of(to_bus("-", subject)))

    def cover(self, pattern: str) -> bool:
        """Whether one of them receives everything that the pattern does."""
        return bool(self._patterns) and bool(self._made().covering(pattern_to_bus(pattern)))

    def overlap(self, pattern: str) -> bool:
        """Whether one of them receives something that the pattern does."""
        if not self._patterns:
            return False
        return next(self._made().overlapping(pattern_to_bus(pattern)), None) is not None


class Rights:
    """The current permissions of one principal on the subjects of its tenant.

    `policy` is an agent's own; `rules` are those of all the tenant's channels, shared by all its principals.
    """

    __slots__ = (
        "_deny_publish",
        "_deny_subscribe",
        "_policy",
        "_principal",
        "_publish",
        "_rules",
        "_subscribe",
    )

    def __init__(self, principal: Principal, policy: Policy, rules: ChannelRules) -> None:
        self._principal = principal
        self._policy = policy
        self._rules = rules
        publish, subscribe = policy.publish, policy.subscribe
        self._publish = None if publish.allow is None else Patterns(publish.allow)
        self._deny_publish = Patterns(publish.deny)
        self._subscribe = None if subscribe.allow is None else Patterns(subscribe.allow)
        self._deny_subscribe = Patterns(subscribe.deny)

    @property
    def rules(self) -> ChannelRules:
        """The rules of all the tenant's channels."""
        return self._rules

    def equals(self, other: "Rights") -> bool:
        """Whether the other ones let the same principal do the same."""
        return (
            self._rules is other._rules
            and self._principal == other._principal
            and self._policy == other._policy
        )

    def publish(self, address: Address) -> PublishPermission:
        """Where the principal may publish. Raises forbidden, too_many_channels.

        An agent's own subjects are like any others here: to be written to is what they are for.
        """
        subject = address.subject
        if address.platform:
            raise ArtcafeError(Code.forbidden, f"Only the platform ({PLATFORM_SENDER}) publishes there.")
        if isinstance(self._principal, Human):
            require(self._principal, Action.publish)
        elif self._deny_publish.match(subject) or not (self._publish is None or self._publish.match(subject)):
            raise ArtcafeError(Code.forbidden, "The agent's policy does not let it publish there.")
        if address.owner is not None:
            return NO_CHANNEL  # Channels are shared subjects.
        found = _checked(self._rules.of(subject))
        for audience in found.publishers:
            if not self._is_in(audience):
                raise ArtcafeError(Code.forbidden, f"Not among who may publish into {audience.channel}.")
        return found.permission

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
            if not own and self._subscribe is not None and not self._subscribe.cover(pattern):
                raise ArtcafeError(Code.forbidden, "The agent's policy does not let it subscribe to that.")
        denied = self._deny_subscribe
        if denied.overlap(pattern) if queue else denied.cover(pattern):
            raise ArtcafeError(Code.forbidden, "The agent's policy does not let it subscribe to that.")
        for audience in self._rules.overlapping(pattern) if queue else self._rules.covering(pattern):
            if not self._is_in(audience):
                raise ArtcafeError(Code.forbidden, f"Not among who may subscribe to {audience.channel}.")

    def hears(self, subject: str) -> bool:
        """Whether what comes by a subscription is for the principal's ears."""
        if self._deny_subscribe.match(subject):
            return False
        found = self._rules.of(subject)
        return not found.too_many and all(self._is_in(audience) for audience in found.subscribers)

    def _is_in(self, audience: Audience) -> bool:
        if isinstance(self._principal, AgentPrincipal):
            return self._principal.agent in audience.members
        return any(ROLE_PREFIX + role in audience.members for role in _at_most(self._principal.role))


def platform_permission(human: Human, address: Address, rules: ChannelRules) -> PublishPermission:
    """The permission to publish in the platform's name, without regard to `publishers`. Raises forbidden,
    too_many_channels."""
    require(human, Action.publish_as_system)
    return NO_CHANNEL if address.owner is not None else _checked(rules.of(address.subject)).permission


def _checked(found: Found) -> Found:
    if found.too_many:
        raise too_many_channels()
    return found


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
