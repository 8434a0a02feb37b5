"""The operator's documents: the published ones, and a tenant's acceptances."""

from collections.abc import Callable, Mapping, Sequence

from artcafe.server.domain.access import Action, require
from artcafe.server.domain.audit import AuditWriter
from artcafe.server.domain.legal import Acceptance, Document, Documents, acceptances, check_current
from artcafe.server.domain.listing import Page
from artcafe.server.domain.principal import Human
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.records import LegalRecords


class Legal:
    """Acceptances after a tenant was made; `published` is what the operator publishes now."""

    def __init__(
        self, *, records: LegalRecords, published: Documents, clock: Clock, new_id: Callable[[], str]
    ) -> None:
        self.published = published
        self._records = records
        self._audit_writer = AuditWriter(clock.now, new_id)

    async def accept(self, human: Human, versions: Mapping[Document, str]) -> Sequence[Acceptance]:
        """Accept current versions for the tenant; of each the first acceptance counts, and is given.

        Raises not_found, and validation_failed for a version that is not the current one.
        """
        require(human, Action.change_tenant)
        check_current(self.published, versions)
        done = self._audit_writer.entry(human, "legal.accept", human.tenant, versions)
        accepted = acceptances(versions, human, at=done.at)
        return await self._records.accept(human.tenant, accepted, done)

    async def list(self, human: Human, limit: int, cursor: str | None) -> Page[Acceptance]:
        """A page of what was accepted, by document and version."""
        require(human, Action.read)
        return await self._records.list(human.tenant, limit, cursor)
