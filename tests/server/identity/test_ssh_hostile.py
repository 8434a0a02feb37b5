"""Verifying logins: bytes that were flipped, cut off, added or made up are refused, and never raise."""

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from hypothesis import given, settings
from hypothesis import strategies as st

from artcafe.server.identity.ssh import MAX_SIGNATURE, SshVerifier
from artcafe.wire.challenge import NAMESPACE
from tests.kit.edwards25519 import small_order_encodings
from tests.kit.ssh_keys import (
    KeyRing,
    ecdsa_key,
    ed25519_key,
    make_key,
    public_line,
    raw_signature,
    ssh_keygen_sign,
)
from tests.kit.sshsig import (
    BEGIN,
    SK_ECDSA,
    SK_ED25519,
    Envelope,
    SecurityKey,
    armor,
    blob_of,
    dearmor,
    line_of,
    mpint,
    signed,
    string,
    strings,
)

KINDS = ["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048"]
TEXT = b"artcafe-agent-auth/1\nserver=wss://artcafe.example\ntenant=acme\nagent=a1\n"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def verifier() -> SshVerifier:
    return SshVerifier()


def base64_of(signature: bytes) -> str:
    return base64.b64encode(signature).decode()


def ecdsa_envelope(blob: bytes, kind: bytes, numbers: bytes) -> str:
    return Envelope(blob, string(kind) + string(numbers)).armored()


# Bytes that were changed, added or left out.


@pytest.mark.parametrize("kind", [*KINDS, SK_ED25519, SK_ECDSA])
def test_every_flipped_byte(keys: KeyRing, verifier: SshVerifier, kind: str) -> None:
    sk = SecurityKey(kind) if kind in (SK_ED25519, SK_ECDSA) else None
    line = sk.line if sk else keys.line(kind)
    envelope = dearmor(sk.sign(TEXT) if sk else ssh_keygen_sign(keys.path(kind), TEXT))
    assert verifier.verify(line, TEXT, armor(envelope))
    for at in range(len(envelope)):
        for flip in (0x01, 0x80, 0xFF):
            changed = envelope[:at] + bytes([envelope[at] ^ flip]) + envelope[at + 1 :]
            assert not verifier.verify(line, TEXT, armor(changed)), (at, flip)


@pytest.mark.parametrize("kind", KINDS)
def test_every_flipped_byte_of_a_raw_signature(keys: KeyRing, verifier: SshVerifier, kind: str) -> None:
    signature = raw_signature(keys.path(kind), TEXT)
    for at in range(len(signature)):
        for flip in (0x01, 0x80, 0xFF):
            changed = signature[:at] + bytes([signature[at] ^ flip]) + signature[at + 1 :]
            assert not verifier.verify(keys.line(kind), TEXT, base64_of(changed)), (at, flip)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa-256", "rsa-2048"])
def test_every_cut_off_signature(keys: KeyRing, verifier: SshVerifier, kind: str) -> None:
    envelope, raw = dearmor(ssh_keygen_sign(keys.path(kind), TEXT)), raw_signature(keys.path(kind), TEXT)
    for size in range(len(envelope)):
        assert not verifier.verify(keys.line(kind), TEXT, armor(envelope[:size])), size
    for size in range(len(raw)):
        assert not verifier.verify(keys.line(kind), TEXT, base64_of(raw[:size])), size


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa-256", "rsa-2048"])
@pytest.mark.parametrize("tail", [b"\0", b"\x01", string(b""), bytes(5)])
def test_trailing_bytes_at_every_level(keys: KeyRing, verifier: SshVerifier, kind: str, tail: bytes) -> None:
    line, made = keys.line(kind), Envelope.of(ssh_keygen_sign(keys.path(kind), TEXT))
    algorithm, body = strings(made.signature)
    assert not verifier.verify(line, TEXT, armor(made.bytes() + tail))
    assert not verifier.verify(line, TEXT, replace(made, signature=made.signature + tail).armored())
    assert not verifier.verify(
        line, TEXT, replace(made, signature=string(algorithm) + string(body + tail)).armored()
    )
    assert not verifier.verify(line, TEXT, base64_of(raw_signature(keys.path(kind), TEXT) + tail))


