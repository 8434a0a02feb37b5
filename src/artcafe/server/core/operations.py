"""The operator's use cases on tenants: list all of them, set plan, limits and status."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from artcafe.server.domain.audit import AuditEntry, AuditWriter
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.listing import Page, Query, by_id
from artcafe.server.domain.operators import Operators
from artcafe.server.domain.plan import check_overrides, check_tier
from artcafe.server.domain.principal import User
from artcafe.server.domain.tenant import Status, Tenant
from artcafe.server.domain.version import require_match
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.events import AccountChanged, Events
from artcafe.server.ports.records import AuditRecords, TenantIndex, TenantRecords
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_ACTIONS = {Status.suspended: "tenant.suspend", Status.active: "tenant.resume"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantChange:
    """An operator's change. None leaves plan and status as they are.

    `limits` overrides single limits of the plan, by their names in domain.plan; None is unlimited. `restored`
    are the names of limits that follow the plan again.
    """

    plan: str | None = None
    status: Status | None = None
    limits: Mapping[str, int | None] = field(default_factory=dict)
    restored: frozenset[str] = frozenset()

    def names(self) -> list[str]:
        """The audit's names of the fields that are set."""
        limits = [f"limits.{name}" for name in (*self.limits, *self.restored)]
        given = {"subscription_tier": self.plan, "status": self.status}
        return [*limits, *(name for name, value in given.items() if value is not None)]


class TenantOperations:
    """The use cases of operators. Each raises forbidden for everybody else."""

    def __init__(
        self,
        *,
        records: TenantRecords,
        index: TenantIndex,
        log: AuditRecords,
        events: Events,
        operators: Operators,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._records = records
        self._index = index
        self._log = log
        self._events = events
        self._operators = operators
        self._audit_writer = AuditWriter(clock.now, new_id)

    def require(self, user: User) -> None:
        """Raises forbidden for who is no operator."""
        self._operators.require(user)

    async def list(self, user: User, query: Query[Tenant]) -> Page[Tenant]:
        """A page of all tenants, by id; with a filter it may be short and still have a next one.

        Raises bad_request for a cursor that no page gave.
        """
        self._operators.require(user)
        return await by_id(query, self._index.list)

    async def get(self, user: User, tenant: TenantId) -> Tenant:
        """Raises not_found."""
        self._operators.require(user)
        record = await self._records.get(tenant)
        if record is None:
            raise ArtcafeError(Code.not_found, "There is no such tenant.")
        return record

    async def log(self, user: User, query: Query[AuditEntry]) -> Page[AuditEntry]:
        """A page of the log of the installation, the newest first: who made, deleted and operated tenants.

        Raises bad_request for a cursor that no page gave.
        """
        self._operators.require(user)
        return await by_id(query, self._log.of_installation)

    async def change(
        self, user: User, tenant: TenantId, change: TenantChange, if_match: str | None = None
    ) -> Tenant:
        """Set plan, limits and status; the tenant's audit says so.

        Every server process hears of it: live connections of a suspended tenant are closed, those of another
        one live by its limits. Raises not_found, precondition_failed, and validation_failed for an unknown
        tier or limit.
        """
        self._operators.require(user)
        if change.plan is not None:
            check_tier(change.plan)
        check_overrides({**dict.fromkeys(change.restored, 1), **change.limits})
        action = "tenant.set" if change.status is None else _ACTIONS[change.status]
        done = self._audit_writer.by_operator(user, tenant, action, tenant, change.names())

        def edit(record: Tenant) -> Tenant:
            require_match(record, if_match)
            kept = {name: most for name, most in record.limits.items() if name not in change.restored}
            fields: dict[str, Any] = {"limits": {**kept, **change.limits}}
            if change.plan is not None:
                fields["subscription_tier"] = change.plan
            if change.status is not None:
                fields["status"] = change.status.value
            return replace(record, **fields, version=record.version + 1, updated_at=done.at)

        record = await self._records.change(tenant, edit, done)
        await self._events.tell(Change(tenant, Kind.tenant, tenant), AccountChanged(record))
        return record
