"""SSH signatures taken apart and put together by hand, also the way nobody honest would."""

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from artcafe.wire.challenge import NAMESPACE

BEGIN = "-----BEGIN SSH SIGNATURE-----"
END = "-----END SSH SIGNATURE-----"
SK_ED25519 = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"


def string(data: bytes) -> bytes:
    """One string of the SSH wire encoding."""
    return len(data).to_bytes(4, "big") + data


def strings(data: bytes) -> list[bytes]:
    """All strings of the SSH wire encoding that stand one after the other."""
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


def mpint(number: int) -> bytes:
    """One number of the SSH wire encoding, in its shortest form."""
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big") if number else b"")


def blob_of(line: str) -> bytes:
    """The bytes of a public key line."""
    return base64.b64decode(line.split()[1])


def line_of(blob: bytes) -> str:
    """The public key line of these bytes, well formed or not."""
    return f"{strings(blob)[0].decode()} {base64.b64encode(blob).decode()}"


def armor(envelope: bytes, *, columns: int = 70, newline: str = "\n") -> str:
    """The text form of an SSHSIG."""
    encoded = base64.b64encode(envelope).decode()
    lines = [encoded[at : at + columns] for at in range(0, len(encoded), columns)]
    return newline.join([BEGIN, *lines, END, ""])


def dearmor(signature: str) -> bytes:
    """The bytes inside an armored SSHSIG."""
    return base64.b64decode("".join(signature.split("-----")[2].split()))


@dataclass(frozen=True)
class Envelope:
    """The parts of an SSHSIG; use `dataclasses.replace` to forge."""

    key: bytes
    signature: bytes
    namespace: bytes = NAMESPACE.encode()
    reserved: bytes = b""
    hash: bytes = b"sha512"
    magic: bytes = b"SSHSIG"
    version: int = 1

    @classmethod
    def of(cls, signature: str) -> "Envelope":
        key, namespace, reserved, hash_name, inner = strings(dearmor(signature)[10:])
        return cls(key, inner, namespace, reserved, hash_name)

    def bytes(self) -> bytes:
        parts = (self.key, self.namespace, self.reserved, self.hash, self.signature)
        return self.magic + self.version.to_bytes(4, "big") + b"".join(string(part) for part in parts)

    def armored(self) -> str:
        return armor(self.bytes())


def signed(
    text: bytes,
    *,
    namespace: bytes = NAMESPACE.encode(),
    reserved: bytes = b"",
    hash: bytes = b"sha512",  # noqa: A002  the name that PROTOCOL.sshsig gives it
    digest: bytes | None = None,
) -> bytes:
    """What the key signs in place of the text."""
    digest = hashlib.sha512(text).digest() if digest is None else digest
    return b"SSHSIG" + string(namespace) + string(reserved) + string(hash) + string(digest)


class SecurityKey:
    """A hardware (sk) key made of software: it signs what a FIDO token signs (OpenSSH's PROTOCOL.u2f)."""

    def __init__(self, kind: str = SK_ED25519, application: bytes = b"ssh:") -> None:
        self.kind = kind
        self.application = application
        self.private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
        if kind == SK_ED25519:
            self.private = ed25519.Ed25519PrivateKey.generate()
            point = string(self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
        else:
            self.private = ec.generate_private_key(ec.SECP256R1())
            public = self.private.public_key()
            point = string(b"nistp256") + string(
                public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            )
        self.blob = string(kind.encode()) + point + string(application)
        self.line = line_of(self.blob)

    def sign(self, text: bytes, *, flags: int = 0x01, counter: int = 7) -> str:
        """An armored SSHSIG of the text; `flags` 1 means that somebody touched the key."""
        return Envelope(self.blob, self.answer(signed(text), flags=flags, counter=counter)).armored()

    def answer(self, data: bytes, *, flags: int = 0x01, counter: int = 7) -> bytes:
        """What an ssh-agent returns when asked to sign `data` with this key."""
        extras = bytes([flags]) + counter.to_bytes(4, "big")
        data = hashlib.sha256(self.application).digest() + extras + hashlib.sha256(data).digest()
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            signature = self.private.sign(data)
        else:
            r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
            signature = mpint(r) + mpint(s)
        return string(self.kind.encode()) + string(signature) + extras
