"""Plans: what a tenant may have and how fast it may go. None means unlimited."""

from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """The limits of one plan. Rates are per second and connection, quotas per calendar month.

    `storage_bytes` are those of the tenant's agents and channels, as JSON. They are never
    unlimited.
    """

    name: str
    agents: int | None
    channels: int | None
    connections: int | None
    messages_per_month: int | None
    api_calls_per_minute: int | None
    messages_per_second: int = 200
    storage_bytes: int = 4 * MIB


PLANS = {
    plan.name: plan
    for plan in (
        Plan("starter", 3, 10, 5, 10_000, 100),
        Plan("growth", 10, 100, 20, 100_000, 500, storage_bytes=16 * MIB),
        Plan("scale", 50, 500, 100, 500_000, 2_000, storage_bytes=64 * MIB),
        Plan(
            "enterprise",
            None,
            None,
            None,
            None,
            None,
            messages_per_second=1_000,
            storage_bytes=1024 * MIB,
        ),
    )
}

_ALIASES = {"free": "starter", "basic": "growth", "pro": "scale"}

TIERS = (*PLANS, *_ALIASES)
"""Every name a client may send as `subscription_tier`."""


def plan_named(tier: str) -> Plan:
    """The plan behind a tier or its older name. Raises KeyError for an unknown one."""
    return PLANS[_ALIASES.get(tier, tier)]
