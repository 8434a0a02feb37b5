"""A tenant that is suspended is closed at once; another limit is felt by who is connected."""

from collections.abc import AsyncIterator

import pytest

from artcafe.server.domain.tenant import Role, Status
from artcafe.server.gateway.rechecks import RECHECK_SECONDS
from artcafe.wire.codes import Code, may_reconnect
from tests.kit.deadlines import eventually
from tests.kit.gateways import House, a_house, gone
from tests.kit.installation import ACME, OTHER
from tests.kit.outcomes import refused
from tests.kit.scripted_peer import ScriptedPeer
from tests.kit.signing import KeyPair
from tests.kit.turns import turns


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as house:
        yield house


async def closed_as_suspended(peer: ScriptedPeer) -> None:
    await eventually(lambda: peer.code is not None, "a close")
    assert peer.code == Code.suspended.close
    assert peer.unread[-1]["code"] == "suspended"


async def test_agents_and_dashboards_are_closed_on_every_process_and_nobody_of_another_tenant(
    house: House,
) -> None:
    nina = await house.installation.make_tenant(OTHER, "nina")
    other = KeyPair()
    await house.installation.make_agent(nina, "a1", other)
    neighbour = await house.enter(tenant=OTHER, key=other)
    here = [await house.enter(), await house.watch()]
    async with a_house(house.installation, "second") as second:
        there = [await second.enter(key=house.key), await second.watch()]

        await house.installation.suspend()

        for peer in (*here, *there):
            await closed_as_suspended(peer)
            peer.leave()
        await gone(second)
    assert neighbour.code is None
    neighbour.leave()
    await gone(house)
    assert not may_reconnect(Code.suspended.close)


async def test_who_comes_is_refused_by_every_way_and_let_in_when_it_is_resumed(house: House) -> None:
    proof = house.proof()
    await house.installation.suspend()

    in_band = await house.arrive()
    await house.answer(in_band)
    await closed_as_suspended(in_band)
    dashboard = await house.look()
    dashboard.say(type="auth", token=house.tokens.give("olivia"), tenant_id=ACME)
    await closed_as_suspended(dashboard)
    for peer in (in_band, dashboard):
        peer.leave()
    with refused(Code.suspended):
        await house.knock(proof=proof, protocols=())
    with refused(Code.suspended):
        await house.look(token=house.tokens.give("olivia"), tenant_id=ACME)

    unproven = await house.arrive()
    await house.answer(unproven, KeyPair())
    await eventually(lambda: unproven.code is not None)
    assert unproven.code == Code.unauthorized.close
    unproven.leave()
    with refused(Code.forbidden):
        await house.look(token=house.tokens.give("zoe"), tenant_id=ACME)
    await gone(house)

    await house.installation.operate(status=Status.active)
    (await house.enter()).leave()
    (await house.watch()).leave()


@pytest.mark.parametrize("wait", ["reading", "linking"])
async def test_who_is_on_the_way_in_meanwhile_is_not_let_in(house: House, wait: str) -> None:
    tap = house.admission_store.reading if wait == "reading" else house.bus.linking
    tap.shut()
    peer = await house.arrive()
    await house.answer(peer)
    await eventually(lambda: tap.calls, "the wait")
    await turns()

    await house.installation.suspend()
    await turns()
    tap.open()

    await eventually(lambda: peer.code is not None, "a close")
    assert peer.code in {Code.suspended.close, Code.unavailable.close}
    assert not [frame for frame in peer.unread if frame["type"] == "welcome"]
    peer.leave()
    await gone(house)


async def test_where_the_word_is_lost_it_is_noticed_a_minute_later(house: House) -> None:
    agent, dashboard = await house.enter(), await house.watch()
    for hearing in house.hearing:
        await hearing.close()
    await house.installation.suspend()
    await turns()
    assert (agent.code, dashboard.code) == (None, None)

    house.installation.clock.advance(RECHECK_SECONDS + 1)

    for peer in (agent, dashboard):
        await closed_as_suspended(peer)
        peer.leave()


async def test_a_store_that_is_away_when_the_word_comes_is_asked_again(house: House) -> None:
    agent = await house.enter()
    house.admission_store.away = True
    await house.installation.suspend()
    await turns()
    assert agent.code is None

    house.admission_store.away = False

    await closed_as_suspended(agent)
    agent.leave()


async def test_another_rate_is_felt_by_who_is_connected(house: House) -> None:
    peer = await house.enter()

    async def taken(most: int) -> int:
        for number in range(most):
            peer.say(type="publish", subject="tasks", data=1, id=f"{number}")
        answers = [await peer.receive("an answer") for _ in range(most)]
        return sum(answer["type"] == "ack" for answer in answers)

    assert await taken(10) == 10
    await house.installation.operate(limits={"messages_per_second": 1})
    await turns()
    assert await taken(10) == 2, "two seconds' worth may come at once"
    await house.installation.operate(restored=frozenset({"messages_per_second"}))
    await turns()
    assert await taken(10) == 10
    peer.leave()


async def test_an_override_of_connections_is_felt_at_the_next_one(house: House) -> None:
    (await house.enter()).leave()
    await gone(house)
    await house.installation.operate(limits={"connections": 0})

    peer = await house.arrive()
    await house.answer(peer)

    await eventually(lambda: peer.code is not None)
    assert peer.code == Code.too_many_connections.close
    peer.leave()


async def test_other_changes_of_a_tenant_close_nobody(house: House) -> None:
    await house.join("adam", Role.admin)
    agent, dashboard = await house.enter(), await house.watch("adam")

    await house.installation.process.tenants.change(house.olivia, {"description": "new"})
    await turns()

    assert (agent.code, dashboard.code) == (None, None)
    for peer in (agent, dashboard):
        peer.leave()
