"""Keys that sign without a process of their own, and a verifier that counts: for many logins a test."""

import base64
from collections.abc import Sequence

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from artcafe.server.domain.signature import Signature
from artcafe.server.identity.ssh import SshVerifier
from artcafe.server.identity.ssh_keys import generate_key_pair, openssh_line, parse_public_key
from artcafe.server.ports.identity import KeyKind


class KeyPair:
    """An Ed25519 key of an agent."""

    def __init__(self) -> None:
        self._private = ed25519.Ed25519PrivateKey.generate()
        self.line = openssh_line(self._private.public_key())
        self.fingerprint = parse_public_key(self.line).fingerprint

    @property
    def pem(self) -> str:
        """The private key as PKCS #8."""
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def sign(self, text: str) -> str:
        """A raw signature, as base64."""
        return base64.b64encode(self._private.sign(text.encode("utf-8", "surrogatepass"))).decode()


async def quick_key_pair(kind: KeyKind) -> tuple[str, str]:
    """ports.MakeKeyPair, without the time that RSA takes: for RSA, an Ed25519 key in its form."""
    if kind is KeyKind.ed25519:
        return generate_key_pair(kind)
    pair = KeyPair()
    return pair.pem, pair.line


class CountingVerifier:
    """ports.SignatureVerifier: the real one, with `tried`, the keys it was asked about, in order."""

    def __init__(self) -> None:
        self._verifier = SshVerifier()
        self.tried: list[str] = []

    @property
    def verifications(self) -> int:
        """How many checks of a signature by a key there were."""
        return self._verifier.verifications

    def read(self, signature: str) -> Signature | None:
        """What the real one says."""
        return self._verifier.read(signature)

    async def prove(self, lane: str, keys: Sequence[str], text: bytes, shown: Signature) -> str | None:
        """What the real one says."""
        self.tried += keys
        return self._verifier.prove(keys, text, shown)
