"""Durable subscriptions: members share what is stored, and what one does not settle goes to another."""

import json
from typing import Any

import pytest

from artcafe.server.domain.access import Rights
from artcafe.server.domain.policy import Grant, Policy
from artcafe.server.gateway.fanout import durable_subscription
from artcafe.wire.codes import Code
from tests.kit.deadlines import eventually
from tests.kit.durable import House, a_durable_channel, publish
from tests.kit.sessions import Table, a_channel, errors
from tests.kit.turns import turns

LONG = 600_000


@pytest.fixture
def house() -> House:
    return House(a_durable_channel(), a_channel("chat"))


async def join(agent: Table, subject: str = "tasks.>", name: str = "workers", **more: Any) -> dict[str, Any]:
    """Join a durable subscription; the answer, and nothing else comes before it."""
    said = await agent.say(type="subscribe", subject=subject, durable=name, id="s", **more)
    await turns()
    [answer, *came] = said
    agent.client.got[:0] = came
    assert isinstance(answer, dict)
    return answer


async def settle(agent: Table, message: dict[str, Any], how: str = "ack") -> list[dict[str, Any]]:
    """Settle a delivery; what is answered. Messages that come meanwhile are left to be read."""
    got = await agent.say(type=how, delivery=message["delivery"], id="a")
    agent.client.got[:0] = [frame for frame in got if frame["type"] == "message"]
    return [frame for frame in got if frame["type"] != "message"]


async def deliveries(agent: Table, count: int = 0) -> list[dict[str, Any]]:
    """The messages that came, once there are so many."""
    await turns()
    got: list[dict[str, Any]] = []

    def there() -> bool:
        got.extend(frame for frame in agent.read() if frame["type"] == "message")
        return len(got) >= count

    await eventually(there)
    return got


async def test_each_message_goes_to_one_member_in_turn_with_its_place(house: House) -> None:
    one, two, planner = [await house.agent(name) for name in ("one", "two", "planner")]
    answer = await join(one, max_in_flight=2)
    assert answer == {
        "type": "subscribed",
        "subject": "tasks.>",
        "id": "s",
        "durable": "workers",
        "lease_ms": 30_000,
        "max_deliveries": 5,
    }
    await join(two, max_in_flight=2)
    await publish(planner, *range(5))
    got = await deliveries(one) + await deliveries(two)
    assert sorted(frame["data"] for frame in got) == [0, 1, 2, 3]
    first = next(frame for frame in got if frame["data"] == 0)
    assert (first["seq"], first["epoch"], first["from"], first["durable"]) == (
        1,
        house.stream().epoch,
        "planner",
        "workers",
    )
    assert "redelivered" not in first
    assert len({frame["delivery"] for frame in got}) == 4


async def test_who_settles_gets_the_next(house: House) -> None:
    worker, planner = await house.agent("worker"), await house.agent("planner")
    await join(worker, max_in_flight=1)
    await publish(planner, 1, 2)
    for data in (1, 2):
        [message] = await deliveries(worker)
        assert message["data"] == data
        assert await deliveries(worker) == []
        settled = {"type": "settled", "id": "a", "delivery": message["delivery"]}
        assert await settle(worker, message) == [settled]
    assert await deliveries(worker) == []


async def test_who_goes_gives_back_at_once_and_who_unsubscribes_settles_what_it_has(house: House) -> None:
    one, two, planner = [await house.agent(name) for name in ("one", "two", "planner")]
    await join(one, lease_ms=LONG)
    await publish(planner, 1, 2, 3)
    [first, _, _] = await deliveries(one)
    await join(two)
    got = await one.say(type="unsubscribe", subject="tasks.>", durable="workers", id="u")
    assert got == [{"type": "unsubscribed", "subject": "tasks.>", "id": "u"}]
    assert [frame["type"] for frame in await settle(one, first)] == ["settled"]
    await publish(planner, 4)
    assert [frame["data"] for frame in await deliveries(two)] == [4]
    await one.session.leave()
    assert [(frame["data"], frame["redelivered"]) for frame in await deliveries(two)] == [(2, 1), (3, 1)]


