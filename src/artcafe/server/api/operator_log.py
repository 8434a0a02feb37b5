"""The installation's log over REST, for operators: creations, deletions and operator changes of tenants."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.audit import Action, Actor, EntryView
from artcafe.server.api.deps import Cases, CurrentOperator, Resources
from artcafe.server.api.pages import Limit, NextToken
from artcafe.server.api.unreadable import tell_unreadable
from artcafe.server.domain.audit import AuditEntry
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.listing import Query as Asked

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1/operator/log", tags=["operator"])

Tenant = Annotated[str | None, Query(max_length=63, description="Only what was done with this tenant.")]


class InstallationEntry(EntryView):
    """An operation on a tenant; the entry outlives the tenant."""

    tenant_id: Annotated[str, Field(examples=["acme"])]

    @classmethod
    def of(cls, entry: AuditEntry) -> "InstallationEntry":
        """An entry as operators see it."""
        return cls(tenant_id=entry.tenant, **dict(EntryView.of(entry)))


class InstallationLog(BaseModel):
    """A page of entries; the end is reached when `next_token` is null."""

    entries: list[InstallationEntry]
    next_token: str | None


@router.get("")
async def list_installation_log(
    cases: Cases,
    resources: Resources,
    user: CurrentOperator,
    response: Response,
    limit: Limit = 50,
    next_token: NextToken = None,
    tenant: Tenant = None,
    actor: Actor = None,
    action: Action = None,
) -> InstallationLog:
    """List who made, deleted, suspended, resumed and set tenants, the newest first, for operators.

    With a filter a page may be short and have a next one.
    """
    asked = "operator log " + msgspec.json.encode((tenant, actor, action)).decode()

    def keep(entry: AuditEntry) -> bool:
        return (
            tenant in {None, entry.tenant} and actor in {None, entry.actor} and action in {None, entry.action}
        )

    nowhere = TenantId("")  # The log is of no tenant.
    cursor = resources.pages.open(nowhere, asked, next_token)
    page = await cases.operations.log(user, Asked(limit=limit, cursor=cursor, keep=keep))
    tell_unreadable(response, page)
    return InstallationLog(
        entries=[InstallationEntry.of(entry) for entry in page.items],
        next_token=resources.pages.seal(nowhere, asked, page.cursor),
    )
