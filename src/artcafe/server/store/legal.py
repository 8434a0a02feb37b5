"""Acceptances of the operator's documents in the store."""

from collections.abc import Sequence

from artcafe.server.domain.audit import AuditEntry
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.legal import Acceptance
from artcafe.server.domain.listing import Page
from artcafe.server.store import addresses as at
from artcafe.server.store.addresses import Partition
from artcafe.server.store.audit import logged
from artcafe.server.store.item import ABSENT, MAX_OPS, Op, Put
from artcafe.server.store.members import existing
from artcafe.server.store.partitions import live
from artcafe.server.store.table import Table, data


def recorded(accepted: Sequence[Acceptance], partition: Partition) -> list[Op]:
    """The operations that write acceptances which are new."""
    return [
        Put(at.tenant(partition), at.acceptance(one.document, one.version), data(one), ABSENT)
        for one in accepted
    ]


class LegalTable:
    """ports.LegalRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def accept(
        self, tenant: TenantId, accepted: Sequence[Acceptance], entry: AuditEntry
    ) -> Sequence[Acceptance]:
        """Add those that are new, and the entry if there are any; what counts now. Raises not_found."""

        async def attempt() -> tuple[list[Acceptance], list[Op]]:
            partition = await existing(self._table, tenant)
            known = [await self._known(partition, one) for one in accepted]
            new = [one for one, first in zip(accepted, known, strict=True) if first is None]
            counting = [first or one for one, first in zip(accepted, known, strict=True)]
            entries = logged(entry, partition) if new else ()
            return counting, [live(partition), *recorded(new, partition), *entries]

        return await self._table.again(attempt, contested=MAX_OPS)

    async def _known(self, partition: Partition, one: Acceptance) -> Acceptance | None:
        row = at.acceptance(one.document, one.version)
        stored = await self._table.read(at.tenant(partition), row, Acceptance)
        return stored.record if stored else None

    async def list(self, tenant: TenantId, limit: int, cursor: str | None) -> Page[Acceptance]:
        """A page of acceptances. Raises bad_request for a cursor that no earlier page gave."""
        pk = at.tenant(await self._table.partition(tenant))
        return await self._table.page(pk, at.ACCEPTANCES, Acceptance, limit, cursor)
