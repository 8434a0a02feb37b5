"""Stored responses by Idempotency-Key."""

from hashlib import sha256

from msgspec import Struct

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.ports.answers import Answer, Kept
from artcafe.server.store import addresses as at
from artcafe.server.store.item import ABSENT, Op, Put
from artcafe.server.store.table import Table, data


class _Row(Struct):
    digest: str
    sealed: str | None = None


class AnswerTable:
    """ports.AnswerRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: TenantId, user: UserId, key: str) -> Answer | None:
        """The response stored under the key, or None."""
        pk = at.tenant(await self._table.partition(tenant)) if tenant else at.user(user)
        stored = await self._table.read(pk, _place(user, key), _Row)
        return None if stored is None else Answer(stored.record.digest, stored.record.sealed)


def kept_in(pk: str, kept: Kept | None) -> tuple[Op, ...]:
    """The operation that keeps an answer, for the transaction of what it answers; none for no answer.

    It conflicts where an answer is kept under the same key: Table.again raises conflict then.
    """
    if kept is None:
        return ()
    row = _Row(kept.digest, kept.sealed)
    return (Put(pk, _place(kept.user, kept.key), data(row), ABSENT, kept.expires),)


def _place(user: UserId, key: str) -> str:
    return at.answer(user, sha256(key.encode()).hexdigest())
