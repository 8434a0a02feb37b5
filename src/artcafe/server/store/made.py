"""The number of tenants that a user created, where a limit applies."""

from msgspec import Struct

from artcafe.server.domain.deletion import Deletion
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.tenant import Tenant
from artcafe.server.store import addresses as at
from artcafe.server.store.item import ABSENT, Delete, Op, Put, Rev
from artcafe.server.store.table import Stored, Table, data
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


class _Made(Struct):
    """The tenants that count against how many their creator may make; no row where there is none."""

    tenants: list[TenantId]


async def made_by(table: Table, user: UserId) -> int:
    """How many tenants exist that count among those that the user made."""
    stored = await _read(table, user)
    return len(stored.record.tenants) if stored else 0


async def counted(table: Table, tenant: Tenant, most: int | None) -> list[Op]:
    """The operation that counts a new tenant among those that its creator made; none where there is no limit.

    Raises quota_exceeded when there are `most` of them. It conflicts with every other one of the same user.
    """
    if most is None:
        return []
    user = UserId(tenant.created_by)
    stored = await _read(table, user)
    before = stored.record.tenants if stored else []
    if len(before) >= most:
        raise ArtcafeError(Code.quota_exceeded, f"One user may make {most} tenants; you did.")
    made = _Made([*before, tenant.id])
    return [stored.put(made) if stored else Put(at.user(user), at.MADE, data(made), ABSENT)]


async def uncounted(table: Table, deletion: Deletion) -> list[Op]:
    """The operation after which a tenant is not counted any more; none where it is not."""
    user = UserId(deletion.created_by)
    stored = await _read(table, user) if user else None
    if stored is None or deletion.tenant not in stored.record.tenants:
        return []
    left = [each for each in stored.record.tenants if each != deletion.tenant]
    if not left:
        return [Delete(at.user(user), at.MADE, Rev(stored.rev))]
    return [stored.put(_Made(left))]


async def _read(table: Table, user: UserId) -> Stored[_Made] | None:
    return await table.read(at.user(user), at.MADE, _Made)
