"""Tenants over REST."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import Cases, NamedHuman, Reader, RoamingUser
from artcafe.server.api.etags import IfMatch, set_tag
from artcafe.server.api.fields import Body, Email, JsonObject, StatusName, chosen
from artcafe.server.api.legal import Versions
from artcafe.server.api.once import CreateOnce, Creation
from artcafe.server.api.plans import PlanLimits
from artcafe.server.api.unreadable import tell_unreadable
from artcafe.server.domain.ids import PATTERN
from artcafe.server.domain.plan import TIERS, plan_of
from artcafe.server.domain.tenant import Tenant
from artcafe.server.ports.answers import Keep

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1/tenants", tags=["tenants"])

Text = Annotated[str, Field(max_length=1024)]
Name = Annotated[str, Field(min_length=1, max_length=128, examples=["Acme"])]
Tier = Annotated[str, Field(max_length=32, json_schema_extra={"enum": list(TIERS)})]
Url = Annotated[
    str,
    Field(
        max_length=2048, pattern=r"^https?://[^\x00-\x20\x7f-\xa0]+$", examples=["https://acme.example.com"]
    ),
]
Colour = Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$", examples=["#1a2b3c"])]

CLEARABLE = frozenset({"description", "website", "logo_url", "primary_color", "secondary_color"})


class TenantFields(Body):
    """The fields to set on a tenant; a field left out stays unchanged.

    Only an operator of the platform sets `subscription_tier`: from others it is read when a tenant is made,
    which gets the installation's tier, and afterwards it may be sent as it is, and not as another one.
    """

    name: Name | None = None
    admin_email: Email | None = None
    subscription_tier: Tier | None = None
    description: Text | None = None
    website: Url | None = None
    logo_url: Url | None = None
    primary_color: Colour | None = None
    secondary_color: Colour | None = None
    metadata: JsonObject | None = None
    allow_client_challenge: bool | None = None


class TenantPatch(TenantFields):
    """The fields to change on a tenant. Only an operator may set `status`."""

    status: StatusName | None = None


class NewTenant(TenantFields, Versions):
    """A tenant to make. `id` is made from the name when it is left out; what the operator publishes
    (`/legal/versions`) has to be accepted."""

    id: Annotated[str, Field(pattern=PATTERN, examples=["acme"])] | None = None
    name: Name


class TenantView(BaseModel):
    """A tenant."""

    id: str
    tenant_id: str
    name: str
    status: str
    subscription_tier: str
    admin_email: str
    description: str | None
    website: str | None
    logo_url: str | None
    primary_color: str | None
    secondary_color: str | None
    metadata: dict[str, Any]
    allow_client_challenge: bool
    limits: PlanLimits
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, tenant: Tenant) -> "TenantView":
        """A tenant as members see it."""
        limits = PlanLimits.of(plan_of(tenant))
        fields = {name: getattr(tenant, name) for name in set(cls.model_fields) - {"tenant_id", "limits"}}
        return cls(tenant_id=tenant.id, limits=limits, **fields)


class TenantCreated(BaseModel):
    """`admin_token` is the caller's own access token, which opens the new tenant as its owner.

    `api_key` is always null: agents prove SSH keys, humans bring tokens.
    """

    tenant_id: str
    api_key: str | None = None
    admin_token: str
    success: bool = True


@router.post("", status_code=201)
async def create_tenant(
    body: NewTenant,
    cases: Cases,
    user: RoamingUser,
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer(auto_error=False))],
    response: Response,
    once: CreateOnce,
) -> TenantCreated:
    """Make a tenant; the caller owns it. Who may, and how many, is the operator's to say."""

    async def make(keep: Keep[Tenant]) -> Tenant:
        fields = chosen(body, TenantFields, CLEARABLE)
        return await cases.tenants.create(user, body.id, fields, body.versions(), keep)

    async def view(tenant: Tenant) -> TenantCreated:
        set_tag(response, tenant)
        return TenantCreated(tenant_id=tenant.id, admin_token=credentials.credentials)

    check = partial(cases.tenants.require_making, user)
    return await once(user, body, Creation(kind=TenantCreated, check=check, make=make, view=view))


@router.get("")
async def list_tenants(cases: Cases, user: RoamingUser, response: Response) -> list[TenantView]:
    """List the tenants you belong to."""
    page = await cases.tenants.of_user(user)
    tell_unreadable(response, page)
    return [TenantView.of(tenant) for tenant in page.items]


@router.get("/{tenant_id}")
async def get_tenant(cases: Cases, human: Reader, response: Response) -> TenantView:
    """Get one tenant you belong to, also when it is suspended or being deleted."""
    tenant = await cases.tenants.get(human)
    set_tag(response, tenant)
    return TenantView.of(tenant)


@router.put("/{tenant_id}")
async def update_tenant(
    body: TenantPatch, cases: Cases, human: NamedHuman, response: Response, if_match: IfMatch = None
) -> TenantView:
    """Set some fields."""
    tenant = await cases.tenants.change(human, chosen(body, TenantPatch, CLEARABLE), if_match)
    set_tag(response, tenant)
    return TenantView.of(tenant)


@router.delete("/{tenant_id}", status_code=204)
async def delete_tenant(cases: Cases, human: NamedHuman, if_match: IfMatch = None) -> None:
    """Delete the tenant with everything in it. There is no way back.

    It is decided when this is answered; until everything is removed the tenant has the status `deleting`, and
    its id is taken.
    """
    await cases.deletions.begin(human, if_match)
