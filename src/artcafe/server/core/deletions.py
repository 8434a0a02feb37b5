"""Deletes tenants: recorded at once, carried out in the background."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import msgspec

from artcafe.server.domain.access import Action, require
from artcafe.server.domain.audit import AuditWriter
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.deletion import LINGER_SECONDS, Deletion
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.principal import Human
from artcafe.server.domain.revocation import Revocation
from artcafe.server.domain.tenant import Status, Tenant
from artcafe.server.domain.version import require_match
from artcafe.server.ports.bus import Accounts
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.deletions import DeletionRecords
from artcafe.server.ports.events import Events
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.times import rfc3339

WORK_SECONDS = 10.0
"""How often a process looks for deletions that another one began and did not end."""


class Deletions:
    """Begin the deletion of a tenant, and do what was begun, here or in a process that is gone."""

    def __init__(
        self,
        *,
        records: DeletionRecords,
        accounts: Accounts,
        events: Events,
        clock: Clock,
        new_id: Callable[[], str],
        begun: Callable[[], object],
    ) -> None:
        """`begun` is called when there is something to do at once."""
        self._records = records
        self._accounts = accounts
        self._events = events
        self._clock = clock
        self._audit_writer = AuditWriter(clock.now, new_id)
        self._begun = begun

    async def begin(self, human: Human, if_match: str | None = None) -> None:
        """Delete the tenant, its account with its streams and everything stored; its connections end.

        It is decided when this returns. What follows is seen by the tenant's status, until nothing is left
        and the id is free again. Raises not_found, deleting, precondition_failed.
        """
        require(human, Action.delete_tenant)
        done = self._audit_writer.entry(human, "tenant.delete", human.tenant)

        def edit(tenant: Tenant) -> Tenant:
            require_match(tenant, if_match)
            return msgspec.structs.replace(
                tenant, status=Status.deleting.value, version=tenant.version + 1, updated_at=done.at
            )

        await self._records.begin(human.tenant, edit, done)
        await self._events.tell(_changed(human.tenant))
        self._begun()
        # Not again where it fails: `work` tells it, too, and what waits could meet a later tenant of the id.
        with suppress(ArtcafeError):
            await self._events.tell_now(Revocation(human.tenant))

    async def work(self) -> None:
        """Do what can be done now. Raises unavailable when some of it could not be done, after the rest."""
        failed = None
        for deletion in await self._records.pending():
            try:
                await self._go_on(deletion)
            except ArtcafeError as error:
                failed = error
        if failed is not None:
            raise failed

    async def _go_on(self, deletion: Deletion) -> None:
        if deletion.freed_at is not None:
            if self._clock.now() - datetime.fromisoformat(deletion.freed_at).timestamp() >= LINGER_SECONDS:
                await self._records.end(deletion)
            return
        revocation = Revocation(deletion.tenant)
        await self._events.tell_now(revocation)
        await self._accounts.remove(deletion.rules)
        if await self._records.sweep(deletion):
            # Again, for who was let in by what a process remembered: nobody of this tenant is connected when
            # there is another one of its id.
            await self._events.tell_now(revocation)
            await self._records.free(deletion, rfc3339(self._clock.now()))
            await self._events.tell(_changed(deletion.tenant))


def _changed(tenant: TenantId) -> Change:
    return Change(tenant, Kind.tenant, tenant)
