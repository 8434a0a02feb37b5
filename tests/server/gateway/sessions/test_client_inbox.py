"""The inbox of a connection: what waits is delivered, settled, and delivered again where it is not."""

from typing import Any

import pytest

from artcafe.server.domain.ids import UserId
from artcafe.server.domain.principal import Human
from artcafe.server.domain.tenant import Role
from artcafe.server.gateway.dialects.dashboard import DashboardDialect
from artcafe.server.gateway.sessions.dashboard_session import DashboardSession
from artcafe.wire.codes import Code
from tests.kit.deadlines import eventually
from tests.kit.durable import House
from tests.kit.mailboxes import Reader, put, reader
from tests.kit.sessions import ACME, Table, a_table, errors
from tests.kit.turns import turns


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
async def sender(house: House) -> Table:
    return await house.agent("boss")


async def test_what_is_stored_waits_until_its_owner_opens_its_inbox(house: House, sender: Table) -> None:
    [ack] = await put(sender, "a")
    assert (ack["type"], ack["seq"]) == ("ack", 1)
    await put(sender, "b", headers={"k": "v"}, reply_to="inbox.boss.r")
    w1 = await reader(house)
    assert w1.read() == []
    assert await w1.open() == 2
    await w1.receives("a", "b")
    first, second = w1.messages
    assert first == {
        "type": "message",
        "subject": "agents.w1.tasks",
        "from": "boss",
        "id": ack["message_id"],
        "timestamp": first["timestamp"],
        "data": "a",
        "delivery": first["delivery"],
        "waiting": 1,
    }
    assert (second["headers"], second["reply_to"], second["waiting"]) == ({"k": "v"}, "inbox.boss.r", 0)


async def test_what_is_stored_later_comes_at_once(house: House, sender: Table) -> None:
    w1 = await reader(house)
    assert await w1.open() == 0
    await put(sender, "a", "b")
    await w1.receives("a", "b")
    await w1.settle("a")
    await put(sender, "c")
    await w1.receives("a", "b", "c")


async def test_subscriptions_do_not_hear_what_is_stored(house: House, sender: Table) -> None:
    w1 = await reader(house)
    await w1.table.say(type="subscribe", subject="agents.w1.>")
    await put(sender, "stored")
    await sender.say(type="publish", subject="agents.w1.tasks", data="live")
    await w1.receives("live")
    await w1.open()
    await w1.receives("live", "stored")


async def test_urgent_ones_come_first_and_each_priority_in_order(house: House, sender: Table) -> None:
    for priority, name in ((2, "low"), (1, "normal"), (0, "urgent")):
        await put(sender, f"{name} 1", f"{name} 2", priority=priority)
    w1 = await reader(house)
    assert await w1.open() == 6
    await w1.receives("urgent 1", "urgent 2", "normal 1", "normal 2", "low 1", "low 2")


async def test_an_urgent_one_overtakes_what_the_client_has_no_room_for(house: House, sender: Table) -> None:
    await put(sender, "a", "b")
    w1 = await reader(house)
    await w1.open(max_in_flight=1)
    await w1.receives("a")
    await put(sender, "now", priority=0)
    await w1.settle("a")
    await w1.receives("a", "now")
    await w1.settle("now")
    await w1.receives("a", "now", "b")


async def test_what_is_not_settled_is_bounded(house: House, sender: Table) -> None:
    await put(sender, *range(5))
    w1 = await reader(house)
    await w1.open(max_in_flight=2)
    await w1.receives(0, 1)
    await turns()
    assert [frame["waiting"] for frame in w1.messages] == [4, 3]
    await w1.settle(1)
    await w1.receives(0, 1, 2)
    await w1.settle(0, 2)
    await w1.receives(0, 1, 2, 3, 4)


async def test_what_was_acknowledged_does_not_come_again(house: House, sender: Table) -> None:
    await put(sender, *range(10))
    w1 = await reader(house)
    await w1.open()
    await w1.receives(*range(10))
    await w1.settle(0, 1, 2, 5, 3, 8)
    await w1.leave()
    again = await reader(house)
    assert await again.open() == 4
    await again.receives(4, 6, 7, 9)
    assert set(house.link.inboxes.messages) == {5, 7, 8, 10}


async def test_a_message_says_how_often_it_was_delivered_before(house: House, sender: Table) -> None:
    hub = house.process()
    await put(sender, "a")
    for count in range(3):
        w1 = await reader(house, hub=hub)
        await w1.open()
        await w1.receives("a")
        assert w1.messages[0].get("redelivered", 0) == count
        await w1.leave()


