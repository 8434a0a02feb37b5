"""The load of a gateway is what it holds at that moment."""

from collections.abc import AsyncIterator

import pytest

from artcafe.server.gateway.load import GatewayLoad
from tests.kit.deadlines import eventually
from tests.kit.gateways import House, a_house, gone
from tests.kit.installation import ACME


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as house:
        yield house


async def plan_of(house: House) -> str:
    record = await house.directory.tenant(ACME)
    assert record is not None
    return record.subscription_tier


async def test_connections_are_counted_by_kind_and_plan_until_they_are_gone(house: House) -> None:
    assert house.gateway.load() == GatewayLoad()
    plan = await plan_of(house)
    agent, dashboard = await house.enter(), await house.watch()
    load = house.gateway.load()
    assert load.connections == {("agent", plan): 1, ("human", plan): 1}
    assert (load.tenants, load.pending_logins) == (1, 0)
    for peer in (agent, dashboard):
        peer.leave()
    await gone(house)
    assert house.gateway.load() == GatewayLoad()


async def test_who_has_not_logged_in_yet_is_pending(house: House) -> None:
    await house.arrive()
    load = house.gateway.load()
    assert (load.pending_logins, load.connections.total()) == (1, 0)


async def test_what_waits_for_clients_is_added_up_and_the_longest_is_told(house: House) -> None:
    one, other = await house.enter(), await house.enter()
    one.waiting, other.waiting = 700, 300
    load = house.gateway.load()
    assert (load.queued_bytes, load.longest_queue) == (1000, 700)


async def test_another_plan_is_known_at_once(house: House) -> None:
    await house.enter()
    assert await plan_of(house) != "scale"
    await house.installation.operate(plan="scale")
    await eventually(lambda: house.gateway.load().connections == {("agent", "scale"): 1})
