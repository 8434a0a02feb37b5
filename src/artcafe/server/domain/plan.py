"""Plans: the limits of a tenant. None means unlimited.

A plan belongs to the operator: a tenant has one by name, and single limits of it may be overridden.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

from artcafe.server.domain.tenant import TenantRules
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.names import unknown_fields

MIB: Final = 1024 * 1024

MOST = 2**53 - 1
"""The largest number of a limit: the largest that every reader of JSON knows exactly."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The limits of one plan. Messages are limited per second and connection, API calls per minute and
    process, connections of agents per process. `messages_per_month` are those of a calendar month
    (core.quotas).

    `storage_bytes` are those of the tenant's agents and channels, as JSON; `durable_bytes` is what its
    durable channels may reserve of the bus's disk. `inbox_messages` wait for one agent, or human, in each
    priority; `inbox_bytes` are reserved for all of a tenant's inboxes once there is one. Of these only
    `inbox_messages` may be unlimited.
    """

    name: str
    agents: int | None
    channels: int | None
    connections: int | None
    messages_per_month: int | None
    api_calls_per_minute: int | None
    messages_per_second: int = 200
    storage_bytes: int = 4 * MIB
    durable_bytes: int = 16 * MIB
    inbox_messages: int | None = 100
    inbox_bytes: int = 16 * MIB


PLANS = {
    plan.name: plan
    for plan in (
        Plan("starter", 3, 10, 5, 10_000, 100),
        Plan(
            "growth",
            10,
            100,
            20,
            100_000,
            500,
            storage_bytes=16 * MIB,
            durable_bytes=64 * MIB,
            inbox_bytes=32 * MIB,
        ),
        Plan(
            "scale",
            50,
            500,
            100,
            500_000,
            2_000,
            storage_bytes=64 * MIB,
            durable_bytes=512 * MIB,
            inbox_bytes=128 * MIB,
        ),
        Plan(
            "enterprise",
            None,
            None,
            None,
            None,
            None,
            messages_per_second=1_000,
            storage_bytes=1024 * MIB,
            durable_bytes=4096 * MIB,
            inbox_messages=1_000,
            inbox_bytes=1024 * MIB,
        ),
    )
}

SMALLEST = "starter"

_ALIASES = {"free": "starter", "basic": "growth", "pro": "scale"}

TIERS = (*PLANS, *_ALIASES)
"""Every name a client may send as `subscription_tier`."""


LIMITS = tuple(field.name for field in fields(Plan) if field.name != "name")
"""The names of the limits that may be overridden for one tenant."""

_AT_LEAST_ONE = frozenset({"api_calls_per_minute", "messages_per_second", "inbox_messages", "inbox_bytes"})
_NEVER_UNLIMITED = frozenset({"messages_per_second", "storage_bytes", "durable_bytes", "inbox_bytes"})


def plan_named(tier: str) -> Plan:
    """The plan behind a tier or its older name. Raises KeyError for an unknown one."""
    return PLANS[_ALIASES.get(tier, tier)]


def plan_of(tenant: TenantRules) -> Plan:
    """The limits in force for a tenant: those of its plan, with its overrides in their place.

    A tier that this release does not know has the limits of the smallest plan. An override whose name no
    limit has (any more) changes nothing.
    """
    known = tenant.subscription_tier in TIERS
    plan = plan_named(tenant.subscription_tier) if known else PLANS[SMALLEST]
    if not tenant.limits:
        return plan
    overrides: dict[str, int | None] = {name: tenant.limits[name] for name in LIMITS if name in tenant.limits}
    return replace(plan, **overrides)  # type: ignore[arg-type]  # check_override let them in


def check_tier(tier: str) -> None:
    """Raises validation_failed for a name that no tier has."""
    if tier not in TIERS:
        raise ArtcafeError(Code.validation_failed, "There is no such subscription tier.")


def check_overrides(limits: Mapping[str, int | None]) -> None:
    """Raises validation_failed unless each name is a limit's and each value may be its; None is unlimited."""
    said = unknown_fields(limits, LIMITS)
    if said is not None:
        raise ArtcafeError(Code.validation_failed, f"limits: {said}")
    for name, value in limits.items():
        least = 1 if name in _AT_LEAST_ONE else 0
        if value is None and name in _NEVER_UNLIMITED:
            raise ArtcafeError(Code.validation_failed, f"{name} is never unlimited.")
        if value is not None and not least <= value <= MOST:
            raise ArtcafeError(Code.validation_failed, f"{name} is between {least} and {MOST}.")
