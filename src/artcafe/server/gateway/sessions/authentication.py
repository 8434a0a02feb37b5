"""The result of authenticating a client, and the interface of a login on an open connection."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from artcafe.server.domain.principal import Principal
from artcafe.server.gateway.dialects.dialect import Dialect


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A proven identity. The proof holds until `expires` (Unix seconds), without end where that is None.
    `cancellations` says that the client knows the frame `cancelled`."""

    principal: Principal
    expires: int | None = None
    cancellations: bool = False


IN_BAND, IN_URL, DASHBOARD = "websocket", "url", "dashboard"
"""The kinds of login, as they are logged."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The kind of login and the identity that a client claims: for the log, it proves nothing."""

    way: str
    tenant: str | None = None
    agent: str | None = None


class Authenticator(Protocol):
    """A login on the open connection: one question, where there is one, and one answer."""

    def question(self) -> msgspec.Struct | None:
        """The first frame of the server, or None where the client begins."""
        ...

    def authenticate(self, message: bytes) -> Awaitable[Authenticated]:
        """Check the first frame of the client. Raises ArtcafeError with a code that closes."""
        ...


@dataclass(frozen=True, slots=True)
class Admission:
    """The decision about an upgrade: an identity that is proven, or the login that is still to be done."""

    dialect: Dialect
    proof: Authenticated | Authenticator
    protocol: str | None = None
