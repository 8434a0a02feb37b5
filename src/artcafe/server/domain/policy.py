"""An agent's policy: patterns of subjects that it may publish and subscribe to, allowed and denied."""

from msgspec import Struct, field

from artcafe.server.domain.ids import TenantId
from artcafe.wire.subjects import parse_pattern

MAX_PATTERNS = 100
"""Patterns in one list of a policy."""


class Grant(Struct, frozen=True, kw_only=True):
    """Patterns in their short form. What `deny` matches is denied whatever `allow` says; without a list
    of what is allowed, everything is."""

    allow: list[str] | None = None
    deny: list[str] = []


class Policy(Struct, frozen=True, kw_only=True):
    """The policy of one agent. It concerns neither what the agent hears on its own subjects, unless that
    is denied by name, nor what it says of itself in a `presence` frame."""

    publish: Grant = field(default_factory=Grant)
    subscribe: Grant = field(default_factory=Grant)


def checked(policy: Policy, tenant: TenantId) -> Policy:
    """The policy with every pattern in its short form. Raises invalid_subject, and forbidden for a
    pattern that names another tenant."""
    return Policy(publish=_short(policy.publish, tenant), subscribe=_short(policy.subscribe, tenant))


def _short(grant: Grant, tenant: TenantId) -> Grant:
    def short(texts: list[str]) -> list[str]:
        return [parse_pattern(text, tenant).subject for text in texts]

    return Grant(allow=None if grant.allow is None else short(grant.allow), deny=short(grant.deny))
