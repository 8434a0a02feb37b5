"""Tenants over REST, for operators: list all of them, set plan, limits and status."""

from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import Cases, CurrentOperator, Resources, UseCases
from artcafe.server.api.etags import IfMatch, set_tag
from artcafe.server.api.fields import Body, Integral, StatusName
from artcafe.server.api.pages import Limit, NextToken
from artcafe.server.api.tenants import Tier
from artcafe.server.api.unreadable import tell_unreadable
from artcafe.server.api.usage import used_this_month
from artcafe.server.core.operations import TenantChange
from artcafe.server.domain.ids import PATTERN, TenantId
from artcafe.server.domain.listing import Query as Asked
from artcafe.server.domain.plan import LIMITS, MOST, check_tier, plan_named, plan_of
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.tenant import Role, Status, Tenant

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1/operator/tenants", tags=["operator"])

Named = Annotated[str, Path(pattern=PATTERN)]

UNLIMITED: Final = "unlimited"

Unlimited = Literal["unlimited"]

Override = int | Unlimited

Count = Annotated[int, Field(ge=0, le=MOST), Integral] | Unlimited

Rate = Annotated[int, Field(ge=1, le=MOST), Integral]

_LIMITS: dict[str, Any] = {"agents": 100, "channels": UNLIMITED}


class OperatorsTenant(BaseModel):
    """A tenant as operators see it.

    `limits` are in force: the plan's, with `overrides` in their place; null is unlimited there.
    """

    id: str
    name: str
    status: Status
    plan: Annotated[str, Field(examples=["growth"])]
    subscription_tier: str
    limits: Annotated[dict[str, int | None], Field(examples=[{"agents": 100, "channels": None}])]
    overrides: Annotated[dict[str, Override], Field(examples=[_LIMITS])]
    admin_email: str
    created_by: Annotated[str, Field(examples=["auth0|5f7c8ec7c33c6c004bbafe82"])]
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, tenant: Tenant) -> "OperatorsTenant":
        """A tenant as operators see it."""
        plan = plan_of(tenant)
        return cls(
            id=tenant.id,
            name=tenant.name,
            status=tenant.standing,
            plan=plan.name,
            subscription_tier=tenant.subscription_tier,
            limits={name: getattr(plan, name) for name in LIMITS},
            overrides={name: UNLIMITED if most is None else most for name, most in tenant.limits.items()},
            admin_email=tenant.admin_email,
            created_by=tenant.created_by,
            created_at=tenant.created_at,
            updated_at=tenant.updated_at,
        )


class OneTenant(OperatorsTenant):
    """A tenant with what it has now, and used in the current calendar month (UTC)."""

    usage: Annotated[dict[str, int], Field(examples=[{"agents": 3, "channels": 2, "messages": 1200}])]


class TenantList(BaseModel):
    """A page of tenants; the end is reached when `next_token` is null."""

    tenants: list[OperatorsTenant]
    next_token: str | None


class LimitOverrides(Body):
    """Single limits in place of the plan's; null ends an override, and the plan's own limit holds again."""

    agents: Count | None = None
    channels: Count | None = None
    connections: Count | None = None
    messages_per_month: Count | None = None
    api_calls_per_minute: Rate | Unlimited | None = None
    messages_per_second: Rate | None = None
    storage_bytes: Annotated[int, Field(ge=0, le=MOST), Integral] | None = None
    durable_bytes: Annotated[int, Field(ge=0, le=MOST), Integral] | None = None
    inbox_messages: Rate | Unlimited | None = None
    inbox_bytes: Rate | None = None


class Operation(Body):
    """The fields to set; a field left out stays unchanged."""

    plan: Tier | None = None
    limits: LimitOverrides | None = None
    status: StatusName | None = None

    def change(self) -> TenantChange:
        """The same, as the use case takes it."""
        limits = {} if self.limits is None else self.limits.model_dump(exclude_unset=True)
        given = {name: most for name, most in limits.items() if most is not None}
        return TenantChange(
            plan=self.plan,
            status=None if self.status is None else Status(self.status),
            limits={name: None if most == UNLIMITED else most for name, most in given.items()},
            restored=frozenset(limits) - given.keys(),
        )


@router.get("")
async def list_all_tenants(
    cases: Cases,
    resources: Resources,
    user: CurrentOperator,
    response: Response,
    limit: Limit = 50,
    next_token: NextToken = None,
    status: Annotated[Status | None, Query(description="Only tenants of this status.")] = None,
    plan: Annotated[Tier | None, Query(description="Only tenants of this plan.", examples=["growth"])] = None,
    q: Annotated[str | None, Query(max_length=128, description="Part of the name or id.")] = None,
) -> TenantList:
    """List all tenants by id, for operators. With a filter a page may be short and have a next one."""
    asked = "operator " + msgspec.json.encode((status, plan, q)).decode()

    if plan is not None:
        check_tier(plan)
    only = None if plan is None else plan_named(plan).name
    wanted = (q or "").casefold()

    def keep(tenant: Tenant) -> bool:
        return (
            status in {None, tenant.standing}
            and (only is None or plan_of(tenant).name == only)
            and (wanted in tenant.name.casefold() or wanted in tenant.id.casefold())
        )

    nowhere = TenantId("")  # The list is of no tenant.
    cursor = resources.pages.open(nowhere, asked, next_token)
    page = await cases.operations.list(user, Asked(limit=limit, cursor=cursor, keep=keep))
    tell_unreadable(response, page)
    return TenantList(
        tenants=[OperatorsTenant.of(tenant) for tenant in page.items],
        next_token=resources.pages.seal(nowhere, asked, page.cursor),
    )


@router.get("/{tenant_id}")
async def get_any_tenant(
    tenant_id: Named, cases: Cases, user: CurrentOperator, response: Response
) -> OneTenant:
    """Show any tenant, with what it uses, for operators."""
    tenant = await cases.operations.get(user, TenantId(tenant_id))
    set_tag(response, tenant)
    usage = await _usage(cases, user, tenant)
    return OneTenant(**dict(OperatorsTenant.of(tenant)), usage=usage)


@router.patch("/{tenant_id}")
async def operate_tenant(
    tenant_id: Named,
    body: Operation,
    cases: Cases,
    user: CurrentOperator,
    response: Response,
    if_match: IfMatch = None,
) -> OneTenant:
    """Set plan, single limits and status of any tenant, for operators.

    A tenant that is suspended is closed at once on every server and refused everywhere; `active` resumes it.
    """
    # All that is shown is read before: what fails afterwards would make an error of a change that is stored.
    usage = await _usage(cases, user, await cases.operations.get(user, TenantId(tenant_id)))
    tenant = await cases.operations.change(user, TenantId(tenant_id), body.change(), if_match)
    set_tag(response, tenant)
    return OneTenant(**dict(OperatorsTenant.of(tenant)), usage=usage)


async def _usage(cases: UseCases, user: User, tenant: Tenant) -> dict[str, Any]:
    usage = await used_this_month(cases, Human(tenant.id, user.id, Role.viewer))
    connections = sum((await cases.presence.online(tenant.id)).values())
    return {**usage, "connections": connections}
