"""Each durable subscription is open once on a process, while it has members."""

import asyncio

import pytest

from artcafe.server.gateway.fanout import durable_subscriptions
from artcafe.server.gateway.fanout.durable_subscriptions import DurableSubscriptions
from artcafe.server.ports.consumers import ConsumerRules
from artcafe.wire.codes import Code
from artcafe.wire.subjects import pattern_to_bus
from tests.kit.durable import House, a_durable_channel
from tests.kit.outcomes import outcome
from tests.kit.turns import turns

RULES = ConsumerRules(pattern=pattern_to_bus("tasks.>"), first=1, lease=30.0, max_deliveries=5)


@pytest.fixture
def house() -> House:
    return House(a_durable_channel())


def durable_of(house: House) -> DurableSubscriptions:
    """Those of one process."""
    durable = house.process().durable
    assert isinstance(durable, DurableSubscriptions)
    return durable


async def test_whoever_asks_at_once_gets_one(house: House) -> None:
    durable = durable_of(house)
    channel = house.rules.storing("tasks.>")
    assert channel is not None
    one, two = await asyncio.gather(*(durable.open(channel, "w", RULES) for _ in range(2)))
    assert one is two
    assert len(house.stream().consumers["w"].ends) == 1
    durable.trim(one)
    await turns()
    assert one.closed
    again = await durable.open(channel, "w", RULES)
    assert again is not one


async def test_when_it_cannot_be_opened_whoever_waits_hears_it(house: House) -> None:
    durable = durable_of(house)
    channel = house.rules.storing("tasks.>")
    assert channel is not None
    house.streams.away = True
    told = await asyncio.gather(*(outcome(durable.open(channel, "w", RULES)) for _ in range(3)))
    assert told == [Code.unavailable] * 3
    house.streams.away = False
    assert not (await durable.open(channel, "w", RULES)).closed


async def test_their_number_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable_subscriptions, "MOST", 2)
    durable = durable_of(house)
    channel = house.rules.storing("tasks.>")
    assert channel is not None
    for name in ("a", "b"):
        await durable.open(channel, name, RULES)
    assert await outcome(durable.open(channel, "c", RULES)) is Code.quota_exceeded
