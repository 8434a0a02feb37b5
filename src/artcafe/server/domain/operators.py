"""Operators: humans who run the installation, and set tenants' plans and status.

Who is one follows from a verified token and the settings alone. Nothing of it is stored, so no write to the
store makes an operator, and no role in a tenant does.
"""

from collections.abc import Collection
from dataclasses import dataclass

from artcafe.server.domain.ids import UserId
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.tenant import Role
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


@dataclass(frozen=True, slots=True)
class Operators:
    """The subjects, and the one group of the issuer, that are operators. Both are compared to the letter."""

    subjects: Collection[UserId] = frozenset()
    group: str | None = None

    def include(self, who: User | Human) -> bool:
        """Whether this human is an operator."""
        subject = who.id if isinstance(who, User) else who.user
        return subject in self.subjects or (self.group is not None and self.group in who.groups)

    def require(self, who: User | Human) -> None:
        """Raises forbidden for everybody else."""
        if not self.include(who):
            raise ArtcafeError(Code.forbidden, "Only an operator of the platform may do this.")


def local_user(role: Role) -> UserId:
    """The embedded issuer's user of this role. The owner is who owns the machine: an operator."""
    return UserId(f"local-{role}")


@dataclass(frozen=True, slots=True)
class TenantCreation:
    """The right to create tenants, besides operators. `most` limits a user's existing tenants; operators have
    no limit."""

    anybody: bool = False
    most: int = 0
