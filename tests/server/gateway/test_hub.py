"""Who shares what on the bus, and that nobody is left deaf by what fails, waits or leaves meanwhile."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw

from artcafe.server.bus.memory import BUFFER_BYTES, MemoryLink
from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.delivery import Delivery, Dialect, Legacy, Plain
from artcafe.server.gateway.hub import MAX_CHOICES, RECENT, Member, TenantHub
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import Envelope, encode
from artcafe.wire.subjects import parse_pattern, to_bus
from tests.kit.deadlines import eventually
from tests.kit.installation import counting
from tests.kit.outcomes import outcome, refused
from tests.kit.scripted_peer import unframed
from tests.kit.turns import turns
from tests.kit.unreliable_bus import AWAY, UnreliableLink

ACME = TenantId("acme")


class Reader:
    """A member of the hub, and what it was given. `on_message` is called in the middle of a delivery."""

    def __init__(self, hub: TenantHub, dialect: Dialect | None = None) -> None:
        self.hub = hub
        self.member = Member(self, dialect or Plain())
        self.got: list[tuple[str, Any]] = []
        self.on_message: Callable[[], None] = lambda: None

    def deliver(self, framed: bytes) -> None:
        """hub.Receiver."""
        message = json.loads(unframed(framed))
        self.got.append((message["subject"], message["data"]))
        self.on_message()

    async def subscribe(self, text: str, queue: str | None = None) -> None:
        """As the client writes it."""
        await self.hub.subscribe(self.member, text, parse_pattern(text, ACME), queue)

    async def unsubscribe(self, text: str, queue: str | None = None) -> bool:
        """As it was subscribed."""
        return await self.hub.unsubscribe(self.member, text, queue)

    async def leave(self) -> None:
        """The connection is gone."""
        await self.hub.leave(self.member)


@pytest.fixture
def link() -> UnreliableLink:
    return UnreliableLink(MemoryLink(BUFFER_BYTES))


@pytest.fixture
def hub(link: UnreliableLink) -> TenantHub:
    return TenantHub(ACME, link)


@pytest.fixture
def publish(link: UnreliableLink) -> Callable[..., None]:
    new_id = counting("m")

    def one(subject: str, data: object = 1) -> None:
        envelope = Envelope(id=new_id(), timestamp="t", data=Raw(encode(data)))
        link.publish(to_bus("planner", subject), encode(envelope))

    return one


Publish = Callable[..., None]


def topics(hub: TenantHub) -> int:
    """How many patterns the hub shares."""
    return len(hub._topics)


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
    assert [reader.member.subscriptions for reader in readers] == [{}] * 3
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
    assert (opener.member.subscriptions, waiter.member.subscriptions) == ({}, {})

    link.subscribing.failure = None
    await waiter.subscribe("tasks")
    publish("tasks")
    await turns()
    assert waiter.got == [("tasks", 1)]


async def test_a_refusal_that_nobody_waits_for_is_no_news_for_the_log(
    hub: TenantHub, link: UnreliableLink, caplog: pytest.LogCaptureFixture
) -> None:
    link.subscribing.failure = AWAY
    with refused(Code.unavailable):
        await Reader(hub).subscribe("tasks")
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
    assert (reader.member.subscriptions, topics(hub)) == ({}, 0)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3


async def test_a_member_may_leave_in_the_middle_of_a_delivery(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    first, second, third = Reader(hub), Reader(hub), Reader(hub)
    for reader in (first, second, third):
        await reader.subscribe("tasks")

    def leave() -> None:
        if second.member.subscriptions:
            hub._detach(second.member, ("tasks", None))

    first.on_message = leave
    publish("tasks", 1)
    await turns()
    publish("tasks", 2)
    await turns()
    both = [("tasks", 1), ("tasks", 2)]
    assert (first.got, second.got, third.got) == (both, [], both)


# Overlaps.


async def test_overlapping_patterns_deliver_once_in_the_form_of_the_oldest(
    hub: TenantHub, publish: Publish
) -> None:
    reader, other = Reader(hub), Reader(hub)
    await reader.subscribe("tenant.acme.tasks.*")
    await reader.subscribe(">")
    await reader.subscribe("tasks.new")
    await reader.subscribe("channels.acme.tasks.new", "q")
    await other.subscribe("tasks.new")
    for subject in ("tasks.new", "tasks.old", "else", "tasks.new"):
        publish(subject)
    await turns()
    assert [subject for subject, _ in reader.got] == [
        "tenant.acme.tasks.new",
        "tenant.acme.tasks.old",
        "else",
        "tenant.acme.tasks.new",
    ]
    assert other.got == [("tasks.new", 1)] * 2


async def test_a_plain_pattern_and_a_queue_deliver_once(hub: TenantHub, publish: Publish) -> None:
    reader, colleague = Reader(hub), Reader(hub)
    await reader.subscribe("channels.acme.jobs", "q")
    await reader.subscribe("jobs")
    await colleague.subscribe("jobs", "q")
    for number in range(10):
        publish("jobs", number)
    await turns()
    assert reader.got == [("jobs", number) for number in range(10)], "all, in the plain pattern's form"
    assert len(colleague.got) == 5


async def test_a_member_of_two_groups_gets_each_message_once(hub: TenantHub, publish: Publish) -> None:
    reader, red, blue = Reader(hub), Reader(hub), Reader(hub)
    await reader.subscribe("jobs", "red")
    await reader.subscribe("channels.acme.jobs", "blue")
    await red.subscribe("jobs", "red")
    await red.subscribe("other", "red")
    await blue.subscribe("jobs", "blue")
    publish("other")
    for number in range(12):
        publish("jobs", number)
    await turns()
    numbers = [number for _, number in reader.got]
    assert len(numbers) == len(set(numbers))
    assert set(numbers) | {n for _, n in red.got} == set(range(12)) | {1}, "the group misses nothing"
    assert set(numbers) | {n for _, n in blue.got} == set(range(12))


async def test_two_groups_each_give_their_own_form(hub: TenantHub, publish: Publish) -> None:
    """A message that one group gives to another member is not delivered in that group's form."""
    reader, colleague = Reader(hub), Reader(hub)
    await colleague.subscribe("jobs", "red")
    await reader.subscribe("jobs", "red")
    await reader.subscribe("channels.acme.jobs", "blue")
    publish("jobs", "red for the colleague")
    publish("jobs", "red for the reader")
    await turns()
    assert reader.got == [
        ("channels.acme.jobs", "red for the colleague"),
        ("jobs", "red for the reader"),
    ]


