"""The local issuer of an embedded installation: tokens for the people of this one machine.

The verifier treats it like any issuer and fetches its keys over HTTP. Who may have a token is whoever
can read the file `secret` in its directory: the operating system's user that owns the installation.
"""

import base64
import hashlib
import hmac
import os
import secrets
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from artcafe.server.identity.jwks import ALGORITHM, check_url
from artcafe.server.ports.clock import Clock

LOCAL_CLIENT = "artcafe-local"
"""The `client_id` of every token of a local issuer."""

KEY_FILE = "signing-key.pem"
SECRET_FILE = "secret"  # pragma: allowlist secret

JWKS_PATH = "/.well-known/jwks.json"
"""Where the verifier expects the keys, below the issuer's URL."""

MAX_LIFETIME = 86_400
"""Seconds: the longest life of a token, the same as Amazon Cognito's."""


class LocalIssuer:
    """Signs access tokens shaped like Amazon Cognito's with a key that never leaves its directory."""

    def __init__(
        self, key: rsa.RSAPrivateKey, secret: str, issuer_url: str, clock: Clock, new_id: Callable[[], str]
    ) -> None:
        self._key = key
        self._secret = secret
        self._issuer = issuer_url
        self._clock = clock
        self._new_id = new_id
        self._public = public_jwk(key.public_key())
        self._kid = thumbprint(self._public)

    @classmethod
    def open(cls, directory: Path, issuer_url: str, clock: Clock, new_id: Callable[[], str]) -> "LocalIssuer":
        """Load the key and the secret from the directory, or make what is missing.

        Any number of processes may open the same directory: all get the same key. Deleting the key's
        file and opening again makes a new one. `new_id` gives each token its `jti`. Raises ValueError
        for files that others could read or that were changed, OSError where they cannot be
        read or written.
        """
        check_url(issuer_url, "issuer", allow_insecure_loopback=True)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(directory.lstat(), "The directory of the local issuer", stat.S_ISDIR)
        key = _load_key(_keep(directory / KEY_FILE, _new_key))
        secret = _load_secret(_keep(directory / SECRET_FILE, _new_secret))
        return cls(key, secret, issuer_url, clock, new_id)

    def jwks(self) -> dict[str, object]:
        """The document at JWKS_PATH: one public key (RFC 7517)."""
        return {"keys": [{**self._public, "kid": self._kid, "use": "sig", "alg": ALGORITHM}]}

    def configuration(self, base: str) -> dict[str, object]:
        """The document at /.well-known/openid-configuration (OpenID Connect Discovery 1.0 section 3).

        `base` is the address under which the issuer answers; its name has no port.
        """
        return {
            "issuer": self._issuer,
            "jwks_uri": base + JWKS_PATH,
            "authorization_endpoint": f"{base}/oauth2/authorize",
            "token_endpoint": f"{base}/oauth2/token",
            "device_authorization_endpoint": f"{base}/oauth2/device_authorization",
            "revocation_endpoint": f"{base}/oauth2/revoke",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": [
                "authorization_code",
                "refresh_token",
                "urn:ietf:params:oauth:grant-type:device_code",
            ],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "scopes_supported": ["openid", "email"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "authorization_response_iss_parameter_supported": True,
        }

    def mint(
        self,
        subject: str,
        *,
        email: str | None = None,
        lifetime_seconds: int = 3600,
        tenant: str | None = None,
    ) -> str:
        """An access token that is valid from now for `lifetime_seconds`, 1 to MAX_LIFETIME.

        The caller has checked who asks. Raises ValueError for another lifetime or subject length.
        """
        if not 1 <= len(subject) <= 255:
            raise ValueError("The subject of a token has between 1 and 255 characters.")
        if not 1 <= lifetime_seconds <= MAX_LIFETIME:
            raise ValueError(f"A token lives between 1 and {MAX_LIFETIME} seconds.")
        now = int(self._clock.now())
        claims: dict[str, object] = {
            "iss": self._issuer,
            "sub": subject,
            "client_id": LOCAL_CLIENT,
            "token_use": "access",
            "iat": now,
            "exp": now + lifetime_seconds,
            "jti": self._new_id(),
            "username": subject,
        }
        if email is not None:
            claims["email"] = email
        if tenant is not None:
            claims["custom:tenant_id"] = tenant
        return self._signed(claims)

    def identify(self, subject: str, *, email: str | None, nonce: str | None, lifetime_seconds: int) -> str:
        """An id token (OpenID Connect Core 1.0 section 2), which the door of access tokens refuses."""
        now = int(self._clock.now())
        claims: dict[str, object] = {
            "iss": self._issuer,
            "sub": subject,
            "aud": LOCAL_CLIENT,
            "token_use": "id",
            "iat": now,
            "exp": now + lifetime_seconds,
        }
        said = {"email": email, "nonce": nonce}
        return self._signed(claims | {name: value for name, value in said.items() if value is not None})

    def derived(self, purpose: str) -> bytes:
        """32 secret bytes for a purpose; others once the file of the secret was deleted."""
        return self.sign(purpose.encode())

    def _signed(self, claims: dict[str, object]) -> str:
        return jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self._kid})

    def sign(self, text: bytes) -> bytes:
        """HMAC-SHA256 of a text under the secret."""
        return hmac.digest(self._secret.encode(), text, "sha256")


