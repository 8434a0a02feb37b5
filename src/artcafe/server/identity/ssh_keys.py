"""SSH public keys: the accepted kinds, their canonical form, and the reasons of a refusal."""

import base64
import re
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from artcafe.server.ports.identity import KeyKind
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.ssh import MalformedError, SshReader, fingerprint, is_private_key

MAX_TEXT = 8192
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 4096
RSA_EXPONENT = 65537
"""The upper bound matters as much as the lower, and so does the exponent: checking against a huge key, or
with a huge exponent, costs real time, which a stranger could spend."""
MAX_COMMENT = 256
"""Characters of a comment that are kept."""

ACCEPTED = (
    "Accepted are Ed25519, ECDSA (P-256, P-384, P-521) and RSA keys of 2048 to 4096 bits "
    "with the exponent 65537, as one OpenSSH line (what a .pub file holds), as PEM or as ssh-keygen -e "
    "prints them, and hardware (sk) keys as an OpenSSH line."
)
_PRIVATE = (
    "This is a PRIVATE key. Never send it to anybody: treat it as compromised, make a new key pair "
    "and send the public key of that (the file whose name ends in .pub)."
)

ED25519 = "ssh-ed25519"
RSA = "ssh-rsa"
SK_ED25519 = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve of RFC 5656, its name on the wire and the hash that section 6.2.1 ties to it."""

    name: bytes
    curve: ec.EllipticCurve
    hash: hashes.HashAlgorithm


CURVES = {
    "ecdsa-sha2-nistp256": Curve(b"nistp256", ec.SECP256R1(), hashes.SHA256()),
    "ecdsa-sha2-nistp384": Curve(b"nistp384", ec.SECP384R1(), hashes.SHA384()),
    "ecdsa-sha2-nistp521": Curve(b"nistp521", ec.SECP521R1(), hashes.SHA512()),
    SK_ECDSA: Curve(b"nistp256", ec.SECP256R1(), hashes.SHA256()),
}
TYPES = frozenset({ED25519, RSA, SK_ED25519, *CURVES})
HARDWARE = frozenset({SK_ED25519, SK_ECDSA})

_ED25519_PRIME = 2**255 - 19
_SMALL_ORDER = frozenset(
    bytes.fromhex(y)
    for y in (
        "0000000000000000000000000000000000000000000000000000000000000000",  # order 4
        "0100000000000000000000000000000000000000000000000000000000000000",  # order 1
        # pragma: allowlist nextline secret
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",  # order 8
        # pragma: allowlist nextline secret
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",  # order 8
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # p-1, order 2
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # p, again 0
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # p+1, again 1
    )
)
"""Every y, sign bit cleared, of a point whose order divides 8: the list libsodium refuses as well.

Under such a key one signature fits many texts, so it proves nothing.
"""

_LINE_END = re.compile("\r\n|\r|\n")
_MARK = "\ufeff"
"""The byte order mark, which some editors write in front."""
_RFC4716_BEGIN = "---- BEGIN SSH2 PUBLIC KEY ----"
_RFC4716_END = "---- END SSH2 PUBLIC KEY ----"
_PEM = re.compile(r"-----BEGIN ((?:RSA )?PUBLIC KEY)-----\s[A-Za-z0-9+/=\s]+-----END \1-----")


@dataclass(frozen=True, slots=True)
class SshPublicKey:
    """A key that may be registered. Two are equal when the key is: the comment does not count."""

    type: str
    blob: bytes
    comment: str = field(default="", compare=False)

    @property
    def line(self) -> str:
        """The one form in which a key is stored and compared: `type base64`, no comment."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as ssh-keygen prints it."""
        return fingerprint(self.blob)


@dataclass(frozen=True, slots=True)
class Material:
    """The content of a key's blob, ready to verify with. Only hardware (sk) keys have an application."""

    type: str
    key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    application: bytes | None = None


def parse_public_key(text: str) -> SshPublicKey:
    """Parse a public key to be registered, in any of the forms that tools write.

    Those are an OpenSSH line (`type base64 comment`), PEM, as SubjectPublicKeyInfo or PKCS #1, and RFC 4716
    (`ssh-keygen -e`, PuTTYgen). Blanks, newlines, a byte order mark, and lines that are empty or begin with
    `#` do not matter. A comment may hold any text; MAX_COMMENT characters of it are kept, those that can be
    printed. Raises `ArtcafeError(validation_failed)` with a sentence that says what is wrong and what is
    accepted; it never repeats the text.
    """
    if is_private_key(text):
        raise ArtcafeError(Code.validation_failed, _PRIVATE)
    if len(text) > MAX_TEXT:
        raise _refused(f"The key is longer than {MAX_TEXT} characters.")
    lines = [line.replace(_MARK, "").strip() for line in _LINE_END.split(text)]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise _refused("There is no key.")
    if lines[0].startswith("-----BEGIN "):
        return _parse_pem("\n".join(lines))
    if lines[0] == _RFC4716_BEGIN:
        return _parse_rfc4716(lines)
    if len(lines) > 1:
        raise _refused("Send exactly one key, on one line.")
    return _parse_line(lines[0])


