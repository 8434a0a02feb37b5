"""Once a minute everybody is asked about: what a word told that was lost is noticed then."""

import logging
from collections.abc import AsyncIterator

import pytest

from artcafe.server.domain.ids import AgentId
from artcafe.server.gateway.reauthorization import RECHECKED_AT_ONCE
from artcafe.server.gateway.rechecks import RECHECK_SECONDS
from artcafe.wire.codes import Code
from tests.kit.deadlines import eventually
from tests.kit.gateways import House, a_house, revoke
from tests.kit.signing import KeyPair
from tests.kit.turns import turns


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as house:
        yield house


async def missed(house: House) -> None:
    """Words of other processes do not come here any more."""
    for subscription in house.hearing:
        await subscription.close()


def words_missed(house: House) -> None:
    """The link on which words come was away and is back."""
    house.directory.forget_all()
    house.gateway.words_missed()


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
    await house.swept(bystander)
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
    house.admission_store.away = True
    house.installation.clock.advance(RECHECK_SECONDS)
    await eventually(lambda: caplog.records)
    assert caplog.records[0].levelno == logging.WARNING
    assert not peer.closed
    house.admission_store.heal()
    await peer.ended(4502)


async def test_who_comes_by_a_new_key_during_the_check_is_not_closed_by_the_old_answer(house: House) -> None:
    """It was told never to come back, because its key was younger than what the store had said."""
    fresh, store = KeyPair(), house.admission_store.reading
    before = await house.enter()
    calls = store.calls
    tenant_read = store.shut()
    house.installation.clock.advance(RECHECK_SECONDS)
    await eventually(lambda: store.calls == calls + 1)
    agent_read = store.shut()
    tenant_read.set()
    await eventually(lambda: store.calls == calls + 2)
    store.let_pass()

    await house.installation.process.agents.add_key(house.olivia, AgentId("a1"), fresh.line)
    young = await house.enter(key=fresh)
    agent_read.set()
    await turns()
    assert not young.closed
    assert not before.closed


async def test_one_check_at_a_time(house: House) -> None:
    peer = await house.enter()
    house.admission_store.reading.shut()
    before = house.admission_store.reading.calls
    for _ in range(3):
        house.installation.clock.advance(RECHECK_SECONDS)
        await house.swept(peer)
    assert house.admission_store.reading.calls == before + 1


async def test_the_fault_of_one_connection_protects_no_other_from_its_end(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    peers = [await house.enter() for _ in range(3)]

    def broken(code: int, reason: str = "") -> None:
        raise RuntimeError("the socket broke just now")

    peers[0].close = broken  # type: ignore[method-assign]
    await missed(house)
    await revoke(house)
    house.installation.clock.advance(RECHECK_SECONDS)
    for peer in peers[1:]:
        await peer.ended(4502)
    [record] = caplog.records
    assert record.message == "fault in work behind a connection"


async def test_an_agent_that_is_disabled_unheard_is_closed_and_one_that_is_enabled_again_is_not(
    house: House,
) -> None:
    agents, other = house.installation.process.agents, KeyPair()
    await house.installation.make_agent(house.olivia, "a2", other)
    disabled, back = await house.enter(), await house.enter("a2", key=other)
    await missed(house)
    await agents.change(house.olivia, AgentId("a1"), {"enabled": False})
    for enabled in (False, True):
        await agents.change(house.olivia, AgentId("a2"), {"enabled": enabled})
    house.installation.clock.advance(RECHECK_SECONDS)
    await disabled.expect("error", code="removed")
    await disabled.ended(Code.removed.close)
    await turns()
    assert not back.closed


async def test_where_words_may_have_been_missed_everybody_is_asked_about_at_once(house: House) -> None:
    """Not when the minute is over: the clock stands still."""
    second = KeyPair()
    await house.installation.process.agents.add_key(house.olivia, AgentId("a1"), second.line)
    revoked, kept = await house.enter(), await house.enter(key=second)
    await missed(house)
    await revoke(house)
    await turns()
    assert not revoked.closed
    words_missed(house)
    await revoked.ended(4502)
    await turns()
    assert not kept.closed


async def test_who_was_asked_about_a_moment_before_is_asked_about_once_more(house: House) -> None:
    """A round is under way, and what it was told of this agent is from before the revocation."""
    reading = house.admission_store.reading
    peer = await house.enter()
    await missed(house)
    calls = reading.calls
    gate = reading.shut()
    house.installation.clock.advance(RECHECK_SECONDS)
    await eventually(lambda: reading.calls > calls)
    await revoke(house)
    reading.let_pass()
    words_missed(house)
    gate.set()
    await peer.ended(4502)


async def test_who_is_being_let_in_meanwhile_is_let_in_by_what_is_stored_now(house: House) -> None:
    reading, linking = house.admission_store.reading, house.bus.linking
    await missed(house)
    linked = linking.shut()
    peer = await house.arrive()
    await house.answer(peer)
    await eventually(lambda: linking.calls)
    read, calls = reading.shut(), reading.calls
    linked.set()
    await eventually(lambda: reading.calls > calls, "its rights being read")
    await revoke(house)
    reading.let_pass()
    words_missed(house)
    read.set()
    await peer.expect("error", code="unauthorized")
    assert peer.closed


async def test_however_many_there_are_the_store_is_asked_about_a_few_at_a_time(house: House) -> None:
    keys = [KeyPair() for _ in range(3 * RECHECKED_AT_ONCE)]
    for number, key in enumerate(keys):
        await house.installation.make_agent(house.olivia, f"b{number}", key)
    peers = [await house.enter(f"b{number}", key=key) for number, key in enumerate(keys)]
    store = house.admission_store
    tenant_read = store.reading.shut()
    before, tenant = store.reading.calls, store.reading.calls + 1
    words_missed(house)
    await eventually(lambda: store.reading.calls > before)
    await turns()
    assert store.reading.calls == tenant, "what they have in common is read once"
    agents_read = store.reading.shut()
    tenant_read.set()
    await eventually(lambda: store.reading.calls == tenant + RECHECKED_AT_ONCE)
    await turns()
    assert store.reading.calls == tenant + RECHECKED_AT_ONCE
    store.reading.let_pass()
    agents_read.set()
    await eventually(lambda: store.reading.calls == tenant + len(keys))
    assert not any(peer.closed for peer in peers)
