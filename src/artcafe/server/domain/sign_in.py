"""The rules of browser sign-in: OAuth 2.0 with PKCE, without I/O.

RFC 6749 (the frame), RFC 7636 (PKCE), RFC 8252 (programs with a loopback address), RFC 8628 (devices),
RFC 9207 (who answers) and RFC 9700 (what attackers try).
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

CODE_SECONDS = 60
"""The life of an authorization code."""

PROOF_SECONDS = 300
"""The life of a sign-in code: who shows one owns the machine."""

DEVICE_SECONDS = 600
"""How long a device waits to be allowed."""

POLL_SECONDS = 5
"""How often a device asks."""

ACCESS_SECONDS = 3600
"""The life of an access token."""

SESSION_SECONDS = 30 * 86_400
"""How long somebody stays signed in who renews the tokens."""

SCOPES = frozenset({"openid", "email"})

_TOKEN_TEXT = r"[A-Za-z0-9_~.-]"
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # SHA-256 in base64url
_VERIFIER = re.compile(rf"{_TOKEN_TEXT}{{43,128}}")
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\]):([1-9][0-9]{0,4})/callback")
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,512}")

CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no words come about (RFC 8628 section 6.1)."""

USER_CODE = 8
"""Letters of the code that a device shows: of no use without a sign-in code."""

PROOF = 20
"""Letters of a sign-in code: 86 bits, which nobody guesses in its five minutes."""


class OAuthError(Exception):
    """An OAuth 2.0 error response.

    `error` is a word of RFC 6749 sections 4.1.2.1 and 5.2, or of RFC 8628 section 3.5.
    """

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


class NobodyToTell(Exception):
    """A request that names no client or address of ours: its answer must not be sent where it says."""


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """The public client by which the console and the command line sign humans in, and what it asks for."""

    client_id: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """How clients sign a human in at an issuer; nothing of it is secret."""

    issuer: str
    authorization: str
    token: str
    device_authorization: str | None
    end_session: str | None
    revocation: str | None
    names_itself: bool

    @classmethod
    def of(cls, document: Mapping[str, object]) -> Self | None:
        """Read a discovery document (OpenID Connect Discovery 1.0 section 3). None without the two that
        everybody needs."""
        authorization, token = _url(document, "authorization_endpoint"), _url(document, "token_endpoint")
        if authorization is None or token is None:
            return None
        return cls(
            issuer=str(document.get("issuer", "")),
            authorization=authorization,
            token=token,
            device_authorization=_url(document, "device_authorization_endpoint"),
            end_session=_url(document, "end_session_endpoint"),
            revocation=_url(document, "revocation_endpoint"),
            names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        )


def _url(document: Mapping[str, object], name: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) and value else None


@dataclass(frozen=True, slots=True)
class SignInRequest:
    """A client's wish to have its human sign in, checked."""

    client_id: str
    redirect_uri: str
    challenge: str
    scope: str
    state: str | None
    nonce: str | None


class Decision(StrEnum):
    """The human's decision about a device."""

    pending = "pending"
    allowed = "allowed"
    denied = "denied"


@dataclass(frozen=True, slots=True)
class Returning:
    """The redirect of the answer to an authorization request, once it is known to be safe."""

    redirect_uri: str
    state: str | None


def returning(given: Mapping[str, list[str]], client_id: str, console: str) -> Returning:
    """The redirect to answer to. Raises NobodyToTell unless client and address are exactly registered ones.

    The console's page is one address; programs on the same machine listen at /callback of a loopback IP
    address, on whatever port they got (RFC 8252 section 7.3).
    """
    if given.get("client_id") != [client_id]:
        raise NobodyToTell("This page was opened for a client that is not known here.")
    addresses = given.get("redirect_uri", [])
    if len(addresses) != 1 or not _may_return(addresses[0], console):
        raise NobodyToTell("This page was asked to send you to an address that is not known here.")
    states = given.get("state", [])
    state = states[0] if len(states) == 1 and _PRINTABLE.fullmatch(states[0]) else None
    return Returning(addresses[0], state)


def _may_return(address: str, console: str) -> bool:
    loopback = _LOOPBACK.fullmatch(address)
    return address == console or (loopback is not None and int(loopback[2]) <= 65_535)


def authorization(given: Mapping[str, list[str]], to: Returning) -> SignInRequest:
    """Read the rest of the request, which has `to` for its answer. Raises OAuthError."""
    single = singles(given)
    for unsupported in ("request", "request_uri", "registration"):
        if unsupported in single:
            raise OAuthError(f"{unsupported}_not_supported", f"{unsupported} is not supported.")
    if single.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "The response_type is code.")
    if single.get("response_mode", "query") != "query":
        raise OAuthError("invalid_request", "The response_mode is query.")
    if single.get("code_challenge_method") != "S256":
        raise OAuthError("invalid_request", "PKCE is required, with the code_challenge_method S256.")
    challenge = single.get("code_challenge", "")
    if _CHALLENGE.fullmatch(challenge) is None:
        raise OAuthError("invalid_request", "The code_challenge is a SHA-256 hash in base64url.")
    for name in ("state", "nonce"):
        if name in single and _PRINTABLE.fullmatch(single[name]) is None:
            raise OAuthError("invalid_request", f"The {name} is 1 to 512 printable characters of ASCII.")
    if single.get("prompt") == "none":
        raise OAuthError("login_required", "Nobody is signed in without a code.")
    return SignInRequest(
        client_id=single["client_id"],
        redirect_uri=to.redirect_uri,
        challenge=challenge,
        scope=scope_of(single),
        state=to.state,
        nonce=single.get("nonce"),
    )


def scope_of(single: Mapping[str, str]) -> str:
    """The scopes that were asked for. Raises OAuthError(invalid_scope) for one that there is not."""
    wanted = single.get("scope", "").split(" ") if single.get("scope") else []
    if not SCOPES.issuperset(wanted):
        raise OAuthError("invalid_scope", f"The scopes are {' and '.join(sorted(SCOPES))}.")
    return " ".join(sorted(set(wanted)))


def singles(given: Mapping[str, list[str]]) -> dict[str, str]:
    """Parameters that each stand once. Raises OAuthError(invalid_request), as RFC 6749 section 3.1 wants."""
    for values in given.values():
        if len(values) != 1:
            raise OAuthError("invalid_request", "A parameter stands more than once.")
    return {name: values[0] for name, values in given.items() if values[0]}


def proves(verifier: str, challenge: str) -> bool:
    """Whether the code_verifier is the one of this challenge (RFC 7636 section 4.6); constant time."""
    if _VERIFIER.fullmatch(verifier) is None:
        return False
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(digest, challenge)


def spelled(random: bytes) -> str:
    """A code to be typed, of one letter for each random byte, in groups of 4: `BCDF-GHJK`."""
    letters = "".join(CODE_LETTERS[byte % len(CODE_LETTERS)] for byte in random)
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def typed(code: str, letters: int) -> str | None:
    """A code of so many letters as somebody typed it, spelled as above; None for what cannot be one."""
    plain = re.sub(r"[\s-]", "", code[:64]).upper()
    if len(plain) != letters or not set(plain) <= set(CODE_LETTERS):
        return None
    return "-".join(plain[at : at + 4] for at in range(0, letters, 4))
