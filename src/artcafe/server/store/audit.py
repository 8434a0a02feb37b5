"""The audit in the store."""

from datetime import datetime

from artcafe.server.domain.audit import RETENTION_DAYS, AuditEntry
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.listing import Page
from artcafe.server.store import addresses as at
from artcafe.server.store.addresses import Partition
from artcafe.server.store.item import Op, Put
from artcafe.server.store.table import Table, data

_DAY = 86_400


def logged(entry: AuditEntry | None, partition: Partition) -> tuple[Op, ...]:
    """The operation that writes an entry, for the transaction of the change; none for no entry.
    `partition` is that of the entry's tenant."""
    return () if entry is None else (_written(at.log(partition), entry),)


def noted(entry: AuditEntry) -> tuple[Op, ...]:
    """The operation that writes it into the log of the installation, which outlives the tenant."""
    return (_written(at.INSTALLATION_LOG, entry),)


def _written(pk: str, entry: AuditEntry) -> Op:
    when = datetime.fromisoformat(entry.at).timestamp()
    row = at.log_entry(round(when * 1000), entry.id)
    return Put(pk, row, data(entry), expires=int(when) + RETENTION_DAYS * _DAY)


class AuditTable:
    """ports.AuditRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def list(self, tenant: TenantId, limit: int, cursor: str | None) -> Page[AuditEntry]:
        """A page of entries, the newest first. Raises bad_request for a cursor that no page gave."""
        partition = await self._table.partition(tenant)
        return await self._table.page(at.log(partition), "", AuditEntry, limit, cursor)

    async def of_installation(self, limit: int, cursor: str | None) -> Page[AuditEntry]:
        """The same of the installation."""
        return await self._table.page(at.INSTALLATION_LOG, "", AuditEntry, limit, cursor)
