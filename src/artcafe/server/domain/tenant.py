"""A tenant and its members."""

from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

MAX_MEMBERS = 5_000
"""Stored members of a tenant: they are listed, and looked through for another owner, as a whole."""


class Role(StrEnum):
    """A member's role; domain.access has its permissions."""

    owner = "owner"
    admin = "admin"
    member = "member"
    viewer = "viewer"


class Status(StrEnum):
    """Whether the platform serves a tenant. The operator decides between the first two; the last one is for
    ever, until nothing is left of the tenant."""

    active = "active"
    suspended = "suspended"
    deleting = "deleting"


class TenantRules(Struct, frozen=True, kw_only=True):
    """The part of a tenant that decides about its clients: every login reads it.

    `status` (but for `deleting`), `subscription_tier` and `limits` are the operator's to set. `limits`
    overrides single limits of the plan by their names in domain.plan; None is unlimited there.
    `account` is the random part of the tenant's NATS account: a tenant deleted and made again
    under the same id gets another account.
    """

    id: TenantId
    name: str
    account: str
    status: str = Status.active.value
    subscription_tier: str = "enterprise"
    limits: dict[str, int | None] = {}
    allow_client_challenge: bool = False

    @property
    def suspended(self) -> bool:
        """Whether nothing of the tenant is served: in every status but `active`."""
        return self.status != Status.active

    @property
    def standing(self) -> Status:
        """The status as it counts: one that nobody knows is `suspended`."""
        return Status(self.status) if self.status in set(Status) else Status.suspended


class Tenant(TenantRules, frozen=True, kw_only=True):
    """One customer of the platform: an account on the bus, a partition in the store. Times are RFC 3339.

    `created_by` is empty for tenants that are older than this field.
    """

    admin_email: str = ""
    description: str | None = None
    website: str | None = None
    logo_url: str | None = None
    primary_color: str | None = None
    secondary_color: str | None = None
    metadata: dict[str, Any] = {}
    version: int = 1
    created_at: str
    updated_at: str
    created_by: str = ""


def taken(known: Tenant | None) -> ArtcafeError:
    """The refusal to make another tenant under the id of this one, or of one that cannot be read."""
    if known is None or known.status != Status.deleting:
        return ArtcafeError(Code.conflict, "There is a tenant of this id.")
    return ArtcafeError(Code.conflict, "A tenant of this id is being deleted; try again when it is gone.")


def require_served(tenant: TenantRules | None, reason: str | None = None) -> None:
    """Raises suspended for a tenant that is, with this reason for the log, and deleting.

    For a caller who has proven that it belongs to the tenant: nobody else is told.
    """
    if tenant is not None and tenant.status == Status.deleting:
        raise ArtcafeError(Code.deleting, reason=reason)
    if tenant is not None and tenant.suspended:
        raise ArtcafeError(Code.suspended, reason=reason)


class Member(Struct, frozen=True, kw_only=True):
    """A human's place in one tenant."""

    tenant: TenantId
    user: UserId
    role: Role
    email: str = ""
    joined_at: str
    active: bool = True
    version: int = 1

    @property
    def created_at(self) -> str:
        """The time at which the member joined."""
        return self.joined_at


def changed_member(member: Member, role: Role, email: str) -> Member:
    """The member in this role; without an email the one that is known stays."""
    return replace(member, role=role, email=email or member.email, version=member.version + 1)
