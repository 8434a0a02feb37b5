"""How somebody comes in: who it is, or how it will prove that, and what it speaks."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from artcafe.server.domain.principal import Principal
from artcafe.server.gateway.dialects.dialect import Dialect


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Who somebody is. What proved it holds until `expires` (Unix seconds), or as long as nothing is said."""

    principal: Principal
    expires: int | None = None


IN_BAND, IN_URL, DASHBOARD = "websocket", "url", "dashboard"
"""The ways in, as they are logged."""


@dataclass(frozen=True, slots=True)
class Claim:
    """How somebody comes in, and who it says to be: for the log, it proves nothing."""

    way: str
    tenant: str | None = None
    agent: str | None = None


class Authenticator(Protocol):
    """A login on the open connection: one question, where there is one, and one answer."""

    def question(self) -> msgspec.Struct | None:
        """What the server says first."""
        ...

    def authenticate(self, message: bytes) -> Awaitable[Authenticated]:
        """Check the first frame of the client. Raises ArtcafeError with a code that closes."""
        ...


@dataclass(frozen=True, slots=True)
class Admission:
    """What was decided about an upgrade: somebody `proven`, or the way to it."""

    dialect: Dialect
    proof: Authenticated | Authenticator
    protocol: str | None = None