def read_material(blob: bytes) -> Material:
    """Read a key's blob (RFC 4253 section 6.6, RFC 5656, RFC 8709, OpenSSH's PROTOCOL.u2f) strictly.

    Raises `ArtcafeError(validation_failed)` for everything that may not be registered.
    """
    reader = SshReader(blob)
    try:
        kind = reader.string().decode("ascii")
        if kind not in TYPES:
            raise _refused(_why_not(kind))
        if kind == RSA:
            material = Material(kind, _rsa(exponent=reader.mpint(), modulus=reader.mpint()))
        elif kind in CURVES:
            material = Material(kind, _ecdsa(CURVES[kind], reader.string(), reader.string()))
        else:
            material = Material(kind, _ed25519(reader.string()))
        if kind in HARDWARE:
            material = Material(kind, material.key, application=reader.string())
        reader.end()
    except ValueError:
        raise _refused("The key is damaged: its bytes are not those of a public key.") from None
    return material


def decode_base64(text: str) -> bytes:
    """Decode standard base64 in its one canonical spelling. Raises ValueError for any other."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data) != text.encode("ascii"):
        raise MalformedError("not canonical base64")
    return data


def generate_key_pair(kind: KeyKind) -> tuple[str, str]:
    """Make a key pair: the private key, not encrypted and kept nowhere, and the public one as a line.

    Ed25519 in OpenSSH's own form; or RSA of 3072 bits as PKCS #8 PEM, for clients in the field that read and
    sign with nothing else. The latter takes a good part of a second of pure CPU: call it in a thread.
    """
    private: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
    if kind is KeyKind.rsa:
        private, form = rsa.generate_private_key(RSA_EXPONENT, 3072), serialization.PrivateFormat.PKCS8
    else:
        private, form = ed25519.Ed25519PrivateKey.generate(), serialization.PrivateFormat.OpenSSH
    pem = private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return pem.decode(), openssh_line(private.public_key())


def openssh_line(key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> str:
    """Spell a key as `type base64`. Raises ValueError for a curve that SSH has no name for."""
    openssh = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return openssh.decode()


def _parse_pem(text: str) -> SshPublicKey:
    if "-----BEGIN CERTIFICATE" in text:
        raise _refused("This is a certificate; `openssl x509 -pubkey -noout` prints the public key in it.")
    if _PEM.fullmatch(text) is None:
        raise _refused("This PEM is not exactly one public key.")
    try:
        key = serialization.load_pem_public_key(text.encode())
        if not isinstance(key, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
            raise _refused("Keys of this type are not accepted.")
        return _parse_line(openssh_line(key))
    except (ValueError, UnsupportedAlgorithm):
        raise _refused("The PEM is damaged, or its type of key is not accepted.") from None


def _parse_rfc4716(lines: list[str]) -> SshPublicKey:
    """RFC 4716 section 3: headers, which go on after a backslash, and base64 between two marks."""
    if lines[-1] != _RFC4716_END or len(lines) < 3:
        raise _refused("The key is cut off: its last line is missing.")
    comment, body, header = "", [], ""
    for line in lines[1:-1]:
        if header or ":" in line:
            header += line.removesuffix("\\")
            if not line.endswith("\\"):
                name, _, value = header.partition(":")
                comment, header = (value.strip().strip('"') if name.lower() == "comment" else comment), ""
        else:
            body.append(line)
    return _of_base64("".join(body), None, comment)


def _parse_line(text: str) -> SshPublicKey:
    kind, *rest = text.split(maxsplit=2)
    if kind not in TYPES:
        if any(word in TYPES for word in text.split()):
            raise _refused("Something stands in front of the key; options are not accepted: send it without.")
        raise _refused(_why_not(kind))
    if not rest:
        raise _refused("The key is cut off: its base64 part is missing.")
    return _of_base64(rest[0], kind, rest[1] if len(rest) > 1 else "")


def _of_base64(encoded: str, kind: str | None, comment: str) -> SshPublicKey:
    try:
        blob = decode_base64(encoded)
    except ValueError:
        raise _refused("The key is damaged: its second part is not base64.") from None
    material = read_material(blob)
    if kind not in {None, material.type}:
        raise _refused("The key is inconsistent: the type in front is not the type of the key.")
    printed = "".join(letter if letter.isprintable() else " " for letter in comment)
    return SshPublicKey(material.type, blob, comment=printed.strip()[:MAX_COMMENT])


def _why_not(kind: str) -> str:
    if "-cert-v0" in kind:
        return "This is an SSH certificate; send the plain public key instead."
    if kind == "ssh-dss":
        return "DSA keys are too weak."
    return "This is not a public key of an accepted type."


def _rsa(*, exponent: int, modulus: int) -> rsa.RSAPublicKey:
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        raise _refused(f"The RSA key has {modulus.bit_length()} bits.")
    if exponent != RSA_EXPONENT:
        raise _refused("The RSA key has another public exponent than 65537.")
    if modulus % 2 == 0:
        raise _refused("The RSA key is weak: its modulus is even.")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _ecdsa(curve: Curve, name: bytes, point: bytes) -> ec.EllipticCurvePublicKey:
    if name != curve.name:
        raise _refused("The key is inconsistent: it names another curve than its type.")
    if point[:1] != b"\x04":
        raise _refused("The key's point is compressed; send the uncompressed form.")
    return ec.EllipticCurvePublicKey.from_encoded_point(curve.curve, point)


def _ed25519(point: bytes) -> ed25519.Ed25519PublicKey:
    key = ed25519.Ed25519PublicKey.from_public_bytes(point)
    y = int.from_bytes(point, "little") & (2**255 - 1)
    if y.to_bytes(32, "little") in _SMALL_ORDER:
        raise _refused("The Ed25519 key is weak: its point has a small order.")
    if y >= _ED25519_PRIME:
        raise MalformedError("one point, spelled in a second way")
    return key


def _refused(reason: str) -> ArtcafeError:
    return ArtcafeError(Code.validation_failed, f"{reason} {ACCEPTED}")
