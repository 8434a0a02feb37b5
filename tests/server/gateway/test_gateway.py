"""Who may come in, who is in, who must go: the ways in and out, while something else happens."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec
import pytest

from artcafe.server.domain.agent import AgentKey
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.revocation import TOPIC, Revocation
from artcafe.server.gateway.arrivals import LOGIN_SECONDS
from artcafe.server.gateway.connection import Connection
from artcafe.server.gateway.gateway import RECHECK_SECONDS
from artcafe.server.gateway.handshake import Upgrade
from artcafe.server.gateway.session import Work
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.gateways import House, a_house
from tests.kit.installation import ACME
from tests.kit.outcomes import outcome, refused
from tests.kit.scripted_peer import ScriptedPeer
from tests.kit.signing import KeyPair
from tests.kit.turns import turns
from tests.kit.unreliable_bus import AWAY, UnreliableLink

NOBODY = (0, 0, 0, 0)
"""House.counts() when everything is given back."""


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as house:
        yield house


async def gone(house: House) -> None:
    """Everything that was counted is given back, once."""
    await eventually(lambda: house.counts() == NOBODY, f"an empty house, not {house.counts()},")


# At the endpoint.


@pytest.mark.parametrize(
    ("path", "query", "headers", "protocols", "code"),
    [
        ("/api/v1/ws/elsewhere", {"tenant_id": ["acme"]}, {}, ("artcafe.v1",), Code.not_found),
        ("/api/v1/ws/agent/", {"tenant_id": ["acme"]}, {}, ("artcafe.v1",), Code.unauthorized),
        ("/api/v1/ws/agent/a/b", {"tenant_id": ["acme"]}, {}, ("artcafe.v1",), Code.unauthorized),
        ("/api/v1/ws/agent/sys", {"tenant_id": ["acme"]}, {}, ("artcafe.v1",), Code.unauthorized),
        ("/api/v1/ws/agent/a1", {}, {}, ("artcafe.v1",), Code.unauthorized),
        ("/api/v1/ws/agent/a1", {"tenant_id": ["no tenant"]}, {}, ("artcafe.v1",), Code.unauthorized),
        ("/api/v1/ws/agent/a1", {"tenant_id": ["acme"]}, {}, (), Code.unauthorized),
        ("/api/v1/ws/agent/a1", {"tenant_id": ["acme"]}, {}, ("mqtt", "artcafe.v2"), Code.unauthorized),
        (
            "/api/v1/ws/agent/a1",
            {"tenant_id": ["acme"], "challenge": ["x"], "signature": ["eA=="]},
            {},
            ("artcafe.v1",),
            Code.unauthorized,
        ),
    ],
)
async def test_who_is_refused_before_the_upgrade(
    house: House,
    path: str,
    query: dict[str, list[str]],
    headers: dict[str, str],
    protocols: tuple[str, ...],
    code: Code,
) -> None:
    with refused(code):
        await house.gateway.endpoint(Upgrade(path, query, headers, protocols, "192.0.2.1", "example.com"))
    assert house.counts() == NOBODY


async def test_the_tenant_may_come_in_a_header(house: House) -> None:
    upgrade = Upgrade(
        "/api/v1/ws/agent/a1", {}, {"x-tenant-id": "acme"}, ("artcafe.v1",), "192.0.2.1", "example.com"
    )
    accept = await house.gateway.endpoint(upgrade)
    peer = ScriptedPeer(accept.handler)  # type: ignore[union-attr]
    challenge = await peer.expect("challenge")
    assert "\ntenant=acme\nagent=a1\n" in challenge["text"]
    assert "server=wss://example.com\n" in challenge["text"]


async def test_the_three_ways_in(house: House) -> None:
    in_band = await house.enter()
    by_url = ScriptedPeer((await house.knock(**house.proof())).handler)
    await by_url.expect("welcome", agent="a1")
    accept = await house.knock(protocols=(), **house.proof())
    assert accept.protocol is None
    legacy = ScriptedPeer(accept.handler)
    await eventually(lambda: house.counts() == (0, 3, 3, 3))
    in_band.say(type="subscribe", subject="x")
    await in_band.expect("subscribed")
    legacy.say(type="publish", subject="x", data={})
    await in_band.expect("message", data={})
    for peer in (in_band, by_url, legacy):
        peer.leave()
    await gone(house)


# How many may wait.


async def test_few_may_wait_for_their_login_per_address_and_in_all() -> None:
    async with a_house(max_pending_logins=5, max_pending_logins_per_address=2) as house:
        waiting = [await house.arrive(remote=f"192.0.2.{number}") for number in (1, 1, 2, 2)]
        with refused(Code.too_many_connections) as refusal:
            await house.knock(remote="192.0.2.1")
        assert refusal.error is not None
        assert refusal.error.retry_after == 1.0
        with refused(Code.too_many_connections):
            await house.knock(remote="192.0.2.1", **house.proof())
        waiting.append(await house.arrive(remote="192.0.2.3"))
        with refused(Code.too_many_connections):
            await house.knock(remote="192.0.2.4")
        waiting.pop(0).leave()
        waiting.append(await house.arrive(remote="192.0.2.1"))
        for peer in waiting:
            peer.leave()
        assert house.counts() == NOBODY


async def leave_waiting(house: House) -> None:
    (await house.arrive()).leave()


async def log_in(house: House) -> None:
    (await house.enter()).leave()


async def fail(house: House) -> None:
    peer = await house.arrive()
    await house.answer(peer, KeyPair())
    await peer.ended(4500)
    peer.leave()


async def find_no_room(house: House) -> None:
    house.bus.linking.failure = AWAY
    peer = await house.arrive()
    await house.answer(peer)
    await peer.ended(1013)
    peer.leave()


async def be_refused_by_url(house: House) -> None:
    with refused(Code.unauthorized):
        await house.knock(**house.proof(key=KeyPair()))


async def leave_between_the_endpoint_and_the_socket(house: House) -> None:
    await house.knock()
    await house.knock(**house.proof())


async def leave_while_the_endpoint_asks_the_store(house: House) -> None:
    house.login_store.reading.shut()
    knocking = asyncio.create_task(house.knock(**house.proof()))
    await turns()
    assert house.counts() == (1, 0, 0, 0)
    knocking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await knocking


async def come_by_url(house: House) -> None:
    peer = ScriptedPeer((await house.knock(**house.proof())).handler)
    await peer.expect("welcome")
    peer.leave()


WAYS: list[Callable[[House], Awaitable[None]]] = [
    leave_waiting,
    log_in,
    fail,
    find_no_room,
    be_refused_by_url,
    leave_between_the_endpoint_and_the_socket,
    leave_while_the_endpoint_asks_the_store,
    come_by_url,
]


@pytest.mark.parametrize("way", WAYS)
async def test_whichever_way_it_ends_the_place_is_free_again(
    house: House, way: Callable[[House], Awaitable[None]]
) -> None:
    await way(house)
    await gone(house)


async def test_who_is_in_waits_no_more() -> None:
    async with a_house(max_pending_logins_per_address=1) as house:
        for _ in range(5):
            await house.enter()
        assert house.counts() == (0, 5, 5, 5)


async def test_logins_at_the_endpoint_are_counted_too() -> None:
    """They were not, so one address could have any number of signatures checked at once."""
    async with a_house(max_pending_logins_per_address=3) as house:
        house.login_store.reading.shut()
        proofs = [house.proof() for _ in range(5)]
        knocking = [asyncio.create_task(outcome(house.knock(**proof))) for proof in proofs]
        await turns()
        house.login_store.reading.open()
        answers = await asyncio.gather(*knocking)
        assert answers[3:] == [Code.too_many_connections] * 2
        assert not any(isinstance(answer, Code) for answer in answers[:3])
        await gone(house)


async def test_who_does_not_answer_in_time_is_closed(house: House) -> None:
    early = await house.arrive()
    house.installation.clock.advance(LOGIN_SECONDS - 1)
    late = await house.arrive()
    house.installation.clock.advance(2)
    await early.ended(4001)
    assert early.got[-1].startswith(b'{"type":"error","code":"login_timeout"')
    assert not late.closed
    await house.answer(late)
    await late.expect("welcome")
    early.leave()
    assert house.counts() == (0, 1, 1, 1)


# How many may be in.


async def test_an_agent_has_a_limit_of_connections_of_its_own() -> None:
    async with a_house(max_agent_connections=2) as house:
        other = KeyPair()
        await house.installation.make_agent(house.olivia, "a2", other)
        peers = [await house.enter() for _ in range(2)]
        third = await house.arrive()
        await house.answer(third)
        await third.expect("error", code="too_many_connections")
        await third.ended(4006)
        await house.enter("a2", key=other)
        peers[0].leave()
        await house.enter()


async def test_a_plan_has_a_limit_of_connections_that_no_race_goes_past(house: House) -> None:
    await house.installation.process.tenants.change(house.olivia, {"subscription_tier": "starter"})
    keys = [KeyPair() for _ in range(3)]
    for number, key in enumerate(keys[1:], 2):
        await house.installation.make_agent(house.olivia, f"a{number}", key)
    keys[0] = house.key
    house.admission_store.reading.shut()
    peers = []
    for number in range(8):
        peer = await house.arrive(f"a{number % 3 + 1}")
        await house.answer(peer, keys[number % 3])
        peers.append(peer)
    await turns()
    assert house.counts() == (8, 0, 0, 0)
    house.admission_store.reading.open()
    await eventually(lambda: all(peer.unread for peer in peers))
    assert sorted(peer.unread[0]["type"] for peer in peers) == ["error"] * 3 + ["welcome"] * 5
    assert {peer.code for peer in peers} == {None, 4006}
    for peer in peers:
        peer.leave()
    await gone(house)


# Races on the way in.


async def revoke(house: House) -> None:
    """Revoke the key of `a1`."""
    await house.installation.process.agents.revoke_key(house.olivia, AgentId("a1"), house.key.fingerprint)


async def test_a_key_that_is_revoked_while_it_proves_does_not_get_in(house: House) -> None:
    """The key was read before, and its signature is good."""
    house.login_store.writing.shut()
    peer = await house.arrive()
    await house.answer(peer)
    await eventually(lambda: house.login_store.writing.calls)
    await revoke(house)
    house.login_store.writing.open()
    await peer.expect("error", code="unauthorized")
    await peer.ended(4500)
    peer.leave()
    await gone(house)
    assert house.bus.linking.calls == 0


async def test_a_key_that_is_revoked_while_its_url_proves_does_not_get_in(house: House) -> None:
    house.login_store.writing.shut()
    knocking = asyncio.create_task(house.knock(**house.proof()))
    await eventually(lambda: house.login_store.writing.calls)
    await revoke(house)
    house.login_store.writing.open()
    peer = ScriptedPeer((await knocking).handler)
    await peer.ended(4500)
    peer.leave()
    await gone(house)


async def test_a_key_that_is_revoked_during_admission_does_not_get_in(house: House) -> None:
    house.admission_store.reading.shut()
    peer = await house.arrive()
    await house.answer(peer)
    await eventually(lambda: house.admission_store.reading.calls)
    house.installation.clock.advance(5)
    await revoke(house)
    house.admission_store.reading.open()
    await peer.ended(4500)
    peer.leave()
    await gone(house)


async def test_a_key_that_is_revoked_while_the_bus_is_asked_is_closed_at_once(house: House) -> None:
    house.bus.linking.shut()
    peer = await house.arrive()
    await house.answer(peer)
    await eventually(lambda: house.bus.linking.calls)
    assert house.counts() == (0, 1, 1, 0)
    await revoke(house)
    await peer.ended(4502)
    house.bus.linking.open()
    await turns()
    assert peer.unread == [{"type": "error", "code": "key_revoked", "message": Code.key_revoked.value.when}]
    assert house.counts() == (0, 1, 1, 0), "the link is given back"
    peer.leave()
    await gone(house)


async def test_a_key_that_was_revoked_and_another_that_was_not(house: House) -> None:
    """What is remembered of revocations keeps nobody else out."""
    fresh = KeyPair()
    await house.installation.process.agents.add_key(house.olivia, AgentId("a1"), fresh.line)
    house.admission_store.reading.shut()
    peer = await house.arrive()
    await house.answer(peer, fresh)
    await eventually(lambda: house.admission_store.reading.calls)
    await revoke(house)
    house.admission_store.reading.open()
    await peer.expect("welcome")


@pytest.mark.parametrize("stage", ["proving", "spending", "admitting", "linking"])
async def test_who_leaves_on_the_way_in_leaves_nothing_behind(house: House, stage: str) -> None:
    tap = {
        "proving": house.login_store.reading,
        "spending": house.login_store.writing,
        "admitting": house.admission_store.reading,
        "linking": house.bus.linking,
    }[stage]
    tap.shut()
    peer = await house.arrive()
    await house.answer(peer)
    await eventually(lambda: tap.calls)
    peer.leave()
    assert house.counts() == NOBODY
    tap.open()
    await turns()
    assert house.counts() == NOBODY
    assert peer.unread == []
    assert house.gateway._hubs == {}
    await house.enter()


@pytest.mark.parametrize(
    ("failure", "code", "close"), [(AWAY, "unavailable", 1013), (ZeroDivisionError(), "internal", 1011)]
)
async def test_a_link_that_fails_gives_everything_back(
    house: House, caplog: pytest.LogCaptureFixture, failure: Exception, code: str, close: int
) -> None:
    house.bus.linking.failure = failure
    peer = await house.arrive()
    await house.answer(peer)
    await peer.expect("error", code=code)
    await peer.ended(close)
    peer.leave()
    await gone(house)
    assert bool(caplog.records) is (close == 1011)
    house.bus.linking.failure = None
    await house.enter()


async def test_a_tenant_that_goes_during_admission_lets_nobody_in(house: House) -> None:
    house.login_store.writing.shut()
    peer = await house.arrive()
    await house.answer(peer)
    await eventually(lambda: house.login_store.writing.calls)
    await house.installation.process.tenants.delete(house.olivia)
    house.login_store.writing.open()
    await peer.ended(4500)
    peer.leave()
    await gone(house)


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
    assert (record.name, record.levelno) == ("artcafe.gateway", logging.ERROR)
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
    await revoke(house)
    for peer in peers[1:]:
        await peer.ended(4502)
    [record] = caplog.records
    assert record.message == "fault in connection c000001"


async def test_a_deleted_tenant_and_the_next_of_its_name_share_nothing(house: House) -> None:
    old = await house.enter()
    old.say(type="subscribe", subject=">")
    await old.expect("subscribed")
    [old_link] = house.bus.links.values()
    await house.installation.process.tenants.delete(house.olivia)
    await old.ended(4503)
    with refused(Code.unavailable):
        old_link.publish("m.a1.x", b"{}")

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
    assert house.gateway._hubs == {}


async def test_usage_of_a_deleted_tenant_is_not_written(house: House) -> None:
    peer = await house.enter()
    peer.say(type="publish", subject="x", data=1)
    assert house.process.meter._pending
    await house.installation.process.tenants.delete(house.olivia)
    await peer.ended(4503)
    assert not house.process.meter._pending


# Asked again.


async def missed(house: House) -> None:
    """Words of other processes do not come here any more."""
    await house.hearing.close()


async def test_a_revocation_that_was_missed_is_found_within_a_minute(house: House) -> None:
    second, other, third = KeyPair(), KeyPair(), KeyPair()
    agents = house.installation.process.agents
    await agents.add_key(house.olivia, AgentId("a1"), second.line)
    await house.installation.make_agent(house.olivia, "a2", other)
    await house.installation.make_agent(house.olivia, "a3", third)
    revoked, kept = await house.enter(), await house.enter(key=second)
    deleted, bystander = await house.enter("a2", key=other), await house.enter("a3", key=third)
    await missed(house)
    await revoke(house)
    await agents.delete(house.olivia, AgentId("a2"))
    house.installation.clock.advance(RECHECK_SECONDS - 1)
    await asyncio.sleep(0.03)
    assert not any(peer.closed for peer in (revoked, kept, deleted, bystander))
    house.installation.clock.advance(1)
    await revoked.ended(4502)
    await deleted.ended(4503)
    await turns()
    assert not kept.closed
    assert not bystander.closed


async def test_a_store_that_is_away_closes_nobody_and_is_asked_again(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await house.enter()
    await missed(house)
    await revoke(house)
    house.login_store.away = True
    house.installation.clock.advance(RECHECK_SECONDS)
    await eventually(lambda: caplog.records)
    assert caplog.records[0].levelno == logging.WARNING
    assert not peer.closed
    house.login_store.heal()
    house.installation.clock.advance(RECHECK_SECONDS)
    await peer.ended(4502)


async def test_who_comes_by_a_new_key_during_the_check_is_not_closed_by_the_old_answer(house: House) -> None:
    """It was told never to come back, because its key was younger than what the store had said."""
    fresh = KeyPair()
    first = await house.enter()
    house.login_store.reading.shut()
    house.installation.clock.advance(RECHECK_SECONDS)
    before = house.login_store.reading.calls
    await eventually(lambda: house.login_store.reading.calls > before)
    # The tenant was read; the agent is next, and read before the key comes.
    house.login_store.reading.open()
    await turns(1)
    house.login_store.reading.shut()
    await turns()
    await house.installation.process.agents.add_key(house.olivia, AgentId("a1"), fresh.line)
    arriving = await house.arrive()
    assert isinstance(arriving.handler, Connection)
    gateway = house.gateway
    # Admitted behind the check's back: its own login would wait for the same store.
    principal = type("Any", (), {})
    from_store = next(iter(gateway._inside.values()))
    from_store[arriving.handler] = msgspec.structs  # type: ignore[assignment]
    del principal, first


async def test_one_check_at_a_time(house: House) -> None:
    await house.enter()
    house.login_store.reading.shut()
    before = house.login_store.reading.calls
    for _ in range(3):
        house.installation.clock.advance(RECHECK_SECONDS)
        await asyncio.sleep(0.03)
    assert house.login_store.reading.calls == before + 1


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


# The stop.


async def test_stopping_sends_everybody_away_and_waits_for_them(house: House) -> None:
    # Somebody came and went before: the house was empty once, which is not to be empty now.
    (await house.enter()).leave()
    await gone(house)
    inside, waiting = await house.enter(), await house.arrive()
    await waiting.expect("challenge")
    stopping = asyncio.create_task(house.gateway.stop(5))
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
    async with asyncio.timeout(1):
        await stopping
    await gone(house)


async def test_stopping_does_not_wait_longer_than_it_was_told(house: House) -> None:
    await house.enter()
    async with asyncio.timeout(1):
        await house.gateway.stop(0.02)


async def test_stopping_an_empty_house_is_done_at_once(house: House) -> None:
    async with asyncio.timeout(1):
        await house.gateway.stop(60)


async def test_who_was_at_the_endpoint_when_it_stopped_is_sent_away_as_it_opens(house: House) -> None:
    house.login_store.writing.shut()
    knocking = asyncio.create_task(house.knock(**house.proof()))
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
        asyncio.get_running_loop().call_later(0.05, house.bus.linking.open)
    assert [peer.code for peer in (inside, waiting, entering)] == [1012] * 3
    assert asyncio.all_tasks() == before, "everything it started has ended"
    # Sockets may end later than the gateway. Nothing is started for them any more.
    for peer in (inside, waiting, entering):
        peer.leave()
    await house.installation.process.tenants.delete(house.olivia)
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
    assert house.gateway._hubs == {}
    assert caplog.records


# Nothing grows.


def held(thing: object, seen: set[int]) -> dict[str, int]:
    """The size of each collection that a gateway and what it stands on hold, by name."""
    sizes: dict[str, int] = {}
    if id(thing) in seen:
        return sizes
    seen.add(id(thing))
    names = [field.name for field in fields(thing)] if is_dataclass(thing) else list(vars(thing))
    for name in names:
        value = getattr(thing, name)
        if isinstance(value, dict | set | list) or type(value).__name__ in {"deque", "Counter"}:
            sizes[f"{type(thing).__name__}.{name}"] = len(value)
        elif type(value).__module__.startswith("artcafe.server.") and hasattr(value, "__dict__"):
            sizes |= held(value, seen)
    return sizes


async def test_a_thousand_agents_that_came_and_went_leave_nothing() -> None:
    async with a_house() as house:
        house.installation.bus._idle_seconds = 0.0

        async def settled() -> dict[str, int]:
            await gone(house)
            await house.process.meter.flush()
            await house.process.presence.announce()
            await eventually(lambda: not house.installation.bus._links)
            await turns()
            house.bus.links.clear()
            return held(house.gateway, set()) | held(house.bus, set())

        async def visit(number: int) -> None:
            peer = await house.enter(remote=f"192.0.2.{number % 200}")
            for frame in (
                {"type": "subscribe", "subject": f"s.{number}"},
                {"type": "subscribe", "subject": "shared", "queue": "q"},
                {"type": "publish", "subject": f"s.{number}", "data": number, "id": "p"},
            ):
                peer.say(**frame)
            await eventually(lambda: len(peer.unread) == 4)
            peer.leave()

        await visit(0)
        before = await settled()
        assert {"Gateway._inside", "Gateway._hubs", "Arrivals._by_address", "Presence._online"} <= set(before)
        for first in range(0, 1000, 8):
            await asyncio.gather(*(visit(first + number) for number in range(8)))
        assert await settled() == before
        assert {name: size for name, size in before.items() if size} == {"UnreliableBus.held": 1}
        gc.collect()
        assert not [one for one in gc.get_objects() if isinstance(one, Connection | UnreliableLink)]
