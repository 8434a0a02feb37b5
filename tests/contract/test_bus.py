"""What a link of any bus promises: one suite on the memory bus and on a real nats-server."""

import asyncio
from collections import Counter

import pytest

from artcafe.server.ports.bus import Link
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.buses import Buses
from tests.kit.deadlines import eventually
from tests.kit.inboxes import Got, collect, everything_sent, some


@pytest.mark.parametrize(
    ("pattern", "subjects"),
    [
        ("m.a.tasks.new", ["m.a.tasks.new"]),
        ("m.*.tasks.new", ["m.a.tasks.new", "m.b.tasks.new"]),
        ("m.*.tasks.*", ["m.a.tasks.new", "m.b.tasks.new", "m.a.tasks.old"]),
        ("m.*.tasks.>", ["m.a.tasks.new", "m.b.tasks.new", "m.a.tasks.old", "m.a.tasks.new.urgent"]),
        ("m.>", ["m.a.tasks.new", "m.b.tasks.new", "m.a.tasks.old", "m.a.tasks.new.urgent", "m.a.tasks"]),
        ("d.planner.>", ["d.planner.a.hello"]),
        ("r.*.presence.*", ["r.sys.presence.a"]),
        ("m.a", []),
    ],
)
async def test_a_subscription_gets_what_its_pattern_receives(
    buses: Buses, pattern: str, subjects: list[str]
) -> None:
    ours, theirs = await buses.links(await buses.tenant())
    got: Got = []
    await ours.subscribe(pattern, collect(got))
    for subject in [
        "m.a.tasks.new",
        "m.b.tasks.new",
        "m.a.tasks.old",
        "m.a.tasks.new.urgent",
        "m.a.tasks",
        "d.planner.a.hello",
        "i.planner.a.reply",
        "r.sys.presence.a",
    ]:
        theirs.publish(subject, subject.encode())
    await theirs.flush()
    await everything_sent(ours)
    await eventually(lambda: len(got) >= len(subjects))
    # `m.>` also hears the mark.
    assert [entry for entry in got if entry[0] != "m.test.mark"] == [(s, s.encode()) for s in subjects]


async def test_what_a_process_publishes_it_hears_itself(buses: Buses) -> None:
    link = await buses.bus.link(await buses.tenant())
    got: Got = []
    await link.subscribe("m.*.x", collect(got))
    link.publish("m.a.x", b"1")
    assert got == [], "delivered from within publish"
    await eventually(lambda: got == [("m.a.x", b"1")])


async def test_once_subscribed_nothing_is_missed(buses: Buses) -> None:
    # Two connections: without the server's confirmation the message sometimes overtakes the interest.
    ours, theirs = await buses.links(await buses.tenant())
    for number in range(100):
        got: Got = []
        subscription = await ours.subscribe(f"m.*.n{number}", collect(got))
        theirs.publish(f"m.a.n{number}", b"x" * 5000)
        await some(got, 1)
        await subscription.close()


async def test_order_is_kept_per_link(buses: Buses) -> None:
    ours, theirs = await buses.links(await buses.tenant())
    got: Got = []
    await ours.subscribe("m.>", collect(got))
    sent = [(f"m.a{number % 7}.s{number % 5}", b"%d" % number) for number in range(5000)]
    for number, (subject, payload) in enumerate(sent):
        theirs.publish(subject, payload)
        if number % 500 == 0:
            await asyncio.sleep(0)
    await eventually(lambda: len(got) == len(sent))
    assert got == sent


async def test_order_is_kept_across_subscriptions(buses: Buses) -> None:
    ours, theirs = await buses.links(await buses.tenant())
    got: Got = []
    await ours.subscribe("m.*.even", collect(got))
    await ours.subscribe("m.*.odd", collect(got))
    sent = [(f"m.a.{'odd' if number % 2 else 'even'}", b"%d" % number) for number in range(1000)]
    for subject, payload in sent:
        theirs.publish(subject, payload)
    await eventually(lambda: len(got) == len(sent))
    assert got == sent


async def test_every_subscription_gets_its_own_copy(buses: Buses) -> None:
    link, _ = await buses.links(await buses.tenant())
    got: Got = []
    await link.subscribe("m.*.x", collect(got, "first "))
    await link.subscribe("m.*.x", collect(got, "second "))
    await link.subscribe("m.a.>", collect(got, "third "))
    link.publish("m.a.x", b"")
    await everything_sent(link)
    assert sorted(subject for subject, _ in got) == ["first m.a.x", "second m.a.x", "third m.a.x"]


