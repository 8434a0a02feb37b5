"""Who shares what on the bus, and that nobody is left deaf by what fails, waits or leaves meanwhile."""

import asyncio
import gc

import pytest

from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.hubs import Publish, Reader
from tests.kit.outcomes import outcome, refused
from tests.kit.turns import turns
from tests.kit.unreliable_bus import AWAY, UnreliableLink


def topics(hub: TenantHub) -> int:
    """How many patterns the hub shares."""
    return len(hub._topics.plain)


# One subscription on the bus.


async def test_members_share_one_subscription_per_pattern(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    readers = [Reader(hub) for _ in range(50)]
    for reader in readers:
        await reader.subscribe("tasks.*")
        await reader.subscribe("tenant.acme.channel.tasks.*")
        await reader.subscribe("tasks.*")
    assert link.subscribing.calls == 1
    assert link.open == {"m.*.tasks.*": 1}

    publish("tasks.new")
    await eventually(lambda: readers[-1].got)
    assert [reader.got for reader in readers] == [[("tasks.new", 1)]] * 50


async def test_the_last_one_to_leave_closes_it_and_the_next_one_opens_it_again(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    one, two = Reader(hub), Reader(hub)
    await one.subscribe("tasks")
    await two.subscribe("tasks")
    await one.leave()
    assert link.open["m.*.tasks"] == 1
    publish("tasks", "for two")
    await turns()

    assert await two.unsubscribe("tasks")
    assert link.open["m.*.tasks"] == 0
    assert topics(hub) == 0
    publish("tasks", "for nobody")
    await turns()

    await one.subscribe("tasks")
    assert link.open["m.*.tasks"] == 1
    publish("tasks", "for one")
    await turns()
    assert (one.got, two.got) == ([("tasks", "for one")], [("tasks", "for two")])


async def test_who_subscribes_while_the_last_one_is_being_closed_is_not_closed_with_it(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    one, two = Reader(hub), Reader(hub)
    await one.subscribe("tasks")
    link.closing.shut()
    leaving = asyncio.create_task(one.leave())
    await turns()
    await two.subscribe("tasks")
    link.closing.open()
    await leaving
    publish("tasks")
    await turns()
    assert (one.got, two.got) == ([], [("tasks", 1)])
    assert link.open["m.*.tasks"] == 1


async def test_two_forms_of_a_pattern_are_one_until_both_are_gone(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    reader = Reader(hub)
    await reader.subscribe("tenant.acme.tasks")
    await reader.subscribe("tasks")
    publish("tasks", "oldest form")
    await turns()
    assert await reader.unsubscribe("tenant.acme.tasks")
    assert not await reader.unsubscribe("tenant.acme.tasks")
    publish("tasks", "the other form")
    await turns()
    assert link.open["m.*.tasks"] == 1
    assert await reader.unsubscribe("tasks")
    assert link.open["m.*.tasks"] == 0
    publish("tasks", "none")
    await turns()
    assert reader.got == [("tenant.acme.tasks", "oldest form"), ("tasks", "the other form")]


# Opening.


async def test_whoever_comes_while_it_opens_waits_for_the_same_one(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    link.subscribing.shut()
    readers = [Reader(hub) for _ in range(3)]
    waiting = [asyncio.create_task(reader.subscribe("tasks")) for reader in readers]
    await turns()
    assert not any(task.done() for task in waiting)
    link.subscribing.open()
    await asyncio.gather(*waiting)
    assert link.subscribing.calls == 1
    publish("tasks")
    await turns()
    assert [reader.got for reader in readers] == [[("tasks", 1)]] * 3


async def test_when_the_bus_refuses_everybody_who_waits_hears_it_and_can_try_again(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    link.subscribing.shut()
    link.subscribing.failure = AWAY
    readers = [Reader(hub) for _ in range(3)]
    waiting = [asyncio.create_task(outcome(reader.subscribe("tasks"))) for reader in readers]
    await turns()
    link.subscribing.open()
    assert await asyncio.gather(*waiting) == [Code.unavailable] * 3
    assert [reader.subscriber.subscriptions for reader in readers] == [{}] * 3
    assert topics(hub) == 0

    link.subscribing.failure = None
    for reader in readers:
        await reader.subscribe("tasks")
    assert link.subscribing.calls == 2
    publish("tasks")
    await turns()
    assert [reader.got for reader in readers] == [[("tasks", 1)]] * 3


async def test_who_comes_right_after_a_refusal_does_not_share_it(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    """Two wait for the one that fails; the first to hear it tries again before the second has."""
    link.subscribing.shut()
    link.subscribing.failure = AWAY
    first, second = Reader(hub), Reader(hub)

    async def stubborn() -> None:
        with refused(Code.unavailable):
            await first.subscribe("tasks")
        link.subscribing.failure = None
        await first.subscribe("tasks")

    again = asyncio.create_task(stubborn())
    await turns()
    waiting = asyncio.create_task(outcome(second.subscribe("tasks")))
    await turns()
    link.subscribing.open()
    await again
    assert await waiting is Code.unavailable
    publish("tasks")
    await turns()
    assert (first.got, second.got) == ([("tasks", 1)], [])
    assert (link.open["m.*.tasks"], topics(hub)) == (1, 1)
    await first.leave()
    assert (link.open["m.*.tasks"], topics(hub)) == (0, 0)


@pytest.mark.parametrize("fault", [ZeroDivisionError, asyncio.CancelledError])
async def test_a_fault_or_the_end_of_the_one_who_opens_leaves_nobody_deaf(
    hub: TenantHub, link: UnreliableLink, publish: Publish, fault: type[BaseException]
) -> None:
    """Those who waited for it waited for ever, and so did everybody who came later."""
    link.subscribing.shut()
    link.subscribing.failure = fault()
    opener, waiter = Reader(hub), Reader(hub)
    opening = asyncio.create_task(opener.subscribe("tasks"))
    await turns()
    waiting = asyncio.create_task(outcome(waiter.subscribe("tasks")))
    await turns()
    link.subscribing.open()
    with pytest.raises(fault):
        await opening
    assert await waiting is Code.internal
    assert (opener.subscriber.subscriptions, waiter.subscriber.subscriptions) == ({}, {})

    link.subscribing.failure = None
    await waiter.subscribe("tasks")
    publish("tasks")
    await turns()
    assert waiter.got == [("tasks", 1)]


async def test_a_refusal_that_nobody_waits_for_is_no_news_for_the_log(
    hub: TenantHub, link: UnreliableLink, caplog: pytest.LogCaptureFixture
) -> None:
    link.subscribing.shut()
    link.subscribing.failure = ArtcafeError(Code.unavailable)
    reader = Reader(hub)
    opening = asyncio.create_task(outcome(reader.subscribe("tasks")))
    await turns()
    await reader.leave()
    link.subscribing.open()
    assert await opening is Code.unavailable
    link.subscribing.failure = None
    gc.collect()
    await turns()
    assert caplog.records == []


async def test_who_leaves_while_it_opens_leaves_nothing_open(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    link.confirming.shut()
    reader = Reader(hub)
    opening = asyncio.create_task(reader.subscribe("tasks"))
    queued = asyncio.create_task(Reader(hub).subscribe("jobs", "q"))
    await turns()
    await reader.leave()
    publish("tasks")
    link.confirming.open()
    await opening
    await queued
    assert reader.got == []
    assert link.open == {"m.*.tasks": 0, "m.*.jobs": 1}
    assert topics(hub) == 0


async def test_whoever_stays_keeps_what_another_opened_and_left(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    link.confirming.shut()
    opener, waiter, newcomer = Reader(hub), Reader(hub), Reader(hub)
    opening = asyncio.create_task(opener.subscribe("tasks"))
    await turns()
    waiting = asyncio.create_task(waiter.subscribe("tasks"))
    await turns()
    await opener.leave()
    link.confirming.open()
    await asyncio.gather(opening, waiting)
    await newcomer.subscribe("tasks")
    assert (link.subscribing.calls, link.open["m.*.tasks"]) == (1, 1)
    publish("tasks")
    await turns()
    assert (opener.got, waiter.got, newcomer.got) == ([], [("tasks", 1)], [("tasks", 1)])


async def test_who_comes_after_all_left_while_it_opened_gets_one_of_its_own(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    link.confirming.shut()
    one, two = Reader(hub), Reader(hub)
    first = asyncio.create_task(one.subscribe("tasks"))
    await turns()
    await one.leave()
    second = asyncio.create_task(two.subscribe("tasks"))
    await turns()
    link.confirming.open()
    await asyncio.gather(first, second)
    assert (link.subscribing.calls, link.open["m.*.tasks"], topics(hub)) == (2, 1, 1)
    publish("tasks")
    await turns()
    assert (one.got, two.got) == ([], [("tasks", 1)])


# Leaving.


async def test_leaving_ends_all_deliveries_at_once_however_long_the_bus_takes(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    reader = Reader(hub)
    for name in ("a", "b", "c"):
        await reader.subscribe(name)
    link.closing.shut()
    leaving = asyncio.create_task(reader.leave())
    await turns()
    for name in ("a", "b", "c"):
        publish(name)
    await turns()
    assert reader.got == []
    link.closing.open()
    await leaving
    assert link.open == {"m.*.a": 0, "m.*.b": 0, "m.*.c": 0}


async def test_a_bus_that_cannot_be_told_keeps_nothing_else_open(
    hub: TenantHub, link: UnreliableLink, caplog: pytest.LogCaptureFixture
) -> None:
    reader = Reader(hub)
    for name in ("a", "b", "c"):
        await reader.subscribe(name)
    link.closing.failure = AWAY
    assert await reader.unsubscribe("a")
    await reader.leave()
    assert link.closing.calls == 3
    assert (reader.subscriber.subscriptions, topics(hub)) == ({}, 0)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3


async def test_a_member_may_leave_in_the_middle_of_a_delivery(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    first, second, third = Reader(hub), Reader(hub), Reader(hub)
    for reader in (first, second, third):
        await reader.subscribe("tasks")

    def leave() -> None:
        if second.subscriber.subscriptions:
            hub._detach(second.subscriber, ("tasks", None))

    first.on_message = leave
    publish("tasks", 1)
    await turns()
    publish("tasks", 2)
    await turns()
    both = [("tasks", 1), ("tasks", 2)]
    assert (first.got, second.got, third.got) == (both, [], both)