async def test_a_lease_that_is_over_is_anothers_and_the_old_delivery_is_none(house: House) -> None:
    one, two, planner = [await house.agent(name) for name in ("one", "two", "planner")]
    await join(one, lease_ms=1000, max_in_flight=1)
    await publish(planner, 1)
    [mine] = await deliveries(one)
    await join(two)
    [again] = await deliveries(two, 1)
    assert (again["data"], again["redelivered"]) == (1, 1)
    await eventually(lambda: not list(one.session._deliveries))
    assert errors(Code.not_found, id="a")(await settle(one, mine))


async def test_a_delivery_is_nobodys_but_its_own_connections(house: House) -> None:
    one, two, planner = [await house.agent(name) for name in ("one", "two", "planner")]
    await join(one)
    await publish(planner, 1)
    [message] = await deliveries(one)
    assert errors(Code.not_found, id="a")(await settle(two, message))


@pytest.mark.parametrize("how", ["nak", "term"])
async def test_a_message_that_cannot_be_done_is_a_dead_letter_once(house: House, how: str) -> None:
    worker, planner = await house.agent("worker"), await house.agent("planner")
    await join(worker, max_deliveries=2)
    await publish(planner, {"x": 1})
    deliveries_made = 2 if how == "nak" else 1
    for _ in range(deliveries_made):
        [message] = await deliveries(worker, 1)
        await settle(worker, message, how)
    assert await deliveries(worker) == []
    await eventually(lambda: house.stream().dead)
    [(owner, letter)] = house.stream().dead.values()
    assert owner == "workers"
    read = json.loads(letter)
    assert read.pop("message")["data"] == {"x": 1}
    assert read == {
        "subject": "tasks.new",
        "from": "planner",
        "seq": 1,
        "durable": "workers",
        "deliveries": deliveries_made,
        "reason": "delivered too often" if how == "nak" else "terminated by the client",
    }
    assert house.announced == [("dlq.tasks", read)]
    assert house.stream().consumers["workers"].state.in_flight == 0


async def test_what_cannot_be_buried_comes_again_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable_subscription, "RETRY_SECONDS", 0.05)
    worker, planner = await house.agent("worker"), await house.agent("planner")
    await join(worker, max_deliveries=1)
    await publish(planner, 1)
    [message] = await deliveries(worker)
    house.streams.away = True
    await settle(worker, message, "nak")
    await turns()
    assert not house.stream().dead
    house.streams.away = False
    await eventually(lambda: house.stream().dead)


async def test_a_stored_message_that_is_not_ours_is_buried(house: House) -> None:
    worker = await house.agent("worker")
    await join(worker)
    await house.streams.store(house.rules.channels[0].stream, "m.a1.tasks.new", b"{", None)
    await eventually(lambda: house.stream().dead)
    [(_, letter)] = house.stream().dead.values()
    assert json.loads(letter)["reason"] == "not a message of this platform"
    assert await deliveries(worker) == []


async def test_rules_are_the_first_ones_and_other_ones_are_a_conflict(house: House) -> None:
    one, two = await house.agent("one"), await house.agent("two")
    await join(one, lease_ms=5000, max_deliveries=3)
    for more in ({"lease_ms": 6000}, {"max_deliveries": 4}):
        got = await two.say(type="subscribe", subject="tasks.>", durable="workers", id="s", **more)
        assert errors(Code.conflict, id="s")(got)
    got = await two.say(type="subscribe", subject="tasks.new", durable="workers", id="s")
    assert errors(Code.conflict, id="s")(got)
    assert (await join(two, lease_ms=5000))["max_deliveries"] == 3
    assert (await join(two))["lease_ms"] == 5000, "again is no fault"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"subject": "chat", "durable": "w"}, Code.not_durable),
        ({"subject": ">", "durable": "w"}, Code.not_durable),
        ({"subject": "agents.other.x", "durable": "w"}, Code.forbidden),
        ({"subject": "tasks.>", "durable": "w", "queue": "q"}, Code.bad_frame),
        ({"subject": "tasks.>", "durable": "w", "recover": {"epoch": "e", "seq": 1}}, Code.bad_frame),
        ({"subject": "tasks.>", "durable": "w", "since": "soon"}, Code.validation_failed),
        ({"subject": "tasks.>", "lease_ms": 5000}, Code.bad_frame),
        ({"subject": "tasks.>", "max_in_flight": 3}, Code.bad_frame),
        ({"subject": "tasks.>", "max_deliveries": 3}, Code.bad_frame),
        ({"subject": "tasks.>", "durable": "a b"}, Code.bad_frame),
        ({"subject": "tasks.>", "durable": "w", "max_in_flight": 257}, Code.bad_frame),
        ({"subject": "tasks.>", "durable": "w", "lease_ms": 1}, Code.bad_frame),
    ],
)
async def test_what_is_refused_makes_nothing(house: House, frame: dict[str, Any], code: Code) -> None:
    agent = await house.agent("agent")
    assert errors(code, id="s")(await agent.say(type="subscribe", id="s", **frame))
    assert house.stream().consumers == {}


