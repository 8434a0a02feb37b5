"""Who must go, and how everything ends."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import date

import pytest

from artcafe.server.domain.ids import AgentId
from artcafe.server.domain.revocation import TOPIC, Revocation
from artcafe.server.gateway.login.pending import LOGIN_SECONDS
from artcafe.server.gateway.sessions.client import Work
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.contents import contents
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.gateways import NOBODY, House, a_house, gone, revoke
from tests.kit.installation import ACME
from tests.kit.outcomes import refused
from tests.kit.scripted_peer import ScriptedPeer
from tests.kit.signing import KeyPair
from tests.kit.turns import turns


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as house:
        yield house


# Who must go.


async def test_a_revocation_closes_what_it_covers_and_nothing_else(house: House) -> None:
    second, other = KeyPair(), KeyPair()
    await house.installation.process.agents.add_key(house.olivia, AgentId("a1"), second.line)
    await house.installation.make_agent(house.olivia, "a2", other)
    by_first = [await house.enter() for _ in range(2)]
    by_second, bystander = await house.enter(key=second), await house.enter("a2", key=other)
    await revoke(house)
    for peer in by_first:
        await peer.ended(4502)
    await turns()
    assert not by_second.closed
    await house.installation.process.agents.change(house.olivia, AgentId("a1"), {"enabled": False})
    await by_second.ended(4503)
    await turns()
    assert not bystander.closed


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"agent":"a1"}',
        b'{"tenant":7}',
        b'{"tenant":"acme","agent":"\xff"}',
        b'{"tenant":"acme","agent":7}',
        b'{"tenant":"acme","x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
async def test_a_word_that_is_no_revocation_is_logged_and_closes_nobody(
    house: House, caplog: pytest.LogCaptureFixture, payload: bytes
) -> None:
    """It went up into the bus: there it was one more traceback that says nothing."""
    peer = await house.enter()
    await house.installation.bus.tell(TOPIC, payload)
    await turns()
    [record] = caplog.records
    assert (record.name, record.levelno) == ("artcafe", logging.ERROR)
    assert not peer.closed
    await revoke(house)
    await peer.ended(4502)


async def test_the_fault_of_one_connection_protects_no_other_from_its_end(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    peers = [await house.enter() for _ in range(3)]

    def broken(code: int, reason: str = "") -> None:
        raise RuntimeError("the socket broke just now")

    peers[0].close = broken  # type: ignore[method-assign]
    revocation = Revocation(ACME, AgentId("a1"), house.key.fingerprint)
    house.gateway.revoked(revocation)
    for peer in peers[1:]:
        await peer.ended(4502)
    [record] = caplog.records
    assert record.message == "fault in connection c000001"


async def test_a_deleted_tenant_and_the_next_of_its_name_share_nothing(house: House) -> None:
    old = await house.enter()
    old.say(type="subscribe", subject=">")
    await old.expect("subscribed")
    [old_link] = house.bus.links.values()
    await house.installation.delete_tenant(house.olivia)
    await old.ended(4503)
    await turns()  # The servers were told twice; the second word is about the old tenant, too.
    with refused(Code.unavailable):
        old_link.publish("m.a1.x", b"{}")

    house.installation.clock.advance(1)
    key = KeyPair()
    olivia = await house.installation.make_tenant()
    await house.installation.make_agent(olivia, "a1", key)
    fresh = await house.enter(key=key)
    assert len(house.bus.links) == 2
    fresh.say(type="subscribe", subject=">")
    await fresh.expect("subscribed")
    assert house.counts() == (0, 2, 2, 2)
    old.leave()
    await eventually(lambda: house.counts() == (0, 1, 1, 1))

    again = await house.enter(key=key)
    again.say(type="publish", subject="x", data=1, id="p")
    await again.expect("ack")
    await fresh.expect("message", subject="x")
    assert len(house.gateway._hubs) == 1, "who left last took only its own hub along"
    for peer in (fresh, again):
        peer.leave()
    await gone(house)
    assert len(house.gateway._hubs) == 0


async def test_usage_of_a_deleted_tenant_is_not_written(house: House) -> None:
    peer = await house.enter()
    peer.say(type="publish", subject="x", data=1)
    meter, today = house.process.meter, date(2025, 11, 24)
    assert (await meter.days(ACME, today, today))[f"{today}"] == {
        "messages": 1,
        "bytes": 1,
        "active_agents": 1,
    }
    await house.installation.delete_tenant(house.olivia)
    await peer.ended(4503)
    assert (await meter.days(ACME, today, today))[f"{today}"] == {}
    await meter.flush()
    assert [row for row in contents(house.installation.memory) if row[1].startswith("USE#")] == []


# Asked again.


# Heartbeats.


async def test_the_silent_are_asked_and_then_closed_and_the_others_left_alone(house: House) -> None:
    silent, alive = await house.enter(), await house.enter()
    silent.speaks = False
    house.installation.clock.advance(1)
    await eventually(lambda: silent.pings)
    house.installation.clock.advance(1)
    await silent.ended(4003)
    assert (alive.closed, alive.pings) == (False, 0)
    silent.leave()
    await eventually(lambda: house.counts() == (0, 1, 1, 1))


async def test_the_fault_of_one_connection_does_not_end_the_watch_over_the_others(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """It ended the sweeper, and with it the task group, the gateway and the process."""
    broken, silent, late = await house.enter(), await house.enter(), await house.arrive()

    def fault() -> bool:
        raise RuntimeError("the socket broke just now")

    broken.heard = fault  # type: ignore[method-assign]
    silent.speaks = False
    for _ in range(2):
        pings = silent.pings
        house.installation.clock.advance(1)
        await eventually(lambda: silent.pings > pings or silent.closed)  # noqa: B023
    await silent.ended(4003)
    house.installation.clock.advance(LOGIN_SECONDS)
    await late.ended(4001)
    assert {record.message for record in caplog.records} == {"fault in connection c000001"}


async def test_who_may_have_missed_messages_is_sent_back_and_nobody_else(house: House) -> None:
    """The bus was away and came back: a subscriber that was not told would believe it has everything."""
    subscribed, publisher = await house.enter(), await house.enter()
    subscribed.say(type="subscribe", subject="tasks")
    await subscribed.expect("subscribed")
    [link] = house.bus.links.values()
    link.gaps += 1
    await house.swept(publisher)
    await subscribed.expect("error", code="unavailable")
    await subscribed.ended(1013)
    assert not publisher.closed


# The stop.


async def test_stopping_sends_everybody_away_and_waits_for_them(house: House) -> None:
    # Somebody came and went before: the house was empty once, which is not to be empty now.
    (await house.enter()).leave()
    await gone(house)
    inside, waiting = await house.enter(), await house.arrive()
    await waiting.expect("challenge")
    stopping = asyncio.create_task(house.gateway.stop(2 * PATIENCE))
    await inside.expect("goaway", reason="restart", reconnect_after_ms=500)
    await inside.ended(1012)
    await waiting.ended(1012)
    await turns()
    assert not stopping.done()
    with refused(Code.unavailable):
        await house.knock()
    assert Code.unavailable.http == 503
    inside.leave()
    await turns()
    assert not stopping.done()
    waiting.leave()
    async with asyncio.timeout(PATIENCE):
        await stopping
    await gone(house)


async def test_what_a_client_says_as_the_server_stops_is_answered(house: House) -> None:
    peer = await house.enter()
    stopping = asyncio.create_task(house.gateway.stop(2 * PATIENCE))
    await peer.expect("goaway")
    peer.say(type="publish", subject="jobs", data=1, id="late")
    await peer.expect("ack", id="late")
    peer.leave()
    await stopping


async def test_stopping_does_not_wait_longer_than_it_was_told(house: House) -> None:
    await house.enter()
    async with asyncio.timeout(PATIENCE):
        await house.gateway.stop(0.02)


async def test_stopping_an_empty_house_is_done_at_once(house: House) -> None:
    async with asyncio.timeout(PATIENCE):
        await house.gateway.stop(2 * PATIENCE)


async def test_who_was_at_the_endpoint_when_it_stopped_is_sent_away_as_it_opens(house: House) -> None:
    house.login_store.writing.shut()
    knocking = asyncio.create_task(house.knock(proof=house.proof()))
    await eventually(lambda: house.login_store.writing.calls)
    await house.gateway.stop(0.01)
    house.login_store.writing.open()
    peer = ScriptedPeer((await knocking).handler)
    assert peer.code == 1012
    await turns()
    assert peer.unread == []
    assert house.counts() == (1, 0, 0, 0)
    peer.leave()
    assert house.counts() == NOBODY


async def test_what_clients_do_after_the_stop_does_no_harm(house: House) -> None:
    peer = await house.enter()
    await house.gateway.stop(0.01)
    peer.say(type="subscribe", subject="x")
    peer.say(type="publish", subject="x", data=1, id="p")
    await turns()
    peer.leave()
    await gone(house)


async def test_whoever_is_left_is_sent_away_when_the_gateway_is_left() -> None:
    before = asyncio.all_tasks()
    async with a_house() as house:
        inside, waiting = await house.enter(), await house.arrive()
        house.bus.linking.shut()
        entering = await house.arrive()
        await house.answer(entering)
        await eventually(lambda: house.bus.linking.calls == 2)
    assert [peer.code for peer in (inside, waiting, entering)] == [1012] * 3
    assert asyncio.all_tasks() == before, "everything it started has ended"
    # Sockets may end later than the gateway. Nothing is started for them any more.
    for peer in (inside, waiting, entering):
        peer.leave()
    await house.installation.delete_tenant(house.olivia)
    await turns()
    assert asyncio.all_tasks() == before
    assert house.counts()[:3] == (0, 0, 0)


async def test_work_that_comes_after_the_end_is_closed_and_not_run() -> None:
    async with a_house() as house:
        pass
    ran: list[int] = []

    async def work() -> None:
        ran.append(1)

    late: Work = work()
    house.gateway.start(late)
    await turns()
    assert ran == []
    assert late.cr_frame is None  # type: ignore[attr-defined]  # closed: nobody warns that it never ran


async def test_work_that_fails_ends_nothing_else(house: House, caplog: pytest.LogCaptureFixture) -> None:
    async def work(error: Exception) -> None:
        raise error

    house.gateway.start(work(ArtcafeError(Code.unavailable)))
    house.gateway.start(work(ZeroDivisionError()))
    await eventually(lambda: len(caplog.records) == 2)
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    await house.enter()


async def test_a_bus_that_cannot_be_told_of_the_end_gets_its_link_back_all_the_same(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await house.enter()
    for name in ("x", "y"):
        peer.say(type="subscribe", subject=name)
        await peer.expect("subscribed")
    [link] = house.bus.links.values()
    link.closing.failure = ZeroDivisionError()
    peer.leave()
    await gone(house)
    assert len(house.gateway._hubs) == 0
    assert caplog.records
