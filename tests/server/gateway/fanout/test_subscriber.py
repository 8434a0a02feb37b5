"""How many of a connection's subscriptions one message may match, and what it costs to find them."""

import gc
import tracemalloc

import pytest

from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.fanout.subscriber import MAX_CHOICES, MAX_OVERLAP
from artcafe.server.gateway.fanout.topics import MAX_OVERLAP as MAX_TENANT_OVERLAP
from artcafe.wire.codes import Code
from tests.kit.hubs import SUBJECT, Publish, Reader, matching
from tests.kit.outcomes import refused
from tests.kit.turns import turns
from tests.kit.unreliable_bus import UnreliableLink


async def test_of_patterns_that_all_match_a_connection_has_a_few(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    """256 of them, on eight connections, made one message cost a second of everybody's time."""
    reader = Reader(hub)
    taken = 0
    for pattern in matching(256):
        if len(reader.subscriber.subscriptions) < MAX_OVERLAP:
            await reader.subscribe(pattern)
            taken += 1
            continue
        with refused(Code.too_many_subscriptions) as refusal:
            await reader.subscribe(pattern)
        assert "16 patterns" in refusal.message
    assert taken == len(reader.subscriber.subscriptions) == len(link.open) == MAX_OVERLAP
    publish(SUBJECT)
    await turns()
    assert (reader.got, reader.writes) == ([(SUBJECT, 1)], 1)


async def test_a_message_that_many_patterns_match_is_matched_once_and_delivered_once_to_each(
    hub: TenantHub, publish: Publish
) -> None:
    readers = [Reader(hub) for _ in range(8)]
    for number, reader in enumerate(readers):
        for pattern in matching(256)[number * MAX_OVERLAP :][:MAX_OVERLAP]:
            await reader.subscribe(pattern)
    publish(SUBJECT)
    await turns()
    before = hub._topics.interest.visited
    assert before <= MAX_TENANT_OVERLAP * (SUBJECT.count(".") + 3)
    for number in range(2, 12):
        publish(SUBJECT, number)
    await turns()
    assert hub._topics.interest.visited == before, "the subject is known"
    assert [reader.got for reader in readers] == [[(SUBJECT, n) for n in range(1, 12)]] * 8
    assert [reader.writes for reader in readers] == [2] * 8, "and what comes at once is one piece"


async def test_what_a_connection_remembers_of_a_thousand_lines_is_small(
    hub: TenantHub, publish: Publish
) -> None:
    """A pair for each line and each connection came to 100 KiB."""

    async def everything_to(readers: list[Reader]) -> None:
        for reader in readers:
            await reader.subscribe(">")
        for number in range(MAX_CHOICES):
            publish(f"line.{number}")
        await turns(40)
        assert {len(reader.got) for reader in readers} == {MAX_CHOICES}
        for reader in readers:
            reader.got.clear()

    await everything_to([Reader(hub)])  # The lines are the hub's.
    readers = [Reader(hub) for _ in range(8)]
    tracemalloc.start()
    try:
        await everything_to(readers)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < len(readers) * 56 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "patterns",
    [
        [">", *(f"room.{number}" for number in range(255))],
        [f"room{number}.*" for number in range(256)],
        [f"*.{number}" for number in range(256)],
        [f"{name}.{number}" for name in "abcdefgh" for number in range(32)],
        [*(f"a{n}.*" for n in range(128)), *(f"*.b{n}" for n in range(128))],
        [">", "*", "*.*", "a.*", "*.b", "a.b", "a.>", *(f"a.x{number}" for number in range(200))],
    ],
)
async def test_patterns_of_which_few_match_one_message_are_all_taken(
    hub: TenantHub, patterns: list[str]
) -> None:
    reader = Reader(hub)
    for pattern in patterns:
        await reader.subscribe(pattern)
    assert len(reader.subscriber.subscriptions) == len(patterns)


async def test_what_clients_of_the_original_service_subscribe_to_at_their_start_is_taken(
    hub: TenantHub,
) -> None:
    reader = Reader(hub)
    for pattern in [
        "agents.planner.*",
        "agents.control.planner.*",
        "agents.acme.tasks.*",
        "agents.presence.*",
        "tenant.acme.channel.tasks",
        "channels.acme.tasks",
        "tenant.acme.tasks",
        "tasks.*",
        "tasks",
        ">",
        *(f"tenant.acme.channel.room-{number}" for number in range(50)),
        *(f"channels.acme.room-{number}" for number in range(50)),
    ]:
        await reader.subscribe(pattern)


async def test_the_same_pattern_in_other_forms_is_no_other_one(hub: TenantHub, link: UnreliableLink) -> None:
    reader = Reader(hub)
    for pattern in matching(MAX_OVERLAP):
        for form in ("", "tenant.acme.", "channels.acme."):
            await reader.subscribe(form + pattern)
    assert sum(link.open.values()) == MAX_OVERLAP
    for pattern in matching(MAX_OVERLAP):
        for form in ("", "tenant.acme.", "channels.acme."):
            assert await reader.unsubscribe(form + pattern)
    assert sum(link.open.values()) == 0
    assert (
        reader.subscriber._overlap is None or reader.subscriber._overlap.most == 0
    ) and not hub._topics.counts


async def test_each_queue_group_of_a_pattern_counts(hub: TenantHub) -> None:
    """The bus sends a copy to each."""
    reader = Reader(hub)
    for number in range(MAX_OVERLAP):
        await reader.subscribe("jobs", f"q{number}")
    for queue in ("another", None):
        with refused(Code.too_many_subscriptions):
            await reader.subscribe("jobs", queue)
    await reader.subscribe("other", "q0")


async def test_who_gives_one_up_has_room_for_another(hub: TenantHub, publish: Publish) -> None:
    reader = Reader(hub)
    patterns = matching(MAX_OVERLAP + 1)
    for pattern in patterns[:-1]:
        await reader.subscribe(pattern)
    with refused(Code.too_many_subscriptions):
        await reader.subscribe(patterns[-1])
    assert await reader.unsubscribe(patterns[3])
    await reader.subscribe(patterns[-1])
    publish(SUBJECT)
    await turns()
    assert reader.got == [(SUBJECT, 1)]


async def test_with_many_subscriptions_too_the_oldest_form_is_the_one(
    hub: TenantHub, publish: Publish
) -> None:
    reader = Reader(hub)
    await reader.subscribe("tenant.acme.tasks.*")
    for number in range(100):
        await reader.subscribe(f"room.{number}")
    await reader.subscribe("tasks.new")
    await reader.subscribe(">")
    publish("tasks.new")
    publish("room.7")
    await turns()
    assert reader.got == [("tenant.acme.tasks.new", 1), ("room.7", 1)]


async def test_a_flood_of_new_subjects_costs_each_the_same(hub: TenantHub, publish: Publish) -> None:
    reader = Reader(hub)
    for number in range(250):
        await reader.subscribe(f"room{number}.*")
    for number in range(200):
        publish(f"room7.n{number}", number)
    await turns()
    assert len(reader.got) == 200
    assert hub._topics.interest.visited <= 200 * 4, "four tokens on the bus, one node for each"


# What came already.
