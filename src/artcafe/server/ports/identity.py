"""Keys, signatures, tokens and sealing."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from artcafe.server.domain.signature import Signature


class PublicKey(Protocol):
    """An SSH public key that was read and found strong enough."""

    @property
    def type(self) -> str:
        """As OpenSSH names it: `ssh-ed25519`."""

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen prints it: `SHA256:…`."""

    @property
    def comment(self) -> str:
        """The comment behind the key; may be empty."""

    @property
    def line(self) -> str:
        """Type and base64, without the comment: what is stored."""


ReadKey = Callable[[str], PublicKey]
"""Read an OpenSSH line or a PEM public key; raises validation_failed with the reason."""


class KeyKind(StrEnum):
    """The kinds of keys that the platform generates for agents."""

    ed25519 = "ed25519"
    rsa = "rsa"


MakeKeyPair = Callable[[KeyKind], Awaitable[tuple[str, str]]]
"""A new (private key, public key line): Ed25519 in OpenSSH's form, or RSA as PKCS#8 PEM."""


class SignatureVerifier(Protocol):
    """SSH signatures."""

    def read(self, signature: str) -> Signature | None:
        """Read a signature: an armored SSHSIG, or base64 of a raw one. None when no key can have made it."""

    async def prove(self, lane: str, keys: Sequence[str], text: bytes, shown: Signature) -> str | None:
        """The stored key line that made the signature over the text, or None.

        A refusal takes the same work whatever keys there are, none among them. Raises rate_limited when too
        many wait, in the `lane` or in all.
        """


class Claims(Protocol):
    """The claims of a valid token."""

    @property
    def subject(self) -> str:
        """The subject at the issuer."""

    @property
    def email(self) -> str | None:
        """Only for people to read."""

    @property
    def tenant_claim(self) -> str | None:
        """Picks among memberships; never makes one."""

    @property
    def groups(self) -> frozenset[str]:
        """The groups in the configured claim; none where no claim is configured."""

    @property
    def expires(self) -> int:
        """Unix seconds."""


class TokenVerifier(Protocol):
    """Humans' tokens."""

    async def verify(self, token: str) -> Claims:
        """Raises unauthorized, token_expired, or unavailable when the issuer's keys were never had."""


class Sealer(Protocol):
    """Keeps what may hold a secret, so that only a holder of the key can read it."""

    def seal(self, key: str, text: bytes) -> str:
        """The text, encrypted and authenticated under the key and a secret of the installation."""

    def open(self, key: str, sealed: str) -> bytes:
        """The text. Raises ValueError for another key, or where it was tampered with."""


class Discovery(Protocol):
    """An issuer's discovery document."""

    async def document(self) -> Mapping[str, object]:
        """OpenID Connect Discovery 1.0, section 3. Raises unavailable."""


class Issuer(Protocol):
    """The embedded installation's own issuer of tokens."""

    def jwks(self) -> dict[str, object]:
        """The public keys, RFC 7517."""

    def configuration(self, base: str) -> dict[str, object]:
        """OpenID Connect Discovery 1.0, section 3; `base` is the address under which it is asked."""

    def mint(
        self,
        subject: str,
        *,
        email: str | None = None,
        lifetime_seconds: int = 3600,
        tenant: str | None = None,
    ) -> str:
        """An access token."""

    def identify(self, subject: str, *, email: str | None, nonce: str | None, lifetime_seconds: int) -> str:
        """An id token for the client that signed its human in."""

    def sign(self, text: bytes) -> bytes:
        """HMAC-SHA256 of a text under the secret in the data directory."""