async def test_the_same_pattern_twice_in_one_group_is_one_member_with_two_shares(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    reader, colleague = Reader(hub), Reader(hub)
    await reader.subscribe("jobs", "q")
    await reader.subscribe("tenant.acme.jobs", "q")
    await colleague.subscribe("jobs", "q")
    assert link.open["m.*.jobs"] == 3
    for number in range(9):
        publish("jobs", number)
    await turns()
    assert (len(reader.got), len(colleague.got)) == (6, 3)


async def test_a_subscription_that_opens_takes_nothing_from_those_that_are_open(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    """While a plain pattern was not on the bus yet, what a group gave to its member was lost."""
    reader = Reader(hub)
    await reader.subscribe("jobs", "q")
    link.subscribing.shut()
    opening = asyncio.create_task(reader.subscribe("jobs"))
    await turns()
    publish("jobs", "before the bus has it")
    await turns()
    link.confirming.shut()
    link.subscribing.open()
    await turns()
    publish("jobs", "before we know it")
    await turns()
    link.confirming.open()
    await opening
    publish("jobs", "after")
    await turns()
    assert [text for _, text in reader.got] == ["before the bus has it", "before we know it", "after"]


async def test_ending_one_of_two_between_the_copies_of_a_message_loses_nothing_and_doubles_nothing(
    hub: TenantHub, link: UnreliableLink
) -> None:
    reader = Reader(hub)
    await reader.subscribe("jobs")
    await reader.subscribe(">")
    oldest, wide = (known.topic for known in reader.member.subscriptions.values())

    def message(name: str) -> Delivery:
        return Delivery(ACME, "m.planner.jobs", encode(Envelope(id=name, timestamp="t", data=Raw(b"1"))))

    for topic, copy in ((wide, message("m1")), (oldest, message("m2"))):
        reader.member.take(topic, copy)
    await reader.unsubscribe("jobs")
    reader.member.take(wide, message("m2"))
    assert len(reader.got) == 2


async def test_what_is_remembered_of_subjects_follows_the_subscriptions(
    hub: TenantHub, publish: Publish
) -> None:
    reader = Reader(hub)
    await reader.subscribe(">")
    publish("jobs")
    await turns()
    await reader.subscribe("tenant.acme.jobs")
    publish("jobs")
    await turns()
    await reader.unsubscribe(">")
    publish("jobs")
    await turns()
    await reader.subscribe(">")
    publish("jobs")
    await turns()
    assert [subject for subject, _ in reader.got] == ["jobs", "jobs", "tenant.acme.jobs", "tenant.acme.jobs"]


async def test_what_is_remembered_is_bounded(hub: TenantHub, publish: Publish) -> None:
    reader = Reader(hub)
    await reader.subscribe(">")
    await reader.subscribe("many.*")
    for number in range(MAX_CHOICES + 10):
        publish(f"many.{number}", number)
    await turns()
    assert [number for _, number in reader.got] == list(range(MAX_CHOICES + 10))
    assert len(reader.member._choices) <= MAX_CHOICES
    assert len(reader.member._recent) == RECENT


# What is not ours.


@pytest.mark.parametrize(
    ("subject", "payload"),
    [
        ("m.planner.tasks", b"not JSON"),
        ("m.planner.tasks", b'{"id":"1","timestamp":"t","data":"\xff"}'),
        ("m.planner.tasks", b'{"id":"1","timestamp":"t","data":' + b"[" * 5000 + b"]" * 5000 + b"}"),
        ("m.planner.presence.x", b'{"id":"1","timestamp":"t","data":1}'),
        ('m.plan"ner.tasks', b'{"id":"1","timestamp":"t","data":1}'),
    ],
)
async def test_a_stranger_on_the_bus_is_dropped_with_a_word_and_harms_nobody(
    hub: TenantHub,
    link: UnreliableLink,
    publish: Publish,
    caplog: pytest.LogCaptureFixture,
    subject: str,
    payload: bytes,
) -> None:
    readers = [Reader(hub), Reader(hub, Legacy())]
    for reader in readers:
        await reader.subscribe(">")
    link.publish(subject, payload)
    publish("tasks", "ours")
    await turns()
    assert [len(reader.got) for reader in readers] == [1, 1]
    [record] = caplog.records
    assert (record.levelno, record.message.split(":")[0]) == (logging.WARNING, "tenant acme")


async def test_what_one_dialect_cannot_say_is_said_to_the_others(
    hub: TenantHub, link: UnreliableLink, caplog: pytest.LogCaptureFixture
) -> None:
    """The older dialect reads deeper into an object; one that it cannot read ended the whole delivery."""

    class Strict(Plain):
        name = "strict"

        def envelope(self, tenant: TenantId, sender: str, envelope: Envelope) -> Envelope:
            raise RecursionError("nested to the limit")

    readers = [Reader(hub, Strict()), Reader(hub), Reader(hub, Strict()), Reader(hub)]
    for reader in readers:
        await reader.subscribe("tasks")
    link.publish("m.planner.tasks", b'{"id":"1","timestamp":"t","data":{}}')
    await turns()
    assert [len(reader.got) for reader in readers] == [0, 1, 0, 1]
    assert len(caplog.records) == 2


async def test_no_depth_of_nesting_hides_the_sender_from_legacy_clients(
    hub: TenantHub, link: UnreliableLink
) -> None:
    """Either the message comes with the proven sender, or it does not come."""
    reader = Reader(hub, Legacy())
    await reader.subscribe("tasks")
    for depth in range(700, 1000):
        nested = b"[" * depth + b"]" * depth
        link.publish(
            "m.planner.tasks", b'{"id":"1","timestamp":"t","data":{"agent_id":"liar","x":%b}}' % nested
        )
        await turns(3)
    assert reader.got
    assert {data["agent_id"] for _, data in reader.got} == {"planner"}


# Acknowledgements.


class Waiter:
    """Remembers what it was told, and does something `then`."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.told: list[ArtcafeError | None] = []
        self._then = then

    def __call__(self, failure: ArtcafeError | None) -> None:
        self.told.append(failure)
        self._then()


async def test_many_who_wait_share_one_flush_and_who_comes_meanwhile_has_the_next(
    hub: TenantHub, link: UnreliableLink
) -> None:
    link.flushing.shut()
    first = [Waiter() for _ in range(10)]
    works = [hub.confirm_later(waiter) for waiter in first]
    assert [work is None for work in works] == [False] + [True] * 9
    assert works[0] is not None
    confirming = asyncio.create_task(works[0])
    await turns()
    later = [Waiter() for _ in range(10)]
    assert [hub.confirm_later(waiter) for waiter in later] == [None] * 10
    assert link.flushing.calls == 1
    assert [waiter.told for waiter in first + later] == [[]] * 20
    link.flushing.open()
    await confirming
    assert link.flushing.calls == 2
    assert [waiter.told for waiter in first + later] == [[None]] * 20
    again = hub.confirm_later(Waiter())
    assert again is not None, "the next one works for itself"
    await again


@pytest.mark.parametrize(("failure", "code"), [(AWAY, Code.unavailable), (OSError(), Code.internal)])
async def test_a_flush_that_fails_is_told_to_those_it_was_for_and_to_nobody_else(
    hub: TenantHub, link: UnreliableLink, failure: Exception, code: Code
) -> None:
    def recover() -> None:
        link.flushing.failure = None

    link.flushing.shut()
    unlucky, lucky = [Waiter(), Waiter(recover)], [Waiter(), Waiter()]
    works = [hub.confirm_later(waiter) for waiter in unlucky]
    assert works[0] is not None
    confirming = asyncio.create_task(works[0])
    await turns()
    link.flushing.failure = failure
    for waiter in lucky:
        assert hub.confirm_later(waiter) is None
    link.flushing.open()
    await confirming
    assert [[told.code for told in waiter.told if told] for waiter in unlucky] == [[code]] * 2
    assert [waiter.told for waiter in lucky] == [[None]] * 2