def public_jwk(key: rsa.RSAPublicKey) -> dict[str, str]:
    """The members of an RSA public key that RFC 7518 section 6.3.1 requires."""
    numbers = key.public_numbers()
    return {"kty": "RSA", "n": _base64url_number(numbers.n), "e": _base64url_number(numbers.e)}


def thumbprint(public: dict[str, str]) -> str:
    """The SHA-256 thumbprint of a JWK that has only its required members (RFC 7638)."""
    canonical = msgspec.json.encode(public, order="sorted")
    return _base64url(hashlib.sha256(canonical).digest())


def _base64url_number(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _new_key() -> bytes:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_key(pem: bytes) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"{KEY_FILE} is damaged; delete it to get a new key.") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < 2048:
        raise ValueError(f"{KEY_FILE} is not an RSA key of 2048 bits or more; delete it to get a new key.")
    return key


def _new_secret() -> bytes:
    return secrets.token_urlsafe(32).encode() + b"\n"


def _load_secret(data: bytes) -> str:
    text = data.decode("ascii", "replace").strip()
    if len(text) < 43 or not text.isascii() or not text.isprintable():  # 32 bytes in base64url
        raise ValueError(f"{SECRET_FILE} is damaged; delete it to get a new one.")
    return text


def _keep(path: Path, make: Callable[[], bytes]) -> bytes:
    """Read a private file; the first one to ask makes it.

    It appears complete or not at all, and a hard link never replaces what is there: of two processes
    that start together, one makes the file and both read it.
    """
    if not os.path.lexists(path):
        descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
            _link(temporary, path)
        finally:
            Path(temporary).unlink()
    return _read_private(path)


def _link(temporary: str, path: Path) -> None:
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read_private(path: Path) -> bytes:
    # The directory is ours alone, so nobody swaps the file between the two lines.
    _check_private(path.lstat(), path.name, stat.S_ISREG)
    return path.read_bytes()


def _check_private(status: os.stat_result, what: str, is_kind: Callable[[int], bool]) -> None:
    if not is_kind(status.st_mode):
        raise ValueError(f"{what} is a link or another kind of file; delete it to get a new one.")
    if status.st_uid != os.geteuid():
        raise ValueError(f"{what} belongs to another user of this machine; give it to the one who runs this.")
    if status.st_mode & 0o077:
        raise ValueError(f"{what} can be opened by other users of this machine; run chmod go= on it.")
