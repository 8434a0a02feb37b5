"""Tenants and their members over REST."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from artcafe.server.api.deps import Cases, CurrentUser, NamedHuman
from artcafe.server.api.fields import chosen
from artcafe.server.domain.ids import PATTERN, UserId
from artcafe.server.domain.plan import TIERS
from artcafe.server.domain.tenant import Member, Role, Tenant

router = APIRouter(prefix="/api/v1/tenants", tags=["tenants"])

Text = Annotated[str, Field(max_length=1024)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Tier = Annotated[str, Field(examples=list(TIERS), max_length=32)]

CLEARABLE = frozenset({"description", "website", "logo_url", "primary_color", "secondary_color"})


class TenantFields(BaseModel):
    """What may be set on a tenant; what is left out stays as it is."""

    name: Name | None = None
    admin_email: Text | None = None
    subscription_tier: Tier | None = None
    description: Text | None = None
    website: Text | None = None
    logo_url: Text | None = None
    primary_color: Text | None = None
    secondary_color: Text | None = None
    metadata: dict[str, Any] | None = None
    allow_client_challenge: bool | None = None


class NewTenant(TenantFields):
    """A tenant to make. `id` is made from the name when it is left out."""

    id: Annotated[str, Field(pattern=PATTERN)] | None = None
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
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, tenant: Tenant) -> "TenantView":
        """What a member sees of a tenant."""
        fields = {name: getattr(tenant, name) for name in cls.model_fields if name != "tenant_id"}
        return cls(tenant_id=tenant.id, **fields)


class TenantCreated(BaseModel):
    """`admin_token` is the caller's own access token, which opens the new tenant as its owner.

    `api_key` is always null: agents prove SSH keys, humans bring tokens.
    """

    tenant_id: str
    api_key: str | None = None
    admin_token: str
    success: bool = True


class MemberView(BaseModel):
    """A human in a tenant."""

    user_id: str
    email: str
    role: Role
    joined_date: str
    active: bool

    @classmethod
    def of(cls, member: Member) -> "MemberView":
        """What members see of each other."""
        return cls(
            user_id=member.user,
            email=member.email,
            role=member.role,
            joined_date=member.joined_at,
            active=member.active,
        )


class MemberFields(BaseModel):
    """A member's role; without an email the one that is known stays."""

    role: Role
    email: Text = ""


class NewMember(MemberFields):
    """A user to add, by its subject at the issuer."""

    user_id: Annotated[str, Field(min_length=1, max_length=255)]
    role: Role = Role.member


@router.post("", status_code=201)
async def create_tenant(
    body: NewTenant,
    cases: Cases,
    user: CurrentUser,
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer(auto_error=False))],
) -> TenantCreated:
    """Make a tenant; the caller owns it."""
    tenant = await cases.tenants.create(user, body.id, chosen(body, TenantFields, CLEARABLE))
    return TenantCreated(tenant_id=tenant.id, admin_token=credentials.credentials)


@router.get("")
async def list_tenants(cases: Cases, user: CurrentUser) -> list[TenantView]:
    """The tenants you belong to."""
    return [TenantView.of(tenant) for tenant in await cases.tenants.of_user(user)]


@router.get("/{tenant_id}")
async def get_tenant(cases: Cases, human: NamedHuman) -> TenantView:
    """One tenant you belong to."""
    return TenantView.of(await cases.tenants.get(human))


@router.put("/{tenant_id}")
async def update_tenant(body: TenantFields, cases: Cases, human: NamedHuman) -> TenantView:
    """Set some fields."""
    return TenantView.of(await cases.tenants.change(human, chosen(body, TenantFields, CLEARABLE)))


@router.delete("/{tenant_id}", status_code=204)
async def delete_tenant(cases: Cases, human: NamedHuman) -> None:
    """Delete the tenant with everything in it. There is no way back."""
    await cases.tenants.delete(human)


@router.get("/{tenant_id}/members")
async def list_members(cases: Cases, human: NamedHuman) -> list[MemberView]:
    """Everybody in the tenant."""
    return [MemberView.of(member) for member in await cases.tenants.members(human)]


@router.post("/{tenant_id}/members")
async def add_member(body: NewMember, cases: Cases, human: NamedHuman) -> MemberView:
    """Add a user to the tenant."""
    member = await cases.tenants.put_member(human, UserId(body.user_id), body.role, body.email)
    return MemberView.of(member)


@router.put("/{tenant_id}/members/{user_id}")
async def change_member(user_id: str, body: MemberFields, cases: Cases, human: NamedHuman) -> MemberView:
    """Change a member's role."""
    return MemberView.of(await cases.tenants.put_member(human, UserId(user_id), body.role, body.email))


@router.delete("/{tenant_id}/members/{user_id}", status_code=204)
async def remove_member(user_id: str, cases: Cases, human: NamedHuman) -> None:
    """Remove a member from the tenant."""
    await cases.tenants.remove_member(human, UserId(user_id))
