"""Humans' login: a token in the first frame, in a header or in the URL."""

import base64
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Self

import msgspec
from msgspec import Struct

from artcafe.server.domain.addresses import is_own_origin
from artcafe.server.domain.ids import UserId
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.domain.principal import Human, User
from artcafe.server.gateway.dialects.dashboard import DashboardDialect
from artcafe.server.gateway.login.pending import PendingLogins
from artcafe.server.gateway.sessions.authentication import Admission, Authenticated
from artcafe.server.gateway.websocket.handshake import Upgrade
from artcafe.server.ports.identity import TokenVerifier
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

DASHBOARD_PATHS = frozenset({"/api/v1/ws/dashboard", "/ws/dashboard"})

EnterTenant = Callable[[User, str | None], Awaitable[Human]]
"""The user as a member of the wanted tenant, or of the only one. Raises forbidden, bad_request."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody shows, and the tenant it wants."""

    token: str = field(repr=False)
    tenant: str | None

    @classmethod
    def of(cls, upgrade: Upgrade) -> Self | None:
        """Those that came with the upgrade, if any. Raises unauthorized for some that cannot be read."""
        tenant = upgrade.parameter("tenant_id") or upgrade.headers.get("x-tenant-id")
        kind, _, token = upgrade.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return cls(token.strip(), tenant)
        packed = upgrade.parameter("auth")
        if packed is not None:
            unpacked = _unpack(packed)
            return cls(unpacked.token, unpacked.tenant or tenant)
        in_url = upgrade.parameter("token")
        return None if in_url is None else cls(in_url, tenant)


class _Packed(Struct):
    token: str
    tenant: str | None = msgspec.field(name="tenantId", default=None)


_read_packed = msgspec.json.Decoder(_Packed).decode


def _unpack(text: str) -> _Packed:
    """Base64 of either alphabet, with or without its padding; a query makes a space of a +."""
    plain = text.translate(str.maketrans("-_ ", "+/+")).rstrip("=")
    try:
        return _read_packed(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))
    except (ValueError, RecursionError):
        raise ArtcafeError(
            Code.unauthorized, "The parameter auth cannot be read.", reason=LoginRefusal.bad_answer
        ) from None


class _Auth(Struct, tag_field="type", tag="auth"):
    token: str
    tenant_id: str | None = None


_read_auth = msgspec.json.Decoder(_Auth).decode


class HumanLogin:
    """Decides about clients at the paths of dashboards."""

    def __init__(
        self,
        tokens: TokenVerifier,
        enter: EnterTenant,
        pending_logins: PendingLogins,
        origins: Collection[str],
    ) -> None:
        """Pages of these origins may connect, besides those of the host itself."""
        self._tokens = tokens
        self._enter = enter
        self._pending_logins = pending_logins
        self._origins = origins

    async def enter(self, upgrade: Upgrade) -> Admission:
        """Raises unauthorized, token_expired, forbidden, bad_request, too_many_connections, unavailable."""
        self._check_origin(upgrade)
        shown = Credentials.of(upgrade)
        if shown is None:
            self._pending_logins.require_room(upgrade.remote)
            return Admission(DashboardDialect(), TokenAuthenticator(self, upgrade.remote))
        with self._pending_logins.counted(upgrade.remote):
            return Admission(DashboardDialect(), await self.authenticate(shown, upgrade.remote))

    async def authenticate(self, shown: Credentials, remote: str) -> Authenticated:
        """Check the token and the membership."""
        claims = await self._tokens.verify(shown.token)
        user = User(
            UserId(claims.subject),
            claims.email or "",
            claims.tenant_claim,
            remote,
            groups=claims.groups,
        )
        return Authenticated(await self._enter(user, shown.tenant), claims.expires)

    async def again(self, human: Human) -> Human:
        """The same human as a member now. Raises forbidden."""
        user = User(human.user, human.email, None, human.remote, groups=human.groups)
        return await self._enter(user, human.tenant)

    async def renewed(self, human: Human, token: str) -> tuple[Human, int]:
        """The same human by this token, and when it expires, in Unix seconds.

        Raises forbidden for another one's token, and for one that makes nobody a member.
        """
        claims = await self._tokens.verify(token)
        if claims.subject != human.user:
            raise ArtcafeError(Code.forbidden, "This is another user's token.")
        return await self.again(replace(human, groups=claims.groups)), claims.expires

    def _check_origin(self, upgrade: Upgrade) -> None:
        """Keep other sites' pages out; who is no browser names no origin (RFC 6455 section 10.2)."""
        origin = upgrade.headers.get("origin")
        if origin is None or origin in self._origins:
            return
        if not is_own_origin(origin, upgrade.host):
            raise ArtcafeError(Code.forbidden, "Pages of this origin may not connect here.")


class TokenAuthenticator:
    """authentication.Authenticator: the token comes in the first frame."""

    def __init__(self, login: HumanLogin, remote: str) -> None:
        self._login = login
        self._remote = remote

    def question(self) -> None:
        """Nothing is asked: the client begins."""

    async def authenticate(self, message: bytes) -> Authenticated:
        """Check the token. Raises unauthorized, token_expired, forbidden, unavailable."""
        try:
            auth = _read_auth(message)
        except (ValueError, RecursionError):
            raise ArtcafeError(
                Code.unauthorized,
                "The first frame is auth, with a token and the tenant_id.",
                reason=LoginRefusal.bad_answer,
            ) from None
        try:
            return await self._login.authenticate(Credentials(auth.token, auth.tenant_id), self._remote)
        except ArtcafeError as error:
            if error.code is Code.bad_request:  # It has no code that closes.
                raise ArtcafeError(Code.forbidden, "Name one of your tenants as tenant_id.") from None
            raise
