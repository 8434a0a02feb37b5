"""An invitation: a single-use token that makes its bearer a member."""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

from msgspec import Struct

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import Role

SECRET_BYTES = 32
"""How much chance is in a token."""

MAX_DAYS = 30
"""How long an invitation stands open at most."""

MAX_OPEN = 500
"""Invitations of a tenant that stand open at once."""

_TOKEN = re.compile(r"([A-Za-z0-9_-]{1,63})\.([A-Za-z0-9_-]{1,63})\.([A-Za-z0-9_-]{43})")


class Invitation(Struct, frozen=True, kw_only=True):
    """An open invitation into a tenant. The email is for people to read: it binds nobody.

    `created_by` is who made it, by a right that was stored, or was that of `group`, which the maker's token
    named. `digest` is the SHA-256 of the secret, in hexadecimal; the secret itself is kept nowhere. Times are
    RFC 3339, in whole seconds.
    """

    id: str
    tenant: TenantId
    role: Role
    email: str = ""
    created_by: str
    group: str = ""
    created_at: str
    expires_at: str
    digest: str


@dataclass(frozen=True, slots=True)
class InvitationToken:
    """An invitation's token: `{tenant}.{id}.{secret}`."""

    tenant: TenantId
    id: str
    secret: str

    def __str__(self) -> str:
        return f"{self.tenant}.{self.id}.{self.secret}"

    @property
    def digest(self) -> str:
        """The stored digest of the secret."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def opens(self, invitation: Invitation) -> bool:
        """Whether the secret is the invitation's; constant time."""
        return hmac.compare_digest(self.digest, invitation.digest)


def new_token(tenant: TenantId, invitation: str, chance: bytes) -> InvitationToken:
    """The token of a new invitation, from SECRET_BYTES of chance."""
    return InvitationToken(tenant, invitation, base64.urlsafe_b64encode(chance).decode().rstrip("="))


def read_token(text: str) -> InvitationToken | None:
    """A token as it was given out; None for any other text."""
    found = _TOKEN.fullmatch(text)
    return InvitationToken(TenantId(found[1]), found[2], found[3]) if found else None
