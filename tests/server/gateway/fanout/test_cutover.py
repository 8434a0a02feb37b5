"""Which copies come once while a subscription begins or ends beside groups."""

import asyncio

import pytest
from msgspec import Raw

from artcafe.server.gateway.fanout.cutover import Cutover
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.fanout.subscriber import MAX_CUTOVERS, Topic
from artcafe.server.process import MessageIds
from artcafe.wire.codes import Code
from artcafe.wire.envelopes import Envelope
from artcafe.wire.frames import encode
from artcafe.wire.subjects import parse_pattern, to_bus
from tests.kit.hubs import ACME, Reader
from tests.kit.outcomes import refused
from tests.kit.turns import turns
from tests.kit.unreliable_bus import AWAY, UnreliableLink

ONE, OTHER = "0" * 16, "1" * 16


@pytest.mark.parametrize("closing", [False, True])
def test_until_the_cut_all_comes_by_the_older_kind_and_then_what_is_later_by_the_newer(closing: bool) -> None:
    cutover = Cutover("jobs", ["jobs"], closing=closing)
    older, newer = closing, not closing
    assert [cutover.by_plain(f"{ONE}-{number}") for number in (3, 5, 4)] == [older] * 3
    cutover.cut()
    assert [cutover.by_plain(f"{ONE}-{number}") for number in (1, 5)] == [older] * 2
    assert [cutover.by_plain(f"{ONE}-{number}") for number in (6, 9, 7)] == [newer] * 3
    assert [cutover.by_plain(f"{ONE}-{number}") for number in (6, 5)] == [newer, older], "for ever"
    assert cutover.by_plain(f"{OTHER}-1") is newer, "nothing of that process had come"


def test_what_has_no_number_comes_by_both_after_the_cut() -> None:
    cutover = Cutover("jobs", ["jobs"], closing=False)
    assert cutover.by_plain("m1") is False
    cutover.cut()
    assert cutover.by_plain("m2") is None


def test_what_ends_before_it_has_begun_to_its_end_keeps_to_both_cuts() -> None:
    opening = Cutover("jobs", ["jobs"], closing=False)
    opening.by_plain(f"{ONE}-5")
    opening.cut()
    closing = Cutover("jobs", ["jobs"], closing=True, before=opening)
    assert [closing.by_plain(f"{ONE}-{number}") for number in (4, 5, 6, 8)] == [False, False, True, True]
    closing.cut()
    assert [closing.by_plain(f"{ONE}-{number}") for number in (5, 8, 9)] == [False, True, False]


@pytest.mark.parametrize(
    ("pattern", "groups", "subject", "concerned"),
    [
        ("jobs", ["jobs"], "jobs", True),
        (">", ["jobs", "notes"], "notes", True),
        (">", ["jobs"], "notes", False),
        ("jobs.*", ["*.new"], "jobs.new", True),
        ("jobs.*", ["*.new"], "notes.new", False),
        ("jobs.*", ["*.new"], "jobs.old", False),
    ],
)
def test_it_concerns_what_both_kinds_may_bring(
    pattern: str, groups: list[str], subject: str, concerned: bool
) -> None:
    assert Cutover(pattern, groups, closing=False).concerns(subject) is concerned


# In a hub.


class Publisher:
    """A process that numbers what it publishes."""

    def __init__(self, link: UnreliableLink) -> None:
        self._link = link
        self._new_id = MessageIds()

    def __call__(self, subject: str, data: object) -> None:
        envelope = Envelope(id=self._new_id(), timestamp="t", data=Raw(encode(data)))
        self._link.publish(to_bus("planner", subject), encode(envelope))


async def test_a_subscription_that_is_refused_leaves_its_member_in_the_group_alone(
    hub: TenantHub, link: UnreliableLink
) -> None:
    publish, reader = Publisher(link), Reader(hub)
    await reader.subscribe("jobs", "q")
    link.settling.failure = AWAY
    with refused(Code.unavailable):
        await reader.subscribe("jobs")
    assert reader.subscriber._cutovers == {}
    for number in range(5):
        publish("jobs", number)
    await turns()
    assert reader.got == [("jobs", number) for number in range(5)]


async def test_a_subscription_that_cannot_be_ended_now_goes_on_as_it_was(
    hub: TenantHub, link: UnreliableLink
) -> None:
    publish, reader = Publisher(link), Reader(hub)
    await reader.subscribe("jobs", "q")
    await reader.subscribe("jobs")
    link.settling.failure = AWAY
    with refused(Code.unavailable):
        await reader.unsubscribe("jobs")
    assert reader.subscriber._cutovers == {}
    publish("jobs", 1)
    await turns()
    assert reader.got == [("jobs", 1)]
    link.settling.failure = None
    assert await reader.unsubscribe("jobs")
    publish("jobs", 2)
    await turns()
    assert reader.got == [("jobs", 1), ("jobs", 2)]


async def test_where_the_bus_goes_away_after_the_cut_what_was_decided_stays(
    hub: TenantHub, link: UnreliableLink
) -> None:
    publish, reader = Publisher(link), Reader(hub)
    await reader.subscribe("jobs", "q")
    gate = link.settling.shut()
    async with asyncio.TaskGroup() as tasks:
        opening = tasks.create_task(reader.subscribe("jobs"))
        await turns()
        publish("jobs", "before")
        link.settling.shut()
        gate.set()
        await turns()
        link.settling.failure = AWAY
        link.settling.open()
    await opening
    assert len(reader.subscriber._cutovers) == 1
    link.settling.failure = None
    for number in range(5):
        publish("jobs", number)
    await turns()
    assert reader.got == [("jobs", each) for each in ("before", 0, 1, 2, 3, 4)]
    assert await reader.unsubscribe("jobs")
    publish("jobs", "after")
    await turns()
    assert (reader.got[-1], len(reader.got)) == (("jobs", "after"), 7)
    assert reader.subscriber._cutovers == {}


