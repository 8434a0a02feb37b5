"""Tokens of humans, without an issuer."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.unreliable_bus import Tap

LONG = 10 * 365 * 86_400.0


@dataclass(frozen=True)
class KnownClaims:
    """ports.Claims."""

    subject: str
    expires: int
    email: str | None = None
    tenant_claim: str | None = None
    groups: frozenset[str] = frozenset()


class KnownTokens:
    """ports.TokenVerifier: it knows what it gave out, and `expired`, and nothing else."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._known = {"expired": KnownClaims("olivia", 0)}
        self.verifying = Tap()
        self.away = False

    def give(
        self,
        subject: str,
        *,
        seconds: float = LONG,
        tenant_claim: str | None = None,
        groups: Collection[str] = (),
    ) -> str:
        """A token of this user, good for so long."""
        expires = int(self._now() + seconds)
        token = f"token-of.{subject}.{tenant_claim}.{'+'.join(groups)}.{expires}"
        email = f"{subject}@example.com"
        self._known[token] = KnownClaims(subject, expires, email, tenant_claim, frozenset(groups))
        return token

    async def verify(self, token: str) -> KnownClaims:
        """See the port."""
        await self.verifying.through()
        if self.away:
            raise ArtcafeError(Code.unavailable, "The issuer's keys were never had.")
        claims = self._known.get(token)
        if claims is None:
            raise ArtcafeError(Code.unauthorized, "The token is not valid.")
        if claims.expires <= self._now():
            raise ArtcafeError(Code.token_expired)
        return claims
