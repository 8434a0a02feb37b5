"""Memberships from the groups in a human's token, as mapped by the operator.

The issuer names groups in a claim; the operator says which of them is a role in which tenant. Nothing of it
is stored: a membership of this kind is there while a token says so that is good.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from artcafe.server.domain.access import LADDER
from artcafe.server.domain.ids import TenantId, tenant_id
from artcafe.server.domain.tenant import Role
from artcafe.wire.errors import ArtcafeError

NOT_FOR_GROUPS = frozenset(
    {
        "cognito:username",
        "email",
        "family_name",
        "given_name",
        "jti",
        "name",
        "nickname",
        "nonce",
        "phone_number",
        "preferred_username",
        "profile",
        "scope",
        "scp",
        "username",
        "website",
    }
)
"""Claims that humans and clients choose for themselves: with one of them anybody would be anything."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A role in a tenant, and the group that it comes from."""

    role: Role
    group: str

    def exceeds(self, role: Role) -> bool:
        """Whether it is the higher role."""
        return LADDER.index(self.role) > LADDER.index(role)


@dataclass(frozen=True, slots=True)
class Groups:
    """The mapping of groups to roles in tenants. A group that is not in it has no meaning."""

    roles: Mapping[str, Mapping[TenantId, Role]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `GROUP=TENANT:ROLE`, several with commas between them. Raises ValueError.

        A group may stand several times, with a tenant once; it is compared to the letter.
        """
        roles: dict[str, dict[TenantId, Role]] = {}
        for line in filter(None, (part.strip() for part in text.split(","))):
            group, tenant, role = _membership(line)
            if tenant in roles.setdefault(group, {}):
                raise ValueError(f"the group {group!r} has the tenant {tenant} twice")
            roles[group][tenant] = role
        return cls(roles)

    @property
    def tenants(self) -> Collection[TenantId]:
        """The tenants that groups are let into."""
        return {tenant for places in self.roles.values() for tenant in places}

    def granted(self, groups: Iterable[str]) -> Mapping[TenantId, Granted]:
        """The roles of somebody in these groups, by tenant: of several in a tenant the highest."""
        found: dict[TenantId, Granted] = {}
        for group in sorted(groups):
            for tenant, role in self.roles.get(group, {}).items():
                granted = Granted(role, group)
                if tenant not in found or granted.exceeds(found[tenant].role):
                    found[tenant] = granted
        return found


def _membership(line: str) -> tuple[str, TenantId, Role]:
    group, equals, place = line.rpartition("=")
    tenant, colon, role = place.strip().rpartition(":")
    if not (equals and colon and group.strip()):
        raise ValueError(f"{line!r} is no GROUP=TENANT:ROLE")
    try:
        return group.strip(), tenant_id(tenant), Role(role)
    except ArtcafeError as error:
        raise ValueError(f"{line!r}: {error.message}") from None
    except ValueError:
        raise ValueError(f"{line!r}: a role is one of {', '.join(LADDER)}") from None