async def test_a_group_that_is_joined_after_the_cut_is_passed_over(
    hub: TenantHub, link: UnreliableLink
) -> None:
    """The cutover did not end, because the bus was away: it says nothing of other groups."""
    publish, reader = Publisher(link), Reader(hub)
    await reader.subscribe("jobs", "q")
    gate = link.settling.shut()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(reader.subscribe(">"))
        await turns()
        link.settling.shut()
        gate.set()
        await turns()
        link.settling.failure = AWAY
        link.settling.open()
    link.settling.failure = None
    assert len(reader.subscriber._cutovers) == 1
    await reader.subscribe("notes", "q")
    for number in range(3):
        publish("notes", number)
        publish("jobs", number)
    await turns()
    assert reader.got == [(subject, number) for number in range(3) for subject in ("notes", "jobs")]


async def test_a_right_that_is_lost_while_the_bus_is_away_loses_nothing_of_the_group(
    hub: TenantHub, link: UnreliableLink
) -> None:
    publish, reader = Publisher(link), Reader(hub)
    await reader.subscribe("jobs", "q")
    await reader.subscribe(">")
    publish("jobs", 1)
    await turns()
    link.settling.failure = AWAY
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hub.end([(reader.subscriber, (">", None))]))
        await turns()
        assert list(reader.subscriber.subscriptions) == [("jobs", "q")]
        publish("jobs", 2)
        publish("notes", "not any more")
        await turns()
        assert reader.got == [("jobs", 1), ("jobs", 2)]
        link.settling.failure = None
    assert (link.open["m.*.>"], reader.subscriber._cutovers) == (0, {})
    publish("jobs", 3)
    await turns()
    assert reader.got == [("jobs", 1), ("jobs", 2), ("jobs", 3)]


async def test_what_ends_before_it_was_cut_over_to_leaves_all_to_the_group(
    hub: TenantHub, link: UnreliableLink
) -> None:
    publish, reader = Publisher(link), Reader(hub)
    await reader.subscribe("jobs", "q")
    settling = link.settling.shut()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(reader.subscribe("jobs"))
        await turns()
        publish("jobs", 1)
        await turns()
        ending = hub.end([(reader.subscriber, ("jobs", None))])
        assert reader.subscriber._cutovers == {}
        settling.set()
        await ending
    publish("jobs", 2)
    await turns()
    assert reader.got == [("jobs", 1), ("jobs", 2)]
    assert link.open["m.*.jobs"] == 1


async def test_the_same_pattern_in_another_form_needs_no_cutover(
    hub: TenantHub, link: UnreliableLink
) -> None:
    publish, reader = Publisher(link), Reader(hub)
    await reader.subscribe("jobs", "q")
    await reader.subscribe("jobs")
    before = link.settling.calls
    await reader.subscribe("tenant.acme.jobs")
    publish("jobs", 1)
    assert await reader.unsubscribe("jobs")
    publish("jobs", 2)
    await turns()
    assert (link.settling.calls, [number for _, number in reader.got]) == (before, [1, 2])


@pytest.mark.parametrize("drain", [False, True])
@pytest.mark.parametrize("failure", [None, AWAY])
async def test_who_leaves_a_group_waits_for_the_copies_that_stand_for_those_of_the_group(
    hub: TenantHub, link: UnreliableLink, drain: bool, failure: Exception | None
) -> None:
    """The group's copy was passed over, and the other one may still be on its way."""
    publish, reader = Publisher(link), Reader(hub)
    await reader.subscribe("jobs", "q")
    await reader.subscribe("jobs")
    settling = link.settling.shut()
    async with asyncio.TaskGroup() as tasks:
        leaving = tasks.create_task(
            hub.drain(reader.subscriber) if drain else reader.unsubscribe("jobs", "q")
        )
        await turns()
        assert not leaving.done()
        assert link.open["m.*.jobs"] == 1, "the group is left at once"
        publish("jobs", 1)
        await turns()
        link.settling.failure = failure
        settling.set()
    assert reader.got == [("jobs", 1)]


async def test_who_has_groups_alone_leaves_them_without_waiting(hub: TenantHub, link: UnreliableLink) -> None:
    reader = Reader(hub)
    await reader.subscribe("jobs", "q")
    link.settling.shut()
    await hub.drain(reader.subscriber)
    assert await reader.unsubscribe("jobs", "q")
    assert link.settling.calls == 0


async def test_who_leaves_meanwhile_leaves_nothing_behind(hub: TenantHub, link: UnreliableLink) -> None:
    reader = Reader(hub)
    await reader.subscribe("jobs", "q")
    await reader.subscribe(">")
    link.settling.failure = AWAY
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hub.end([(reader.subscriber, (">", None))]))
        await turns()
        reader.subscriber.stop()
        await reader.leave()
    assert (sum(link.open.values()), hub._topics.plain, reader.subscriber._cutovers) == (0, {}, {})


async def test_the_cutovers_of_a_member_are_bounded(hub: TenantHub, link: UnreliableLink) -> None:
    reader = Reader(hub)
    await reader.subscribe("jobs", "q")
    for number in range(MAX_CUTOVERS + 5):
        held = reader.subscriber.add(
            (f"x{number}", None), parse_pattern(f"x{number}", ACME), Topic(f"x{number}")
        )
        assert reader.subscriber.begin_cutover(held, closing=False) is not None
    assert len(reader.subscriber._cutovers) == MAX_CUTOVERS
