"""Who is online is told, over all processes, until the very end."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from artcafe.server.domain.ids import AgentId
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.gateways import House, a_house, gone
from tests.kit.installation import ACME
from tests.kit.scripted_peer import ScriptedPeer
from tests.kit.unreliable_bus import AWAY
from tests.kit.usage import counted_ever

A1 = AgentId("a1")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as house:
        yield house


async def listening(house: House) -> list[tuple[str, Any]]:
    """What is on the bus of `acme` from now on."""
    heard: list[tuple[str, Any]] = []
    tenant = await house.process.directory.tenant(ACME)
    assert tenant is not None
    link = await house.installation.bus.link(tenant)
    await link.subscribe(">", lambda subject, payload: heard.append((subject, msgspec.json.decode(payload))))
    return heard


def states(heard: list[tuple[str, Any]]) -> list[str]:
    return [envelope["data"]["status"] for subject, envelope in heard if subject.startswith("r.sys.")]


async def announced(house: House, *, online: bool) -> None:
    """It is written and told whether `a1` is connected to this process."""
    wanted = {A1: True} if online else None
    await eventually(lambda: house.process.presence._told.get(ACME) == wanted, "the announcement")


async def test_the_words_of_coming_and_going(house: House) -> None:
    heard = await listening(house)
    peer = await house.enter()
    await eventually(lambda: heard)
    [(subject, envelope)] = heard
    assert subject == "r.sys.presence.a1"
    assert envelope == {
        "id": envelope["id"],
        "timestamp": "2025-11-24T16:00:00.000Z",
        "data": {"agent_id": "a1", "status": "online", "timestamp": "2025-11-24T16:00:00.000Z"},
    }
    peer.leave()
    await eventually(lambda: states(heard) == ["online", "offline"], f"{heard}")


async def test_two_processes_tell_the_first_and_the_last(house: House) -> None:
    async with a_house(house.installation, "other") as other:
        other.key = house.key
        heard = await listening(house)
        here = await house.enter()
        await eventually(lambda: states(heard) == ["online"])
        there = await other.enter()
        await announced(other, online=True)
        assert await house.process.presence.online(ACME) == {A1: 2}
        here.leave()
        await announced(house, online=False)
        assert states(heard) == ["online"]
        there.leave()
        await eventually(lambda: states(heard) == ["online", "offline"])


async def test_the_end_of_a_gateway_is_the_end_of_its_agents() -> None:
    async with a_house() as house:
        async with a_house(house.installation, "other") as other:
            other.key = house.key
            heard = await listening(house)
            await other.enter()
            await eventually(lambda: states(heard) == ["online"])
        await eventually(lambda: states(heard) == ["online", "offline"])
        assert await house.process.presence.online(ACME) == {}
        assert A1 in await house.process.presence.last_seen(ACME, [A1])


async def test_what_fails_is_logged_and_told_later(house: House, caplog: pytest.LogCaptureFixture) -> None:
    heard = await listening(house)
    peer = await house.enter()
    house.bus.linking.failure = AWAY
    await eventually(lambda: [r for r in caplog.records if "who is online is not told" in r.message])
    assert states(heard) == []
    house.bus.linking.failure = None
    await eventually(lambda: states(heard) == ["online"])
    assert not peer.closed


async def test_a_fault_ends_no_announcer(house: House, caplog: pytest.LogCaptureFixture) -> None:
    heard = await listening(house)
    await house.enter()
    house.bus.linking.failure = ZeroDivisionError()
    await eventually(lambda: [r for r in caplog.records if r.message == "fault in an announcement"])
    house.bus.linking.failure = None
    await eventually(lambda: states(heard) == ["online"])


async def test_a_bus_that_is_away_at_the_end_keeps_the_rows_from_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with a_house() as house:
        async with a_house(house.installation, "other") as other:
            other.key = house.key
            await other.enter()
            await announced(other, online=True)
            assert await house.process.presence.online(ACME) == {A1: 1}
            other.bus.linking.failure = ArtcafeError(Code.unavailable)
        assert await house.process.presence.online(ACME) == {}
    assert "who is online is not told" in caplog.text


# What was delivered is counted.


async def received(house: House) -> dict[str, int]:
    return await counted_ever(house.process.meter, ACME, "received:")


async def subscribed(house: House, *subjects: str) -> ScriptedPeer:
    peer = await house.enter()
    for subject in subjects:
        peer.say(type="subscribe", subject=subject)
        await peer.expect("subscribed")
    return peer


async def test_deliveries_are_counted_for_the_agent_that_got_them(house: House) -> None:
    one, two = await subscribed(house, "x", ">"), await subscribed(house, "x")
    for subject in ("x", "y", "x"):
        one.say(type="publish", subject=subject, data=1)
    await eventually(lambda: (len(one.unread), len(two.unread)) == (3, 2))
    assert await received(house) == {}
    house.gateway.count_delivered()
    house.gateway.count_delivered()
    assert await received(house) == {"a1": 5}
    one.say(type="publish", subject="x", data=1)
    await eventually(lambda: (len(one.unread), len(two.unread)) == (4, 3))
    for peer in (one, two):
        peer.leave()
    await gone(house)
    assert await received(house) == {"a1": 7}


async def test_after_a_stop_the_count_is_exact() -> None:
    async with a_house() as house:
        peer = await subscribed(house, "x")
        for _ in range(3):
            peer.say(type="publish", subject="x", data=1)
        await eventually(lambda: len(peer.unread) == 3)
    assert await received(house) == {"a1": 3}
    peer.leave()
    assert await received(house) == {"a1": 3}


async def test_what_comes_after_the_end_is_not_counted(house: House) -> None:
    slow, other = await subscribed(house, "x"), await subscribed(house, "x")
    slow.handler.slow()
    other.say(type="publish", subject="x", data=1)
    await other.expect("message")
    slow.leave()
    house.gateway.count_delivered()
    assert await received(house) == {"a1": 1}


async def test_nothing_is_counted_for_a_tenant_that_is_gone(house: House) -> None:
    peer = await subscribed(house, "x")
    peer.say(type="publish", subject="x", data=1)
    await peer.expect("message")
    await house.installation.delete_tenant(house.olivia)
    await peer.ended(4503)
    peer.leave()
    house.gateway.count_delivered()
    assert await received(house) == {}


async def test_humans_are_not_counted_among_the_agents(house: House) -> None:
    olivia = await house.watch()
    olivia.say(type="subscribe", topic="x")
    await olivia.expect("subscribed")
    olivia.say(type="publish", topic="x", data=1)
    await olivia.expect("message")
    house.gateway.count_delivered()
    assert await received(house) == {}
    assert await counted_ever(house.process.meter, ACME, "sent:") == {}


async def test_another_process_is_told_what_is_subscribed_to_here(house: House) -> None:
    async with a_house(house.installation, "other") as other:
        other.key = house.key
        await subscribed(house, "x", "tenant.acme.channel.y")
        await subscribed(other, "x")
        for one in (house, other):
            await announced(one, online=True)
        for one in (house, other):
            assert await one.process.presence.subscriptions(ACME, [A1]) == {A1: ["x", "y"]}


async def test_a_question_that_cannot_be_read_is_logged(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    for payload in (b"", b"{}", b"nonsense", b"\xff", b"[" * 5000):
        assert house.gateway.presence_publisher.asked(payload) is None
    assert len(caplog.records) == 5
