"""The limits of plans in the shape that clients in the field read."""

from artcafe.server.api.plans import PlanLimits
from artcafe.server.domain.plan import plan_named


def test_a_day_is_a_thirtieth_of_a_month_and_many_minutes() -> None:
    assert PlanLimits.of(plan_named("growth")).model_dump() == {
        "max_agents": 10,
        "max_channels": 100,
        "max_messages_per_day": 3_333,
        "max_api_calls_per_day": 720_000,
        "max_storage_bytes": 16 * 1024 * 1024,
        "max_durable_bytes": 64 * 1024 * 1024,
        "max_inbox_messages": 100,
        "max_inbox_bytes": 32 * 1024 * 1024,
        "concurrent_connections": 20,
    }


def test_what_is_unlimited_is_null() -> None:
    limits = PlanLimits.of(plan_named("enterprise")).model_dump()

    assert (
        limits.pop("max_storage_bytes") == 1024 * 1024 * 1024
    )  # What is read as a whole is never unlimited.
    assert limits.pop("max_durable_bytes") == 4096 * 1024 * 1024
    assert limits.pop("max_inbox_bytes") == 1024 * 1024 * 1024
    assert limits.pop("max_inbox_messages") == 1000
    assert set(limits.values()) == {None}
