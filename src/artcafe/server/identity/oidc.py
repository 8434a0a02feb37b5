"""Verifies the access tokens of one OIDC issuer.

Amazon Cognito is the reference, any issuer that signs with RS256 works. The rules are those of RFC 7519
(claims), RFC 8725 (what attackers try), RFC 9068 (access tokens) and OpenID Connect Discovery 1.0.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import httpx
import jwt
from cachetools import LRUCache
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.types import Options

from artcafe.server.domain.ids import is_user_id
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.identity.jwks import (
    ALGORITHM,
    MAX_KID,
    FetchError,
    Keys,
    UnknownKeyError,
    check_url,
    fetch_document,
)
from artcafe.server.ports.clock import Clock
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

logger = logging.getLogger(__name__)

MAX_TOKEN = 65_536
"""Characters of a token: what the head of an HTTP request may hold at most."""

MAX_REMEMBERED = 4_194_304
"""Characters of the tokens whose signature is not checked again, some thousand usual ones; the token that
was not seen for longest goes first."""

_MAX_TEXT = 255  # OpenID Connect Core section 2 gives `sub` this many ASCII characters
_MAX_MOMENT = 253_402_300_800  # the year 10000, which RFC 3339 cannot write; refuses NaN and Infinity, too


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """The claims of a valid access token.

    `expires` is in Unix seconds and may lie up to the leeway in the past. `email` is None when the
    issuer says it is not verified. `tenant_claim` is only a hint that picks among memberships. `groups` are
    the texts of the claim of groups, as they stand there.
    """

    subject: str
    issuer: str
    expires: int
    email: str | None
    tenant_claim: str | None
    groups: frozenset[str]
    username: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcConfig:
    """One issuer and the tokens of it that are meant for us. Raises ValueError for what would be unsafe.

    A token is ours when its `client_id` is one of `client_ids` (Cognito) or its `aud` names one of
    `audiences` (most others). An audience is the name of this API; whoever names a client there lets
    id tokens in. Set `token_use_required` for Cognito. Without a `group_claim` no token names a group.
    Times are in seconds; for the three of the keys see jwks.Keys.
    """

    issuer: str
    jwks_url: str
    client_ids: frozenset[str]
    audiences: frozenset[str]
    token_use_required: bool
    tenant_claim: str = "custom:tenant_id"
    group_claim: str | None = None
    leeway: float = 30
    keys_fresh: float = 3600
    keys_cooldown: float = 30
    keys_usable: float = 86_400
    allow_insecure_loopback: bool = False

    def __post_init__(self) -> None:
        check_url(self.issuer, "issuer", allow_insecure_loopback=self.allow_insecure_loopback)
        check_url(self.jwks_url, "JWKS URL", allow_insecure_loopback=self.allow_insecure_loopback)
        if not self.client_ids | self.audiences:
            raise ValueError(
                "Without a client id or an audience every token of the issuer would be accepted."
            )
        if not all(self.client_ids | self.audiences):
            raise ValueError("A client id or audience is empty.")
        if self.client_ids & self.audiences:
            raise ValueError("A client id is also listed as audience, so that id tokens would be accepted.")
        if not 0 <= self.leeway <= 300:
            raise ValueError("The leeway is between 0 and 300 seconds.")
        if not 1 <= self.keys_cooldown <= self.keys_fresh <= self.keys_usable:
            raise ValueError("The times of the keys must be in order: 1 <= cooldown <= fresh <= usable.")


async def discover(client: httpx.AsyncClient, issuer: str, *, allow_insecure_loopback: bool = False) -> str:
    """Ask the issuer for its JWKS URL (OpenID Connect Discovery 1.0 section 4).

    Raises unavailable when the issuer does not answer with a document, and ValueError when its
    document is not about this very issuer or names an unsafe URL.
    """
    check_url(issuer, "issuer", allow_insecure_loopback=allow_insecure_loopback)
    try:
        document = await fetch_document(
            client, issuer.removesuffix("/") + "/.well-known/openid-configuration"
        )
    except FetchError as failure:
        logger.warning("The configuration of the issuer could not be fetched: %s", failure)
        raise ArtcafeError(Code.unavailable, "The login issuer does not answer right now.") from None
    if document.get("issuer") != issuer:
        raise ValueError("The issuer's configuration names another issuer.")
    jwks_url = str(document.get("jwks_uri", ""))
    check_url(jwks_url, "JWKS URL of the issuer", allow_insecure_loopback=allow_insecure_loopback)
    return jwks_url


class OidcVerifier:
    """Verifies access tokens; safe for any number of concurrent callers in one event loop."""

    def __init__(self, config: OidcConfig, client: httpx.AsyncClient, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        # By their digests: nobody should find tokens in our memory.
        self._checked: LRUCache[bytes, _Checked] = LRUCache(MAX_REMEMBERED, _weight)
        self._keys = Keys(
            config.jwks_url,
            client,
            clock,
            fresh=config.keys_fresh,
            cooldown=config.keys_cooldown,
            usable=config.keys_usable,
        )

    async def ready(self) -> None:
        """Raises unavailable while the issuer's keys cannot be had."""
        await self._keys.ready()

    async def verify(self, token: str) -> TokenClaims:
        """Check a token completely and return what it says.

        Raises token_expired for a token that was good, unavailable when the issuer's keys cannot be
        had, and unauthorized for everything else. Why is in the error's `reason`, for the log alone, but for
        a token that is too long: that is said.
        """
        if len(token) > MAX_TOKEN:
            raise ArtcafeError(
                Code.unauthorized,
                f"The token has more than {MAX_TOKEN} characters; ask for one with less in it.",
                reason=f"{LoginRefusal.bad_token}: size",
            )
        try:
            return self._read(await self._true_claims(token))
        except _ExpiredError:
            raise ArtcafeError(Code.token_expired, "The token has expired; log in again.") from None
        except (_RefusedError, UnknownKeyError) as reason:
            raise ArtcafeError(
                Code.unauthorized,
                "The token is not valid here.",
                reason=f"{LoginRefusal.bad_token}: {reason}",
            ) from None

    async def _true_claims(self, token: str) -> Mapping[str, object]:
        """The claims that hold as long as the token's key is the issuer's: all but the times.

        A human's every request brings the same token, and to check it takes longer than most requests.
        """
        if not token.isascii():
            raise _RefusedError("alphabet")
        digest = sha256(token.encode()).digest()
        checked = self._checked.get(digest)
        kid = _kid(token) if checked is None else checked.kid
        keys = await self._keys.get(kid)
        if checked is None or checked.keys is not keys:
            claims = self._signed_claims(token, keys)
            self._check_use(claims)
            self._check_recipient(claims)
            checked = self._checked[digest] = _Checked(kid, keys, claims, len(token))
        return checked.claims

    def _signed_claims(self, token: str, keys: Sequence[RSAPublicKey]) -> Mapping[str, object]:
        """The claims, once the signature, by any of the keys, and the issuer are right."""
        options: Options = {
            "require": ["exp", "iat", "iss", "sub"],
            # PyJWT would ask its own clock for the times, and knows no rule for client_id.
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
            "verify_aud": False,
        }
        reason = "no key"
        for key in keys:
            try:
                return jwt.decode(
                    token, key, algorithms=[ALGORITHM], issuer=self._config.issuer, options=options
                )
            except jwt.PyJWTError as error:
                # The class only: messages of the library may quote the token.
                reason = type(error).__name__
                if not isinstance(error, jwt.InvalidSignatureError):
                    break
        raise _RefusedError(reason)

    def _check_use(self, claims: Mapping[str, object]) -> None:
        """Refuse id tokens: they are made for the client that asked for them, not for an API."""
        use = claims.get("token_use")
        if use is None and self._config.token_use_required:
            raise _RefusedError("no token_use")
        if use not in (None, "access"):
            raise _RefusedError("token_use is not access")
        # Issuers without token_use: these two hash what an id token came with, and a nonce together
        # with a client as audience is the shape of one (OpenID Connect Core sections 2 and 3.3.2.11).
        if "at_hash" in claims or "c_hash" in claims:
            raise _RefusedError("an id token")
        clients = self._config.client_ids | _strings(claims.get("azp"))
        if "nonce" in claims and _strings(claims.get("aud")) & clients:
            raise _RefusedError("an id token")

    def _check_recipient(self, claims: Mapping[str, object]) -> None:
        """Refuse a good token that the issuer gave for another application."""
        config, audience = self._config, _strings(claims.get("aud"))
        if audience & config.audiences:
            return
        client = claims.get("client_id")
        if not isinstance(client, str) or client not in config.client_ids:
            raise _RefusedError("neither the client nor the audience is ours")
        # Our own client can ask for a token to another API (RFC 8707): that one is not for us.
        if "aud" in claims and not audience & config.client_ids:
            raise _RefusedError("the audience is somebody else")

    def _read(self, claims: Mapping[str, object]) -> TokenClaims:
        """The last checks, which leave a token expired only when nothing else is wrong with it."""
        now, leeway = self._clock.now(), self._config.leeway
        subject, expires = _text(claims, "sub"), _moment(claims, "exp")
        if subject is None or not is_user_id(subject):
            raise _RefusedError("sub is not a name")
        if _moment(claims, "iat") > now + leeway:
            raise _RefusedError("issued in the future")
        if "nbf" in claims and _moment(claims, "nbf") > now + leeway:
            raise _RefusedError("not yet valid")
        if expires + leeway <= now:
            raise _ExpiredError
        return TokenClaims(
            subject=subject,
            issuer=self._config.issuer,
            expires=int(expires),
            email=_text(claims, "email") if claims.get("email_verified", True) in (True, "true") else None,
            tenant_claim=_text(claims, self._config.tenant_claim),
            groups=self._groups(claims),
            username=_text(claims, "username") or _text(claims, "preferred_username"),
        )

    def _groups(self, claims: Mapping[str, object]) -> frozenset[str]:
        """One text is one group, spaces and all: nothing is split that an issuer did not split."""
        name = self._config.group_claim
        return frozenset() if name is None else _strings(claims.get(name))


