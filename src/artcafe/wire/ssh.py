"""SSH encodings: the wire format, fingerprints, and the text under an SSHSIG."""

import base64
import hashlib

from artcafe.wire.challenge import NAMESPACE

SSHSIG_MAGIC = b"SSHSIG"
SSHSIG_VERSION = 1
SSHSIG_BEGIN = "-----BEGIN SSH SIGNATURE-----"
SSHSIG_END = "-----END SSH SIGNATURE-----"

SSHSIG_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
"""All that OpenSSH's PROTOCOL.sshsig allows."""

_PRIVATE_MARKS = ("PRIVATE KEY-----", "PuTTY-User-Key-File", "b3BlbnNzaC1rZXktdjE")
"""PEM and OpenSSH, PuTTY, and the base64 of OpenSSH's form alone."""


def is_private_key(text: str) -> bool:
    """Whether there is a private key in the text, as far as its form tells: such a text goes nowhere."""
    return any(mark in text for mark in _PRIVATE_MARKS)


def unwrapped(signature: str) -> str:
    """The armored SSHSIG of which this is the base64, as programs wrap what ssh-keygen prints when it has to
    fit into one line or a URL; anything else as it is."""
    try:
        inner = base64.b64decode(signature, validate=True)
    except ValueError:
        return signature
    return inner.decode() if inner.isascii() and inner.startswith(SSHSIG_BEGIN.encode()) else signature


class MalformedError(ValueError):
    """Bytes that break the encoding they claim to be in."""


class SshReader:
    """A strict reader of the SSH wire encoding (RFC 4251 section 5): nothing missing, nothing left over."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next bytes, exactly so many. Raises MalformedError, as every method here does."""
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise MalformedError("bytes are missing")
        self._at += count
        return taken

    def uint32(self) -> int:
        """Four bytes, the highest first."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """A length and so many bytes, text or not."""
        return self.take(self.uint32())

    def mpint(self) -> int:
        """A number that is not negative, in its shortest form."""
        digits = self.string()
        if digits[:1] >= b"\x80":
            raise MalformedError("a negative number")
        if digits[:1] == b"\0" and digits[1:2] < b"\x80":
            raise MalformedError("a number with needless zeros in front")
        return int.from_bytes(digits, "big")

    def end(self) -> None:
        """Nothing may be left."""
        if self._at != len(self._data):
            raise MalformedError("bytes are left over")


def string(data: bytes) -> bytes:
    """The encoding that `SshReader.string` reads."""
    return len(data).to_bytes(4, "big") + data


def mpint(number: int) -> bytes:
    """The encoding that `SshReader.mpint` reads, for a number above zero."""
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


def fingerprint(blob: bytes) -> str:
    """The fingerprint of a public key's blob as ssh-keygen prints it: `SHA256:…`."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def to_be_signed(text: bytes, hash_name: bytes) -> bytes:
    """The bytes that a key signs for the text of an agent's login (PROTOCOL.sshsig, section 3).

    `hash_name` is one of SSHSIG_HASHES.
    """
    parts = (NAMESPACE.encode(), b"", hash_name, SSHSIG_HASHES[hash_name](text).digest())
    return SSHSIG_MAGIC + b"".join(string(part) for part in parts)
