"""A message on its last steps: once to each member, never from a stranger; and its acknowledgement."""

import asyncio
import logging

import pytest
from msgspec import Raw

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.envelope import EncodedEnvelope
from artcafe.server.gateway.dialects.legacy import LegacyDialect
from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.dialects.rendering import DialectEncoder, Encoder
from artcafe.server.gateway.fanout.hub import RECENT, TenantHub
from artcafe.server.gateway.fanout.subscriber import MAX_CHOICES, MessageRoute, Topic
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.ports.bus import Deliver, Own
from artcafe.wire.envelopes import Envelope
from artcafe.wire.frames import encode
from tests.kit.hubs import ACME, Publish, Reader
from tests.kit.turns import turns
from tests.kit.unreliable_bus import UnreliableLink, WatchedSubscription


def hub_receivers(link: UnreliableLink) -> tuple[Deliver, Deliver]:
    """How the bus delivers to the subscription without a queue, and to the one with a queue."""
    held = sorted(link.inner._subscriptions, key=lambda each: each.queue is not None)
    assert [each.queue for each in held] == [None, "q"]
    return held[0].take, held[1].take


def envelope(name: str, data: str) -> bytes:
    return encode(Envelope(id=name, timestamp="t", data=Raw(encode(data))))


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


async def test_a_copy_by_a_group_does_not_overtake_the_plain_pattern(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    """Groups have a connection of their own: what comes by it may come sooner, or later."""
    reader = Reader(hub)
    await reader.subscribe("jobs", "q")
    await reader.subscribe("jobs")
    plain, group = hub_receivers(link)
    group("m.planner.jobs", envelope("m2", "second"))
    plain("m.planner.jobs", envelope("m1", "first"))
    plain("m.planner.jobs", envelope("m2", "second"))
    group("m.planner.jobs", envelope("m1", "first"))
    await turns()
    assert reader.got == [("jobs", "first"), ("jobs", "second")]
    await reader.unsubscribe("jobs")
    publish("jobs", "third")
    await turns()
    assert reader.got[2:] == [("jobs", "third")], "the group goes on"


async def test_a_message_that_only_the_group_had_is_not_lost_when_a_plain_pattern_joins(
    hub: TenantHub, link: UnreliableLink
) -> None:
    """Somebody else has the pattern already: what was published before is not to come by it any more."""
    reader, other = Reader(hub), Reader(hub)
    await other.subscribe("jobs")
    await reader.subscribe("jobs", "q")
    _, group = hub_receivers(link)
    link.settling.shut()
    joining = asyncio.create_task(reader.subscribe("jobs"))
    await turns()
    group("m.planner.jobs", envelope("m1", "before"))
    link.settling.open()
    await joining
    assert reader.got == [("jobs", "before")]
    group("m.planner.jobs", envelope("m2", "after"))
    await turns()
    assert reader.got == [("jobs", "before")], "the plain pattern brings it"


async def test_leaving_a_plain_pattern_waits_for_what_was_passed_over_for_it(
    hub: TenantHub, link: UnreliableLink
) -> None:
    reader = Reader(hub)
    await reader.subscribe("jobs", "q")
    await reader.subscribe("jobs")
    plain, group = hub_receivers(link)
    group("m.planner.jobs", envelope("m1", "on its way"))
    await turns()
    link.settling.shut()
    leaving = asyncio.create_task(reader.unsubscribe("jobs"))
    await turns()
    plain("m.planner.jobs", envelope("m1", "on its way"))
    link.settling.open()
    assert await leaving
    assert reader.got == [("jobs", "on its way")]


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
    oldest, wide = (known.topic for known in reader.subscriber.subscriptions.values())

    def come(topic: Topic, name: str) -> None:
        hub._arrived(topic, "m.planner.jobs", envelope(name, "x"))

    come(wide, "m1")
    come(oldest, "m2")
    await reader.unsubscribe("jobs")
    come(oldest, "m1")
    come(wide, "m2")
    come(oldest, "m3")
    come(wide, "m3")
    await turns()
    assert len(reader.got) == 3


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
    assert len(reader.subscriber._choices) <= MAX_CHOICES
    assert len(hub._seen.ids) <= RECENT


# Together.


async def test_what_the_bus_hands_over_at_once_is_one_piece_for_each_member(
    hub: TenantHub, publish: Publish
) -> None:
    plain, legacy, form = Reader(hub), Reader(hub, LegacyDialect()), Reader(hub)
    await plain.subscribe("tasks")
    await legacy.subscribe("tasks")
    await form.subscribe("channels.acme.tasks")
    for number in range(40):
        publish("tasks", {"n": number})
    await turns()
    assert [reader.writes for reader in (plain, legacy, form)] == [1, 1, 1]
    assert [data["n"] for _, data in plain.got] == list(range(40))
    assert [data["n"] for _, data in legacy.got] == list(range(40))
    assert form.got == [("channels.acme.tasks", {"n": number}) for number in range(40)]
    assert plain.subscriber.delivered() == 40


async def test_subjects_and_patterns_that_mix_stay_in_the_order_of_the_bus(
    hub: TenantHub, publish: Publish
) -> None:
    reader = Reader(hub)
    await reader.subscribe("a.*")
    await reader.subscribe("b.*")
    said = [(f"{'ab'[number // 3 % 2]}.{number // 2 % 3}", number) for number in range(60)]
    for subject, number in said:
        publish(subject, number)
    await turns()
    assert reader.got == said


async def test_overlapping_patterns_in_a_burst_deliver_once_and_in_order(
    hub: TenantHub, publish: Publish
) -> None:
    reader = Reader(hub)
    await reader.subscribe("tasks")
    for number in range(20):
        publish("tasks", number)
    await turns()
    await reader.subscribe(">")
    for number in range(20, 40):
        publish("tasks", number)
    await turns()
    await reader.unsubscribe("tasks")
    for number in range(40, 60):
        publish("tasks", number)
    await turns()
    assert reader.got == [("tasks", number) for number in range(60)]
    assert reader.subscriber.delivered() == 60


async def test_what_was_here_before_a_subscription_ended_is_delivered(
    hub: TenantHub, publish: Publish
) -> None:
    reader = Reader(hub)
    await reader.subscribe("tasks")
    publish("tasks", "before")
    while not hub._queue.waiting:
        await turns(1)
    await reader.unsubscribe("tasks")
    assert reader.got == [("tasks", "before")]
    await turns()
    assert len(reader.got) == 1


async def test_who_is_gone_hears_nothing_of_what_waited(hub: TenantHub, publish: Publish) -> None:
    reader, other = Reader(hub), Reader(hub)
    for each in (reader, other):
        await each.subscribe("tasks")
        await each.subscribe("more")
    publish("tasks", 1)
    publish("more", 2)
    reader.subscriber.stop()
    await turns()
    assert (reader.got, other.got) == ([], [("tasks", 1), ("more", 2)])


async def test_a_fault_in_one_delivery_keeps_nothing_else_back(
    hub: TenantHub, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("a fault")

    faulty, healthy = Reader(hub), Reader(hub)
    await faulty.subscribe("tasks")
    await healthy.subscribe("more")
    faulty.on_message = fail
    publish("tasks", 1)
    publish("more", 2)
    await turns()
    assert healthy.got == [("more", 2)]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


# What was said in this very process.


async def test_what_was_said_here_comes_in_order_with_what_came_by_the_bus(link: UnreliableLink) -> None:
    said: list[tuple[Deliver, Own]] = []

    class Both(UnreliableLink):
        async def subscribe(
            self, pattern: str, deliver: Deliver, queue: str | None = None, own: Own | None = None
        ) -> WatchedSubscription:
            assert own is not None
            said.append((deliver, own))
            return await super().subscribe(pattern, deliver, queue, own)

    hub = TenantHub(ACME, Both(link.inner), TurnScheduler())
    reader, second = Reader(hub), Reader(hub, LegacyDialect())
    await reader.subscribe("jobs")
    await second.subscribe("jobs")
    [(arrived, own)] = said
    here = own("m.planner.jobs")
    here(envelope("m1", "here"))
    arrived("m.planner.jobs", envelope("m2", "there"))
    here(envelope("m3", "here again"))
    assert reader.got == [], "it may still be publishing"
    await turns()
    assert reader.got == second.got == [("jobs", "here"), ("jobs", "there"), ("jobs", "here again")]
    assert reader.writes == 1


# Whose message it is.


@pytest.mark.parametrize(
    ("bus_subject", "sender", "subject"),
    [
        ("m.planner.tasks.new", "planner", "tasks.new"),
        ("d.worker.planner.ask", "planner", "agents.worker.ask"),
        ("i.worker.u-olivia.r1", "u-olivia", "inbox.worker.r1"),
        ("r.sys.presence.worker", "sys", "presence.worker"),
    ],
)
async def test_sender_and_subject_come_from_the_bus_subject(
    hub: TenantHub, bus_subject: str, sender: str, subject: str
) -> None:
    route = MessageRoute(hub._queue, ACME, bus_subject)
    assert (route.sender, route.subject) == (sender, subject)


@pytest.mark.parametrize(
    "subject",
    ["m.planner", "m", "x.planner.tasks", "m.a.agents.b.c", 'm.a".x', "d.b.a", "m.planner.presence.x"],
)
async def test_a_subject_that_is_not_ours_is_no_line(hub: TenantHub, subject: str) -> None:
    with pytest.raises(ValueError, match="not a subject"):
        MessageRoute(hub._queue, ACME, subject)


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
    readers = [Reader(hub), Reader(hub, LegacyDialect())]
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

    class Strict(NativeDialect):
        name = "strict"

        def encoder(self, tenant: TenantId, subject: str, sender: str) -> Encoder:
            return DialectEncoder(self.name, self.message, tenant, subject, sender)

        def message(self, tenant: TenantId, subject: str, sender: str, envelope: EncodedEnvelope) -> bytes:
            raise RecursionError("nested to the limit")

    readers = [Reader(hub, Strict()), Reader(hub), Reader(hub, Strict()), Reader(hub)]
    for reader in readers:
        await reader.subscribe("tasks")
    link.publish("m.planner.tasks", b'{"id":"1","timestamp":"t","data":{}}')
    await turns()
    assert [len(reader.got) for reader in readers] == [0, 1, 0, 1]
    assert len(caplog.records) == 1


async def test_no_depth_of_nesting_hides_the_sender_from_legacy_clients(
    hub: TenantHub, link: UnreliableLink
) -> None:
    """Either the message comes with the proven sender, or it does not come."""
    reader = Reader(hub, LegacyDialect())
    await reader.subscribe("tasks")
    for depth in range(700, 1000):
        nested = b"[" * depth + b"]" * depth
        link.publish(
            "m.planner.tasks", b'{"id":"1","timestamp":"t","data":{"agent_id":"liar","x":%b}}' % nested
        )
        await turns(3)
    assert reader.got
    assert {data["agent_id"] for _, data in reader.got} == {"planner"}