def test_text_around_the_armor(keys: KeyRing, verifier: SshVerifier) -> None:
    signature = ssh_keygen_sign(keys.path(), TEXT)
    for around in (
        signature + "x",
        "x" + signature,
        signature + signature,
        signature.replace("\n", ""),
        signature.replace("\n", " "),
        signature.replace("\n", "\n\n", 1),
        signature.replace("\n", "\nVersion: 1\n", 1),
        signature.replace("-----END SSH SIGNATURE-----\n", ""),
        signature.replace("SSH SIGNATURE", "PGP SIGNATURE"),
        signature.replace("=", ""),
        BEGIN,
    ):
        assert not verifier.verify(keys.line(), TEXT, around)


def test_ecdsa_numbers_have_one_spelling(keys: KeyRing, verifier: SshVerifier) -> None:
    line, private = keys.line("ecdsa-256"), ecdsa_key(keys.path("ecdsa-256"))
    blob, kind = blob_of(line), b"ecdsa-sha2-nistp256"
    r, s = utils.decode_dss_signature(private.sign(signed(TEXT), ec.ECDSA(hashes.SHA256())))
    assert verifier.verify(line, TEXT, ecdsa_envelope(blob, kind, mpint(r) + mpint(s)))
    padded = {number: string(b"\0" + mpint(number)[4:]) for number in (r, s)}
    unsigned = string((r | 1 << 255).to_bytes(32, "big"))
    for numbers in (padded[r] + mpint(s), mpint(r) + padded[s], unsigned + mpint(s), mpint(r), b""):
        assert not verifier.verify(line, TEXT, ecdsa_envelope(blob, kind, numbers))


def test_ecdsa_numbers_out_of_range(keys: KeyRing, verifier: SshVerifier) -> None:
    line, order = keys.line("ecdsa-256"), 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    for r in (0, 1, order, order + 1, 2**256, 2**30_000):
        for s in (0, 1, order, 2**256):
            numbers = mpint(r) + mpint(s)
            assert not verifier.verify(
                line, TEXT, ecdsa_envelope(blob_of(line), b"ecdsa-sha2-nistp256", numbers)
            )
            if r < 2**1000:
                raw = utils.encode_dss_signature(r, s)
                assert not verifier.verify(line, TEXT, base64_of(raw))


def test_ed25519_has_one_signature_a_text(keys: KeyRing, verifier: SshVerifier) -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    signature = raw_signature(keys.path(), TEXT)
    s = int.from_bytes(signature[32:], "little") + order
    assert not verifier.verify(keys.line(), TEXT, base64_of(signature[:32] + s.to_bytes(32, "little")))


# The envelope's own fields.


def test_hash_names_outside_the_standard(keys: KeyRing, verifier: SshVerifier) -> None:
    private, blob = ed25519_key(keys.path()), blob_of(keys.line())
    digests = {
        name.encode(): hashlib.new(name, TEXT).digest() for name in ("md5", "sha1", "sha384", "sha3_512")
    }
    digests |= {b"shake_128": hashlib.shake_128(TEXT).digest(64), b"": b"", b"none": TEXT}
    digests |= {
        name: hashlib.sha512(TEXT).digest() for name in (b"SHA512", b"sha512\0", b"sha-512", b"\xff\xfe")
    }
    assert verifier.verify(keys.line(), TEXT, ssh_keygen_sign(keys.path(), TEXT))
    for name, digest in digests.items():
        body = private.sign(signed(TEXT, hash=name, digest=digest))
        envelope = Envelope(blob, string(b"ssh-ed25519") + string(body), hash=name)
        assert not verifier.verify(keys.line(), TEXT, envelope.armored()), name


def test_magic_version_reserved_and_namespace(keys: KeyRing, verifier: SshVerifier) -> None:
    private = ed25519_key(keys.path())
    made = Envelope.of(ssh_keygen_sign(keys.path(), TEXT))
    for version in (0, 2, 2**32 - 1):
        assert not verifier.verify(keys.line(), TEXT, replace(made, version=version).armored())
    for magic in (b"SSHSIg", b"sshsig", b""):
        assert not verifier.verify(keys.line(), TEXT, replace(made, magic=magic).armored())
    for reserved, namespace in ((b"x", NAMESPACE.encode()), (b"", b""), (b"", b"\xff"), (b"", b"git")):
        body = private.sign(signed(TEXT, reserved=reserved, namespace=namespace))
        forged = Envelope(made.key, string(b"ssh-ed25519") + string(body), namespace, reserved)
        assert not verifier.verify(keys.line(), TEXT, forged.armored())


# What is stored, and what is sent in place of a signature.


