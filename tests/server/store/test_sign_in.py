"""What signing in leaves in the store, on every backend."""

import asyncio

import pytest

from artcafe.server.domain.sign_in import Decision
from artcafe.server.ports.records import DeviceAnswer
from artcafe.server.store.sign_in import SignInTable
from artcafe.server.store.table import Table
from tests.kit.stores import SetClock

ALLOWED, DENIED = DeviceAnswer(Decision.allowed, "ada"), DeviceAnswer(Decision.denied, "bob")


@pytest.fixture
def sign_ins(table: Table) -> SignInTable:
    return SignInTable(table)


async def test_a_code_is_spent_by_one_of_many(sign_ins: SignInTable, clock: SetClock) -> None:
    expires = int(clock.now) + 60

    assert not await sign_ins.spent("c")
    taken = await asyncio.gather(*(sign_ins.spend("c", expires) for _ in range(5)))

    assert sorted(taken) == [False] * 4 + [True]
    assert await sign_ins.spent("c")
    assert not await sign_ins.spent("another")
    clock.now += 61
    assert not await sign_ins.spent("c")


async def test_a_device_is_answered_once(sign_ins: SignInTable, clock: SetClock) -> None:
    expires = int(clock.now) + 60
    assert await sign_ins.device("BCDF-GHJK") is None
    assert not await sign_ins.decide("BCDF-GHJK", ALLOWED)

    assert await sign_ins.wait("BCDF-GHJK", expires)
    assert not await sign_ins.wait("BCDF-GHJK", expires)
    assert await sign_ins.device("BCDF-GHJK") == DeviceAnswer(Decision.pending)
    answers = await asyncio.gather(*(sign_ins.decide("BCDF-GHJK", each) for each in (ALLOWED, DENIED)))

    assert sorted(answers) == [False, True]
    assert await sign_ins.device("BCDF-GHJK") == (ALLOWED if answers[0] else DENIED)
    clock.now += 61
    assert await sign_ins.device("BCDF-GHJK") is None


async def test_whom_a_code_stands_for_is_told_once(sign_ins: SignInTable, clock: SetClock) -> None:
    await sign_ins.keep("p", "ada", int(clock.now) + 60)
    await sign_ins.keep("late", "bob", int(clock.now) + 60)

    told = await asyncio.gather(*(sign_ins.take("p") for _ in range(5)))

    assert (told.count("ada"), told.count(None)) == (1, 4)
    assert await sign_ins.take("p") is None
    assert await sign_ins.take("another") is None
    clock.now += 61
    assert await sign_ins.take("late") is None
