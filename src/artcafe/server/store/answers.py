"""Answers that are kept for whoever asks again with the same Idempotency-Key."""

from contextlib import suppress
from hashlib import sha256

from msgspec import Struct

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.ports.records import Answer
from artcafe.server.store import addresses as at
from artcafe.server.store.item import ABSENT, Check, Conflict, Delete, Op, Put
from artcafe.server.store.table import Table, data
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


class _Row(Struct):
    digest: str
    sealed: str | None = None


class AnswerTable:
    """ports.AnswerRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def claim(
        self, tenant: TenantId, user: UserId, key: str, digest: str, expires: int
    ) -> Answer | None:
        """Take a key; None when it was free, else what was kept under it. Raises not_found."""
        pk, sk = _place(tenant, user, key)
        while True:
            try:
                await self._table.write(Put(pk, sk, data(_Row(digest)), ABSENT, expires), *_depends(tenant))
            except Conflict as conflict:
                if conflict.index > 0:
                    raise ArtcafeError(Code.not_found, "There is no such tenant.") from None
                stored = await self._table.read(pk, sk, _Row)
                if stored is not None:  # Else it expired in between.
                    return Answer(stored.record.digest, stored.record.sealed)
            else:
                return None

    async def keep(self, tenant: TenantId, user: UserId, key: str, answer: Answer, expires: int) -> None:
        """Keep the answer of a key that was taken; nothing is kept of a tenant that was deleted."""
        pk, sk = _place(tenant, user, key)
        row = Put(pk, sk, data(_Row(answer.digest, answer.sealed)), expires=expires)
        with suppress(Conflict):
            await self._table.write(row, *_depends(tenant))

    async def release(self, tenant: TenantId, user: UserId, key: str) -> None:
        """Give a key back that nothing came of."""
        await self._table.write(Delete(*_place(tenant, user, key)))


def _depends(tenant: TenantId) -> tuple[Op, ...]:
    return (Check(at.tenant(tenant), at.META),) if tenant else ()


def _place(tenant: TenantId, user: UserId, key: str) -> tuple[str, str]:
    digest = sha256(key.encode()).hexdigest()
    return at.tenant(tenant) if tenant else at.user(user), at.answer(user, digest)
