"""The rules of all channels of a tenant, and what it costs to ask them."""

import pytest

from artcafe.server.domain.access import Rights
from artcafe.server.domain.channel_rules import (
    MAX_PER_SUBJECT,
    MAX_REMEMBERED,
    ChannelRules,
    PublishPermission,
)
from artcafe.server.domain.ids import AgentId, ChannelId, TenantId
from artcafe.server.domain.policy import Grant, Policy
from artcafe.server.domain.principal import AgentPrincipal
from artcafe.wire.codes import Code
from artcafe.wire.subjects import parse_pattern, parse_subject
from tests.kit.outcomes import refused
from tests.kit.records import a_channel

TENANT = TenantId("acme")
AGENT = AgentPrincipal(TENANT, AgentId("a"), "SHA256:x")
MANY = 1000


def rules_of_many() -> ChannelRules:
    return ChannelRules(
        a_channel(f"c{number}", subject=f"c{number}.>", publishers=["a"], subscribers=["a"])
        for number in range(MANY)
    )


def test_a_new_subject_is_matched_without_looking_at_every_channel() -> None:
    rules = rules_of_many()
    rights = Rights(AGENT, Policy(), rules)
    for number in range(50):
        permission = rights.publish(parse_subject(f"c7.new.{number}", TENANT))
        assert permission == PublishPermission((ChannelId("c7"),), None)
        assert rights.hears(f"c8.new.{number}")
    assert rules.visited <= 50 * 2 * 5, "a subject has five tokens on the bus, and meets one node for each"


def test_a_known_subject_is_not_matched_again_by_whoever_asks() -> None:
    rules = rules_of_many()
    rules.of("c7.x")
    before = rules.visited
    for _ in range(20):
        rights = Rights(AGENT, Policy(), rules)
        assert rights.hears("c7.x")
        assert rights.publish(parse_subject("c7.x", TENANT)).channels == ("c7",)
    assert rules.visited == before


def test_a_subscription_is_checked_without_looking_at_every_channel() -> None:
    rules = rules_of_many()
    rights = Rights(AGENT, Policy(), rules)
    rights.check_subscribe(parse_pattern("c7.*", TENANT), queue=False)
    rights.check_subscribe(parse_pattern("c7.*", TENANT), queue=True)
    assert rules.visited <= 2 * 5


def test_a_long_policy_is_matched_by_a_tree() -> None:
    denied = [f"secret{number}.>" for number in range(100)]
    rights = Rights(AGENT, Policy(publish=Grant(deny=denied), subscribe=Grant(deny=denied)), ChannelRules([]))
    for number in range(50):
        assert rights.hears(f"open.{number}")
        rights.publish(parse_subject(f"open.{number}", TENANT))
    for patterns in (rights._deny_publish, rights._deny_subscribe):
        assert patterns._tree is not None
        assert patterns._tree.visited <= 50 * 4


def test_what_is_remembered_of_subjects_is_bounded() -> None:
    rules = rules_of_many()
    for number in range(3 * MAX_REMEMBERED):
        rules.of(f"c1.{number}")
    assert len(rules._known) <= MAX_REMEMBERED


def overlapping(number: int) -> ChannelRules:
    return ChannelRules(a_channel(f"c{each}", subject="tasks.>") for each in range(number))


def test_a_subject_of_too_many_channels_is_closed_to_everybody() -> None:
    """Each message of it would be counted in every one of them."""
    subject = parse_subject("tasks.x", TENANT)
    taken, refusing = (
        Rights(AGENT, Policy(), overlapping(number)) for number in (MAX_PER_SUBJECT, MAX_PER_SUBJECT + 1)
    )
    assert len(taken.publish(subject).channels) == MAX_PER_SUBJECT
    assert taken.hears("tasks.x")
    with refused(Code.too_many_channels):
        refusing.publish(subject)
    assert not refusing.hears("tasks.x")
    assert refusing.hears("jobs")
    assert refusing.publish(parse_subject("jobs", TENANT)) == PublishPermission((), None)


@pytest.mark.parametrize(("subject", "fits"), [("tasks.x", False), ("*.x", False), ("jobs", True)])
def test_a_channel_that_would_make_it_too_many_has_no_room(subject: str, fits: bool) -> None:
    rules = overlapping(MAX_PER_SUBJECT)
    channel = a_channel("new", subject=subject)
    if fits:
        rules.check_room(channel)
    else:
        with refused(Code.too_many_channels):
            rules.check_room(channel)


def test_a_channel_is_not_counted_against_itself() -> None:
    overlapping(MAX_PER_SUBJECT).check_room(a_channel("c0", subject="*.x"))


def test_where_there_are_too_many_already_one_that_adds_none_has_room() -> None:
    overlapping(MAX_PER_SUBJECT + 5).check_room(a_channel("new", subject="jobs"))
