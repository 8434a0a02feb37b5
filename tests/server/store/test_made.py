"""How many tenants a user made, on every backend."""

import pytest

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.store import addresses as at
from artcafe.server.store.item import Conflict, ItemStore
from artcafe.server.store.made import counted, made_by, uncounted
from artcafe.server.store.table import Table
from artcafe.wire.codes import Code
from tests.kit.contents import contents
from tests.kit.outcomes import refused
from tests.kit.records import a_deletion, a_tenant

PAUL = UserId("paul")


async def make(table: Table, tenant: str, most: int | None = 2) -> None:
    await table.write(*await counted(table, a_tenant(tenant, created_by="paul"), most))


async def test_they_are_counted_up_to_the_limit_and_down_again(table: Table, backend: ItemStore) -> None:
    for name in ("a", "b"):
        await make(table, name)
    assert await made_by(table, PAUL) == 2
    with refused(Code.quota_exceeded):
        await make(table, "c")

    await table.write(*await uncounted(table, a_deletion("a", created_by="paul")))
    assert await made_by(table, PAUL) == 1
    assert await uncounted(table, a_deletion("a", created_by="paul")) == []
    await table.write(*await uncounted(table, a_deletion("b", created_by="paul")))

    assert contents(backend) == set()


async def test_without_a_limit_nothing_is_counted(table: Table, backend: ItemStore) -> None:
    assert await counted(table, a_tenant(created_by="paul"), None) == []
    assert await uncounted(table, a_deletion(created_by="paul")) == []
    assert await uncounted(table, a_deletion()) == [], "of older tenants nobody knows who made them"
    assert contents(backend) == set()


async def test_of_two_that_count_at_once_one_is_told(table: Table) -> None:
    first = await counted(table, a_tenant("a", created_by="paul"), 1)
    second = await counted(table, a_tenant("b", created_by="paul"), 1)
    await table.write(*first)

    with pytest.raises(Conflict):
        await table.write(*second)

    assert await made_by(table, PAUL) == 1
    stored = await table.store.get(at.user(PAUL), at.MADE)
    assert stored is not None
    assert stored.data["tenants"] == [TenantId("a")]