async def test_what_is_given_back_comes_again_after_its_delay(house: House, sender: Table) -> None:
    await put(sender, "a", "b")
    w1 = await reader(house)
    await w1.open()
    await w1.receives("a", "b")
    await w1.settle("a", how="nak", delay_ms=1)
    await eventually(lambda: w1.data == ["a", "b", "a"])
    assert w1.messages[2]["redelivered"] == 1
    await w1.settle("a", "b")
    assert house.link.inboxes.messages == {}


async def test_what_is_given_back_for_long_waits_beside_the_others(house: House, sender: Table) -> None:
    await put(sender, "a", "b", "c")
    w1 = await reader(house)
    await w1.open(max_in_flight=1)
    await w1.receives("a")
    await w1.settle("a", how="nak", delay_ms=60_000)
    await w1.receives("a", "b")
    await w1.settle("b")
    await w1.receives("a", "b", "c")
    assert w1.messages[2]["waiting"] == 1
    await w1.leave()
    again = await reader(house)
    await again.open()
    await again.receives("a", "c")


async def test_progress_changes_nothing_and_term_removes(house: House, sender: Table) -> None:
    await put(sender, "a")
    w1 = await reader(house)
    await w1.open()
    await w1.receives("a")
    await w1.settle("a", how="progress")
    await w1.settle("a", how="term", reason="torn")
    assert house.link.inboxes.messages == {}


@pytest.mark.parametrize("process", ["one", "two"])
async def test_the_connection_that_opens_it_last_has_it(house: House, sender: Table, process: str) -> None:
    hub = house.process()
    first, second = await reader(house, hub=hub), await reader(house, hub=hub if process == "one" else None)
    await put(sender, "a", "b")
    await first.open()
    await first.receives("a", "b")
    assert await second.open() == 2
    await second.receives("a", "b")
    assert first.read()[-1] == {"type": "inbox_closed", "reason": "taken_over"}
    await first.settle("a")  # Settled late, and by the wrong one: it is settled.
    await put(sender, "c")
    await second.receives("a", "b", "c")
    assert first.data == ["a", "b"]
    await second.settle("a", "b", "c")
    await first.leave()
    await put(sender, "d")
    await second.receives("a", "b", "c", "d")


async def test_a_closed_inbox_delivers_nothing_and_opens_again(house: House, sender: Table) -> None:
    w1 = await reader(house)
    await w1.open()
    assert await w1.table.say(type="close_inbox", id="7") == [
        {"type": "inbox_closed", "reason": "closed", "id": "7"}
    ]
    await put(sender, "a")
    await turns()
    assert w1.data == []
    assert await w1.open() == 1
    await w1.receives("a")
    await w1.open()
    await eventually(lambda: w1.data == ["a", "a"])
    stale, token = (frame["delivery"] for frame in w1.messages)
    assert errors(Code.not_found, id=None)(await w1.table.say(type="ack", delivery=stale))
    await w1.table.say(type="ack", delivery=token)
    await eventually(lambda: not house.link.inboxes.messages)


async def test_the_sender_hears_when_it_is_settled_if_it_asked(house: House, sender: Table) -> None:
    [ack] = await put(sender, "a", receipt=True)
    await put(sender, "b", receipt=True)
    await put(sender, "c")
    w1 = await reader(house)
    await w1.open()
    await w1.receives("a", "b", "c")
    assert house.announced == []
    await w1.settle("a", "c")
    await w1.settle("b", how="term", reason="torn")
    first, second = house.announced
    assert first == (
        "agents.boss.receipts",
        {
            "message_id": ack["message_id"],
            "subject": "agents.w1.tasks",
            "settled_by": "w1",
            "outcome": "acknowledged",
        },
    )
    assert (second[1]["outcome"], second[1]["reason"]) == ("terminated", "torn")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"subject": "tasks.new"}, Code.invalid_subject),
        ({"subject": "inbox.w1.r"}, Code.invalid_subject),
        ({"subject": "agents.presence.x"}, Code.invalid_subject),
        ({"subject": "agents.u-mia.x"}, Code.invalid_subject),
        ({"subject": "agents.nobody.x"}, Code.not_found),
        ({"subject": "sys.x"}, Code.forbidden),
        ({"subject": "agents.w1.x", "data": "x" * 2000}, Code.too_large),
        ({"subject": "agents.w1.x", "store": False, "priority": 0}, Code.bad_frame),
        ({"subject": "agents.w1.x", "store": False, "receipt": True}, Code.bad_frame),
        ({"subject": "agents.w1.x", "store": False, "expires_in_ms": 5}, Code.bad_frame),
        ({"subject": "agents.w1.x", "priority": 3}, Code.bad_frame),
        ({"subject": "agents.w1.x", "expires_in_ms": 0}, Code.bad_frame),
    ],
)
async def test_what_cannot_be_stored_is_refused(
    house: House, sender: Table, frame: dict[str, Any], code: Code
) -> None:
    got = await sender.say(**{"type": "publish", "id": "1", "data": 1, "store": True, **frame})
    assert errors(code, id="1")(got)
    assert house.link.inboxes.messages == {}