async def test_one_member_of_a_queue_group_gets_each_message(buses: Buses) -> None:
    ours, theirs = await buses.links(await buses.tenant())
    got: Got = []
    await ours.subscribe("m.*.job", collect(got, "w1 "), queue="workers")
    await ours.subscribe("m.*.job", collect(got, "w2 "), queue="workers")
    await theirs.subscribe("m.*.job", collect(got, "w3 "), queue="workers")
    await ours.subscribe("m.*.job", collect(got, "audit "), queue="auditors")
    await ours.subscribe("m.*.job", collect(got, "all "))
    for number in range(200):
        ours.publish("m.a.job", b"%d" % number)
    await eventually(lambda: len(got) == 600)
    await everything_sent(ours)
    await everything_sent(theirs)
    numbers = {b"%d" % number for number in range(200)}
    workers = [(name, payload) for name, payload in got if name.startswith("w")]
    assert Counter(payload for _, payload in workers) == Counter(numbers)
    assert len({name for name, _ in workers}) > 1, "one worker got everything"
    for name in ["audit m.a.job", "all m.a.job"]:
        assert Counter(payload for who, payload in got if who == name) == Counter(numbers)


async def test_who_leaves_a_queue_group_gets_what_it_was_sent(buses: Buses) -> None:
    """The bus has chosen it, and chooses nobody else."""
    ours, theirs = await buses.links(await buses.tenant())
    got: Got = []
    await ours.subscribe("m.*.job", collect(got), queue="workers")
    sent = 0
    for _ in range(20):
        leaves = await theirs.subscribe("m.*.job", collect(got), queue="workers")
        for _ in range(20):
            theirs.publish("m.a.job", b"%d" % sent)
            sent += 1
        await leaves.close()
        before = len(got)
        theirs.publish("m.a.job", b"%d" % sent)
        sent += 1
        await eventually(lambda: len(got) > before)  # noqa: B023 - asked at once
    await everything_sent(ours)
    await everything_sent(theirs)
    await eventually(lambda: len(got) >= sent)
    assert Counter(payload for _, payload in got) == Counter(b"%d" % number for number in range(sent))


async def test_after_close_nothing_is_delivered(buses: Buses) -> None:
    ours, theirs = await buses.links(await buses.tenant())
    closed: Got = []
    kept: Got = []
    subscription = await ours.subscribe("m.*.x", collect(closed))
    await ours.subscribe("m.*.x", collect(kept))
    for number in range(500):
        theirs.publish("m.a.x", b"%d" % number)
    await eventually(lambda: kept)
    await subscription.close()
    seen = len(closed)
    theirs.publish("m.a.x", b"last")
    await eventually(lambda: kept[-1] == ("m.a.x", b"last"))
    assert len(closed) == seen
    await subscription.close()


async def test_closing_overtakes_what_is_on_its_way(buses: Buses) -> None:
    link = await buses.bus.link(await buses.tenant())
    got: Got = []
    subscription = await link.subscribe("m.*.x", collect(got))
    link.publish("m.a.x", b"")
    await subscription.close()
    seen = len(got)
    await everything_sent(link)
    assert len(got) == seen


async def test_subscribing_again_and_again(buses: Buses) -> None:
    link, _ = await buses.links(await buses.tenant())
    got: Got = []
    for number in range(20):
        subscription = await link.subscribe("m.*.x", collect(got))
        link.publish("m.a.x", b"%d" % number)
        await some(got, number + 1)
        await subscription.close()
    assert [payload for _, payload in got] == [b"%d" % number for number in range(20)]


async def test_a_receiver_that_fails_stops_nobody(buses: Buses) -> None:
    link, _ = await buses.links(await buses.tenant())
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: errors.append(context.get("exception"))
    )
    fault = RuntimeError("a receiver's bug")

    def fail(subject: str, payload: bytes) -> None:
        raise fault

    got: Got = []
    await link.subscribe("m.*.x", fail)
    await link.subscribe("m.*.x", collect(got))
    for _ in range(3):
        link.publish("m.a.x", b"")
    await eventually(lambda: len(got) == 3)
    assert errors == [fault] * 3


async def test_tenants_do_not_hear_each_other(buses: Buses) -> None:
    acme, _ = await buses.links(await buses.tenant("acme"))
    globex, _ = await buses.links(await buses.tenant("globex"))
    here: Got = []
    there: Got = []
    await acme.subscribe("m.>", collect(here))
    await globex.subscribe("m.>", collect(there))
    acme.publish("m.a.x", b"acme's")
    globex.publish("m.a.x", b"globex's")
    await eventually(lambda: here and there)
    await everything_sent(acme)
    await everything_sent(globex)
    assert [payload for _, payload in here if payload] == [b"acme's"]
    assert [payload for _, payload in there if payload] == [b"globex's"]


