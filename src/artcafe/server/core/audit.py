"""The audit: who changed what."""

from artcafe.server.domain.access import Action, require
from artcafe.server.domain.audit import AuditEntry
from artcafe.server.domain.listing import Page, Query, by_id
from artcafe.server.domain.principal import Human
from artcafe.server.ports.records import AuditRecords


class Audit:
    """Reads what every change wrote."""

    def __init__(self, records: AuditRecords) -> None:
        self._records = records

    async def list(
        self,
        human: Human,
        limit: int,
        cursor: str | None,
        *,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
    ) -> Page[AuditEntry]:
        """A page of entries, the newest first; with a filter it may be short and still have a next one.

        Raises forbidden, and bad_request for a cursor that no page gave.
        """
        require(human, Action.read_audit)

        def keep(entry: AuditEntry) -> bool:
            return (
                actor in {None, entry.actor}
                and action in {None, entry.action}
                and target in {None, entry.target}
            )

        return await by_id(
            Query(limit=limit, cursor=cursor, keep=keep),
            lambda most, after: self._records.list(human.tenant, most, after),
        )
