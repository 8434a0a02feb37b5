"""Check what an agent signed with its SSH key: strictly, and never by an algorithm the agent chose."""

import hashlib
import re
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from artcafe.server.identity.ssh_keys import (
    CURVES,
    RSA,
    Material,
    decode_base64,
    openssh_line,
    parse_public_key,
    read_material,
)
from artcafe.wire.challenge import NAMESPACE
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.ssh import (
    SSHSIG_BEGIN,
    SSHSIG_END,
    SSHSIG_HASHES,
    SSHSIG_MAGIC,
    SSHSIG_VERSION,
    Reader,
    to_be_signed,
)

MAX_SIGNATURE = 8192

_ARMOR = re.compile(SSHSIG_BEGIN + r"\r?\n((?:[A-Za-z0-9+/=]+\r?\n)+)" + SSHSIG_END)
_USER_PRESENT = 0x01

_RSA_HASHES: dict[bytes, hashes.HashAlgorithm] = {
    b"rsa-sha2-256": hashes.SHA256(),
    b"rsa-sha2-512": hashes.SHA512(),
}
"""RFC 8332. The older `ssh-rsa` means SHA-1 and is refused."""


class SshVerifier:
    """Verifies logins of agents. It holds no secret, and any number of threads may share one."""

    decoy: str
    """A key line whose private key nobody holds.

    A login of an unknown agent verifies against it, so that it takes the time of a wrong signature.
    """

    def __init__(self) -> None:
        self.decoy = openssh_line(ed25519.Ed25519PrivateKey.generate().public_key())

    def verify(self, key: str, text: bytes, signature: str) -> bool:
        """Tell whether `signature` was made over exactly `text` with the private key of `key`.

        `key` is a stored line (`PublicKey.line`); its type alone decides about the algorithm.
        `signature` is one of two things, blanks and newlines around it aside:

        * an armored SSHSIG (OpenSSH's PROTOCOL.sshsig: `ssh-keygen -Y sign`, ssh-agent) in the
          namespace `NAMESPACE`. The only form for hardware keys, whose user must have been present.
        * standard base64 of what crypto libraries return: RSASSA-PKCS1-v1_5 with SHA-256, ECDSA as
          DER with the curve's own hash, or Ed25519. The text must be one: without zero bytes.

        Whatever else comes is False, never an error: broken text, a key that may not be registered,
        a signature by another key. A false answer does not say why. It takes 0.1 to 1 ms,
        by the type of the key.
        """
        if len(signature) > MAX_SIGNATURE or not signature.isascii():
            return False
        try:
            blob, material = _stored(key)
            signature = signature.strip()
            if signature.startswith(SSHSIG_BEGIN):
                _check_sshsig(blob, material, text, signature)
            else:
                _check_raw(material, text, decode_base64(signature))
        except (ArtcafeError, InvalidSignature, ValueError):
            return False
        return True


# Agents come back: what a key holds is read once.
@lru_cache(maxsize=1024)
def _stored(line: str) -> tuple[bytes, Material]:
    blob = parse_public_key(line).blob
    return blob, read_material(blob)


def _check_sshsig(blob: bytes, material: Material, text: bytes, signature: str) -> None:
    armor = _ARMOR.fullmatch(signature)
    if armor is None:
        raise InvalidSignature("broken armor")
    reader = Reader(decode_base64("".join(armor[1].split())))
    if reader.take(len(SSHSIG_MAGIC)) != SSHSIG_MAGIC or reader.uint32() != SSHSIG_VERSION:
        raise InvalidSignature("not an SSHSIG of version 1")
    signer, namespace, reserved = reader.string(), reader.string(), reader.string()
    hash_name, inner = reader.string(), reader.string()
    reader.end()
    if signer != blob:
        raise InvalidSignature("made by another key")
    if namespace != NAMESPACE.encode() or reserved:
        raise InvalidSignature("made for another purpose")
    if hash_name not in SSHSIG_HASHES:
        raise InvalidSignature("unknown hash")
    _check_inner(material, to_be_signed(text, hash_name), inner)


def _check_inner(material: Material, signed: bytes, inner: bytes) -> None:
    """Check a signature as SSH itself spells it: an algorithm, its bytes, and a hardware key's extras."""
    reader = Reader(inner)
    algorithm, signature = reader.string(), reader.string()
    if material.application is not None:
        extras = reader.take(5)  # one byte of flags, four of a counter that clones make worthless
        if not extras[0] & _USER_PRESENT:
            raise InvalidSignature("nobody touched the hardware key")
        application = hashlib.sha256(material.application).digest()
        signed = application + extras + hashlib.sha256(signed).digest()
    reader.end()
    if material.type == RSA:
        if algorithm not in _RSA_HASHES:
            raise InvalidSignature("not an algorithm for this key")
        _check(material, signed, signature, _RSA_HASHES[algorithm])
        return
    if algorithm != material.type.encode():
        raise InvalidSignature("not an algorithm for this key")
    if material.type in CURVES:
        numbers = Reader(signature)
        signature = utils.encode_dss_signature(numbers.mpint(), numbers.mpint())
        numbers.end()
    _check(material, signed, signature)


def _check_raw(material: Material, text: bytes, signature: bytes) -> None:
    if material.application is not None:
        raise InvalidSignature("a hardware key never signs plain text")
    if b"\0" in text:
        # What SSH signs for logins, git or files holds zero bytes (the lengths of its strings). No such
        # signature may pass as the raw one of a text that somebody else chose.
        raise InvalidSignature("not a text")
    _check(material, text, signature)


def _check(
    material: Material,
    signed: bytes,
    signature: bytes,
    rsa_hash: hashes.HashAlgorithm = _RSA_HASHES[b"rsa-sha2-256"],
) -> None:
    match material.key:
        case ed25519.Ed25519PublicKey() as key:
            key.verify(signature, signed)
        case ec.EllipticCurvePublicKey() as key:
            key.verify(signature, signed, ec.ECDSA(CURVES[material.type].hash))
        case rsa.RSAPublicKey() as key:
            key.verify(signature, signed, padding.PKCS1v15(), rsa_hash)
