"""Answers kept under an Idempotency-Key, in the transaction of what they answer."""

import pytest

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.ports.answers import Answer, Kept
from artcafe.server.store import addresses as at
from artcafe.server.store.addresses import Partition
from artcafe.server.store.answers import AnswerTable, kept_in
from artcafe.server.store.item import ABSENT, ItemStore, Op, Put
from artcafe.server.store.table import Table
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.stores import SetClock
from tests.kit.tenants import take_ids

ACME, OTHER, NONE = TenantId("acme"), TenantId("other"), TenantId("")
ADA, BOB = UserId("ada"), UserId("bob")
PK = at.tenant(Partition(ACME))


@pytest.fixture(autouse=True)
async def taken(backend: ItemStore) -> None:
    await take_ids(backend)


def answer(sealed: str, key: str = "k") -> Kept:
    return Kept(ADA, key, "digest", sealed, 1_700_000_060)


async def make(table: Table, thing: str, kept: Kept | None, contested: int = 1) -> None:
    async def attempt() -> tuple[None, list[Op]]:
        return None, [Put(PK, thing, {}, ABSENT), *kept_in(PK, kept)]

    await table.again(attempt, contested)


async def test_an_answer_is_found_by_the_same_user_in_the_same_tenant_alone(table: Table) -> None:
    answers = AnswerTable(table)
    await make(table, "AGENT#a", answer("sealed"))

    assert await answers.get(ACME, ADA, "k") == Answer("digest", "sealed")
    for tenant, user, key in ((ACME, BOB, "k"), (OTHER, ADA, "k"), (NONE, ADA, "k"), (ACME, ADA, "l")):
        assert await answers.get(tenant, user, key) is None


async def test_what_is_done_in_no_tenant_is_kept_with_the_user(table: Table) -> None:
    await table.write(*kept_in(at.user(ADA), answer("sealed")))

    assert await AnswerTable(table).get(NONE, ADA, "k") == Answer("digest", "sealed")


@pytest.mark.parametrize("contested", [0, 1, 25])
async def test_of_two_under_one_key_one_is_made(table: Table, contested: int) -> None:
    await make(table, "AGENT#a", answer("first"))

    with pytest.raises(ArtcafeError) as refused:
        await make(table, "AGENT#b", answer("second"), contested)

    assert refused.value.code is Code.conflict
    assert await table.store.get(PK, "AGENT#b") is None
    assert await AnswerTable(table).get(ACME, ADA, "k") == Answer("digest", "first")


async def test_an_answer_that_expired_leaves_its_key(table: Table, clock: SetClock) -> None:
    await make(table, "AGENT#a", answer("first"))
    clock.now = 1_700_000_060

    assert await AnswerTable(table).get(ACME, ADA, "k") is None
    await make(table, "AGENT#b", Kept(ADA, "k", "digest", "second", 1_700_000_120))

    assert await AnswerTable(table).get(ACME, ADA, "k") == Answer("digest", "second")


async def test_without_an_answer_nothing_is_kept(table: Table) -> None:
    await make(table, "AGENT#a", None)

    assert [item.sk for item in (await table.store.query(PK)).items] == ["AGENT#a"]
