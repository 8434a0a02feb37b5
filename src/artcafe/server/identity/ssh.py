"""Verifies an agent's SSH signature, with the algorithm of the stored key only."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from artcafe.server.domain.signature import Signature
from artcafe.server.identity.ssh_keys import (
    CURVES,
    ED25519,
    HARDWARE,
    MAX_RSA_BITS,
    MIN_RSA_BITS,
    RSA,
    RSA_EXPONENT,
    SK_ED25519,
    TYPES,
    Material,
    decode_base64,
    parse_public_key,
    read_material,
)
from artcafe.wire.challenge import NAMESPACE, VERSION
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.ssh import (
    SSHSIG_BEGIN,
    SSHSIG_END,
    SSHSIG_HASHES,
    SSHSIG_MAGIC,
    SSHSIG_VERSION,
    SshReader,
    fingerprint,
    to_be_signed,
)

MAX_SIGNATURE = 8192

MAX_TRIED = 8
"""Keys that one raw signature is checked by; it does not say which key made it."""

LEAST_SPENT = 2
"""Checks that a refusal costs at least."""

_ED25519_SIZE = 64
_RSA_SIZES = (MIN_RSA_BITS // 8, MAX_RSA_BITS // 8)
_ECDSA_SIZES = (("ecdsa-sha2-nistp256", 72), ("ecdsa-sha2-nistp384", 104), ("ecdsa-sha2-nistp521", 139))
"""How long a signature in DER is at most (SEC 1, appendix C.8); the shorter curve is the likelier one."""
_COSTLY = frozenset({"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"})

_ARMOR = re.compile(SSHSIG_BEGIN + r"\r?\n((?:[A-Za-z0-9+/=]+\r?\n)+)" + SSHSIG_END)
_USER_PRESENT = 0x01

_RSA_HASHES: dict[bytes, hashes.HashAlgorithm] = {
    b"rsa-sha2-256": hashes.SHA256(),
    b"rsa-sha2-512": hashes.SHA512(),
}
"""RFC 8332. The older `ssh-rsa` means SHA-1 and is refused."""


def is_costly(signature: Signature) -> bool:
    """Whether checking it takes much longer than most: RSA of more than 2048 bits, P-384, P-521."""
    return signature.kind in _COSTLY or signature.size > MIN_RSA_BITS // 8


class SshVerifier:
    """Verifies logins of agents. It holds no secret, and any number of threads may share one.

    `verifications` counts the checks of a signature by a key, which are what costs time.
    """

    def __init__(self) -> None:
        self.verifications = 0
        self._decoys: dict[str, Material] = {
            ED25519: Material(ED25519, ed25519.Ed25519PrivateKey.generate().public_key())
        }

    def read(self, signature: str) -> Signature | None:
        """Read a signature; None when no key can have made it.

        It is one of two things, blanks and newlines around it aside:

        * an armored SSHSIG (OpenSSH's PROTOCOL.sshsig: `ssh-keygen -Y sign`, ssh-agent) in the
          namespace `NAMESPACE`. The only form for hardware keys, whose user must have been present.
        * standard base64 of what crypto libraries return: RSASSA-PKCS1-v1_5 with SHA-256, ECDSA as
          DER with the curve's own hash, or Ed25519.
        """
        if len(signature) > MAX_SIGNATURE or not signature.isascii():
            return None
        signature = signature.strip()
        try:
            if signature.startswith(SSHSIG_BEGIN):
                return _read_sshsig(signature)
            return _read_raw(decode_base64(signature))
        except (InvalidSignature, ValueError):
            return None

    def verify(self, key: str, text: bytes, signature: str) -> bool:
        """Tell whether `signature` was made over exactly `text` with the private key of `key`, a stored line
        (`PublicKey.line`) whose type alone decides about the algorithm.

        Whatever else comes is False, never an error: broken text, a key that may not be registered,
        a signature by another key.
        """
        shown = self.read(signature)
        try:
            blob, material = _stored(key)
        except ArtcafeError:
            return False
        return shown is not None and _fits(shown, blob, material) and self._holds(material, text, shown)

    def prove(self, keys: Sequence[str], text: bytes, shown: Signature) -> str | None:
        """The key, of these stored lines, that made the signature over the text; None when none did.

        Of keys that can have made it MAX_TRIED are tried; of an SSHSIG there is at most one. One of the
        challenge that this platform gives is taken over the text as it is, and with CR LF where it has LF: so
        ssh-keygen signs it where a pipe in text mode lies before it. Refusing costs the same work whether
        there is such a key or none, one or two: what is missing is spent on a key that nobody can sign for.
        """
        texts = [text]
        if shown.signer is not None and text.startswith(f"{VERSION}\n".encode()) and b"\r" not in text:
            texts.append(text.replace(b"\n", b"\r\n"))
        spent = 0
        for key, material in _fitting(keys, shown):
            for each in texts:
                spent += 1
                if self._holds(material, each, shown):
                    return key
        for _ in range(spent, LEAST_SPENT):
            self._holds(self._decoy(shown), text, shown)
        return None

    def _holds(self, material: Material, text: bytes, shown: Signature) -> bool:
        self.verifications += 1
        try:
            _check(material, _signed(material, text, shown), shown.signature, _RSA_HASHES[shown.rsa_hash])
        except (InvalidSignature, ValueError):
            return False
        return True

    def _decoy(self, shown: Signature) -> Material:
        """A decoy key of the signature's kind, whose private key does not exist."""
        if shown.kind == RSA:
            return _rsa_decoy(shown.size)
        kind = ED25519 if shown.kind == SK_ED25519 else shown.kind
        if kind not in self._decoys:
            key = ec.generate_private_key(CURVES[kind].curve).public_key()
            self._decoys[kind] = Material(kind, key)
        decoy = self._decoys[kind]
        return Material(shown.kind, decoy.key, b"ssh:" if shown.extras else None)


def _fitting(keys: Sequence[str], shown: Signature) -> Iterator[tuple[str, Material]]:
    found = 0
    for key in keys:
        try:
            blob, material = _stored(key)
        except ArtcafeError:  # Registered when more was taken: such a key proves nothing any more.
            continue
        if _fits(shown, blob, material):
            yield key, material
            found += 1
            if found == MAX_TRIED:
                return


def _fits(shown: Signature, blob: bytes, material: Material) -> bool:
    """Whether this key can have made it."""
    if shown.signer is not None:
        return shown.signer == blob
    if material.application is not None or material.type != shown.kind:
        return False  # A hardware key never signs plain text.
    return material.type != RSA or _rsa_size(material) == shown.size


# Agents come back: what a key holds is read once.
@lru_cache(maxsize=1024)
def _stored(line: str) -> tuple[bytes, Material]:
    blob = parse_public_key(line).blob
    return blob, read_material(blob)


@lru_cache(maxsize=MAX_RSA_BITS // 8)
def _rsa_decoy(size: int) -> Material:
    """Of a number that nobody knows the factors of: its digits are a hash, and it is odd and long enough."""
    digits = hashlib.shake_256(b"nobody's key").digest(size)
    modulus = int.from_bytes(digits, "big") | 1 | 3 << (size * 8 - 2)
    return Material(RSA, rsa.RSAPublicNumbers(RSA_EXPONENT, modulus).public_key())


def _rsa_size(material: Material) -> int:
    assert isinstance(material.key, rsa.RSAPublicKey)
    return (material.key.key_size + 7) // 8


def _read_sshsig(signature: str) -> Signature:
    armor = _ARMOR.fullmatch(signature)
    if armor is None:
        raise InvalidSignature("broken armor")
    reader = SshReader(decode_base64("".join(armor[1].split())))
    if reader.take(len(SSHSIG_MAGIC)) != SSHSIG_MAGIC or reader.uint32() != SSHSIG_VERSION:
        raise InvalidSignature("not an SSHSIG of version 1")
    signer, namespace, reserved = reader.string(), reader.string(), reader.string()
    hash_name, inner = reader.string(), reader.string()
    reader.end()
    if namespace != NAMESPACE.encode() or reserved:
        raise InvalidSignature("made for another purpose")
    if hash_name not in SSHSIG_HASHES:
        raise InvalidSignature("unknown hash")
    kind = SshReader(signer).string().decode("ascii", "replace")
    if kind not in TYPES:
        raise InvalidSignature("made by a key of another type")
    return _read_inner(kind, signer, hash_name, inner)


def _read_inner(kind: str, signer: bytes, hash_name: bytes, inner: bytes) -> Signature:
    """Read a signature as SSH itself spells it: an algorithm, its bytes, and a hardware key's extras."""
    signed_by = (signer, fingerprint(signer))
    reader = SshReader(inner)
    algorithm, signature = reader.string(), reader.string()
    extras = b""
    if kind in HARDWARE:
        extras = reader.take(5)  # one byte of flags, four of a counter that clones make worthless
        if not extras[0] & _USER_PRESENT:
            raise InvalidSignature("nobody touched the hardware key")
    reader.end()
    if kind == RSA:
        if algorithm not in _RSA_HASHES or not _RSA_SIZES[0] <= len(signature) <= _RSA_SIZES[1]:
            raise InvalidSignature("not an algorithm or a size for this key")
        return Signature(kind, len(signature), signature, *signed_by, hash_name, rsa_hash=algorithm)
    if algorithm != kind.encode():
        raise InvalidSignature("not an algorithm for this key")
    if kind in CURVES:
        numbers = SshReader(signature)
        signature = utils.encode_dss_signature(numbers.mpint(), numbers.mpint())
        numbers.end()
    return Signature(kind, 0, signature, *signed_by, hash_name, extras=extras)


def _read_raw(signature: bytes) -> Signature:
    """Read a raw signature, whose kind is told by its length: no two kinds have the same."""
    size = len(signature)
    if size == _ED25519_SIZE:
        return Signature(ED25519, 0, signature)
    if _RSA_SIZES[0] <= size <= _RSA_SIZES[1]:
        return Signature(RSA, size, signature)
    utils.decode_dss_signature(signature)
    for kind, most in _ECDSA_SIZES:
        if size <= most:
            return Signature(kind, 0, signature)
    raise InvalidSignature("of no kind of key")


def _signed(material: Material, text: bytes, shown: Signature) -> bytes:
    """The bytes under the signature, made from the text."""
    if shown.signer is None:
        if b"\0" in text:
            # What SSH signs for logins, git or files holds zero bytes (the lengths of its strings). No such
            # signature may pass as the raw one of a text that somebody else chose.
            raise InvalidSignature("not a text")
        return text
    signed = to_be_signed(text, shown.hash_name)
    if material.application is not None:
        application = hashlib.sha256(material.application).digest()
        signed = application + shown.extras + hashlib.sha256(signed).digest()
    return signed


def _check(material: Material, signed: bytes, signature: bytes, rsa_hash: hashes.HashAlgorithm) -> None:
    match material.key:
        case ed25519.Ed25519PublicKey() as key:
            key.verify(signature, signed)
        case ec.EllipticCurvePublicKey() as key:
            key.verify(signature, signed, ec.ECDSA(CURVES[material.type].hash))
        case rsa.RSAPublicKey() as key:
            key.verify(signature, signed, padding.PKCS1v15(), rsa_hash)
