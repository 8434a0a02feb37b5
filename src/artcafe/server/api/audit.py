"""The audit over REST."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import Cases, CurrentHuman, Resources
from artcafe.server.api.pages import Limit, NextToken
from artcafe.server.api.unreadable import tell_unreadable
from artcafe.server.domain.audit import AuditEntry

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1/audit", tags=["audit"])

Actor = Annotated[str | None, Query(max_length=255, description="Only changes by this user.")]
Action = Annotated[
    str | None, Query(max_length=64, description="Only changes of this kind.", examples=["agent.update"])
]
Target = Annotated[
    str | None, Query(max_length=255, description="Only changes of this.", examples=["planner"])
]


class EntryView(BaseModel):
    """One change: who made it, to what, and which fields were set.

    `group` is the issuer's group that made the actor a member, or empty. `operator` is true where an
    operator of the platform did it; its address is not shown.
    """

    id: Annotated[str, Field(examples=["0f8fad5bd9cb469fa16570867728950e"])]
    at: str
    actor: str
    email: str
    group: Annotated[str, Field(examples=[""])]
    action: Annotated[str, Field(examples=["agent.update"])]
    target: Annotated[str, Field(examples=["planner"])]
    fields: Annotated[list[str], Field(examples=[["description"]])]
    remote: str
    request_id: str
    operator: Annotated[bool, Field(examples=[False])]

    @classmethod
    def of(cls, entry: AuditEntry) -> "EntryView":
        """An entry as readers of the audit see it."""
        return cls(
            id=entry.id,
            at=entry.at,
            actor=entry.actor,
            email=entry.email,
            group=entry.group,
            action=entry.action,
            target=entry.target,
            fields=entry.fields,
            remote=entry.remote,
            request_id=entry.request,
            operator=entry.operator,
        )


class EntryList(BaseModel):
    """A page of entries; the end is reached when `next_token` is null."""

    entries: list[EntryView]
    next_token: str | None


@router.get("")
async def list_audit(
    cases: Cases,
    resources: Resources,
    human: CurrentHuman,
    response: Response,
    limit: Limit = 50,
    next_token: NextToken = None,
    actor: Actor = None,
    action: Action = None,
    target: Target = None,
) -> EntryList:
    """List who changed what, the newest first. With a filter a page may be short and have a next one."""
    asked = "audit " + msgspec.json.encode((actor, action, target)).decode()
    page = await cases.audit.list(
        human,
        limit,
        resources.pages.open(human.tenant, asked, next_token),
        actor=actor,
        action=action,
        target=target,
    )
    tell_unreadable(response, page)
    return EntryList(
        entries=[EntryView.of(entry) for entry in page.items],
        next_token=resources.pages.seal(human.tenant, asked, page.cursor),
    )
