"""What a policy and channels make of the rights of one principal."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from artcafe.server.domain.access import LADDER, Rights
from artcafe.server.domain.channel import Channel
from artcafe.server.domain.channel_rules import ChannelRules, PublishPermission
from artcafe.server.domain.ids import AgentId, ChannelId, TenantId, UserId
from artcafe.server.domain.policy import Grant, Policy, checked
from artcafe.server.domain.principal import AgentPrincipal, Human, Principal
from artcafe.server.domain.tenant import Role
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import matches, parse_pattern, parse_subject
from tests.kit.outcomes import refused
from tests.kit.records import a_channel
from tests.kit.subjects import pattern_or_none, patterns, patterns_near, subject_or_none, texts

TENANT = TenantId("acme")
AGENT = AgentPrincipal(TENANT, AgentId("a"), "SHA256:x")
OUTSIDE = PublishPermission((), None)
"""What may be published outside of channels."""


def human(role: str) -> Human:
    return Human(TENANT, UserId("ada"), Role(role))


def publishing(allow: list[str] | None = None, deny: list[str] | None = None) -> Rights:
    return Rights(AGENT, Policy(publish=Grant(allow=allow, deny=deny or [])), ChannelRules([]))


def hearing(allow: list[str] | None = None, deny: list[str] | None = None) -> Rights:
    return Rights(AGENT, Policy(subscribe=Grant(allow=allow, deny=deny or [])), ChannelRules([]))


def with_channels(*channels: Channel, principal: Principal = AGENT) -> Rights:
    return Rights(principal, Policy(), ChannelRules(channels))


def permission(rights: Rights, subject: str) -> PublishPermission | None:
    """Where it may publish, or None when it may not."""
    try:
        return rights.publish(parse_subject(subject, TENANT))
    except ArtcafeError as error:
        if error.code is not Code.forbidden:
            raise
        return None


def may_subscribe(rights: Rights, pattern: str, *, queue: bool = False) -> bool:
    try:
        rights.check_subscribe(parse_pattern(pattern, TENANT), queue=queue)
    except ArtcafeError as error:
        if error.code is not Code.forbidden:
            raise
        return False
    return True


class TestPublishing:
    def test_what_is_allowed_is_all_there_is(self) -> None:
        rights = publishing(allow=["tasks.*", "agents.b.>"])

        assert permission(rights, "tasks.new") == permission(rights, "agents.b.x") == OUTSIDE
        for subject in ("tasks", "tasks.new.big", "jobs", "agents.c.x"):
            assert permission(rights, subject) is None

    def test_allowing_nothing_lets_nothing_pass(self) -> None:
        assert permission(publishing(allow=[]), "tasks") is None

    def test_denied_is_denied_whatever_is_allowed(self) -> None:
        for rights in (publishing(deny=["tasks.>"]), publishing(allow=[">"], deny=["tasks.>"])):
            assert permission(rights, "jobs") == OUTSIDE
            assert permission(rights, "tasks.new") is None

    def test_what_begins_with_a_wildcard_reaches_no_agents_own_subjects(self) -> None:
        assert permission(publishing(allow=[">"]), "agents.b.x") is None
        assert permission(publishing(deny=[">"]), "agents.b.x") == OUTSIDE

    def test_no_policy_lets_an_agent_speak_as_the_platform(self) -> None:
        assert permission(publishing(allow=["sys.>", "presence.>"]), "sys.x") is None

    def test_the_policy_of_hearing_is_another(self) -> None:
        assert permission(hearing(allow=[], deny=[">"]), "tasks") == OUTSIDE
        assert may_subscribe(publishing(allow=[], deny=[">"]), "tasks")


class TestSubscribing:
    @pytest.mark.parametrize("queue", [False, True])
    def test_a_pattern_lies_wholly_within_what_is_allowed(self, queue: bool) -> None:
        rights = hearing(allow=["tasks.>", "jobs.*"])

        for pattern in ("tasks.new", "tasks.*", "tasks.>", "jobs.*"):
            assert may_subscribe(rights, pattern, queue=queue)
        for pattern in ("tasks", "jobs.>", "*.new", ">", "other"):
            assert not may_subscribe(rights, pattern, queue=queue)

    def test_a_pattern_that_reaches_into_what_is_denied_is_taken_and_filtered(self) -> None:
        rights = hearing(deny=["tasks.secret.>"])

        assert may_subscribe(rights, ">")
        assert may_subscribe(rights, "tasks.>")
        assert rights.hears("tasks.new")
        assert not rights.hears("tasks.secret.x")

    @pytest.mark.parametrize("queue", [False, True])
    def test_a_pattern_that_is_wholly_denied_is_refused(self, queue: bool) -> None:
        rights = hearing(allow=[">"], deny=["tasks.secret.>"])

        assert not may_subscribe(rights, "tasks.secret.>", queue=queue)
        assert not may_subscribe(rights, "tasks.secret.x", queue=queue)
        assert may_subscribe(rights, "tasks.new", queue=queue)

    def test_in_a_queue_group_a_pattern_reaches_into_nothing_that_is_denied(self) -> None:
        """What one member is kept from would be lost to the group."""
        rights = hearing(deny=["tasks.secret.>"])

        for pattern in (">", "tasks.>", "tasks.*.*", "*.secret.x"):
            assert may_subscribe(rights, pattern)
            assert not may_subscribe(rights, pattern, queue=True)
        assert may_subscribe(rights, "tasks.*", queue=True)

    @pytest.mark.parametrize("own", ["agents.a.>", "agents.a.x", "inbox.a.*"])
    def test_its_own_subjects_are_heard_whatever_is_allowed(self, own: str) -> None:
        for rights in (hearing(allow=[]), hearing(allow=["tasks"], deny=[">", "*.*.*"])):
            assert may_subscribe(rights, own)
            assert may_subscribe(rights, own, queue=True)
            assert rights.hears(own.replace(">", "x").replace("*", "x"))

    def test_its_own_subjects_are_denied_by_name(self) -> None:
        rights = hearing(deny=["agents.a.noise.>"])

        assert not may_subscribe(rights, "agents.a.noise.x")
        assert may_subscribe(rights, "agents.a.>")
        assert not may_subscribe(rights, "agents.a.>", queue=True)
        assert rights.hears("agents.a.x")
        assert not rights.hears("agents.a.noise.x")

    def test_no_policy_lets_an_agent_hear_what_is_anothers(self) -> None:
        rights = hearing(allow=["agents.b.>", "agents.*.>", "inbox.b.*"])

        for pattern in ("agents.b.>", "agents.b.x", "agents.*.x", "inbox.b.x"):
            assert not may_subscribe(rights, pattern)


class TestChannels:
    TASKS = a_channel("tasks", publishers=["a"], subscribers=["a"])
    OTHERS = a_channel("tasks", publishers=["b", "role:owner"], subscribers=["b", "role:owner"])

    def test_who_is_listed_may_and_nobody_else(self) -> None:
        listed, other = with_channels(self.TASKS), with_channels(self.OTHERS)

        assert permission(listed, "tasks") == PublishPermission((ChannelId("tasks"),), None)
        assert may_subscribe(listed, "tasks")
        assert listed.hears("tasks")
        assert permission(other, "tasks") is None
        assert not may_subscribe(other, "tasks")
        assert not other.hears("tasks")

    def test_an_empty_list_is_nobody_and_none_is_everybody(self) -> None:
        nobody, everybody = (
            with_channels(a_channel(publishers=[], subscribers=[])),
            with_channels(a_channel()),
        )

        assert permission(nobody, "tasks") is None
        assert not may_subscribe(nobody, "tasks")
        assert permission(everybody, "tasks") == PublishPermission((ChannelId("tasks"),), None)
        assert may_subscribe(everybody, "tasks")

    def test_publishers_and_subscribers_are_two_lists(self) -> None:
        rights = with_channels(a_channel(publishers=["a"], subscribers=["b"]))

        assert permission(rights, "tasks")
        assert not may_subscribe(rights, "tasks")
        rights = with_channels(a_channel(publishers=["b"], subscribers=["a"]))
        assert permission(rights, "tasks") is None
        assert may_subscribe(rights, "tasks")

    def test_no_agent_is_a_role_and_no_human_an_agent(self) -> None:
        everyone = [f"role:{role}" for role in LADDER]
        agent = with_channels(a_channel(publishers=everyone, subscribers=everyone))
        assert permission(agent, "tasks") is None
        assert not may_subscribe(agent, "tasks")

        ada = with_channels(a_channel(publishers=["ada", "u-ada"]), principal=human("owner"))
        assert permission(ada, "tasks") is None

    @pytest.mark.parametrize("listed", LADDER)
    @pytest.mark.parametrize("role", LADDER)
    def test_a_role_lets_in_itself_and_those_above(self, listed: Role, role: Role) -> None:
        audience = ["b", f"role:{listed}"]
        rights = with_channels(a_channel(publishers=audience, subscribers=audience), principal=human(role))
        above = LADDER.index(role) >= LADDER.index(listed)

        assert may_subscribe(rights, "tasks") is rights.hears("tasks") is above
        # A viewer publishes nothing, whatever a channel says.
        assert (permission(rights, "tasks") is not None) is (above and role is not Role.viewer)

    def test_a_subject_of_several_channels_is_for_whom_all_let(self) -> None:
        first = a_channel("one", subject="tasks.*", publishers=["a"], subscribers=["a"])
        second = a_channel("two", subject="*.new", publishers=["b"], subscribers=["b"])
        rights = with_channels(first, second)

        assert permission(rights, "tasks.old") == PublishPermission((ChannelId("one"),), None)
        assert permission(rights, "tasks.new") is None
        assert (rights.hears("tasks.old"), rights.hears("tasks.new")) == (True, False)
        both = with_channels(first, a_channel("two", subject="*.new"))
        assert permission(both, "tasks.new") == PublishPermission((ChannelId("one"), ChannelId("two")), None)

    def test_a_subject_takes_what_the_smallest_of_its_channels_takes(self) -> None:
        rights = with_channels(
            a_channel("any", subject=">"),
            a_channel("big", subject="tasks.>", max_message_bytes=1000),
            a_channel("small", subject="*.new", max_message_bytes=10),
        )

        assert permission(rights, "jobs") == PublishPermission((ChannelId("any"),), None)
        assert permission(rights, "tasks.x") == PublishPermission((ChannelId("any"), ChannelId("big")), 1000)
        assert permission(rights, "tasks.new") == PublishPermission(
            (ChannelId("any"), ChannelId("big"), ChannelId("small")), 10
        )

    def test_a_channel_is_about_its_own_subjects_and_no_others(self) -> None:
        rights = with_channels(a_channel("all", subject=">", publishers=[], subscribers=[]))

        for elsewhere in ("agents.a.x", "inbox.a.x"):
            assert permission(rights, elsewhere) == OUTSIDE
            assert may_subscribe(rights, elsewhere)
            assert rights.hears(elsewhere)
        assert may_subscribe(rights, "sys.x")

    def test_a_pattern_beyond_a_closed_channel_is_taken_and_filtered_but_in_no_group(self) -> None:
        rights = with_channels(a_channel("vault", subject="vault.>", subscribers=["b"]))

        for pattern in (">", "*.x", "vault.>"):
            assert may_subscribe(rights, pattern) is (pattern != "vault.>")
            assert not may_subscribe(rights, pattern, queue=True)
        assert may_subscribe(rights, "tasks.*", queue=True)
        assert rights.hears("tasks.x")
        assert not rights.hears("vault.x")

    def test_policy_and_channel_have_both_to_let(self) -> None:
        policy = Policy(publish=Grant(deny=["tasks"]), subscribe=Grant(deny=["tasks"]))
        rights = Rights(AGENT, policy, ChannelRules([self.TASKS]))

        assert permission(rights, "tasks") is None
        assert not may_subscribe(rights, "tasks")

    def test_a_refusal_names_the_channel_and_not_who_is_in_it(self) -> None:
        with refused(Code.forbidden) as refusal:
            with_channels(self.OTHERS).publish(parse_subject("tasks", TENANT))

        assert "tasks" in refusal.message
        assert "role:owner" not in refusal.message


LISTS = st.lists(patterns.filter(lambda text: pattern_or_none(text) is not None), max_size=3)


@given(texts.flatmap(lambda text: st.tuples(patterns_near(text), st.just(text))), LISTS, LISTS, st.booleans())
def test_what_a_subscription_brings_was_allowed_and_not_denied(
    pair: tuple[str, str], deny: list[str], closed: list[str], queue: bool
) -> None:
    """A subscription that was taken, and `hears`: nothing comes through both that should not; and in a
    queue group nothing is left for `hears` to take away."""
    pattern, subject = pattern_or_none(pair[0]), subject_or_none(pair[1])
    assume(pattern is not None and subject is not None)
    assert pattern is not None
    assert subject is not None
    assume(matches(pattern.subject, subject.subject))
    policy = checked(Policy(subscribe=Grant(deny=deny)), TENANT)
    channels = [a_channel(f"c{n}", subject=text, subscribers=[]) for n, text in enumerate(closed)]
    rights = Rights(AGENT, policy, ChannelRules(channels))

    forbidden = any(matches(wide, subject.subject) for wide in policy.subscribe.deny) or any(
        matches(channel.pattern, subject.subject) for channel in channels
    )
    assert rights.hears(subject.subject) is not forbidden
    if may_subscribe(rights, pair[0], queue=queue):
        assert pattern.owner in {None, "a"}
        assert not (queue and forbidden)
