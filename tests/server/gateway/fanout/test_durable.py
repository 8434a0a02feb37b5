"""What is published into a durable channel is stored, answered, and delivered in the order of the channel."""

import json

import pytest

from artcafe.server.gateway.dialects.legacy import LegacyDialect
from artcafe.server.gateway.sessions.storing import MAX_STORING
from artcafe.wire.codes import Code
from tests.kit.durable import House, a_durable_channel, messages, publish
from tests.kit.sessions import a_channel, errors
from tests.kit.turns import turns


@pytest.fixture
def house() -> House:
    return House(a_durable_channel(), a_channel("chat"))


async def test_an_ack_says_where_the_message_is_stored(house: House) -> None:
    planner = await house.agent("planner")
    [first, second] = await publish(planner, 1, 2)
    epoch = house.stream().epoch
    assert (first["type"], first["seq"], first["epoch"]) == ("ack", 1, epoch)
    assert second["seq"] == 2
    assert "duplicate" not in second
    stored = house.stream().messages[1]
    assert (stored.subject, json.loads(stored.payload)["data"]) == ("m.planner.tasks.new", 1)
    assert [agent for agent, *_ in planner.counted] == ["planner"] * 2


async def test_an_ack_waits_until_the_message_is_stored(house: House) -> None:
    planner = await house.agent("planner")
    house.streams.hold_receipts()
    assert await publish(planner, 1) == []
    house.streams.give_receipts()
    await turns()
    [ack] = planner.read()
    assert (ack["type"], ack["seq"]) == ("ack", 1)


async def test_what_no_durable_channel_holds_is_published_as_before(house: House) -> None:
    planner = await house.agent("planner")
    [ack] = await publish(planner, 1, subject="chat")
    assert set(ack) == {"type", "id", "message_id"}
    assert house.stream().last == 0


async def test_a_message_that_nobody_asked_an_answer_for_is_stored_too(house: House) -> None:
    planner = await house.agent("planner")
    for n in range(4):  # The last ones by the template of those before.
        assert await planner.say(type="publish", subject="tasks.new", data=n) == []
    assert house.stream().last == 4
    house.stream().refuse, house.stream().most = True, 4
    got = await planner.say(type="publish", subject="tasks.new", data=5)
    assert errors(Code.channel_full, id=None)(got)


async def test_a_full_channel_refuses_and_nothing_is_counted(house: House) -> None:
    house.stream().refuse, house.stream().most = True, 1
    planner = await house.agent("planner")
    [ack, refused] = await publish(planner, 1, 2)
    assert ack["type"] == "ack"
    assert errors(Code.channel_full, id="p1")([refused])
    assert len(planner.counted) == 1


async def test_a_retry_with_the_same_dedup_is_answered_with_the_first_sequence(house: House) -> None:
    planner, other = await house.agent("planner"), await house.agent("other")
    reader = await house.agent("reader")
    await reader.say(type="subscribe", subject="tasks.>")
    frame = {"type": "publish", "subject": "tasks.new", "data": 1, "dedup": "order-17"}
    [first] = await planner.say(**frame, id="1")
    [again] = await planner.say(**frame, id="2")
    assert (first["seq"], first.get("duplicate", False)) == (1, False)
    assert (again["seq"], again["duplicate"]) == (1, True)
    [others] = await other.say(**frame, id="1")
    assert others["seq"] == 2, "another sender's name of a message is another one"
    await turns()
    assert messages(reader.read()) == [(1, 1), (2, 1)]
    assert len(planner.counted) == 1


async def test_ids_of_frames_that_begin_anew_in_each_connection_drop_nothing(house: House) -> None:
    first, second = await house.agent("planner"), await house.agent("planner")
    [one] = await first.say(type="publish", subject="tasks.new", data=1, id="1")
    [two] = await second.say(type="publish", subject="tasks.new", data=2, id="1")
    assert (one["seq"], two["seq"]) == (1, 2)


async def test_dedup_is_refused_where_nothing_is_stored(house: House) -> None:
    planner = await house.agent("planner")
    got = await planner.say(type="publish", subject="chat", data=1, id="p", dedup="x")
    assert errors(Code.not_durable, id="p")(got)


@pytest.mark.parametrize("dedup", ["", "a b", "x" * 65, "x\r\nNats-Rollup: all", "ü"])
async def test_a_dedup_is_a_plain_token(house: House, dedup: str) -> None:
    planner = await house.agent("planner")
    got = await planner.say(type="publish", subject="tasks.new", data=1, id="p", dedup=dedup)
    assert errors(Code.bad_frame, id="p")(got)


async def test_who_has_much_on_its_way_waits(house: House) -> None:
    planner = await house.agent("planner")
    house.streams.hold_receipts()
    text = b'{"type":"publish","subject":"tasks.new","data":1}'
    for _ in range(MAX_STORING - 1):
        assert planner.session.take(text) is None
    work = planner.session.take(text)
    assert work is not None
    house.streams.give_receipts()
    await work
    assert planner.session.take(text) is None