def _kid(token: str) -> str:
    """The name of the key, from a header that proves nothing yet. `jku`, `jwk` and `x5u` are never read."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise _RefusedError(type(error).__name__) from None
    if header.get("alg") != ALGORITHM:
        raise _RefusedError("alg is not RS256")
    if "crit" in header or "b64" in header:
        raise _RefusedError("an extension of the header")
    # RFC 8725 section 3.11: the same issuer signs other kinds, logout tokens for one.
    if str(header.get("typ", "JWT")).lower() not in ("jwt", "at+jwt", "application/at+jwt"):
        raise _RefusedError("typ is of another kind of token")
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID:
        raise _RefusedError("no kid, or too long")
    return kid


def _text(claims: Mapping[str, object], name: str) -> str | None:
    """A claim that is short printable text, else None."""
    value = claims.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and value.isprintable() else None


def _strings(value: object) -> frozenset[str]:
    """A claim that is one string or a list of them, as a set (RFC 7519 section 4.1.3)."""
    values = value if isinstance(value, list) else [value]
    return frozenset(item for item in values if isinstance(item, str))


def _moment(claims: Mapping[str, object], name: str) -> float:
    """A NumericDate (RFC 7519 section 2)."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_MOMENT:
        raise _RefusedError(f"{name} is not a time")
    return value


@dataclass(frozen=True, slots=True)
class _Checked:
    """A token of so many characters that was signed with one of these keys, and is meant for us."""

    kid: str
    keys: Sequence[RSAPublicKey]
    claims: Mapping[str, object]
    size: int


def _weight(checked: _Checked) -> int:
    return checked.size


class _RefusedError(Exception):
    """The token is not accepted; the text is ours and quotes nothing of it."""


class _ExpiredError(Exception):
    """The token is good but for its time."""
