"""Which durable channels may stand beside each other in one tenant."""

import pytest

from artcafe.server.domain.channel import Channel
from artcafe.server.domain.durability import LEAST_BYTES, Durability
from artcafe.server.domain.durable_channels import MOST_CHANNELS, DurableChannels, check_durable
from artcafe.wire.codes import Code
from tests.kit.outcomes import refused
from tests.kit.records import a_channel


def durable(name: str, subject: str = "", size: int = LEAST_BYTES) -> Channel:
    return a_channel(name, subject=subject, durability=Durability(max_bytes=size))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tasks", "tasks"),
        ("tasks.*", "tasks.new"),
        ("tasks.>", "tasks.a.b"),
        (">", "tasks"),
        ("*.new", "tasks.*"),
        ("*.new.>", "tasks.>"),
        ("*", ">"),
    ],
)
def test_channels_whose_subjects_overlap_are_refused_with_the_name_of_the_other(one: str, other: str) -> None:
    for first, second in ((one, other), (other, one)):
        known = DurableChannels([durable("known", first)])
        with refused(Code.conflict) as refusal:
            check_durable(durable("new", second), known, None)
        assert f"durable channel known, {first}:" in refusal.message


@pytest.mark.parametrize(
    ("one", "other"),
    [("tasks", "jobs"), ("tasks.*", "tasks"), ("tasks.>", "tasks"), ("*", "tasks.new"), ("*.a", "tasks.b")],
)
def test_channels_that_share_no_subject_stand_beside_each_other(one: str, other: str) -> None:
    check_durable(durable("new", one), DurableChannels([durable("known", other)]), None)
    check_durable(durable("new", other), DurableChannels([durable("known", one)]), None)


def test_a_channel_does_not_overlap_with_itself_as_it_was() -> None:
    check_durable(durable("tasks", "tasks.>"), DurableChannels([durable("tasks", "tasks.*")]), None)


def test_a_channel_that_is_not_durable_may_be_anywhere() -> None:
    check_durable(a_channel("new", subject=">"), DurableChannels([durable("known", ">")]), 0)


def test_what_they_reserve_together_is_bounded() -> None:
    known = DurableChannels([durable("a", size=300_000), durable("b", size=300_000)])
    assert known.reserved_bytes == 600_000
    check_durable(durable("c", size=400_000), known, 1_000_000)
    with refused(Code.quota_exceeded) as refusal:
        check_durable(durable("c", size=400_001), known, 1_000_000)
    assert "400000 of them are free" in refusal.message


def test_beyond_a_smaller_plan_a_channel_may_still_get_smaller_and_not_larger() -> None:
    known = DurableChannels([durable("a", size=300_000), durable("b", size=300_000)])
    for size in (300_000, 299_999):
        check_durable(durable("a", size=size), known, 100_000)
    with refused(Code.quota_exceeded):
        check_durable(durable("a", size=300_001), known, 100_000)


def test_there_is_an_end_to_how_many() -> None:
    known = DurableChannels([durable(f"c{number}") for number in range(MOST_CHANNELS)])
    check_durable(durable("c0"), known, None)
    with refused(Code.quota_exceeded):
        check_durable(durable("more"), known, None)
