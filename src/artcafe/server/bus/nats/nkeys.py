"""NKeys: the Ed25519 keys of NATS, their encoding, and the tokens they sign.

The encoding is that of github.com/nats-io/nkeys: a prefix byte that gives the text its first
letter, the key, and a CRC-16 (XMODEM, little endian), in base32 without padding. A token is a JWT
whose algorithm is `ed25519-nkey` (github.com/nats-io/jwt, version 2).
"""

import base64
import binascii
import secrets
from enum import IntEnum
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_SEED = 18 << 3
_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}


class NkeyKind(IntEnum):
    """What a key is for; the value is its prefix byte."""

    operator = 14 << 3
    account = 0
    user = 20 << 3


class KeyPair:
    """A key that can sign. Only `seed` tells the secret; the representation never does."""

    def __init__(self, secret: bytes, kind: NkeyKind) -> None:
        """Take the 32 bytes of an Ed25519 private key (RFC 8032). Raises ValueError for another length."""
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.kind = kind
        self.public = _spell(bytes([kind]) + self._key.public_key().public_bytes_raw())

    @classmethod
    def derive(cls, master: bytes, purpose: str, kind: NkeyKind) -> "KeyPair":
        """The key for a purpose: HKDF-SHA256 (RFC 5869) of the master secret, always the same one."""
        hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"artcafe/{purpose}".encode())
        return cls(hkdf.derive(master), kind)

    @classmethod
    def random(cls, kind: NkeyKind) -> "KeyPair":
        """A new key that nothing else can make again."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw(), kind)

    @classmethod
    def from_seed(cls, seed: str) -> "KeyPair":
        """Read a seed ("SA…", "SO…", "SU…"). Raises ValueError."""
        raw = _read(seed)
        if len(raw) != 34 or raw[0] & 0xF8 != _SEED:
            raise ValueError("not the seed of an NKey")
        return cls(raw[2:], NkeyKind((raw[0] & 7) << 5 | raw[1] >> 3))

    @property
    def seed(self) -> str:
        """The secret, as NATS tools spell it."""
        prefix = bytes([_SEED | self.kind >> 5, (self.kind & 31) << 3])
        return _spell(prefix + self._key.private_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of an Ed25519 signature."""
        return self._key.sign(data)

    def __repr__(self) -> str:
        return f"KeyPair({self.public})"


def verify(public: str, data: bytes, signature: bytes) -> bool:
    """Tell whether the key behind a public NKey signed the data. Nothing malformed raises."""
    try:
        Ed25519PublicKey.from_public_bytes(_read(public)[1:]).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def write_token(signer: KeyPair, claims: dict[str, Any]) -> str:
    """A signed token of these claims; `iss` is added, and a random `jti`.

    So no two tokens are the same text. That matters: NATS takes no notice of an account's token
    that it held before, not even when the account was deleted in between.
    """
    body = {**claims, "iss": signer.public, "jti": _base32(secrets.token_bytes(20))}
    text = f"{_part(_HEADER)}.{_part(body)}"
    return f"{text}.{_base64(signer.sign(text.encode()))}"


def read_token(token: str) -> dict[str, Any]:
    """The claims of a token that its own issuer signed. Raises ValueError; whom to trust is the caller's."""
    text, _, signature = token.rpartition(".")
    _, _, body = text.partition(".")
    try:
        claims = msgspec.json.decode(_unbase64(body), type=dict[str, Any])
    except msgspec.DecodeError:
        raise ValueError("not a token") from None
    if not verify(str(claims.get("iss")), text.encode(), _unbase64(signature)):
        raise ValueError("the token was not signed by its issuer")
    return claims


def _spell(raw: bytes) -> str:
    return _base32(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little"))


def _read(text: str) -> bytes:
    raw = base64.b32decode(text + "=" * (-len(text) % 8))
    body, check = raw[:-2], raw[-2:]
    if binascii.crc_hqx(body, 0).to_bytes(2, "little") != check:
        raise ValueError("not an NKey")
    return body


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=")


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _part(value: dict[str, Any]) -> str:
    return _base64(msgspec.json.encode(value))
