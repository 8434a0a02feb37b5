"""Plans are promises to customers: what they allow is spelled out here a second time."""

from itertools import pairwise

import pytest

from artcafe.server.domain.plan import PLANS, TIERS, Plan, plan_named

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
