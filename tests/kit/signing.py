"""Keys that sign without a process of their own, and a verifier that counts: for many logins a test."""

import base64

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from artcafe.server.identity.ssh import SshVerifier
from artcafe.server.identity.ssh_keys import openssh_line, parse_public_key


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


async def quick_key_pair() -> tuple[str, str]:
    """ports.MakeKeyPair, without the time that RSA takes."""
    pair = KeyPair()
    return pair.pem, pair.line


class CountingVerifier:
    """ports.SignatureVerifier: the real one, with `tried`, the keys it was asked about, in order."""

    def __init__(self) -> None:
        self._verifier = SshVerifier()
        self.tried: list[str] = []

    @property
    def decoy(self) -> str:
        """The real one's."""
        return self._verifier.decoy

    def verify(self, key: str, text: bytes, signature: str) -> bool:
        """What the real one says."""
        self.tried.append(key)
        return self._verifier.verify(key, text, signature)
