"""What happens while somebody is on the way in, and that it leaves nothing behind."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from dataclasses import fields, is_dataclass

import pytest

from artcafe.server.domain.ids import AgentId
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.store.near import TTL_SECONDS
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.gateways import NOBODY, House, a_house, gone, revoke
from tests.kit.scripted_peer import ScriptedPeer
from tests.kit.signing import KeyPair
from tests.kit.turns import turns
from tests.kit.unreliable_bus import AWAY


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as house:
        yield house


async def about_to_be_proven(house: House) -> tuple[ScriptedPeer, asyncio.Event]:
    """Somebody of whom tenant and agent were read just now, and who goes on when the event is set."""
    reading = house.login_store.reading
    before, tenant_read = reading.calls, reading.shut()
    peer = await house.arrive()
    await house.answer(peer)
    await eventually(lambda: reading.calls == before + 1)
    agent_read = reading.shut()
    tenant_read.set()
    await eventually(lambda: reading.calls == before + 2)
    reading.let_pass()
    return peer, agent_read


# Races on the way in.


async def test_a_key_that_is_revoked_while_it_proves_does_not_get_in(house: House) -> None:
    """The key was read before, and its signature is good."""
    peer, proving = await about_to_be_proven(house)
    await revoke(house)
    proving.set()
    await peer.expect("error", code="unauthorized")
    await peer.ended(4500)
    peer.leave()
    await gone(house)
    assert house.bus.linking.calls == 0


async def test_a_key_that_is_revoked_while_its_url_proves_does_not_get_in(house: House) -> None:
    house.login_store.writing.shut()
    knocking = asyncio.create_task(house.knock(proof=house.proof()))
    await eventually(lambda: house.login_store.writing.calls)
    await revoke(house)
    house.login_store.writing.open()
    with pytest.raises(ArtcafeError) as refused:
        await knocking
    assert refused.value.code is Code.unauthorized
    assert refused.value.reason == LoginRefusal.revoked_meanwhile
    await gone(house)


async def test_a_key_that_is_revoked_after_its_url_proof_read_it_does_not_get_in(house: House) -> None:
    """The proof's last look at the store was before, its end is after; both are in one request."""
    store = house.login_store
    spent = store.writing.shut()
    knocking = asyncio.create_task(house.knock(proof=house.proof()))
    await eventually(lambda: store.writing.calls)
    house.installation.clock.advance(TTL_SECONDS + 1)  # It is read anew.
    before, tenant_read = store.reading.calls, store.reading.shut()
    spent.set()
    await eventually(lambda: store.reading.calls == before + 1)
    agent_read = store.reading.shut()
    tenant_read.set()
    await eventually(lambda: store.reading.calls == before + 2)
    await revoke(house)
    agent_read.set()
    peer = ScriptedPeer((await knocking).handler)
    await peer.expect("error", code="unauthorized")
    await peer.ended(4500)
    peer.leave()
    await gone(house)
    assert house.bus.linking.calls == 0, "it is known before a link is asked for"


async def test_a_key_that_is_revoked_before_the_socket_of_its_url_opens_does_not_get_in(house: House) -> None:
    """It was proven before; how long ago does not matter."""
    entered = await house.knock(proof=house.proof())
    house.installation.clock.advance(5)
    await revoke(house)
    peer = ScriptedPeer(entered.handler)
    await peer.expect("error", code="unauthorized")
    await peer.ended(4500)
    peer.leave()
    await gone(house)


@pytest.mark.parametrize("loss", ["revoked", "disabled"])
async def test_admission_asks_for_the_key_itself_also_where_no_word_is_heard(house: House, loss: str) -> None:
    for hearing in house.hearing:
        await hearing.close()
    entered = await house.knock(proof=house.proof())
    if loss == "revoked":
        await revoke(house)
    else:
        await house.installation.process.agents.change(house.olivia, AgentId("a1"), {"enabled": False})
    peer = ScriptedPeer(entered.handler)
    await peer.expect("error", code="unauthorized")
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


@pytest.mark.parametrize("stage", ["proving", "admitting", "linking"])
async def test_who_leaves_on_the_way_in_leaves_nothing_behind(house: House, stage: str) -> None:
    tap = {
        "proving": house.login_store.reading,
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
    assert len(house.gateway._hubs) == 0
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
    faults = [record for record in caplog.records if record.name != "artcafe.events"]
    assert bool(faults) is (close == 1011)
    house.bus.linking.failure = None
    await house.enter()


async def test_a_tenant_that_goes_during_admission_lets_nobody_in(house: House) -> None:
    peer, proving = await about_to_be_proven(house)
    await house.installation.delete_tenant(house.olivia)
    proving.set()
    await peer.ended(4500)
    peer.leave()
    await gone(house)


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
        watched: list[weakref.ref[object]] = []

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
            watched.append(weakref.ref(peer.handler))
            peer.leave()

        await visit(0)
        before = await settled()
        assert {
            "ConnectionRegistry._tenants",
            "Hubs._hubs",
            "PendingLogins._by_address",
            "Presence._online",
        } <= set(before)
        for first in range(0, 1000, 8):
            await asyncio.gather(*(visit(first + number) for number in range(8)))
        assert await settled() == before
        assert {name: size for name, size in before.items() if size} == {
            "MemoryBus._accounts": 1,  # the tenant's
            "NearCache.lookups": 6,  # three kinds of records, held or not
            "MemoryBus._stored": 1,  # the tenant's streams, none
            "MemoryBus._inboxes": 1,  # the tenant's inboxes, empty
            "Gateway._chores": 2,
            "HumanLogin._origins": 1,
            "MemoryLink._subscriptions": 3,  # the gateway hears revocations, changes and questions
            "UnreliableBus.held": 1,  # the kit's own: zero links of one tenant
            "Meter._seen": 1,  # the one agent that was active today
            "PresenceTable._used": 1,  # the last use of the one key, to be flushed
        }
        gc.collect()
        assert not [one for one in watched if one() is not None]
