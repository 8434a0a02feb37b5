"""Deletions of tenants: recorded first, carried out later by any process."""

from collections.abc import Callable, Sequence
from typing import Protocol

from artcafe.server.domain.audit import AuditEntry
from artcafe.server.domain.deletion import Deletion
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import Tenant


class DeletionRecords(Protocol):
    """Every step may be done again, and by several at once; what was cut off goes on with `pending`."""

    async def begin(self, tenant: TenantId, edit: Callable[[Tenant], Tenant], entry: AuditEntry) -> None:
        """Make of the tenant what `edit` makes, which is in the status `deleting`: from then on nothing is
        written in it any more. Written with it: the entry, in the tenant's audit and in the log of the
        installation. Raises not_found, deleting when it was begun before, and what `edit` raises."""

    async def pending(self) -> Sequence[Deletion]:
        """Deletions that are not finished; some of them when there are many."""

    async def sweep(self, deletion: Deletion) -> bool:
        """Remove everything that is stored of the tenant but that it is being deleted; memberships last, and
        owners after the others. False when the id is free already."""

    async def free(self, deletion: Deletion, at: str) -> None:
        """Make the id free, at this time (RFC 3339), which ends what members and operators see of it. Nothing
        happens when it was free before."""

    async def end(self, deletion: Deletion) -> None:
        """Remove what was still counted after the sweep, and forget the deletion."""