async def test_a_full_inbox_is_an_error_to_the_sender(house: House, sender: Table) -> None:
    house.link.inboxes.most = 2
    answers = await put(sender, "a", "b", "c")
    assert [answer["type"] for answer in answers] == ["ack", "ack", "error"]
    assert answers[2]["code"] == "inbox_full"
    assert [answer["type"] for answer in await put(sender, "low", priority=2)] == ["ack"]


async def test_a_retry_is_stored_once(house: House, sender: Table) -> None:
    first, again = await put(sender, "a", "a", dedup="order-17")
    assert (again["seq"], again["duplicate"]) == (first["seq"], True)
    other = await put(sender, "a", dedup="order-17", subject="agents.w2.tasks")
    assert other[0]["seq"] == 2


async def test_storing_takes_from_the_rate(house: House) -> None:
    slow = await house.agent("slow", rate=1)
    answers = await put(slow, *range(3))
    assert [answer.get("code") for answer in answers] == [None, None, "rate_limited"]


async def test_only_its_owner_reads_an_inbox(house: House, sender: Table) -> None:
    await put(sender, "a")
    other = await reader(house, "w2")
    assert await other.open() == 0
    await put(sender, "b")
    await put(sender, "mine", subject="agents.w2.tasks")
    await other.receives("mine")


async def test_a_bus_that_is_away_refuses_and_later_goes_on(house: House, sender: Table) -> None:
    await put(sender, "a")
    house.link.inboxes.away = True
    w1 = await reader(house)
    assert errors(Code.unavailable, id="1")(await w1.table.say(type="inbox", id="1"))
    house.link.inboxes.away = False
    await w1.open()
    await w1.receives("a")
    house.link.inboxes.away = True
    await w1.table.say(type="ack", delivery=w1.messages[0]["delivery"], id="ack a")
    await turns()
    assert w1.answered == set()
    house.link.inboxes.away = False
    await eventually(lambda: w1.answered == {"ack a"})


async def test_an_acknowledgement_outlives_its_connection(house: House, sender: Table) -> None:
    hub = house.process()
    w1 = await reader(house, hub=hub)
    await put(sender, "a", "b")
    await w1.open()
    await w1.receives("a", "b")
    house.link.inboxes.away = True
    await w1.table.say(type="ack", delivery=w1.messages[0]["delivery"])
    await w1.leave()
    house.link.inboxes.away = False
    again = await reader(house, hub=hub)
    await again.open()
    await again.receives("b")
    await eventually(lambda: len(house.link.inboxes.messages) == 1)


async def test_what_the_bus_took_back_is_counted_anew(house: House, sender: Table) -> None:
    w1 = await reader(house)
    await w1.open()
    for watch in tuple(house.link.inboxes.watches):  # What is stored now is not heard of.
        del house.link.inboxes.watches[watch]
        await put(sender, "a")
        await turns()
        assert w1.data == []
        watch.listener.missed()
    await w1.receives("a")


def delivered(w1: Reader) -> int:
    return w1.table.session.inbox.delivered()


async def test_deliveries_are_counted(house: House, sender: Table) -> None:
    w1 = await reader(house)
    await put(sender, "a", "b")
    await w1.open()
    await w1.receives("a", "b")
    assert (delivered(w1), delivered(w1)) == (2, 0)
    await w1.open()
    await eventually(lambda: len(w1.data) == 4)
    await w1.leave()
    assert delivered(w1) == 2


async def test_a_human_has_an_inbox_too(house: House, sender: Table) -> None:
    mia = Human(ACME, UserId("mia"), Role.viewer)
    dashboard = Reader(
        await a_table(mia, kind=DashboardSession, dialect=DashboardDialect(), hub=house.process())
    )
    await put(sender, "approve?", subject="inbox.u-mia.approvals", priority=0)
    assert await dashboard.open() == 1
    await eventually(lambda: any(frame["type"] == "message" for frame in dashboard.read()))
    [message] = dashboard.messages
    assert (message["topic"], message["payload"], message["from"]) == (
        "inbox.u-mia.approvals",
        "approve?",
        "boss",
    )
    dashboard.got += await dashboard.table.say(type="ack", delivery=message["delivery"], id="ack")
    await eventually(lambda: dashboard.answered == {"ack"})
    assert house.link.inboxes.messages == {}