def test_a_weak_stored_key_proves_nothing(verifier: SshVerifier, tmp_path: Path) -> None:
    identity = bytes([1]) + bytes(31)
    forged = identity + bytes(32)
    ed25519.Ed25519PublicKey.from_public_bytes(identity).verify(forged, TEXT)  # fits every text
    for raw in small_order_encodings():
        line = line_of(string(b"ssh-ed25519") + string(raw))
        assert not verifier.verify(line, TEXT, base64_of(forged))
    weak = make_key(tmp_path, "rsa-1024")
    assert not verifier.verify(public_line(weak), TEXT, ssh_keygen_sign(weak, TEXT))


def test_a_stored_key_that_is_none(keys: KeyRing, verifier: SshVerifier) -> None:
    signature = ssh_keygen_sign(keys.path(), TEXT)
    for line in (
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        keys.path().read_text(),
        "é",
        keys.line()[:-4],
        "\ud800",
    ):
        assert not verifier.verify(line, TEXT, signature)


def test_oversized_input(keys: KeyRing, verifier: SshVerifier) -> None:
    signature = ssh_keygen_sign(keys.path(), TEXT)
    assert verifier.verify(keys.line(), TEXT, signature + " " * (MAX_SIGNATURE - len(signature)))
    assert not verifier.verify(keys.line(), TEXT, signature + " " * (MAX_SIGNATURE - len(signature) + 1))
    for text in ("A" * 10_000_000, BEGIN * 300_000, (BEGIN + "\n") + "A\n" * 4000):
        assert not verifier.verify(keys.line(), TEXT, text)
    huge = replace(Envelope.of(signature), signature=b"").bytes()[:-4] + b"\xff\xff\xff\xff"
    assert not verifier.verify(keys.line(), TEXT, armor(huge))


def test_base64_that_is_not_strict(keys: KeyRing, verifier: SshVerifier) -> None:
    raw = next(
        made for made in _raw_signatures(ed25519_key(keys.path())) if "+" in made[1] and "/" in made[1]
    )
    text, signature = raw
    assert verifier.verify(keys.line(), text, signature)
    for damaged in (
        signature.replace("+", " "),
        signature.replace("+", "-").replace("/", "_"),
        signature.rstrip("="),
        signature[:-3] + chr(ord(signature[-3]) + 1) + "==",
        signature[:40] + "\n" + signature[40:],
        signature + "=",
        "data:;base64," + signature,
    ):
        assert not verifier.verify(keys.line(), text, damaged)


def _raw_signatures(private: ed25519.Ed25519PrivateKey) -> list[tuple[bytes, str]]:
    return [(text, base64_of(private.sign(text))) for text in (b"text %d" % n for n in range(50))]


def test_text_that_is_not_ascii(keys: KeyRing, verifier: SshVerifier) -> None:
    signature = ssh_keygen_sign(keys.path(), TEXT)
    for text in (
        signature + "\u00a0",
        "\ufeff" + signature,
        signature.replace("A", "\u0410", 1),
        "\ud800",
        "é",
    ):
        assert not verifier.verify(keys.line(), TEXT, text)


_SK = SecurityKey()
_MADE = _SK.sign(TEXT)
_PARTS = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([_SK.blob, NAMESPACE.encode(), b"", b"sha512", Envelope.of(_MADE).signature]),
)
_SIGNATURES = st.one_of(
    st.text(max_size=300),
    st.binary(max_size=300).map(base64_of),
    st.binary(max_size=300).map(armor),
    st.lists(_PARTS, max_size=6).map(
        lambda parts: armor(b"SSHSIG\0\0\0\1" + b"".join(string(part) for part in parts))
    ),
    st.builds(
        lambda inner: replace(Envelope.of(_MADE), signature=b"".join(map(string, inner))).armored(),
        st.lists(_PARTS, max_size=3),
    ),
    st.tuples(st.integers(0, len(_MADE) - 2), st.characters(), st.integers(0, 3)).map(
        lambda hit: _MADE[: hit[0]] + hit[1] + _MADE[hit[0] + hit[2] :]
    ),
)


@settings(max_examples=300, deadline=None)
@given(key=st.sampled_from([_SK.line, SecurityKey().line]) | st.text(max_size=100), signature=_SIGNATURES)
def test_no_text_raises_and_only_the_signature_passes(
    verifier: SshVerifier, key: str, signature: str
) -> None:
    same = key == _SK.line and "".join(signature.split()) == "".join(_MADE.split())
    assert verifier.verify(key, TEXT, signature) <= same
