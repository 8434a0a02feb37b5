"""The installation's mark, on every backend."""

import pytest

from artcafe.server.domain.installation import Mark
from artcafe.server.store.installation import InstallationTable
from artcafe.server.store.table import Table
from artcafe.wire.codes import Code
from tests.kit.outcomes import race, refused
from tests.kit.unreliable_store import UnreliableStore


@pytest.fixture
def records(table: Table) -> InstallationTable:
    return InstallationTable(table)


async def test_a_store_gets_a_mark_once(records: InstallationTable) -> None:
    assert await records.mark() is None
    assert await records.make(Mark("one")) == Mark("one", 1)
    assert await records.make(Mark("two")) == Mark("one", 1)
    assert await records.mark() == Mark("one", 1)


async def test_of_many_who_make_it_at_once_all_have_the_same(records: InstallationTable) -> None:
    made = await race(*(records.make(Mark(f"m{number}")) for number in range(8)))
    assert made == [await records.mark()] * 8


async def test_a_stamp_only_rises_whoever_stamps(records: InstallationTable) -> None:
    with refused(Code.not_found):
        await records.stamp()
    await records.make(Mark("one"))
    assert await records.stamp() == Mark("one", 2)
    assert await records.stamp(above=40) == Mark("one", 41)
    assert await records.stamp(above=3) == Mark("one", 42)
    stamps = await race(*(records.stamp() for _ in range(8)))
    assert sorted(str(mark) for mark in stamps) == [f"one.{number}" for number in range(43, 51)]


async def test_a_turn_is_one_processs_until_it_rested(records: InstallationTable) -> None:
    assert (await race(*(records.turn(1000, 60) for _ in range(8)))).count(True) == 1
    assert not await records.turn(1059, 60)
    assert await records.turn(1030, 20)
    assert not await records.turn(1031, 20)
    assert (await race(*(records.turn(1100, 60) for _ in range(8)))).count(True) == 1


async def test_a_clock_that_was_far_ahead_keeps_nobody_from_its_turn(records: InstallationTable) -> None:
    assert await records.turn(10**10, 60)
    assert await records.turn(1000, 60)


async def test_without_an_answer_it_is_made_by_the_next_one(
    records: InstallationTable, unreliable: UnreliableStore
) -> None:
    for lies in (False, True):
        unreliable.writes_left, unreliable.lies = 0, lies
        with refused(Code.unavailable):
            await records.make(Mark(f"{lies}".lower()))
        unreliable.heal()
    assert await records.make(Mark("next")) == Mark("true")
