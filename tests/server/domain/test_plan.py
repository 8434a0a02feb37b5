"""Plans are promises to customers: what they allow is spelled out here a second time."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from artcafe.server.domain.plan import (
    LIMITS,
    MOST,
    PLANS,
    TIERS,
    Plan,
    check_overrides,
    check_tier,
    plan_named,
    plan_of,
)
from artcafe.server.domain.tenant import Tenant
from artcafe.wire.codes import Code
from tests.kit.outcomes import refused
from tests.kit.records import a_tenant

PROMISED = {
    # name: agents, channels, connections, messages a month, calls a minute, messages a second
    "starter": (3, 10, 5, 10_000, 100, 200),
    "growth": (10, 100, 20, 100_000, 500, 200),
    "scale": (50, 500, 100, 500_000, 2_000, 200),
    "enterprise": (None, None, None, None, None, 1_000),
}


def numbers(plan: Plan) -> tuple[int | None, ...]:
    return (
        plan.agents,
        plan.channels,
        plan.connections,
        plan.messages_per_month,
        plan.api_calls_per_minute,
        plan.messages_per_second,
    )


def test_the_plans_are_what_was_promised() -> None:
    assert {name: numbers(plan) for name, plan in PLANS.items()} == PROMISED
    assert all(plan.name == name for name, plan in PLANS.items())


@pytest.mark.parametrize(
    ("tier", "plan"),
    [("free", "starter"), ("basic", "growth"), ("pro", "scale"), *((name, name) for name in PROMISED)],
)
def test_older_names_mean_the_same_plans(tier: str, plan: str) -> None:
    assert plan_named(tier).name == plan


def test_every_tier_has_a_plan() -> None:
    assert set(TIERS) == {"starter", "growth", "scale", "enterprise", "free", "basic", "pro"}
    assert len(set(TIERS)) == len(TIERS)
    for tier in TIERS:
        plan_named(tier)


@pytest.mark.parametrize("tier", ["", "Free", "FREE", "platinum", "none"])
def test_an_unknown_tier_has_none(tier: str) -> None:
    with pytest.raises(KeyError):
        plan_named(tier)


def test_a_larger_plan_is_larger_in_everything() -> None:
    order = [[float("inf") if n is None else n for n in numbers(PLANS[name])] for name in PROMISED]
    for smaller, larger in pairwise(order):
        assert all(a <= b for a, b in zip(smaller, larger, strict=True))


def with_limits(tier: str, **limits: int | None) -> Tenant:
    return replace(a_tenant(), subscription_tier=tier, limits=limits)


def test_without_overrides_the_limits_are_the_plans() -> None:
    for tier in TIERS:
        assert plan_of(with_limits(tier)) is plan_named(tier)


@pytest.mark.parametrize("name", LIMITS)
def test_an_override_takes_the_place_of_one_limit_and_of_no_other(name: str) -> None:
    plan = plan_of(with_limits("free", **{name: 7}))

    assert getattr(plan, name) == 7
    assert plan.name == "starter"
    for other in set(LIMITS) - {name}:
        assert getattr(plan, other) == getattr(PLANS["starter"], other)


def test_an_override_may_be_no_limit_at_all() -> None:
    assert plan_of(with_limits("starter", agents=None)).agents is None


def test_an_override_that_no_limit_has_any_more_changes_nothing() -> None:
    assert plan_of(with_limits("growth", of_old=1)) == PLANS["growth"]


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("value", [1, MOST])
def test_every_limit_takes_a_number(name: str, value: int) -> None:
    check_overrides({name: value})


@pytest.mark.parametrize(
    "limits",
    [
        {"agents": -1},
        {"agents": MOST + 1},
        {"messages_per_second": 0},
        {"messages_per_second": None},
        {"storage_bytes": None},
        {"api_calls_per_minute": 0},
        {"agents": 1, "name": 1},
        {"": 1},
    ],
    ids=str,
)
def test_what_no_limit_can_be_is_refused(limits: dict[str, int | None]) -> None:
    with refused(Code.validation_failed):
        check_overrides(limits)


def test_a_name_that_no_limit_has_is_told_the_nearest() -> None:
    with refused(Code.validation_failed) as refusal:
        check_overrides({"conections": 7})

    assert refusal.message == "limits: there is no field 'conections', 'connections' is the nearest."


def test_a_tier_is_one_of_the_names() -> None:
    for tier in TIERS:
        check_tier(tier)
    with refused(Code.validation_failed):
        check_tier("platinum")