async def test_flush_by_many_at_once(buses: Buses) -> None:
    link, _ = await buses.links(await buses.tenant())
    got: Got = []
    await link.subscribe("m.>", collect(got))

    async def tell(number: int) -> None:
        link.publish("m.a.x", b"%d" % number)
        await link.flush()

    await asyncio.gather(*(tell(number) for number in range(200)))
    await eventually(lambda: len(got) == 200)


async def test_large_messages(buses: Buses) -> None:
    link = await buses.bus.link(await buses.tenant())
    got: Got = []
    await link.subscribe("m.>", collect(got))
    payload = bytes(range(256)) * 800
    link.publish("m.a.x", payload)
    await eventually(lambda: got)
    assert got == [("m.a.x", payload)]
    with pytest.raises(ArtcafeError) as refusal:
        link.publish("m.a.x", b"x" * (3 * 1024 * 1024))
    assert refusal.value.code is Code.too_large
    link.publish("m.a.x", b"and on")
    await eventually(lambda: got[-1] == ("m.a.x", b"and on"))


@pytest.mark.parametrize(
    "subject", ["", ".", "m.", ".m", "m..a", "m.a b", "m.a\r\nPUB m.b 0\r\n", "m.*", "m.>", "m.\x00", "m.ä"]
)
async def test_a_subject_the_bus_cannot_carry_is_refused(buses: Buses, subject: str) -> None:
    link = await buses.bus.link(await buses.tenant())
    with pytest.raises(ArtcafeError) as refusal:
        link.publish(subject, b"")
    assert refusal.value.code is Code.invalid_subject
    await link.flush()


@pytest.mark.parametrize("pattern", ["", "m.", "m..a", "m.>.a", "m.a>", "m.a*", "m. ", "m.\r\nPING", "m.ä"])
async def test_a_pattern_the_bus_cannot_hear_is_refused(buses: Buses, pattern: str) -> None:
    link = await buses.bus.link(await buses.tenant())
    with pytest.raises(ArtcafeError) as refusal:
        await link.subscribe(pattern, collect([]))
    assert refusal.value.code is Code.invalid_subject
    with pytest.raises(ArtcafeError) as queue:
        await link.subscribe("m.>", collect([]), queue="a b")
    assert queue.value.code is Code.invalid_subject
    await link.flush()


async def test_while_it_is_paused_it_has_no_room_and_nothing_is_lost(buses: Buses) -> None:
    ours, theirs = await buses.links(await buses.tenant())
    got: Got = []
    await ours.subscribe("m.*.x", collect(got))
    ours.pause(True)
    ours.pause(True)
    assert not ours.publish("m.a.x", b"taken all the same")
    room = asyncio.create_task(ours.room())
    for _ in range(50):
        theirs.publish("m.b.x", b"theirs")
    await theirs.flush()
    assert not room.done()
    ours.pause(False)
    ours.pause(False)
    await room
    assert ours.publish("m.a.x", b"last")
    await eventually(lambda: len(got) >= 52)
    assert Counter(payload for _, payload in got) == {b"taken all the same": 1, b"theirs": 50, b"last": 1}


async def test_a_question_that_nobody_hears_is_answered_by_the_bus(buses: Buses) -> None:
    ours, theirs = await buses.links(await buses.tenant())
    inbox = ours.new_inbox()
    answered: list[tuple[str, bytes]] = []
    heard: list[tuple[str, bytes]] = []
    await ours.subscribe(f"{inbox}.*.*", lambda *said: answered.append(said))
    ours.ask("m.a.x", b"1", f"{inbox}.q1._")
    await eventually(lambda: answered == [(f"{inbox}.q1._", b"")])

    await theirs.subscribe("m.*.x", lambda *said: heard.append(said))
    ours.ask("m.a.x", b"2", f"{inbox}.q2._")
    await eventually(lambda: heard == [("m.a.x", b"2")])
    theirs.publish(f"{inbox}.q2.b", b"3")
    await eventually(lambda: answered[1:] == [(f"{inbox}.q2.b", b"3")])


async def test_nothing_is_asked_while_the_bus_is_away(buses: Buses) -> None:
    tenant = await buses.tenant()
    ours, _ = await buses.links(tenant)
    await buses.accounts.remove(tenant)
    await eventually(lambda: _refuses(ours))


def _refuses(link: Link) -> bool:
    try:
        link.ask("m.a.x", b"1", f"{link.new_inbox()}.q1._")
    except ArtcafeError as error:
        return error.code is Code.unavailable
    return False
