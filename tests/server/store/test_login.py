"""Answered challenges in the store, on every backend: each is taken once."""

import pytest

from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.store import addresses as at
from artcafe.server.store.item import ItemStore
from artcafe.server.store.login import ChallengeTable
from artcafe.server.store.table import Table
from artcafe.wire.codes import Code
from tests.kit.contents import contents
from tests.kit.outcomes import race, refused
from tests.kit.records import ACME, ALIKE
from tests.kit.stores import SetClock
from tests.kit.tenants import take_ids
from tests.kit.unreliable_store import UnreliableStore

A1 = AgentId("a1")


@pytest.fixture
async def challenges(table: Table, backend: ItemStore) -> ChallengeTable:
    await take_ids(backend)
    return ChallengeTable(table)


async def test_a_challenge_is_taken_once(challenges: ChallengeTable) -> None:
    assert await challenges.spend(ACME, A1, "c", None) is True
    assert await challenges.spend(ACME, A1, "c", None) is False
    assert await challenges.spend(ACME, A1, "d", None) is True


async def test_of_twenty_who_take_it_at_once_exactly_one_gets_it(table: Table, backend: ItemStore) -> None:
    """Two tables over one store are two server processes."""
    await take_ids(backend)
    processes = [ChallengeTable(table), ChallengeTable(Table(backend))]

    outcomes = await race(*(processes[n % 2].spend(ACME, A1, "c", None) for n in range(20)))

    assert sorted(outcomes, key=bool) == [False] * 19 + [True]


async def test_it_is_another_one_for_another_agent_or_tenant(challenges: ChallengeTable) -> None:
    assert await challenges.spend(ACME, A1, "c", None)

    for tenant in ALIKE:
        assert await challenges.spend(tenant, A1, "c", None)
    for agent in ("a", "a10", "a1-", "A1"):
        assert await challenges.spend(ACME, AgentId(agent), "c", None)


async def test_one_with_an_end_is_taken_until_then(challenges: ChallengeTable, clock: SetClock) -> None:
    until = int(clock.now) + 60
    assert await challenges.spend(ACME, A1, "c", until)

    clock.now += 59
    assert await challenges.spend(ACME, A1, "c", until) is False
    clock.now += 1
    assert await challenges.spend(ACME, A1, "c", until + 60) is True


async def test_one_without_an_end_is_taken_for_ever(challenges: ChallengeTable, clock: SetClock) -> None:
    await challenges.spend(ACME, A1, "c", None)

    clock.now += 100 * 365 * 86_400

    assert await challenges.spend(ACME, A1, "c", None) is False


async def test_it_is_kept_in_its_tenants_partition(challenges: ChallengeTable, backend: ItemStore) -> None:
    await challenges.spend(TenantId("acme"), A1, "c", None)

    assert {row for row in contents(backend) if row[1] != at.TENANTS} == {("item", "CH#acme", "a1#c")}


async def test_of_a_tenant_that_is_gone_none_is_taken(challenges: ChallengeTable, backend: ItemStore) -> None:
    before = contents(backend)

    assert await challenges.spend(TenantId("gone"), A1, "c", None) is False

    assert contents(backend) == before


@pytest.mark.parametrize("lies", [False, True])
async def test_a_store_that_is_away_gives_it_to_nobody(
    challenges: ChallengeTable, unreliable: UnreliableStore, lies: bool
) -> None:
    """Where the outcome is unknown the challenge may be lost, and is never taken twice."""
    unreliable.writes_left, unreliable.lies = 0, lies
    with refused(Code.unavailable):
        await challenges.spend(ACME, A1, "c", None)
    unreliable.heal()

    assert await challenges.spend(ACME, A1, "c", None) is not lies