async def test_since_begins_with_what_is_stored(house: House) -> None:
    worker, planner = await house.agent("worker"), await house.agent("planner")
    await publish(planner, 1, 2, 3)
    await join(worker, since=2)
    assert [frame["data"] for frame in await deliveries(worker)] == [2, 3]


async def test_subscriptions_are_limited_together(house: House) -> None:
    agent = await house.agent("agent")
    for name in ("a", "b", "c"):
        await join(agent, name=name)
    got = await agent.say(type="subscribe", subject="tasks.>", durable="d", id="s")
    assert errors(Code.too_many_subscriptions, id="s")(got)
    await agent.say(type="unsubscribe", subject="tasks.>", durable="a")
    await join(agent, name="d")
    got = await agent.say(type="unsubscribe", subject="tasks.>", durable="a", id="u")
    assert errors(Code.not_found, id="u")(got)


async def test_what_is_large_is_not_piled_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable_subscription, "MEMBER_BYTES", 3000)
    worker, planner = await house.agent("worker"), await house.agent("planner")
    await join(worker, max_in_flight=100)
    await publish(planner, *["x" * 900] * 10)
    got = await deliveries(worker)
    assert len(got) == 3, "the third one reaches the bound"
    await settle(worker, got[0])
    assert len(await deliveries(worker, 1)) == 1


async def test_rights_that_end_give_back_and_end_it(house: House) -> None:
    one, two, planner = [await house.agent(name) for name in ("one", "two", "planner")]
    await join(one, lease_ms=LONG)
    await publish(planner, 1)
    assert len(await deliveries(one)) == 1
    await join(two)
    denied = Policy(subscribe=Grant(deny=["tasks.new"]))
    one.session.rights_changed(one.session.principal, Rights(one.session.principal, denied, house.rules))
    await turns()
    [error] = one.read()
    assert (error["code"], error["details"]) == ("forbidden", {"subject": "tasks.>", "durable": "workers"})
    assert [(frame["data"], frame["redelivered"]) for frame in await deliveries(two)] == [(1, 1)]


async def test_a_durable_subscription_that_is_deleted_ends_for_all(house: House) -> None:
    one, two = await house.agent("one"), await house.agent("two")
    for agent in (one, two):
        await join(agent)
    assert await house.link.consumers.delete(house.rules.channels[0].stream, "workers")
    await turns()
    for agent in (one, two):
        [error] = agent.read()
        assert (error["code"], error["details"]["durable"]) == ("not_durable", "workers")
    got = await two.say(type="unsubscribe", subject="tasks.>", durable="workers", id="u")
    assert errors(Code.not_found, id="u")(got)
    await join(one)  # A new one.
    await publish(await house.agent("planner"), 1)
    assert [frame["data"] for frame in await deliveries(one, 1)] == [1]


async def test_who_is_gone_leaves_nothing_open(house: House) -> None:
    hub = house.process()
    agent = await house.agent("agent", hub)
    await join(agent)
    assert house.stream().consumers["workers"].ends
    await agent.session.leave()
    await turns()
    assert not house.stream().consumers["workers"].ends
    assert hub.durable._open == {}


async def test_while_the_bus_is_away_it_is_refused_and_can_be_tried_again(house: House) -> None:
    agent = await house.agent("agent")
    house.streams.away = True
    got = await agent.say(type="subscribe", subject="tasks.>", durable="w", id="s")
    assert errors(Code.unavailable, id="s")(got)
    house.streams.away = False
    await join(agent, name="w")


async def test_drained_members_get_nothing_more(house: House) -> None:
    one, two, planner = [await house.agent(name) for name in ("one", "two", "planner")]
    await join(one)
    await join(two)
    assert one.session.shares_work
    await one.session.drain()
    await publish(planner, 1, 2)
    assert [frame["data"] for frame in await deliveries(two)] == [1, 2]
    assert await deliveries(one) == []
