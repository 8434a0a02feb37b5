"""A small real OIDC issuer on a loopback port, and tokens good and bad.

Tokens are put together by hand from RFC 7515, not by the library that reads them.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from artcafe.server.identity.oidc import OidcConfig

NOON = 1_764_000_000
"""Where a StoppedClock stands, in Unix seconds."""

TICK = 2**-22
"""By how many seconds a MovingClock moves at each look: the least that a float of a Unix time can hold. Some
4,000 looks add up to a millisecond, the least that is written of a time."""

API = "https://api.artcafe.example"
"""The audience that Issuer.config() accepts."""


class StoppedClock:
    """A ports.Clock that moves when told."""

    def __init__(self) -> None:
        self._passed = self._set = 0.0

    def now(self) -> float:
        """Unix seconds."""
        return NOON + self._passed + self._set

    def monotonic(self) -> float:
        """Far from zero, as on a machine that runs for a while."""
        return 5_000 + self._passed

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += seconds

    def set(self, seconds: float) -> None:
        """Set the wall clock forward or back by so much: no time passes."""
        self._set += seconds


class MovingClock(StoppedClock):
    """A StoppedClock that moves by TICK at each look, as real clocks do: what comes later is later."""

    def now(self) -> float:
        """Unix seconds."""
        self._passed += TICK
        return super().now()

    def monotonic(self) -> float:
        """See StoppedClock."""
        self._passed += TICK
        return super().monotonic()


def new_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """An RSA key; takes a good part of a second, make few."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=bits)


def number(value: int) -> str:
    """A Base64urlUInt (RFC 7518 section 2)."""
    return _base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def jwk(kid: str, key: rsa.RSAPrivateKey, **changes: object) -> dict[str, object]:
    """The public key as an issuer shows it."""
    numbers = key.public_key().public_numbers()
    shown = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    return {**shown, "kid": kid, "use": "sig", "alg": "RS256", **changes}


def signed(header: Mapping[str, object], claims: object, key: rsa.RSAPrivateKey) -> str:
    """A compact JWS with an RS256 signature, whatever its header says."""
    text = _signing_input(header, claims)
    return f"{text}.{_base64url(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def signed_with_secret(header: Mapping[str, object], claims: Mapping[str, object], secret: bytes) -> str:
    """A compact JWS with an HS256 signature."""
    text = _signing_input(header, claims)
    return f"{text}.{_base64url(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def unsigned(header: Mapping[str, object], claims: Mapping[str, object]) -> str:
    """A compact JWS with an empty signature."""
    return _signing_input(header, claims) + "."


def with_other_claims(token: str, claims: object) -> str:
    """The token with its header and signature kept and its claims replaced."""
    header, _, signature = token.split(".")
    return f"{header}.{_base64url(json.dumps(claims).encode())}.{signature}"


def _signing_input(header: Mapping[str, object], claims: object) -> str:
    return f"{_base64url(json.dumps(header).encode())}.{_base64url(json.dumps(claims).encode())}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Answer:
    """What the issuer says instead of its documents."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Issuer:
    """Serves its JWKS and its configuration, counts who asks, and misbehaves when told."""

    def __init__(self, keys: Mapping[str, rsa.RSAPrivateKey]) -> None:
        self.keys = dict(keys)
        self.fetches = 0
        """Requests so far."""
        self.answer: Answer | None = None
        """Said instead of the documents, when set."""
        self.ready = asyncio.Event()
        """Requests wait for it; clear it to let them hang."""
        self.ready.set()
        self.asked = asyncio.Event()
        """Set by each request."""
        self.documents: dict[str, Callable[[], dict[str, object]]] = {
            "/pool/.well-known/jwks.json": self.jwks,
            "/pool/.well-known/openid-configuration": self.configuration,
        }
        """What is served, by path."""
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def origin(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """The issuer identifier."""
        return self.origin + "/pool"

    @property
    def jwks_url(self) -> str:
        """Where the keys are."""
        return f"{self.url}/.well-known/jwks.json"

    def config(self) -> OidcConfig:
        """What a server says that trusts this issuer, in the way of Cognito."""
        return OidcConfig(
            issuer=self.url,
            jwks_url=self.jwks_url,
            client_ids=frozenset({"console", "phone"}),
            audiences=frozenset({API}),
            token_use_required=True,
            allow_insecure_loopback=True,
        )

    def jwks(self) -> dict[str, object]:
        """The current keys."""
        return {"keys": [jwk(kid, key) for kid, key in self.keys.items()]}

    def configuration(self) -> dict[str, object]:
        """The discovery document."""
        return {"issuer": self.url, "jwks_uri": self.jwks_url}

    def says(self, document: object) -> None:
        """Answer with this JSON document."""
        self.answer = Answer(json.dumps(document).encode())

    def header(self, **changes: object) -> dict[str, object]:
        """The header of a good token, changed; None removes a member."""
        return _changed({"alg": "RS256", "kid": next(iter(self.keys))}, changes)

    def claims(self, **changes: object) -> dict[str, object]:
        """The claims of a good access token of Cognito at NOON, changed; None removes one."""
        good: dict[str, object] = {
            "iss": self.url,
            "sub": "5f0c0c9e-1d6a-4a1e-9c37-1c9d7b3f6c11",
            "client_id": "console",
            "token_use": "access",
            "scope": "aws.cognito.signin.user.admin",
            "auth_time": NOON,
            "iat": NOON,
            "exp": NOON + 3600,
            "jti": "8a6c9a2f-55a5-4c53-b5f7-1f0b1a9f4f55",
            "username": "ada",
        }
        return _changed(good, changes)

    def token(self, **changes: object) -> str:
        """A token of this issuer's first key, with changed claims."""
        return signed(self.header(), self.claims(**changes), next(iter(self.keys.values())))

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            self.fetches += 1
            self.asked.set()
            await self.ready.wait()
            writer.write(self._response(request.split(b" ")[1].decode()))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the client went away, which some tests want
        finally:
            writer.close()

    def _response(self, path: str) -> bytes:
        answer = self.answer
        if answer is None and path in self.documents:
            answer = Answer(json.dumps(self.documents[path]()).encode())
        answer = answer or Answer(status=404)
        headers = {"Content-Length": str(len(answer.body)), "Connection": "close", **answer.headers}
        head = [f"HTTP/1.1 {answer.status} X", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*head, "", ""]).encode() + answer.body


def _changed(good: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


@asynccontextmanager
async def running_issuer(keys: Mapping[str, rsa.RSAPrivateKey]) -> AsyncIterator[Issuer]:
    """An issuer with these keys by kid, listening on a random loopback port until the block ends."""
    issuer = Issuer(keys)
    await issuer.start()
    try:
        yield issuer
    finally:
        issuer.ready.set()
        await issuer.stop()