async def test_subscribers_of_all_processes_get_the_order_of_the_channel(
    house: House,
) -> None:
    here = house.process()
    one, two = await house.agent("one", here), await house.agent("two")
    readers = [await house.agent("r1", here), await house.agent("r2"), await house.agent("r3")]
    for reader, pattern in zip(readers, ("tasks.>", "tasks.new", ">"), strict=True):
        [answer] = await reader.say(type="subscribe", subject=pattern)
        assert answer["type"] == "subscribed"
    for n in range(10):
        await (one, two)[n % 2].say(type="publish", subject="tasks.new", data=n)
    await turns(100)
    expected = [(n + 1, n) for n in range(10)]
    for reader in readers:
        got = reader.read()
        assert messages(got) == expected
        assert {frame["epoch"] for frame in got} == {house.stream().epoch}
        assert {frame["from"] for frame in got} == {"one", "two"}


async def test_a_message_that_several_patterns_match_comes_once(house: House) -> None:
    reader, planner = await house.agent("reader"), await house.agent("planner")
    for pattern in ("tasks.>", "tasks.new", ">"):
        await reader.say(type="subscribe", subject=pattern)
    await publish(planner, 1)
    assert messages(reader.read()) == [(1, 1)]


async def test_what_was_not_stored_is_not_delivered_in_a_durable_channel(house: House) -> None:
    reader = await house.agent("reader")
    await reader.say(type="subscribe", subject=">")
    for subject in ("m.liar.tasks.new", "m.liar.chat"):
        house.link.publish(subject, b'{"id":"x","timestamp":"t","data":1}')
    await turns()
    assert [frame["subject"] for frame in reader.read()] == ["chat"]


async def test_a_queue_group_gets_each_message_once(house: House) -> None:
    workers = [await house.agent("w1"), await house.agent("w2")]
    planner = await house.agent("planner")
    for worker in workers:
        [answer] = await worker.say(type="subscribe", subject="tasks.new", queue="w")
        assert set(answer) == {"type", "subject"}
    await publish(planner, *range(6))
    shares = [[data for _, data in messages(worker.read())] for worker in workers]
    assert sorted(shares[0] + shares[1]) == list(range(6))
    assert all(shares)


async def test_clients_of_the_original_service_see_what_they_always_saw(house: House) -> None:
    old, planner = await house.agent("old", dialect=LegacyDialect()), await house.agent("planner")
    [answer] = await old.say(type="subscribe", channel="tasks.new")
    assert set(answer) == {"type", "subject"}
    ack, *got = await old.say(type="publish", channel="tasks.new", data={"n": 1}, id="1")
    assert set(ack) == {"type", "id", "message_id"}
    await publish(planner, {"n": 2})
    got += old.read()
    assert [frame["type"] for frame in got] == ["message"] * 2
    assert all("seq" not in frame and "epoch" not in frame for frame in got)


async def test_a_tail_is_open_while_a_subscription_may_match(house: House) -> None:
    reader = await house.agent("reader")
    assert len(house.stream().tails) == 0
    await reader.say(type="subscribe", subject="tasks.new")
    await reader.say(type="subscribe", subject="*.new")
    assert len(house.stream().tails) == 1
    await reader.say(type="unsubscribe", subject="tasks.new")
    assert len(house.stream().tails) == 1
    await reader.say(type="unsubscribe", subject="*.new")
    assert len(house.stream().tails) == 0


async def test_a_subscription_is_refused_while_its_channel_cannot_be_heard(house: House) -> None:
    reader = await house.agent("reader")
    house.streams.away = True
    got = await reader.say(type="subscribe", subject=">", id="s")
    assert errors(Code.unavailable, id="s")(got)
    house.streams.away = False
    [answer] = await reader.say(type="subscribe", subject=">", id="s")
    assert answer["type"] == "subscribed"


async def test_a_store_that_fails_is_an_error_with_the_id_of_its_frame(house: House) -> None:
    planner = await house.agent("planner")
    house.streams.away = True
    assert errors(Code.unavailable, id="p0")(await publish(planner, 1))


async def test_a_farewell_waits_for_what_is_being_stored(house: House) -> None:
    planner = await house.agent("planner")
    house.streams.hold_receipts()
    await publish(planner, 1)
    waiting = planner.session.acknowledged()
    house.streams.give_receipts()
    await waiting
    assert [frame["type"] for frame in planner.read()] == ["ack"]


async def test_a_request_is_not_stored(house: House) -> None:
    planner = await house.agent("planner")
    got = await planner.say(type="request", subject="tasks.new", data=1, id="r1")
    assert errors(Code.invalid_subject, id="r1")(got)
    assert (house.stream().last, planner.session.hub.requests.open) == (0, 0)
