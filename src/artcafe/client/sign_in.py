"""Signs a human in at the platform's OIDC issuer, as a public client.

Authorization Code with PKCE (RFC 7636), a loopback address for the answer (RFC 8252), or the device flow
(RFC 8628). Nothing here waits for a browser: the caller that shows the address does.
"""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from artcafe.client.http import post_form
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
_LEAST_INTERVAL = 1.0
_SLOW_DOWN = 5.0  # seconds more between questions, RFC 8628 section 3.5
_MOST_SECONDS = 1800.0


class SignInRefused(ArtcafeError):
    """The issuer, or the human, said no; `error` is the word of RFC 6749 or RFC 8628 for it."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(Code.unauthorized, message)
        self.error = error


@dataclass(frozen=True, slots=True)
class IssuerEndpoints:
    """The issuer's endpoints and the client id: GET /api/v1/auth/config, validated."""

    issuer: str
    client_id: str
    scopes: tuple[str, ...]
    authorization: str
    token: str
    device: str | None
    revocation: str | None
    names_itself: bool

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Read the platform's words. Raises unavailable for an endpoint that is not reached by https."""
        return cls(
            issuer=str(said.get("issuer", "")),
            client_id=str(said.get("client_id", "")),
            scopes=tuple(str(scope) for scope in said.get("scopes") or ()),
            authorization=_safe(said.get("authorization_endpoint")),
            token=_safe(said.get("token_endpoint")),
            device=_safe_or_none(said.get("device_authorization_endpoint")),
            revocation=_safe_or_none(said.get("revocation_endpoint")),
            names_itself=said.get("authorization_response_iss_parameter_supported") is True,
        )


def _safe(url: object) -> str:
    try:
        parts = urlsplit(str(url))
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    if host and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))):
        return str(url)
    raise ArtcafeError(Code.unavailable, "The platform names an issuer that is not reached by https.")


def _safe_or_none(url: object) -> str | None:
    return None if url is None else _safe(url)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The issuer's token response. `lifetime` is that of the access token, in seconds."""

    access: str
    refresh: str | None
    lifetime: float


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """One authorization request: its secrets, and where it is to be answered."""

    issuer: IssuerEndpoints
    redirect_uri: str
    state: str
    verifier: str

    @classmethod
    def begin(cls, issuer: IssuerEndpoints, redirect_uri: str) -> Self:
        """A new one, with fresh secrets."""
        return cls(issuer, redirect_uri, secrets.token_urlsafe(32), secrets.token_urlsafe(48))

    @property
    def address(self) -> str:
        """The authorization address to open in a browser."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest())
        asked = {
            "response_type": "code",
            "client_id": self.issuer.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": " ".join(self.issuer.scopes),
            "state": self.state,
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        separator = "&" if urlsplit(self.issuer.authorization).query else "?"
        return f"{self.issuer.authorization}{separator}{urlencode(asked)}"

    def is_answered_by(self, said: Mapping[str, str]) -> bool:
        """Whether this came from the issuer in answer to this request, and not from another page.

        The state tells (RFC 6749 section 10.12), and the issuer's name where it gives one (RFC 9207).
        """
        if not hmac.compare_digest(said.get("state", "").encode(), self.state.encode()):
            return False
        if "iss" not in said:
            return not self.issuer.names_itself
        return said["iss"] == self.issuer.issuer

    async def tokens(self, said: Mapping[str, str]) -> Tokens:
        """Exchange the code of the answer. Raises SignInRefused, unavailable."""
        if "error" in said:
            raise _refusal(said["error"])
        fields = {
            "grant_type": "authorization_code",
            "code": said.get("code", ""),
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }
        return await _tokens(self.issuer, fields)


async def refreshed(issuer: IssuerEndpoints, refresh: str) -> Tokens:
    """New tokens for a refresh token. Raises SignInRefused, unavailable."""
    tokens = await _tokens(issuer, {"grant_type": "refresh_token", "refresh_token": refresh})
    # An issuer that does not rotate gives none, and the old one stays good.
    return tokens if tokens.refresh else Tokens(tokens.access, refresh, tokens.lifetime)


async def revoke(issuer: IssuerEndpoints, refresh: str) -> None:
    """End a refresh token where the issuer can (RFC 7009). Raises unavailable."""
    if issuer.revocation is not None:
        status, _ = await post_form(issuer.revocation, {"client_id": issuer.client_id, "token": refresh})
        if status != 200:
            raise ArtcafeError(Code.unavailable, f"The issuer answered with {status}.")


async def device_tokens(
    issuer: IssuerEndpoints,
    show: Callable[[str, str], None],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Tokens:
    """Sign in on another screen: `show` is given the address to open and the code to type there.

    Asks as seldom as the issuer wishes, until the code's time is over. Raises SignInRefused, unavailable.
    """
    if issuer.device is None:
        raise SignInRefused("unsupported", "The issuer knows no device flow; leave --device away.")
    fields = {"client_id": issuer.client_id, "scope": " ".join(issuer.scopes)}
    status, begun = await post_form(issuer.device, fields)
    if status != 200:
        raise _refusal(begun.get("error"))
    show(_safe(begun.get("verification_uri")), str(begun.get("user_code", "")))
    interval = max(_LEAST_INTERVAL, _seconds(begun.get("interval"), 5.0))
    left = min(_MOST_SECONDS, _seconds(begun.get("expires_in"), _MOST_SECONDS))
    poll = {"grant_type": _DEVICE_CODE, "device_code": str(begun.get("device_code", ""))}
    while left > 0:
        await sleep(interval)
        left -= interval
        try:
            return await _tokens(issuer, poll)
        except SignInRefused as refused:
            if refused.error == "slow_down":
                interval += _SLOW_DOWN
            elif refused.error != "authorization_pending":
                raise
    raise _refusal("expired_token")


async def _tokens(issuer: IssuerEndpoints, fields: Mapping[str, str]) -> Tokens:
    status, answer = await post_form(issuer.token, {"client_id": issuer.client_id, **fields})
    if status != 200:
        # A refusal has a word (RFC 6749 section 5.2); who is asked too often, or is ill, refuses nobody.
        if "error" in answer and status < 500 and status != 429:
            raise _refusal(answer["error"])
        raise ArtcafeError(Code.unavailable, f"The issuer answered with {status}; try again.")
    access, refresh = answer.get("access_token"), answer.get("refresh_token")
    if not isinstance(access, str) or str(answer.get("token_type", "")).lower() != "bearer":
        raise ArtcafeError(Code.unavailable, "The issuer gave no token of a kind that is known.")
    return Tokens(
        access, refresh if isinstance(refresh, str) else None, _seconds(answer.get("expires_in"), 300)
    )


def _seconds(value: Any, otherwise: float) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _FAR_SECONDS
    return float(value) if number else otherwise


_FAR_SECONDS = 10 * 365 * 86_400
"""What no token lives: a number that is no time, or one in another unit."""

_REASONS = {
    "access_denied": "You said no.",
    "expired_token": "The code's time is over; begin again.",
    "invalid_grant": "The sign-in is over; run `artcafe login`.",
}


def _refusal(error: object) -> SignInRefused:
    word = error if isinstance(error, str) and error.isprintable() and len(error) < 64 else "unknown"
    return SignInRefused(word, _REASONS.get(word, f"The issuer refused: {word}."))
